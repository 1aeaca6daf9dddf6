package kernels

import (
	"fmt"
	"slices"
)

// Dims gives the sizes of the letters in an instruction's shapes.
type Dims [26]int

// Get returns the size of a letter, 0 if the instruction has none.
func (d Dims) Get(letter byte) int { return d[letter-'A'] }

// In returns the input named port; ok is false when an optional one is absent.
func In(in Instr, port string) (v View, ok bool) {
	return operand(Table[in.Op].In, in.In, in.Attr.Opt, port)
}

// Out returns the output named port; ok is false when an optional one is absent.
func Out(in Instr, port string) (v View, ok bool) {
	return operand(Table[in.Op].Out, in.Out, in.Attr.Opt, port)
}

func operand(ports []Port, views []View, opt Opt, port string) (View, bool) {
	i := 0
	for _, p := range ports {
		if p.Opt != 0 && opt&p.Opt == 0 {
			continue
		}
		if p.Name == port {
			if i >= len(views) {
				return View{}, false
			}
			return views[i], true
		}
		i++
	}
	return View{}, false
}

// present drops the ports whose option is not set.
func present(ports []Port, opt Opt) []Port {
	return slices.DeleteFunc(slices.Clone(ports), func(p Port) bool { return p.Opt != 0 && opt&p.Opt == 0 })
}

// InPorts and OutPorts are the ports of an instruction, absent ones left out.
func InPorts(in Instr) []Port { return present(Table[in.Op].In, in.Attr.Opt) }

// OutPorts is InPorts for the outputs.
func OutPorts(in Instr) []Port { return present(Table[in.Op].Out, in.Attr.Opt) }

// Reads reports whether output o of the instruction reads its old content.
func Reads(in Instr, o int) bool {
	switch OutPorts(in)[o].Keep {
	case Update:
		return true
	case IfBeta:
		return in.Attr.Beta != 0
	}
	return false
}

// MayAlias reports whether output o may be the same view as input i.
func MayAlias(in Instr, o, i int) bool {
	want := Alias{Out: OutPorts(in)[o].Name, In: InPorts(in)[i].Name}
	return slices.Contains(Table[in.Op].Alias, want)
}

// CostOf is the work of an instruction that passed Check.
func CostOf(p *Program, in Instr, d Dims) Cost {
	c := Cost{FLOPs: Table[in.Op].FLOPs(in, d)}
	for _, v := range in.In {
		c.Bytes += unique(v) * int64(p.DType(v).Size())
	}
	for o, v := range in.Out {
		n := unique(v) * int64(p.DType(v).Size())
		if Reads(in, o) {
			n *= 2
		}
		c.Bytes += n
	}
	return c
}

// unique counts the distinct elements of a view.
func unique(v View) int64 {
	n := int64(1)
	for i, d := range v.Shape {
		if v.Stride[i] != 0 {
			n *= int64(d)
		}
	}
	return n
}

// Check holds an instruction to its row: operands, shapes, types, layouts and
// aliases. It returns the sizes of the letters.
func Check(p *Program, in Instr) (Dims, error) {
	var d Dims
	row := &Table[in.Op]
	fail := func(format string, args ...any) (Dims, error) {
		return d, fmt.Errorf("%s: %s: %w", row.Name, fmt.Sprintf(format, args...), ErrProgram)
	}
	var known Opt
	for _, q := range slices.Concat(row.In, row.Out) {
		known |= q.Opt
	}
	if in.Attr.Opt&^known != 0 {
		return fail("unknown option %#x", in.Attr.Opt&^known)
	}
	ins, outs := InPorts(in), OutPorts(in)
	if len(in.In) != len(ins) || len(in.Out) != len(outs) {
		return fail("%d inputs and %d outputs, want %d and %d", len(in.In), len(in.Out), len(ins), len(outs))
	}
	ports, views := slices.Concat(ins, outs), slices.Concat(in.In, in.Out)
	u := unifier{p: p, dims: &d, views: views}
	for i, q := range ports {
		if err := u.port(q, views[i], i >= len(ins)); err != nil {
			return fail("%v", err)
		}
	}
	if err := checkOverlap(p, in); err != nil {
		return fail("%v", err)
	}
	if row.Check != nil {
		if err := row.Check(p, in, d); err != nil {
			return fail("%v", err)
		}
	}
	return d, nil
}

// unifier binds letters, classes and the any-shape of an instruction as it
// walks the ports.
type unifier struct {
	p     *Program
	dims  *Dims
	views []View
	shape []int // of "*"
	types [AnyData + 1]struct {
		set bool
		t   DType
	}
}

func (u *unifier) port(q Port, v View, out bool) error {
	if err := u.class(q, u.p.DType(v)); err != nil {
		return err
	}
	switch q.Dims {
	case ".":
	case "*":
		if u.shape != nil && !slices.Equal(u.shape, v.Shape) {
			return fmt.Errorf("%s has shape %v, want %v", q.Name, v.Shape, u.shape)
		}
		u.shape = append([]int{}, v.Shape...)
	default:
		if err := u.letters(q, v.Shape); err != nil {
			return err
		}
	}
	return u.layout(q, v, out)
}

func (u *unifier) letters(q Port, shape []int) error {
	if len(shape) != len(q.Dims) {
		return fmt.Errorf("%s has shape %v, want (%s)", q.Name, shape, q.Dims)
	}
	for i := range q.Dims {
		want := 0
		if c := q.Dims[i]; c >= '0' && c <= '9' {
			want = int(c - '0')
		} else if want = u.dims[c-'A']; want == 0 {
			u.dims[c-'A'], want = shape[i], shape[i]
		}
		if shape[i] != want {
			return fmt.Errorf("%s has shape %v, want (%s) with %c = %d", q.Name, shape, q.Dims, q.Dims[i], want)
		}
	}
	return nil
}

func (u *unifier) class(q Port, t DType) error {
	switch q.Type {
	case Sums:
		if t != F32 {
			return fmt.Errorf("%s is %v, want f32", q.Name, t)
		}
	case Index:
		if t != I32 {
			return fmt.Errorf("%s is %v, want i32", q.Name, t)
		}
	case Act, Weight, AnyReal:
		if !t.Float() {
			return fmt.Errorf("%s is %v, want a floating-point type", q.Name, t)
		}
	}
	if b := &u.types[q.Type]; q.Type == Act || q.Type == Weight || q.Type == Data {
		if b.set && b.t != t {
			return fmt.Errorf("%s is %v, want %v", q.Name, t, b.t)
		}
		b.set, b.t = true, t
	}
	return nil
}

func (u *unifier) layout(q Port, v View, out bool) error {
	switch {
	case q.Layout == Packed:
		if !v.IsDense() {
			return fmt.Errorf("%s must be dense, has shape %v stride %v", q.Name, v.Shape, v.Stride)
		}
	case q.Layout > 0:
		k := max(0, len(v.Shape)-int(q.Layout))
		if !(View{Shape: v.Shape[k:], Stride: v.Stride[k:]}).IsDense() {
			return fmt.Errorf("%s must be dense in its last %d axes, has shape %v stride %v", q.Name, q.Layout, v.Shape, v.Stride)
		}
	}
	for i, s := range v.Stride {
		if out && s == 0 && v.Shape[i] > 1 {
			return fmt.Errorf("%s is an output and repeats elements (shape %v stride %v)", q.Name, v.Shape, v.Stride)
		}
	}
	return nil
}

// checkOverlap refuses outputs that share bytes with each other or with an
// input, unless the row allows it and they are the same view.
func checkOverlap(p *Program, in Instr) error {
	for o, v := range in.Out {
		for i, w := range in.In {
			if Overlap(v, w) && !(MayAlias(in, o, i) && v.Same(w)) {
				return fmt.Errorf("output %d overlaps input %d in %q", o, i, p.Slots[v.Slot].Name)
			}
		}
		for o2 := range o {
			if Overlap(v, in.Out[o2]) {
				return fmt.Errorf("outputs %d and %d overlap in %q", o2, o, p.Slots[v.Slot].Name)
			}
		}
	}
	return nil
}

// Overlap reports whether two views may share elements. It compares extents,
// except that two views with the same outer strides (columns of one matrix)
// are told apart by their columns.
func Overlap(v, w View) bool {
	if v.Slot != w.Slot {
		return false
	}
	vlo, vhi := v.Extent()
	wlo, whi := w.Extent()
	if vhi <= wlo || whi <= vlo {
		return false
	}
	sv, okv := v.RowStride(innerDense(v))
	sw, okw := w.RowStride(innerDense(w))
	if !okv || !okw || sv != sw || sv == 0 {
		return true
	}
	nv, nw := size(v.Shape[len(v.Shape)-innerDense(v):]), size(w.Shape[len(w.Shape)-innerDense(w):])
	a, b := v.Offset%sv, w.Offset%sv
	if a+nv > sv || b+nw > sv { // a row that wraps round
		return true
	}
	return a < b+nw && b < a+nv
}

// innerDense is the number of innermost axes that are dense together.
func innerDense(v View) int {
	for k := len(v.Shape); k > 0; k-- {
		if (View{Shape: v.Shape[len(v.Shape)-k:], Stride: v.Stride[len(v.Shape)-k:]}).IsDense() {
			return k
		}
	}
	return 0
}
