package versus

import (
	"context"
	"fmt"
	"math/rand/v2"

	"graft/kernels"
	"graft/tensor"
)

// runner repeats what it was made for and gives the seconds of one run.
type runner interface {
	run(ctx context.Context) (seconds float64, err error)
	// memory is what the case holds on the device, in bytes.
	memory() int64
	Close() error
}

// operation is one instruction on persistent operands.
type operation struct {
	store *tensor.Store
	exec  kernels.Exec
	instr int // the one that is timed
}

// opProgram collects the slots and the instruction of a case.
type opProgram struct{ p kernels.Program }

func (o *opProgram) slot(name string, dt kernels.DType, shape ...int) kernels.View {
	return kernels.Dense(o.p.AddSlot(kernels.Slot{Name: name, DType: dt, Shape: shape, Role: kernels.Persistent}), 0, shape...)
}

func (o *opProgram) code(op kernels.Op, at kernels.Attr, in, out []kernels.View) {
	o.p.Code = append(o.p.Code, kernels.Instr{Op: op, In: in, Out: out, Attr: at})
}

// program writes the instructions of a case; the last is the one that is timed.
func program(c Case) (*kernels.Program, error) {
	o := &opProgram{kernels.Program{Name: c.Kind}}
	switch c.Kind {
	case KindMatMul:
		o.matmul(c, c.dtype())
	case KindWidened:
		o.matmul(c, kernels.BF16)
	case KindElementwise:
		write, ok := elementwise[c.Op]
		if !ok {
			return nil, fmt.Errorf("versus: no element-wise operation %q", c.Op)
		}
		write(o, c)
	case KindAttention, KindAttentionBwd:
		o.attention(c)
	case KindLinearCE:
		o.linearCE(c)
	case KindAdamW:
		o.adamw(c)
	default:
		return nil, fmt.Errorf("versus: no operation %q", c.Kind)
	}
	return &o.p, nil
}

type views = []kernels.View

func (o *opProgram) matmul(c Case, weights kernels.DType) {
	a, b := []int{c.M, c.K}, []int{c.K, c.N}
	out := c.dtype()
	if c.TransA {
		a, out = []int{c.K, c.M}, kernels.F32 // gradients of weights are f32
	}
	if c.TransB {
		b = []int{c.N, c.K}
	}
	o.code(kernels.MatMul, kernels.Attr{TransA: c.TransA, TransB: c.TransB, Alpha: 1},
		views{o.slot("a", c.dtype(), a...), o.slot("b", weights, b...)}, views{o.slot("c", out, c.M, c.N)})
}

func (o *opProgram) attention(c Case) {
	dt, q, kv := c.dtype(), []int{c.Batch, c.T, c.H, c.D}, []int{c.Batch, c.T, c.KV, c.D}
	in := views{o.slot("q", dt, q...), o.slot("k", dt, kv...), o.slot("v", dt, kv...),
		o.slot("documents", kernels.I32, 2, c.Batch, c.T)}
	out, lse := o.slot("o", dt, q...), o.slot("lse", kernels.F32, c.Batch, c.H, c.T)
	at := kernels.Attr{Scale: 1 / float32(c.D)}
	o.code(kernels.Attention, at, in, views{out, lse})
	if c.Kind == KindAttentionBwd {
		in = append(in, out, lse, o.slot("do", dt, q...))
		o.code(kernels.AttentionBwd, at, in, views{o.slot("dq", dt, q...), o.slot("dk", dt, kv...), o.slot("dv", dt, kv...)})
	}
}

func (o *opProgram) linearCE(c Case) {
	at := kernels.Attr{Scale: 1}
	out := views{o.slot("loss", kernels.F32, c.N), o.slot("dh", c.dtype(), c.N, c.K)}
	if c.Head {
		at.Opt = kernels.WithDW
		out = append(out, o.slot("dhead", kernels.F32, c.Vocab, c.K))
	}
	o.code(kernels.LinearCEGrad, at, views{o.slot("h", c.dtype(), c.N, c.K), o.slot("head", c.dtype(), c.Vocab, c.K),
		o.slot("targets", kernels.I32, c.N), o.slot("scale", kernels.F32, c.N)}, out)
}

func (o *opProgram) adamw(c Case) {
	at := kernels.Attr{Opt: kernels.WithStore, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1}
	in := views{o.slot("grad", kernels.F32, c.N), o.slot("hyper", kernels.F32, kernels.HyperLen), o.slot("state", kernels.F32, kernels.StateLen)}
	o.code(kernels.AdamW, at, in, views{o.slot("w", kernels.F32, c.N), o.slot("m", kernels.F32, c.N),
		o.slot("v", kernels.F32, c.N), o.slot("store", kernels.BF16, c.N)})
}

func newOperation(be kernels.Backend, c Case) (_ *operation, err error) {
	p, err := program(c)
	if err != nil {
		return nil, err
	}
	o := &operation{store: tensor.NewStore(be), instr: len(p.Code) - 1}
	defer func() {
		if err != nil {
			o.Close()
		}
	}()
	if err = o.store.Declare(p); err != nil {
		return nil, err
	}
	if err = o.store.Alloc(); err != nil {
		return nil, err
	}
	for _, s := range p.Slots {
		if err = fill(o.store, s, c); err != nil {
			return nil, err
		}
	}
	if o.exec, err = o.store.Compile(p); err != nil {
		return nil, err
	}
	return o, o.exec.Run(context.Background(), 1) // warm: what the timed instruction reads is there
}

func (o *operation) run(ctx context.Context) (float64, error) {
	ts, err := o.exec.Profile(ctx)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, t := range ts {
		if t.Instr == o.instr {
			sum += t.Seconds
		}
	}
	return sum, nil
}

func (o *operation) memory() int64 { return o.store.Memory().Total() }
func (o *operation) Close() error  { return o.store.Close() }

func (c Case) vocab() int {
	if c.Model != nil {
		return c.Model.Vocab
	}
	return c.Vocab
}

// fillBlock is how many elements of a large operand are drawn; they repeat.
const fillBlock = 1 << 20

// fill writes what a case needs into a slot: random numbers around zero, targets and
// documents that are valid, a state block in the middle of a run.
func fill(s *tensor.Store, slot kernels.Slot, c Case) error {
	r := rand.New(rand.NewPCG(1, uint64(len(slot.Name))))
	n := slot.Len()
	block := slot
	block.Shape = []int{min(n, fillBlock)}
	if slot.DType == kernels.I32 {
		x := make([]int32, n)
		block.Shape[0] = n
		switch slot.Name {
		case "targets":
			for i := range x {
				x[i] = int32(r.IntN(c.vocab()))
			}
		case "positions":
			for i := range x {
				x[i] = int32(i % 512)
			}
		case "documents": // one document a row, from 0 to T
			for i := n / 2; i < n; i++ {
				x[i] = int32(c.T)
			}
		}
		return write(s, slot, block, x)
	}
	x := make([]float32, block.Shape[0])
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	switch slot.Name {
	case "hyper":
		clear(x)
		x[kernels.HyperLR] = 1e-5
	case "state":
		copy(x, []float32{kernels.StateStep: 100, kernels.StateBC1: 1, kernels.StateBC2: 0.1, kernels.StateClip: 1, kernels.StateApply: 1})
	case "v": // second moments, and attention's values, are fine without a sign
		for i := range x {
			x[i] = x[i] * x[i]
		}
	}
	return write(s, slot, block, x)
}

// write stores the block again and again until the slot is full.
func write(s *tensor.Store, slot, block kernels.Slot, values any) error {
	data, err := tensor.Encode(block, values)
	if err != nil {
		return err
	}
	for off := int64(0); off < slot.Bytes(); off += int64(len(data)) {
		if err := s.Write(slot.Name, off, data[:min(int64(len(data)), slot.Bytes()-off)]); err != nil {
			return fmt.Errorf("%s: %w", slot.Name, err)
		}
	}
	return nil
}
