package bench

import (
	"os"
	"testing"

	"graft/elo/data"
	"graft/elo/demo"
	"graft/elo/train"
	"graft/kernels"
	"graft/model"
	"graft/model/tokenizer"
	"graft/tensor/optim"
)

// BenchmarkStep takes optimizer steps of the demonstration's base: stage one's
// small model, and everything.
func BenchmarkStep(b *testing.B) {
	dir := b.TempDir() + "/base"
	if err := os.CopyFS(dir, demo.Base()); err != nil {
		b.Fatal(err)
	}
	ck, err := model.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer ck.Close()
	corpus := spanish(b, dir)
	for _, c := range []struct {
		name   string
		layers []int
		train  func(model.Tensor) bool
	}{
		{"stage one", []int{0, ck.Config.Layers - 1}, func(t model.Tensor) bool { return t.Layer >= 0 }},
		{"full", nil, func(model.Tensor) bool { return true }},
	} {
		for _, storage := range []kernels.DType{kernels.F32, kernels.BF16} {
			b.Run(c.name+" "+storage.String(), func(b *testing.B) {
				t, err := train.New(openDevice(b), train.Setup{Config: ck.Config, Layers: c.layers, Train: c.train,
					SeqLen: 256, MicroBatch: 2, Accumulate: 1, Storage: storage, Act: storage, Optim: optim.Defaults()})
				if err != nil {
					b.Fatal(err)
				}
				defer t.Close()
				if err := t.Alloc(); err != nil {
					b.Fatal(err)
				}
				if err := t.Load(ck, nil); err != nil {
					b.Fatal(err)
				}
				s, err := data.NewStream([]data.Part{{Corpus: corpus}}, data.Options{SeqLen: 256, Seed: 1, Epochs: 1 << 20})
				if err != nil {
					b.Fatal(err)
				}
				var m train.Metrics
				tokens, flops := int64(0), 0.0
				cost := t.Cost()
				for b.Loop() {
					if err := t.Step(b.Context(), s, 1e-4, 1, &m); err != nil {
						b.Fatal(err)
					}
					tokens += m.Targets
					flops += cost.FLOPs(&m)
				}
				b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func spanish(b *testing.B, dir string) *data.Corpus {
	b.Helper()
	tok, err := tokenizer.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	train, _, err := demo.Spanish()
	if err != nil {
		b.Fatal(err)
	}
	c := data.NewCorpus("es", "es")
	for _, text := range train[:40] {
		if err := c.AddText(tok, data.Policy{AddSpecial: true}, text); err != nil {
			b.Fatal(err)
		}
	}
	return c
}
