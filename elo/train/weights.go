package train

import (
	"io"

	"graft/elo/checkpoint"
	"graft/kernels"
	"graft/model"
	"graft/model/safetensors"
	"graft/tensor"
	"graft/tensor/optim"
)

// Load fills frozen and trained weights from a checkpoint; masters, which may be
// nil, holds F32 values of those tensors that it has, and wins. Moments and
// counts start from zero.
func (t *Trainer) Load(ck *model.Checkpoint, masters Masters) error {
	for _, w := range t.setup.Config.Tensors(t.setup.Layers) {
		if _, trained := t.flat.Size(w.Name); !trained {
			if err := ck.Load(t.store, w.Name, w.Name, 0); err != nil {
				return err
			}
			continue
		}
		if err := t.loadTrained(ck, masters, w); err != nil {
			return err
		}
	}
	return nil
}

// Masters holds F32 values of some tensors, more exact than a checkpoint's.
type Masters interface {
	Has(name string) bool
	// ReadF32 reads len(dst) elements from element first on.
	ReadF32(dst []float32, name string, first int) error
}

func (t *Trainer) loadTrained(ck *model.Checkpoint, masters Masters, w model.Tensor) error {
	kinds := []string{optim.WeightSlot}
	if kind, _ := t.flat.Stored(); kind != optim.WeightSlot {
		kinds = append(kinds, kind)
	}
	if masters == nil || !masters.Has(w.Name) {
		for _, kind := range kinds {
			slot, offset, _ := t.flat.Find(kind, w.Name)
			if err := ck.Load(t.store, w.Name, slot, offset); err != nil {
				return err
			}
		}
		return nil
	}
	x := make([]float32, min(w.Len(), 1<<18))
	for first := 0; first < w.Len(); first += len(x) {
		x = x[:min(len(x), w.Len()-first)]
		if err := masters.ReadF32(x, w.Name, first); err != nil {
			return err
		}
		for _, kind := range kinds {
			slot, offset, _ := t.flat.Find(kind, w.Name)
			s, _ := t.store.Slot(slot)
			data, err := tensor.Encode(kernels.Slot{Name: w.Name, DType: s.DType, Shape: []int{len(x)}}, x)
			if err != nil {
				return err
			}
			if err := t.store.Write(slot, int64(offset+first)*int64(s.DType.Size()), data); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteWeight writes a trained tensor's master values to w in the given type; ok
// is false, and nothing is written, for a frozen one.
func (t *Trainer) WriteWeight(w io.Writer, to safetensors.DType, name string) (ok bool, err error) {
	slot, offset, ok := t.flat.Find(optim.WeightSlot, name)
	if !ok {
		return false, nil
	}
	n, _ := t.flat.Size(name)
	return true, model.WriteSlot(w, to, t.store, slot, offset, n)
}

// State lists the memory that a resumed run needs; frozen weights are not among
// it.
func (t *Trainer) State() []checkpoint.Slot {
	var slots []checkpoint.Slot
	for _, name := range t.stateSlots() {
		s, _ := t.store.Slot(name)
		slots = append(slots, checkpoint.Slot{Name: name, Bytes: s.Bytes(), Read: func(at int64, dst []byte) error {
			return t.store.Read(name, at, dst)
		}})
	}
	return slots
}

// Restore puts back what State saved. Frozen weights must be loaded before.
func (t *Trainer) Restore(st *checkpoint.State) error {
	for _, name := range t.stateSlots() {
		s, _ := t.store.Slot(name)
		err := st.Restore(name, s.Bytes(), func(at int64, src []byte) error { return t.store.Write(name, at, src) })
		if err != nil {
			return err
		}
	}
	return t.readState()
}

func (t *Trainer) stateSlots() []string {
	slots := append(t.flat.Slots(optim.WeightSlot, optim.MomentSlot, optim.SquareSlot), optim.StateSlot)
	if kind, _ := t.flat.Stored(); kind != optim.WeightSlot {
		slots = append(slots, t.flat.Slots(kind)...)
	}
	return slots
}
