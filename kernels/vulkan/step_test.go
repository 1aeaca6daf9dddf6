package vulkan

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/model"
	"graft/tensor"
	"graft/tensor/optim"
)

// trainingStep is forward, backward and update of a Llama of two layers with grouped heads,
// on two rows of packed documents, and the contents of its slots.
func trainingStep(t *testing.T, b *Backend, storage kernels.DType) (*kernels.Program, [][]byte) {
	t.Helper()
	const rows, length = 2, 24
	cfg := must(model.ParseConfig("tiny", []byte(`{"model_type": "llama", "architectures": ["LlamaForCausalLM"],
		"hidden_size": 32, "intermediate_size": 72, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 2, "vocab_size": 61, "tie_word_embeddings": true}`)))
	var params []optim.Param
	for _, w := range cfg.Tensors(nil) {
		params = append(params, optim.Param{Name: w.Name, Shape: w.Shape, Decay: w.Matrix()})
	}
	flat := must(optim.NewFlat(params, storage, 0))
	g := tensor.New("training step in " + storage.String())
	made := map[string]*tensor.Tensor{}
	weights := model.WeightsFunc(func(name string, _ ...int) *tensor.Tensor {
		if made[name] == nil {
			made[name] = flat.Weight(g, name)
		}
		return made[name]
	})
	in := model.Inputs(g, rows, length, true)
	h := must(cfg.Hidden(g, weights, in, model.Options{Act: storage}))
	losses := cfg.Losses(g, weights, h, in.Targets)
	hyper := g.Input(optim.HyperSlot, kernels.F32, kernels.HyperLen)
	loss := g.Mul(g.Sum(losses), g.Part(hyper, kernels.HyperInvTargets, 1))
	var wrt, into []*tensor.Tensor
	for _, p := range params {
		wrt, into = append(wrt, weights.Weight(p.Name)), append(into, flat.Grad(g, p.Name))
	}
	g.GradInto(loss, wrt, into)
	g.AddSum(g.Param(optim.LossSlot, kernels.F32, 1), loss)
	g.Output("losses", losses)
	flat.Update(g, optim.Defaults())
	p, _, err := kernels.Lower(must(g.Compile()), b.Supports)
	if err != nil {
		t.Fatal(err)
	}
	return p, stepContents(t, p, rows, length, 61)
}

// stepContents fills the slots of a training step: small weights, packed documents of
// different lengths, padding at the end of each row.
func stepContents(t *testing.T, p *kernels.Program, rows, length, vocab int) [][]byte {
	t.Helper()
	n := rows * length
	ids, positions, targets := make([]int32, n), make([]int32, n), make([]int32, n)
	documents := make([]int32, 2*n)
	for r := range rows {
		ends := []int{7 + r, 15, length - 3, length} // the last is padding
		first := 0
		for d, end := range ends {
			for i := first; i < end; i++ {
				at := r*length + i
				ids[at], positions[at] = int32((7*at+3*r)%vocab), int32(i-first)
				documents[at], documents[n+at] = int32(first), int32(end)
				if targets[at] = int32((7*at + 11) % vocab); d == len(ends)-1 {
					targets[at] = -1
				}
			}
			first = end
		}
	}
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(ids[a] - ids[b]) })
	var starts []int32
	for i, o := range order {
		if i == 0 || ids[o] != ids[order[i-1]] {
			starts = append(starts, int32(i))
		}
	}
	for len(starts) < n+1 {
		starts = append(starts, int32(n))
	}
	hyper := make([]float64, kernels.HyperLen)
	hyper[kernels.HyperLR], hyper[kernels.HyperMaxNorm], hyper[kernels.HyperInvTargets] = 1e-3, 1, 1/float64(n-3*rows)
	ints := map[string][]int32{model.InputIDs: ids, model.InputPositions: positions, model.InputDocuments: documents,
		model.InputTargets: targets, model.InputOrder: order, model.InputStarts: starts}
	data := make([][]byte, len(p.Slots))
	for i, s := range p.Slots {
		v := make([]float64, s.Len())
		switch {
		case ints[s.Name] != nil:
			for _, x := range ints[s.Name] {
				data[i] = append(data[i], byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
			}
			continue
		case s.Role == kernels.Output || s.Role == kernels.Temp:
			continue
		case s.Name == optim.HyperSlot:
			v = hyper
		case s.Name == optim.WeightSlot || s.Name == optim.StoreSlot:
			v = values(5, s.Len())
			for k := range v {
				v[k] *= 0.2
			}
		case s.DType != kernels.F32:
			t.Fatalf("slot %q of %v: no content for it", s.Name, s.DType)
		case !slices.Contains([]string{optim.GradSlot, optim.MomentSlot, optim.SquareSlot, optim.StateSlot, optim.LossSlot}, s.Name):
			v = values(uint64(i), s.Len()) // tables: of frequencies, say
			for k := range v {
				v[k] = math.Abs(v[k])
			}
		}
		data[i] = encode(s.DType, v)
	}
	return data
}

// TestBarriersOfTraining proves a whole training step, each barrier by running without it.
func TestBarriersOfTraining(t *testing.T) {
	for _, storage := range []kernels.DType{kernels.F32, kernels.BF16} {
		t.Run(storage.String(), func(t *testing.T) {
			b := open(t)
			p, data := trainingStep(t, b, storage)
			got, err := kerneltest.Barriers(b, p, data, storage == kernels.F32)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", got)
			if got.Groups < 40 || got.Largest < 2 || storage == kernels.F32 && got.Noticed < got.Groups/2 {
				t.Errorf("%+v: the step shows nothing", got)
			}
		})
	}
}

// TestTrainingStep runs a training step in one submission and in one for each dispatch:
// the bits are the same, nothing is allocated, the loss falls and a profile tells the time
// of every dispatch.
func TestTrainingStep(t *testing.T) {
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged} {
		t.Run(name, func(t *testing.T) {
			b := opener(t)
			p, data := trainingStep(t, b, kernels.BF16)
			r := &rig{t: t, b: b, prog: *p, data: data}
			store := slices.IndexFunc(p.Slots, func(s kernels.Slot) bool { return s.Name == optim.WeightSlot })
			weights := kernels.Dense(kernels.SlotID(store), 0, p.Slots[store].Shape...)
			losses, _ := p.Find("losses")
			var want []float64
			for _, limit := range []time.Duration{segmentTime, time.Nanosecond} {
				b.segmentTime = limit
				e := r.compile().(*exec)
				for i, s := range p.Slots {
					if s.Role == kernels.Input {
						copy(e.Input(kernels.SlotID(i)), data[i])
					}
				}
				var first, last float64
				for step := range 4 {
					if err := e.Run(context.Background(), 1); err != nil {
						t.Fatal(err)
					}
					last = 0
					for _, l := range decode(kernels.F32, e.Output(losses)) {
						last += l
					}
					if step == 0 {
						first = last
					}
				}
				if !(last < first) {
					t.Errorf("the loss went from %v to %v", first, last)
				}
				if got := r.read(weights); want == nil {
					want = got
				} else if !slices.Equal(got, want) {
					t.Error("cut into segments, it gives other weights")
				}
				if n := testing.AllocsPerRun(3, func() {
					if err := e.Run(context.Background(), 1); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("a step in %d segments allocates %v times, want 0", len(e.segs), n)
				}
				ts, err := e.Profile(context.Background())
				if err != nil || len(ts) != len(e.steps) {
					t.Errorf("a profile of %d dispatches has %d timings: %v", len(e.steps), len(ts), err)
				}
			}
		})
	}
}
