package train

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/model"
	"graft/tensor/optim"
)

// small is a device with a limit on the size of a slot.
type small struct {
	kernels.Backend
	most int64
}

func (s small) Caps() kernels.Caps {
	c := s.Backend.Caps()
	c.MaxBuffer = s.most
	return c
}

// TestFlatInParts trains on a device that cannot hold all weights in one slot. Without a
// clip, whose norm is summed in another order, every weight must get the same bits.
func TestFlatInParts(t *testing.T) {
	variants(t, func(t *testing.T, s Setup) {
		run := func(be kernels.Backend) (*Trainer, []float64) {
			tr := openTrainerOn(t, be, storiesDir, s)
			src := spanish(t, s.SeqLen)
			var losses []float64
			for range 3 {
				var m Metrics
				if err := tr.Step(t.Context(), src, 1e-3, 0, &m); err != nil {
					t.Fatal(err)
				}
				losses = append(losses, m.Loss)
			}
			return tr, losses
		}
		whole, want := run(kerneltest.OpenDevice(t, "cpu:2"))
		const most = 150 << 10 // the embedding takes 128 KiB
		parts, got := run(small{kerneltest.OpenDevice(t, "cpu:2"), most})
		if n := len(parts.flat.Slots(optim.WeightSlot)); n < 2 || len(whole.flat.Slots(optim.WeightSlot)) != 1 {
			t.Fatalf("%d parts: the test shows nothing", n)
		}
		if !slices.Equal(got, want) {
			t.Errorf("losses %v, want %v", got, want)
		}
		for _, p := range whole.flat.Params() {
			if !slices.Equal(parts.values(t, p.Name), whole.values(t, p.Name)) {
				t.Errorf("%s is another in parts", p.Name)
			}
		}
		if got, want := parts.Memory(), whole.Memory(); got.Master != want.Master || got.Moments != want.Moments ||
			got.Gradients != want.Gradients || got.Store != want.Store {
			t.Errorf("memory in parts %v, want %v", got, want)
		}
		if got, want := len(parts.State()), len(parts.stateSlots()); got != want || got < 3*len(parts.flat.Slots(""))+1 {
			t.Errorf("the state has %d slots of %d", got, want)
		}
	})
}

func TestFlatTooLargeForPart(t *testing.T) {
	ck, err := model.Open(storiesDir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	_, err = New(small{kerneltest.OpenDevice(t, "cpu:1"), 100 << 10}, Setup{Config: ck.Config, Train: all, SeqLen: 8, MicroBatch: 1, Accumulate: 1})
	if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), `"model.embed_tokens.weight" [512 64] takes 131072 bytes`) {
		t.Errorf("got %v, want ErrOutOfMemory that names the tensor", err)
	}
}

// TestPlannedIsAllocated holds the memory that a run announces, of its programs for
// micro-batches, updates and evaluation, to what the device's driver is asked for.
func TestPlannedIsAllocated(t *testing.T) {
	be := kerneltest.OpenDevice(t, "vulkan")
	driver := be.(interface{ Allocated() int64 })
	variants(t, func(t *testing.T, s Setup) {
		s.Accumulate = 2
		tr := openTrainerOn(t, be, storiesDir, s)
		if tr.micro.exec == nil || tr.update.exec == nil || tr.eval.exec == nil {
			t.Fatal("a program is missing: the test shows less than it should")
		}
		if got, want := driver.Allocated(), tr.Memory().Total(); got != want {
			t.Errorf("%d bytes are allocated, planned %d: %v", got, want, tr.Memory())
		}
	})
}
