package optim

import (
	"errors"
	"fmt"

	"graft/kernels"
	"graft/tensor"
)

// Names of the flat persistent slots.
const (
	WeightSlot = "optim.weight" // F32 master weights
	StoreSlot  = "optim.store"  // the same in storage type; absent when that is F32
	GradSlot   = "optim.grad"   // F32 sums over micro-batches
	MomentSlot = "optim.m"      // first moment
	SquareSlot = "optim.v"      // second moment
	StateSlot  = "optim.state"  // kernels.StateLen
	LossSlot   = "optim.loss"   // F32 (1), sum over micro-batches
	HyperSlot  = "optim.hyper"  // input, kernels.HyperLen
)

// Param is a trainable tensor.
type Param struct {
	Name  string
	Shape []int
	Decay bool // takes part in weight decay
}

// Flat lays trainable tensors out in contiguous memory, those with weight decay
// first. Every tensor starts at a multiple of 16 elements; the gaps hold zeros
// and stay zero.
type Flat struct {
	storage kernels.DType
	params  []Param
	offset  map[string]int
	index   map[string]int
	decay   int // elements with weight decay
	len     int
}

const gap = 16

// NewFlat lays the parameters out in the order given within each group.
// storage is the type of the weights that the forward pass reads.
func NewFlat(params []Param, storage kernels.DType) (*Flat, error) {
	if len(params) == 0 {
		return nil, errors.New("optim: nothing to train")
	}
	if !storage.Float() {
		return nil, fmt.Errorf("optim: weights stored as %v", storage)
	}
	f := &Flat{storage: storage, offset: map[string]int{}, index: map[string]int{}}
	for _, decay := range []bool{true, false} {
		for _, p := range params {
			if p.Decay != decay {
				continue
			}
			if _, twice := f.offset[p.Name]; twice {
				return nil, fmt.Errorf("optim: parameter %q twice", p.Name)
			}
			n := kernels.Slot{Shape: p.Shape}.Len()
			if n <= 0 {
				return nil, fmt.Errorf("optim: parameter %q has shape %v", p.Name, p.Shape)
			}
			f.index[p.Name] = len(f.params)
			f.offset[p.Name] = f.len
			f.params = append(f.params, p)
			f.len += (n + gap - 1) / gap * gap
		}
		if decay {
			f.decay = f.len
		}
	}
	return f, nil
}

// Params lists the parameters in memory order.
func (f *Flat) Params() []Param { return f.params }

// Len is the number of elements of each flat slot.
func (f *Flat) Len() int { return f.len }

// Offset is the element at which a parameter starts.
func (f *Flat) Offset(name string) (offset int, ok bool) {
	offset, ok = f.offset[name]
	return offset, ok
}

// Size is a parameter's number of elements.
func (f *Flat) Size(name string) (n int, ok bool) {
	i, ok := f.index[name]
	if !ok {
		return 0, false
	}
	return kernels.Slot{Shape: f.params[i].Shape}.Len(), true
}

// Stored is the slot that the forward pass reads: StoreSlot, or WeightSlot when
// weights are stored as F32.
func (f *Flat) Stored() (slot string, dt kernels.DType) {
	if f.storage == kernels.F32 {
		return WeightSlot, kernels.F32
	}
	return StoreSlot, f.storage
}

// Weight is a parameter as the forward pass reads it, nil if it is not trained.
// Call it once per graph and name: each call makes a tensor of its own.
func (f *Flat) Weight(g *tensor.Graph, name string) *tensor.Tensor {
	slot, dt := f.Stored()
	return f.part(g, slot, dt, name)
}

// Grad is the F32 memory for a parameter's gradient, nil if it is not trained.
func (f *Flat) Grad(g *tensor.Graph, name string) *tensor.Tensor {
	return f.part(g, GradSlot, kernels.F32, name)
}

func (f *Flat) part(g *tensor.Graph, slot string, dt kernels.DType, name string) *tensor.Tensor {
	i, ok := f.index[name]
	if !ok {
		return nil
	}
	return g.Part(g.Param(slot, dt, f.len), f.offset[name], f.params[i].Shape...)
}

// Config holds the optimizer's constants. Start from Defaults.
type Config struct {
	Beta1, Beta2, Eps float64
	Decay             float64 // weight decay of the parameters that take part
}

// Defaults are PyTorch's: 0.9, 0.999, 1e-8, and no weight decay.
func Defaults() Config { return Config{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8} }

// Update appends one optimizer step to g: norm of the gradients, Advance, AdamW
// on both groups, then gradients and loss back to zero. The gradients are those
// of the slots; the loss is LossSlot, which the micro program adds to.
func (f *Flat) Update(g *tensor.Graph, c Config) {
	hyper := g.Input(HyperSlot, kernels.F32, kernels.HyperLen)
	state := g.Param(StateSlot, kernels.F32, kernels.StateLen)
	loss := g.Param(LossSlot, kernels.F32, 1)
	grad := g.Param(GradSlot, kernels.F32, f.len)
	at := tensor.AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps}
	g.Advance(state, loss, g.SumSq(grad), hyper, at)
	for _, group := range []struct {
		lo, hi int
		decay  float64
	}{{0, f.decay, c.Decay}, {f.decay, f.len, 0}} {
		if group.lo == group.hi {
			continue
		}
		at.Decay = group.decay
		part := func(slot string, dt kernels.DType) *tensor.Tensor {
			return g.Part(g.Param(slot, dt, f.len), group.lo, group.hi-group.lo)
		}
		var store *tensor.Tensor
		if f.storage != kernels.F32 {
			store = part(StoreSlot, f.storage)
		}
		g.AdamW(part(WeightSlot, kernels.F32), part(MomentSlot, kernels.F32), part(SquareSlot, kernels.F32),
			store, part(GradSlot, kernels.F32), hyper, state, at)
	}
	g.Zero(grad)
	g.Zero(loss)
}
