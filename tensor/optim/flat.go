package optim

import (
	"errors"
	"fmt"

	"graft/kernels"
	"graft/tensor"
)

// Names of the flat persistent slots: kinds, of which the first five may have
// several, see Flat.Slots.
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
// and stay zero. Memory that is too large for one slot is cut between tensors
// into parts, each with slots of its own.
type Flat struct {
	storage kernels.DType
	params  []Param
	where   map[string]place
	parts   []part
}

// part is what one slot of each kind holds.
type part struct {
	len   int // elements
	decay int // of them, at the front, with weight decay
}

// place is where a parameter lies.
type place struct{ index, part, offset int }

const gap = 16

// NewFlat lays the parameters out in the order given within each group.
// storage is the type of the weights that the forward pass reads; most is the
// size of a slot in bytes that must not be exceeded, as kernels.Caps.MaxBuffer,
// or 0.
func NewFlat(params []Param, storage kernels.DType, most int64) (*Flat, error) {
	if len(params) == 0 {
		return nil, errors.New("optim: nothing to train")
	}
	if !storage.Float() {
		return nil, fmt.Errorf("optim: weights stored as %v", storage)
	}
	f := &Flat{storage: storage, where: map[string]place{}, parts: make([]part, 1)}
	for _, decay := range []bool{true, false} {
		for _, p := range params {
			if p.Decay == decay {
				if err := f.add(p, most); err != nil {
					return nil, err
				}
			}
		}
	}
	return f, nil
}

func (f *Flat) add(p Param, most int64) error {
	if _, twice := f.where[p.Name]; twice {
		return fmt.Errorf("optim: parameter %q twice", p.Name)
	}
	n := kernels.Slot{Shape: p.Shape}.Len()
	if n <= 0 {
		return fmt.Errorf("optim: parameter %q has shape %v", p.Name, p.Shape)
	}
	padded := (n + gap - 1) / gap * gap
	if bytes := 4 * int64(padded); most > 0 && bytes > most {
		return fmt.Errorf("optim: parameter %q %v takes %d bytes of F32, one slot holds %d: %w", p.Name, p.Shape, bytes, most, kernels.ErrOutOfMemory)
	}
	last := len(f.parts) - 1
	if most > 0 && 4*int64(f.parts[last].len+padded) > most {
		f.parts = append(f.parts, part{})
		last++
	}
	to := &f.parts[last]
	f.where[p.Name] = place{len(f.params), last, to.len}
	f.params = append(f.params, p)
	to.len += padded
	if p.Decay {
		to.decay = to.len
	}
	return nil
}

// Params lists the parameters in memory order.
func (f *Flat) Params() []Param { return f.params }

// Len is the number of elements of all slots of a kind.
func (f *Flat) Len() (n int) {
	for _, p := range f.parts {
		n += p.len
	}
	return n
}

// Slots lists the slots of the given kinds, such as WeightSlot: the kind itself
// and, where there are several parts, the kind with ".1" and so on.
func (f *Flat) Slots(kinds ...string) (names []string) {
	for _, kind := range kinds {
		for i := range f.parts {
			names = append(names, slotName(kind, i))
		}
	}
	return names
}

func slotName(kind string, part int) string {
	if part == 0 {
		return kind
	}
	return fmt.Sprintf("%s.%d", kind, part)
}

// Find gives the slot of a kind that holds a parameter, and the element at which
// it starts there.
func (f *Flat) Find(kind, name string) (slot string, offset int, ok bool) {
	w, ok := f.where[name]
	if !ok {
		return "", 0, false
	}
	return slotName(kind, w.part), w.offset, true
}

// Size is a parameter's number of elements; ok is false when it is not trained.
func (f *Flat) Size(name string) (n int, ok bool) {
	w, ok := f.where[name]
	if !ok {
		return 0, false
	}
	return kernels.Slot{Shape: f.params[w.index].Shape}.Len(), true
}

// Stored is the kind of slot that the forward pass reads: StoreSlot, or WeightSlot when
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
	return f.view(g, slot, dt, name)
}

// Grad is the F32 memory for a parameter's gradient, nil if it is not trained.
func (f *Flat) Grad(g *tensor.Graph, name string) *tensor.Tensor {
	return f.view(g, GradSlot, kernels.F32, name)
}

func (f *Flat) view(g *tensor.Graph, kind string, dt kernels.DType, name string) *tensor.Tensor {
	w, ok := f.where[name]
	if !ok {
		return nil
	}
	return g.Part(f.whole(g, kind, dt, w.part), w.offset, f.params[w.index].Shape...)
}

// whole is all of a slot.
func (f *Flat) whole(g *tensor.Graph, kind string, dt kernels.DType, part int) *tensor.Tensor {
	return g.Param(slotName(kind, part), dt, f.parts[part].len)
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
	at := tensor.AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps}
	var sum *tensor.Tensor
	for i := range f.parts {
		sq := g.SumSq(f.whole(g, GradSlot, kernels.F32, i))
		if i > 0 {
			sq = g.Add(sum, sq)
		}
		sum = sq
	}
	g.Advance(state, loss, sum, hyper, at)
	for i, p := range f.parts {
		at.Decay = c.Decay
		f.updateGroup(g, i, 0, p.decay, hyper, state, at)
		at.Decay = 0
		f.updateGroup(g, i, p.decay, p.len, hyper, state, at)
	}
	for i := range f.parts {
		g.Zero(f.whole(g, GradSlot, kernels.F32, i))
	}
	g.Zero(loss)
}

// updateGroup appends AdamW on the elements [lo, hi) of a part.
func (f *Flat) updateGroup(g *tensor.Graph, i, lo, hi int, hyper, state *tensor.Tensor, at tensor.AdamW) {
	if lo == hi {
		return
	}
	group := func(kind string, dt kernels.DType) *tensor.Tensor {
		return g.Part(f.whole(g, kind, dt, i), lo, hi-lo)
	}
	var store *tensor.Tensor
	if f.storage != kernels.F32 {
		store = group(StoreSlot, f.storage)
	}
	g.AdamW(group(WeightSlot, kernels.F32), group(MomentSlot, kernels.F32), group(SquareSlot, kernels.F32),
		store, group(GradSlot, kernels.F32), hyper, state, at)
}
