package versus

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"graft/elo/data"
	"graft/elo/train"
	"graft/kernels"
	"graft/model"
	"graft/model/safetensors"
	"graft/tensor/optim"
)

// step is an optimizer step of a model with random weights on random tokens.
type step struct {
	trainer *train.Trainer
	stream  *data.Stream
	flops   float64 // of a full row's tokens
	metrics train.Metrics
}

// config writes a Llama of the shape as a config.json.
func (s Shape) config(positions int) ([]byte, error) {
	return json.Marshal(map[string]any{
		"model_type": "llama", "architectures": []string{"LlamaForCausalLM"}, "hidden_act": "silu",
		"hidden_size": s.Width, "intermediate_size": s.FFN, "num_hidden_layers": s.Layers,
		"num_attention_heads": s.Heads, "num_key_value_heads": s.KV, "head_dim": s.Head, "vocab_size": s.Vocab,
		"max_position_embeddings": positions, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": s.Tied,
	})
}

// randomModel writes a model directory of the shape with bf16 weights drawn as an
// untrained model's are: normal, 0.02.
func randomModel(dir string, s Shape, positions int) error {
	doc, err := s.config(positions)
	if err != nil {
		return err
	}
	cfg, err := model.ParseConfig("config.json", doc)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(2, 2))
	block := make([]float32, fillBlock)
	for i := range block {
		block[i] = float32(0.02 * r.NormFloat64())
	}
	return model.Write(dir, model.WriteOptions{Config: cfg, DType: func(string) safetensors.DType { return safetensors.BF16 }},
		func(spec safetensors.Spec, w io.Writer) error {
			n := 1
			for _, k := range spec.Shape {
				n *= int(k)
			}
			for n > 0 {
				k := min(n, len(block))
				if err := safetensors.WriteF32(w, spec.DType, block[:k]); err != nil {
					return err
				}
				n -= k
			}
			return nil
		})
}

// randomIDs is an encoder whose text is the number of tokens.
type randomIDs struct{ n, vocab int }

func (e randomIDs) AppendIDs(dst []int32, _ string, _ bool) ([]int32, error) {
	r := rand.New(rand.NewPCG(3, 3))
	for range e.n {
		dst = append(dst, int32(r.IntN(e.vocab)))
	}
	return dst, nil
}

func newStep(be kernels.Backend, c Case) (_ *step, err error) {
	tmp, err := os.MkdirTemp("", "graft-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "model")
	if err := randomModel(dir, *c.Model, c.T); err != nil {
		return nil, err
	}
	ck, err := model.Open(dir)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	trained := func(t model.Tensor) bool { return c.Full || t.Layer >= 0 }
	s := &step{}
	if s.trainer, err = train.New(be, train.Setup{Config: ck.Config, Train: trained, SeqLen: c.T, MicroBatch: c.Batch,
		Accumulate: 1, Storage: c.dtype(), Act: c.dtype(), Optim: optim.Defaults()}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err = s.trainer.Alloc(); err != nil {
		return nil, err
	}
	if err = s.trainer.Load(ck, nil); err != nil {
		return nil, err
	}
	// Documents of a row and one token: every row is full, as PyTorch's is.
	corpus := data.NewCorpus("random", "random")
	for range 4 * c.Batch {
		if err = corpus.AddText(randomIDs{c.T + 1, c.Model.Vocab}, data.Policy{}, "x"); err != nil {
			return nil, err
		}
	}
	if s.stream, err = data.NewStream([]data.Part{{Corpus: corpus}}, data.Options{SeqLen: c.T, Seed: 1, Epochs: 1 << 20}); err != nil {
		return nil, err
	}
	s.flops = s.trainer.PerToken() * float64(c.Batch*c.T)
	_, err = s.run(context.Background()) // warm
	return s, err
}

func (s *step) run(ctx context.Context) (float64, error) {
	began := time.Now()
	// The learning rate is so small that random weights stay finite for ever.
	err := s.trainer.Step(ctx, s.stream, 1e-7, 1, &s.metrics)
	return time.Since(began).Seconds(), err
}

func (s *step) memory() int64 { return s.trainer.Memory().Total() }
func (s *step) Close() error  { return s.trainer.Close() }
