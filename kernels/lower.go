package kernels

import (
	"errors"
	"fmt"
	"slices"
)

// Replaced tells of an instruction that Lower took apart.
type Replaced struct {
	Op     Op
	Reason string // of the backend
	Bytes  int64  // of the temporaries that the plain definition adds
}

// Lower returns a program in which every instruction that supports refuses is
// replaced by its plain definition, and what was replaced. It fails when an
// instruction without a plain definition is refused. p is not changed.
func Lower(p *Program, supports func(*Program, Instr) error) (*Program, []Replaced, error) {
	out := &Program{Name: p.Name, Slots: slices.Clone(p.Slots)}
	var replaced []Replaced
	for i, in := range p.Code {
		if err := lower(out, in, supports, &replaced); err != nil {
			return nil, nil, fmt.Errorf("kernels: %s: instruction %d: %w", p.Name, i, err)
		}
	}
	return out, replaced, nil
}

func lower(out *Program, in Instr, supports func(*Program, Instr) error, replaced *[]Replaced) error {
	why := supports(out, in)
	if why == nil {
		out.Code = append(out.Code, in)
		return nil
	}
	plain := Table[in.Op].Plain
	if !errors.Is(why, ErrUnsupported) || plain == nil {
		return fmt.Errorf("%v: %w", in.Op, why)
	}
	d, err := Check(out, in)
	if err != nil {
		return err
	}
	b := &Lowering{prog: out, note: in.Note, op: in.Op}
	plain(b, in, d)
	*replaced = append(*replaced, Replaced{Op: in.Op, Reason: why.Error(), Bytes: b.bytes})
	for _, part := range b.code {
		if err := lower(out, part, supports, replaced); err != nil {
			return err
		}
	}
	return nil
}

// Plain rewrites one instruction by its plain definition, whatever a backend
// supports. ok is false when it has none. Conformance tests use it.
func Plain(p *Program, in Instr) (code []Instr, ok bool, err error) {
	if Table[in.Op].Plain == nil {
		return nil, false, nil
	}
	d, err := Check(p, in)
	if err != nil {
		return nil, false, err
	}
	b := &Lowering{prog: p, note: in.Note, op: in.Op}
	Table[in.Op].Plain(b, in, d)
	return b.code, true, nil
}

// Lowering collects the plain definition of one instruction. Its temporaries
// are F32, so that a definition rounds only where the fused operation does.
type Lowering struct {
	prog  *Program
	code  []Instr
	note  string
	op    Op
	bytes int64
}

func (b *Lowering) temp(shape ...int) View {
	s := Slot{Name: fmt.Sprintf("%v.plain%d", b.op, len(b.prog.Slots)), DType: F32, Shape: shape}
	b.bytes += s.Bytes()
	return Dense(b.prog.AddSlot(s), 0, shape...)
}

func (b *Lowering) emit(op Op, a Attr, out []View, in ...View) {
	b.code = append(b.code, Instr{Op: op, In: in, Out: out, Attr: a, Note: b.note})
}

// f32 is a dense F32 copy of v, or v itself when it is one.
func (b *Lowering) f32(v View) View {
	if b.prog.DType(v) == F32 && v.IsDense() {
		return v
	}
	t := b.temp(v.Shape...)
	b.emit(Copy, Attr{}, []View{t}, v)
	return t
}

// store casts a temporary into an operand.
func (b *Lowering) store(dst, t View) { b.emit(Copy, Attr{}, []View{dst}, t) }

func (b *Lowering) unary(k UnaryKind, x View) View {
	y := b.temp(x.Shape...)
	b.emit(Unary, Attr{Unary: k}, []View{y}, x)
	return y
}

func (b *Lowering) affine(x View, alpha, beta float32) View {
	y := b.temp(x.Shape...)
	b.emit(Unary, Attr{Unary: Affine, Alpha: alpha, Beta: beta}, []View{y}, x)
	return y
}

// binary gives x . y in the shape of x; y is broadcast.
func (b *Lowering) binary(k BinaryKind, x, y View) View {
	z := b.temp(x.Shape...)
	b.emit(Binary, Attr{Binary: k}, []View{z}, x, y)
	return z
}

func (b *Lowering) mul(x, y View) View { return b.binary(Mul, x, y) }
func (b *Lowering) add(x, y View) View { return b.binary(Add, x, y) }

// rowSum sums the columns of x (N, C) into (N, 1).
func (b *Lowering) rowSum(x View) View {
	y := b.temp(x.Shape[0], 1)
	b.emit(Reduce, Attr{Reduce: Sum}, []View{y}, x)
	return y
}

// perRow repeats a dense vector of n elements, one for each row of (n, c).
func perRow(v View, n, c int) View {
	return View{Slot: v.Slot, Offset: v.Offset, Shape: []int{n, c}, Stride: []int{1, 0}}
}

// perColumn repeats a dense vector of c elements, one for each column of (n, c).
func perColumn(v View, n, c int) View {
	return View{Slot: v.Slot, Offset: v.Offset, Shape: []int{n, c}, Stride: []int{0, 1}}
}

// reshaped is a dense view with another shape.
func reshaped(v View, shape ...int) View { return Dense(v.Slot, v.Offset, shape...) }
