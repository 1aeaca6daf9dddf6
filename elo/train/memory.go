package train

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"graft/elo/data"
	"graft/kernels"
	"graft/model"
	"graft/tensor/optim"
)

// Memory is what a run takes, in bytes.
type Memory struct {
	Frozen, Master, Store, Gradients, Moments int64
	Activations                               int64 // and scratch, shared by the programs
	IO                                        int64 // inputs, outputs, host scratch
	Available                                 int64 // on the device; 0 is unknown
}

// Total is what is needed.
func (m Memory) Total() int64 {
	return m.Frozen + m.Master + m.Store + m.Gradients + m.Moments + m.Activations + m.IO
}

func (m Memory) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		n    int64
	}{{"frozen weights", m.Frozen}, {"trained weights", m.Master}, {"their stored copy", m.Store},
		{"gradients", m.Gradients}, {"moments", m.Moments}, {"activations", m.Activations}, {"input and output", m.IO}} {
		if p.n > 0 {
			parts = append(parts, p.name+" "+bytes(p.n))
		}
	}
	s := strings.Join(parts, ", ") + " = " + bytes(m.Total())
	if m.Available > 0 {
		s += " of " + bytes(m.Available)
	}
	return s
}

func bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

// Memory returns the plan's bytes; nothing needs to be allocated for it.
func (t *Trainer) Memory() Memory {
	of := func(kinds ...string) int64 {
		slots := t.flat.Slots(kinds...)
		return t.store.BytesOf(func(name string) bool { return slices.Contains(slots, name) })
	}
	all := t.store.Memory()
	m := Memory{
		Master: of(optim.WeightSlot), Store: of(optim.StoreSlot), Gradients: of(optim.GradSlot),
		Moments: of(optim.MomentSlot, optim.SquareSlot), Activations: all.Temp, IO: all.IO,
		Available: t.be.Caps().Memory,
	}
	m.Frozen = all.Persistent - m.Master - m.Store - m.Gradients - m.Moments
	return m
}

// Check refuses what is larger than the device. The error wraps
// kernels.ErrOutOfMemory.
func (m Memory) Check() error {
	if m.Available > 0 && m.Total() > m.Available {
		return fmt.Errorf("train: not enough memory: %v; a smaller micro-batch, a shorter sequence or recomputation take less: %w", m, kernels.ErrOutOfMemory)
	}
	return nil
}

// Alloc takes the memory and records the programs. It refuses a plan that is
// larger than the device.
func (t *Trainer) Alloc() error {
	if err := t.Memory().Check(); err != nil {
		return err
	}
	if err := t.store.Alloc(); err != nil {
		return err
	}
	for _, p := range []*programs{&t.micro, &t.update, &t.eval} {
		if p.prog == nil {
			continue
		}
		var err error
		if p.exec, err = t.store.Compile(p.prog); err != nil {
			return err
		}
		p.feed = newFeed(p.prog, p.exec)
	}
	return t.setup.Config.WriteConstants(t.store)
}

// Close frees everything.
func (t *Trainer) Close() error { return t.store.Close() }

// feed is the host's side of a program: where its inputs and outputs lie.
type feed struct {
	ids, positions, documents, targets, order, starts, hyperBlock, lossBlock []byte
}

func newFeed(p *kernels.Program, ex kernels.Exec) feed {
	in := func(name string) []byte {
		if id, ok := p.Find(name); ok {
			return ex.Input(id)
		}
		return nil
	}
	f := feed{
		ids: in(model.InputIDs), positions: in(model.InputPositions), documents: in(model.InputDocuments),
		targets: in(model.InputTargets), order: in(model.InputOrder), starts: in(model.InputStarts),
		hyperBlock: in(optim.HyperSlot),
	}
	if id, ok := p.Find("losses"); ok {
		f.lossBlock = ex.Output(id)
	}
	return f
}

func (f feed) batch(b *data.Batch) {
	putInts(f.ids, b.IDs)
	putInts(f.positions, b.Positions)
	putInts(f.documents, b.Documents)
	putInts(f.targets, b.Targets)
	putInts(f.order, b.Order)
	putInts(f.starts, b.Starts)
}

func (f feed) hyper(h []float32) {
	for i, x := range h {
		binary.LittleEndian.PutUint32(f.hyperBlock[4*i:], math.Float32bits(x))
	}
}

func (f feed) losses(dst []float32) {
	for i := range dst {
		dst[i] = getFloat(f.lossBlock[4*i:])
	}
}

// putInts writes src where the program has such an input.
func putInts(dst []byte, src []int32) {
	if dst == nil {
		return
	}
	for i, x := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(x))
	}
}

func getFloat(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
