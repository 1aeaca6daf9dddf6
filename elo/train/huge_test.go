package train

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"graft/elo/data"
	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/model"
	"graft/model/safetensors"
	"graft/tensor/optim"
)

// hugeVocab rows of 64 F32 are more than 128 MiB, the least that Vulkan allows in
// one binding.
const hugeVocab = 530_000

// writeHuge writes a narrow model of one layer with a tied embedding of more than
// 128 MiB, its weights drawn as those of an untrained model are.
func writeHuge(t *testing.T, dir string) {
	t.Helper()
	cfg, err := model.ParseConfig("config.json", fmt.Appendf(nil, `{"model_type": "llama", "hidden_act": "silu", "hidden_size": 64,
		"intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": %d,
		"max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true}`, hugeVocab))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	err = model.Write(dir, model.WriteOptions{Config: cfg}, func(spec safetensors.Spec, w io.Writer) error {
		n := 1
		for _, d := range spec.Shape {
			n *= d
		}
		mean, spread := 0.0, 0.05
		if len(spec.Shape) == 1 { // of a norm
			mean, spread = 1, 0.1
		}
		for n > 0 {
			block := make([]float32, min(n, 1<<16))
			for i := range block {
				block[i] = float32(mean + spread*r.NormFloat64())
			}
			if err := safetensors.WriteF32(w, spec.DType, block); err != nil {
				return err
			}
			n -= len(block)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lastIDs spells letters as the last ids of the huge vocabulary.
type lastIDs struct{}

func (lastIDs) AppendIDs(dst []int32, text string, _ bool) ([]int32, error) {
	for _, r := range text {
		dst = append(dst, hugeVocab-1-int32(r)%128)
	}
	return dst, nil
}

// TestHugeEmbedding takes two steps, embedding trained, of a model whose
// embedding alone exceeds what Vulkan lets one binding hold, with all tokens
// beyond that border, and compares losses and embedding with the CPU's.
func TestHugeEmbedding(t *testing.T) {
	vulkan := kerneltest.OpenDevice(t, "vulkan")
	dir := t.TempDir() + "/huge"
	writeHuge(t, dir)
	type result struct {
		losses []float64
		rows   []float32 // the last of the embedding
	}
	steps := func(be kernels.Backend) (r result) {
		tr := openTrainerOn(t, be, dir, Setup{Train: all, SeqLen: 8, MicroBatch: 2, Accumulate: 1, Optim: optim.Defaults()})
		c := data.NewCorpus("letters", "xx")
		for range 8 {
			if err := c.AddText(lastIDs{}, data.Policy{}, "a quick brown fox"); err != nil {
				t.Fatal(err)
			}
		}
		src, err := data.NewStream([]data.Part{{Corpus: c}}, data.Options{SeqLen: 8, Seed: 1, Epochs: 10})
		if err != nil {
			t.Fatal(err)
		}
		var m Metrics
		for range 2 {
			if err := tr.Step(t.Context(), src, 1e-2, 1, &m); err != nil {
				t.Fatal(err)
			}
			r.losses = append(r.losses, m.Loss)
		}
		embedding := tr.values(t, model.EmbedName)
		r.rows = embedding[len(embedding)-128*64:]
		return r
	}
	got, want := steps(vulkan), steps(kerneltest.OpenDevice(t, "cpu:2"))
	for i := range want.losses {
		if e := math.Abs(got.losses[i]-want.losses[i]) / want.losses[i]; !(e <= 1e-5) {
			t.Errorf("step %d: loss %v, want %v", i, got.losses[i], want.losses[i])
		}
	}
	if e := distance(got.rows, want.rows); !(e <= 1e-4) {
		t.Errorf("the last rows are off by %.2g of their norm", e)
	}
	if !(want.losses[1] < want.losses[0]) {
		t.Errorf("losses %v: nothing was learned", want.losses)
	}
}
