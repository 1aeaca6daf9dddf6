package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"graft/elo/data"
	"graft/elo/demo"
	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/model"
	"graft/model/tokenizer"
	"graft/tensor"
	"graft/tensor/optim"
)

// The proofs of this file are of whole optimizer steps on a device that is not
// the CPU. They are held on Vulkan, and on the CPU behind a card's back, which
// needs no driver.

// eachDevice runs a test on both. What is compiled for a device serves every
// trainer on it.
func eachDevice(t *testing.T, test func(t *testing.T, be kernels.Backend)) {
	t.Run("vulkan", func(t *testing.T) { test(t, kerneltest.OpenDevice(t, "vulkan")) })
	t.Run("card", func(t *testing.T) { test(t, &kerneltest.Card{Backend: kerneltest.OpenDevice(t, "cpu:1")}) })
}

// variants are the two kinds of training in two types.
func variants(t *testing.T, test func(t *testing.T, s Setup)) {
	small := func(w model.Tensor) bool { return w.Layer >= 0 }
	for _, dt := range []kernels.DType{kernels.F32, kernels.BF16} {
		for _, v := range []struct {
			name   string
			layers []int
			train  func(model.Tensor) bool
		}{{"stage one", []int{0, 4}, small}, {"full", nil, all}} {
			t.Run(fmt.Sprintf("%s %v", v.name, dt), func(t *testing.T) {
				test(t, Setup{Layers: v.layers, Train: v.train, SeqLen: 32, MicroBatch: 2, Accumulate: 1, Storage: dt, Act: dt, Optim: optim.Defaults()})
			})
		}
	}
}

// firstGradients runs the golden batch and gives the gradient of each trained
// tensor by name, and the losses as "losses".
func firstGradients(t *testing.T, be kernels.Backend, s Setup) map[string][]float32 {
	t.Helper()
	b := readGolden(t, "stories260K").source().b
	s.SeqLen, s.MicroBatch = b.T, b.B
	s.Accumulate = 2 // the update, which clears gradients, is a program of its own
	tr := openTrainerOn(t, be, storiesDir, s)
	tr.micro.feed.batch(b)
	tr.micro.feed.hyper([]float32{kernels.HyperInvTargets: 1 / float32(b.NumTargets), kernels.HyperLen - 1: 0})
	if err := tr.micro.exec.Run(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	tr.micro.feed.losses(tr.losses)
	grads := map[string][]float32{"losses": slices.Clone(tr.losses)}
	for _, p := range tr.flat.Params() {
		slot, offset, _ := tr.flat.Find(optim.GradSlot, p.Name)
		data := make([]byte, 4*kernels.Slot{Shape: p.Shape}.Len())
		if err := tr.store.Read(slot, 4*int64(offset), data); err != nil {
			t.Fatal(err)
		}
		grads[p.Name] = tensor.Decode(kernels.F32, data).([]float32)
	}
	return grads
}

// distance is ||got - want|| / ||want||.
func distance(got, want []float32) float64 {
	var d, n float64
	for i := range want {
		e := float64(got[i]) - float64(want[i])
		d += e * e
		n += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(d / n)
}

// TestGradientsEqualCPU compares the first losses and every gradient, by the norm
// of the difference. In F32 either device is within 1e-5 of PyTorch's float64
// gradients (docs/numerics.md), hence within 2e-5 of the other. In BF16 the
// devices round different numbers to different sides; they may be apart by twice
// what rounding costs the CPU, which is how far it is from its own gradient on
// the same weights with F32 activations.
func TestGradientsEqualCPU(t *testing.T) {
	cpu := kerneltest.OpenDevice(t, "cpu:2")
	eachDevice(t, func(t *testing.T, be kernels.Backend) {
		variants(t, func(t *testing.T, s Setup) {
			got := firstGradients(t, be, s)
			want := firstGradients(t, cpu, s)
			bound := func(string) float64 { return 2e-5 }
			if s.Act != kernels.F32 {
				s.Act = kernels.F32
				exact := firstGradients(t, cpu, s)
				bound = func(name string) float64 { return 2 * distance(want[name], exact[name]) }
			}
			worst, at := 0.0, ""
			for name := range want {
				e := distance(got[name], want[name])
				if b := bound(name); !(e <= b) {
					t.Errorf("%s: off by %.2g of its norm, want at most %.2g", name, e, b)
				}
				if share := e / bound(name); share >= worst {
					worst, at = share, fmt.Sprintf("%s, off by %.2g of its norm", name, e)
				}
			}
			t.Logf("%d gradients and the losses: %.2f of the bound at worst (%s)", len(want)-1, worst, at)
		})
	})
}

// spanish is a stream of the demonstration's texts, which the model does not know.
func spanish(t testing.TB, seqLen int) *data.Stream {
	t.Helper()
	tok, err := tokenizer.Open(storiesDir)
	if err != nil {
		t.Fatal(err)
	}
	texts, _, err := demo.Spanish()
	if err != nil {
		t.Fatal(err)
	}
	c := data.NewCorpus("es", "es")
	for _, text := range texts[:4] {
		if err := c.AddText(tok, data.Policy{AddSpecial: true}, text); err != nil {
			t.Fatal(err)
		}
	}
	s, err := data.NewStream([]data.Part{{Corpus: c}}, data.Options{SeqLen: seqLen, Seed: 1, Epochs: 10})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trace is the losses of some steps, and the weights after them.
func trace(t *testing.T, be kernels.Backend, s Setup, steps int) (losses []float64, weights []byte) {
	t.Helper()
	tr := openTrainerOn(t, be, storiesDir, s)
	src := spanish(t, s.SeqLen)
	var m Metrics
	for range steps {
		if err := tr.Step(t.Context(), src, 1e-3, 1, &m); err != nil {
			t.Fatal(err)
		}
		losses = append(losses, m.Loss)
	}
	weights = make([]byte, 4*tr.flat.Len())
	if err := tr.store.Read(optim.WeightSlot, 0, weights); err != nil {
		t.Fatal(err)
	}
	return losses, weights
}

// lossBound is how far the losses of twenty steps may drift apart, relatively.
var lossBound = map[kernels.DType]float64{kernels.F32: 1e-4, kernels.BF16: 1e-2}

// TestTwentySteps compares the losses of twenty steps with the CPU's, and the
// bits of two runs with each other.
func TestTwentySteps(t *testing.T) {
	be := kerneltest.OpenDevice(t, "vulkan")
	variants(t, func(t *testing.T, s Setup) {
		s.SeqLen = 16
		got, weights := trace(t, be, s, 20)
		again, weightsAgain := trace(t, be, s, 20)
		if !slices.Equal(got, again) || !slices.Equal(weights, weightsAgain) {
			t.Error("two runs differ")
		}
		want, _ := trace(t, kerneltest.OpenDevice(t, "cpu:2"), s, 20)
		worst := 0.0
		for i := range want {
			worst = max(worst, math.Abs(got[i]-want[i])/want[i])
		}
		if bound := lossBound[s.Act]; !(worst <= bound) {
			t.Errorf("losses %v, want %v within %v", got, want, bound)
		}
		if !(got[len(got)-1] < got[0]) {
			t.Errorf("losses %v: nothing was learned", got)
		}
		t.Logf("losses from %.4f to %.4f, off by %.2g at most", got[0], got[len(got)-1], worst)
	})
}

// TestStepAllocates demands that a step takes nothing from the heap.
func TestStepAllocates(t *testing.T) {
	test := func(t *testing.T, be kernels.Backend) {
		for _, accumulate := range []int{1, 2} {
			for _, dt := range []kernels.DType{kernels.F32, kernels.BF16} {
				tr := openTrainerOn(t, be, storiesDir, Setup{Train: all, SeqLen: 16, MicroBatch: 2, Accumulate: accumulate, Storage: dt, Act: dt, Optim: optim.Defaults()})
				s, ctx := unequal(t, 16), t.Context()
				var m Metrics
				step := func() {
					if err := tr.Step(ctx, s, 1e-4, 1, &m); err != nil {
						t.Fatal(err)
					}
				}
				step() // makes the batches
				if n := testing.AllocsPerRun(5, step); n != 0 {
					t.Errorf("accumulate %d, %v: %v allocations per step, want 0", accumulate, dt, n)
				}
			}
		}
	}
	eachDevice(t, test)
	t.Run("cpu", func(t *testing.T) { test(t, kerneltest.OpenDevice(t, "cpu:2")) })
}

// TestProfile: a profiled step is a step, to the bit, and its timings add up to
// the work that the trainer counts.
func TestProfile(t *testing.T) {
	eachDevice(t, func(t *testing.T, be kernels.Backend) {
		for _, accumulate := range []int{1, 2} {
			s := Setup{Train: all, SeqLen: 16, MicroBatch: 2, Accumulate: accumulate, Optim: optim.Defaults()}
			step, profile := openTrainerOn(t, be, storiesDir, s), openTrainerOn(t, be, storiesDir, s)
			var want, got Metrics
			if err := step.Step(t.Context(), unequal(t, 16), 1e-3, 1, &want); err != nil {
				t.Fatal(err)
			}
			times, err := profile.Profile(t.Context(), unequal(t, 16), 1e-3, 1, &got)
			if err != nil {
				t.Fatal(err)
			}
			if got.Loss != want.Loss || got.GradNorm != want.GradNorm || got.Step != 1 {
				t.Errorf("got %+v, want %+v", got, want)
			}
			flops := 0.0
			for i, x := range times {
				if x.Launches < 1 || x.Kernels == "" || x.Seconds < 0 || x.Bytes <= 0 {
					t.Errorf("instruction %d: %+v", i, x)
				}
				switch x.Op {
				case kernels.MatMul, kernels.LinearCE, kernels.LinearCEGrad, kernels.Attention, kernels.AttentionBwd:
					flops += x.FLOPs
				}
			}
			if w := step.Cost().FLOPs(&want); math.Abs(flops-w) > 1e-6*w {
				t.Errorf("instructions add up to %v FLOPs, want %v", flops, w)
			}
		}
	})
}

// TestNothingReplaced: a device that trains has a kernel for every operation.
func TestNothingReplaced(t *testing.T) {
	be := kerneltest.OpenDevice(t, "vulkan")
	variants(t, func(t *testing.T, s Setup) {
		s.Recompute, s.AllowSlow = true, true
		if r := openTrainerOn(t, be, storiesDir, s).Replaced(); len(r) > 0 {
			t.Errorf("%d operations run by their definitions, first %v: %s", len(r), r[0].Op, r[0].Reason)
		}
	})
}
