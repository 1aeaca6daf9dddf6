package ref

import (
	"context"
	"errors"
	"fmt"
	"time"

	"graft/kernels"
)

func init() {
	kernels.Register("ref", func(string) (kernels.Backend, error) { return New(Options{}), nil })
}

// Options change what a Backend computes. They exist so that a conformance
// suite can make an oracle that is wrong on purpose and see itself notice. The
// zero value is the oracle.
type Options struct {
	// Eval replaces the function Eval.
	Eval func(p *kernels.Program, in kernels.Instr, read func(kernels.View) []float64) ([]Result, error)
	// Store replaces the function Store.
	Store func(t kernels.DType, mem []byte, i int, x float64)
}

// Backend runs programs one instruction after another.
type Backend struct{ opts Options }

var (
	_ kernels.Backend = (*Backend)(nil)
	_ kernels.Exec    = (*exec)(nil)
)

// New opens the oracle.
func New(opts Options) *Backend {
	if opts.Eval == nil {
		opts.Eval = Eval
	}
	if opts.Store == nil {
		opts.Store = Store
	}
	return &Backend{opts}
}

// alignment of offsets: none is needed, but odd ones would hide mistakes of
// those who lay out memory.
const alignment = 64

// Caps implements [kernels.Backend].
func (*Backend) Caps() kernels.Caps {
	return kernels.Caps{Name: "ref", Device: "float64 oracle", Fingerprint: "ref", Align: alignment, Threads: 1}
}

// Supports implements [kernels.Backend]: everything in the table.
func (*Backend) Supports(p *kernels.Program, in kernels.Instr) error {
	if in.Op >= kernels.NumOps {
		return fmt.Errorf("ref: %v: %w", in.Op, kernels.ErrUnsupported)
	}
	if _, err := kernels.Check(p, in); err != nil {
		return fmt.Errorf("ref: %w", err)
	}
	return nil
}

// Plan gives every temporary memory of its own and every instruction one
// dispatch in a barrier group of its own.
func (*Backend) Plan(p *kernels.Program) (kernels.Plan, error) {
	var pl kernels.Plan
	if err := p.Validate(); err != nil {
		return pl, err
	}
	for _, s := range p.Slots {
		offset := int64(-1)
		switch s.Role {
		case kernels.Temp:
			offset = pl.TempBytes
			pl.TempBytes += (s.Bytes() + alignment - 1) / alignment * alignment
		case kernels.Input, kernels.Output:
			pl.IOBytes += s.Bytes()
		}
		pl.Offsets = append(pl.Offsets, offset)
	}
	for i, in := range p.Code {
		d := kernels.Dispatch{Instr: i, Kernel: in.Op.String()}
		for _, v := range in.In {
			d.Reads = append(d.Reads, span(p, v))
		}
		for o, v := range in.Out {
			d.Writes = append(d.Writes, span(p, v))
			if kernels.Reads(in, o) {
				d.Reads = append(d.Reads, span(p, v))
			}
		}
		pl.Dispatches = append(pl.Dispatches, d)
		pl.Groups = append(pl.Groups, i)
	}
	return pl, nil
}

func span(p *kernels.Program, v kernels.View) kernels.Span {
	lo, hi := v.Extent()
	n := p.DType(v).Size()
	return kernels.Span{Slot: v.Slot, Lo: int64(lo) * int64(n), Hi: int64(hi) * int64(n)}
}

// buffer is memory on the Go heap.
type buffer struct{ mem []byte }

func (b *buffer) Bytes() []byte { return b.mem }
func (b *buffer) Size() int64   { return int64(len(b.mem)) }
func (b *buffer) Close() error  { b.mem = nil; return nil }

// Alloc implements [kernels.Backend].
func (*Backend) Alloc(size int64, _ kernels.Place) (kernels.Buffer, error) {
	const most = 1 << 36
	if size < 0 || size > most {
		return nil, fmt.Errorf("ref: cannot allocate %d bytes, the most is %d", size, int64(most))
	}
	return &buffer{make([]byte, size)}, nil
}

// Close implements [kernels.Backend].
func (*Backend) Close() error { return nil }

// Compile implements [kernels.Backend].
func (b *Backend) Compile(p *kernels.Program, plan kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	if len(plan.Offsets) != len(p.Slots) {
		return nil, fmt.Errorf("ref: %s: plan has %d slots, program %d", p.Name, len(plan.Offsets), len(p.Slots))
	}
	if temp.Size < plan.TempBytes {
		return nil, fmt.Errorf("ref: %s: temporaries need %d bytes, their region has %d", p.Name, plan.TempBytes, temp.Size)
	}
	x := &exec{b: b, p: p, mem: make([][]byte, len(p.Slots))}
	for i, s := range p.Slots {
		mem, err := memory(s, plan.Offsets[i], bind, kernels.SlotID(i), temp)
		if err != nil {
			return nil, fmt.Errorf("ref: %s: %w", p.Name, err)
		}
		x.mem[i] = mem
	}
	return x, nil
}

// memory finds the bytes of a slot.
func memory(s kernels.Slot, offset int64, bind map[kernels.SlotID]kernels.Region, id kernels.SlotID, temp kernels.Region) ([]byte, error) {
	r, bound := bind[id]
	switch {
	case s.Role == kernels.Temp:
		r = temp
		r.Offset += offset
		r.Size -= offset
	case !bound && s.Role == kernels.Persistent:
		return nil, fmt.Errorf("persistent slot %q is not bound", s.Name)
	case !bound:
		return make([]byte, s.Bytes()), nil
	}
	if offset < 0 && s.Role == kernels.Temp || r.Buffer == nil || r.Size < s.Bytes() || r.Offset < 0 || r.Offset > r.Buffer.Size()-s.Bytes() {
		return nil, fmt.Errorf("slot %q needs %d bytes, its region has %d", s.Name, s.Bytes(), r.Size)
	}
	mem := r.Buffer.Bytes()
	if mem == nil {
		return nil, fmt.Errorf("slot %q lies in memory that the CPU cannot see", s.Name)
	}
	return mem[r.Offset : r.Offset+s.Bytes() : r.Offset+s.Bytes()], nil
}

// exec is a program with the memory of its slots.
type exec struct {
	b      *Backend
	p      *kernels.Program
	mem    [][]byte // by slot
	closed bool
}

var errClosed = errors.New("ref: program is closed")

func (x *exec) Input(s kernels.SlotID) []byte  { return x.host(s, kernels.Input) }
func (x *exec) Output(s kernels.SlotID) []byte { return x.host(s, kernels.Output) }

func (x *exec) host(s kernels.SlotID, r kernels.Role) []byte {
	if x.closed || s < 0 || int(s) >= len(x.p.Slots) || x.p.Slots[s].Role != r {
		return nil
	}
	return x.mem[s]
}

func (x *exec) Run(ctx context.Context, n int) error {
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range x.p.Code {
			if err := x.step(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// step runs one instruction. Everything is read before anything is written, so
// that operands may share memory.
func (x *exec) step(i int) error {
	if x.closed {
		return errClosed
	}
	in := x.p.Code[i]
	results, err := x.b.opts.Eval(x.p, in, func(v kernels.View) []float64 {
		return ReadView(x.p.DType(v), x.mem[v.Slot], v)
	})
	if err != nil {
		return err
	}
	for o, v := range in.Out {
		t, mem := x.p.DType(v), x.mem[v.Slot]
		Each(v, func(i, at int) { x.b.opts.Store(t, mem, at, results[o].Exact[i]) })
	}
	return nil
}

func (x *exec) Profile(ctx context.Context) ([]kernels.Timing, error) {
	var all []kernels.Timing
	for i, in := range x.p.Code {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := x.step(i); err != nil {
			return nil, err
		}
		all = append(all, kernels.Timing{Instr: i, Kernel: in.Op.String(), Seconds: time.Since(start).Seconds()})
	}
	return all, nil
}

func (x *exec) Close() error {
	x.closed, x.mem = true, nil
	return nil
}
