package train

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"graft/elo/data"
	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/kernels/kerneltest"
	_ "graft/kernels/vulkan"
	"graft/model"
	"graft/model/safetensors"
	"graft/tensor/optim"
)

const (
	storiesDir = "../demo/base"
	randomDir  = "../../testdata/models/tinyllama-random"
	goldens    = "../../testdata/pytorch"
)

// golden is what testdata/pytorch/make.py wrote about a model.
type golden struct {
	Batch struct{ Tokens, Positions, First, End, Targets [][]int32 }
	AdamW struct {
		LR      float64 `json:"learning_rate"`
		Beta1   float64
		Beta2   float64
		Eps     float64
		Decay   float64 `json:"weight_decay"`
		MaxNorm float64 `json:"max_grad_norm"`
	}
	Full, ELO goldenRun
}

type goldenRun struct {
	Layers []int
	Steps  []struct {
		Loss float64
		Norm float64 `json:"grad_norm"`
	}
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldens, name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// fixed gives the golden's batch again and again.
type fixed struct{ b *data.Batch }

func (f fixed) NewBatch(int) *data.Batch {
	n := len(f.b.IDs)
	return &data.Batch{B: f.b.B, T: f.b.T, Langs: make([]uint8, n), LangTokens: make([]int64, 1)}
}

func (f fixed) Next(b *data.Batch) error { *b = *f.b; return nil }
func (f fixed) Langs() []string          { return []string{"xx"} }

func flatten(rows [][]int32) []int32 {
	var out []int32
	for _, r := range rows {
		out = append(out, r...)
	}
	return out
}

func (g golden) source() fixed {
	b := &data.Batch{B: len(g.Batch.Tokens), T: len(g.Batch.Tokens[0]),
		IDs: flatten(g.Batch.Tokens), Targets: flatten(g.Batch.Targets), Positions: flatten(g.Batch.Positions),
		Documents: append(flatten(g.Batch.First), flatten(g.Batch.End)...), LangTokens: []int64{0}}
	n := len(b.IDs)
	b.Langs, b.Index = make([]uint8, n), make([]int32, n)
	for _, x := range b.Targets {
		if x >= 0 {
			b.NumTargets++
		}
	}
	b.LangTokens[0] = b.NumTargets
	// Order sorts the tokens by id, stably; 1 << 16 is above every id here.
	for id := int32(0); id < 1<<16; id++ {
		first := true
		for i, x := range b.IDs {
			if x == id {
				if first {
					b.Starts, first = append(b.Starts, int32(len(b.Order))), false
				}
				b.Order = append(b.Order, int32(i))
			}
		}
	}
	for len(b.Starts) < n+1 {
		b.Starts = append(b.Starts, int32(n))
	}
	return fixed{b}
}

func openTrainer(t testing.TB, dir string, threads int, s Setup) *Trainer {
	t.Helper()
	return openTrainerOn(t, kerneltest.OpenDevice(t, fmt.Sprintf("cpu:%d", threads)), dir, s)
}

func openTrainerOn(t testing.TB, be kernels.Backend, dir string, s Setup) *Trainer {
	t.Helper()
	ck, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Config = ck.Config
	tr, err := New(be, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if err := ck.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := tr.Alloc(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Load(ck, nil); err != nil {
		t.Fatal(err)
	}
	return tr
}

func all(model.Tensor) bool { return true }

func (t *Trainer) values(tb testing.TB, name string) []float32 {
	tb.Helper()
	n, _ := t.flat.Size(name)
	slot, offset, _ := t.flat.Find(optim.WeightSlot, name)
	data := make([]byte, 4*n)
	if err := t.store.Read(slot, 4*int64(offset), data); err != nil {
		tb.Fatal(err)
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = getFloat(data[4*i:])
	}
	return x
}

// TestAdamWGolden takes ten steps and compares the parameters' change with
// PyTorch's in float64: at most 1e-3 of the change.
func TestAdamWGolden(t *testing.T) {
	for _, c := range []struct{ name, dir string }{{"stories260K", storiesDir}, {"tinyllama-random", randomDir}} {
		t.Run(c.name, func(t *testing.T) {
			g := readGolden(t, c.name)
			src := g.source()
			tr := openTrainer(t, c.dir, 2, Setup{Train: all, SeqLen: src.b.T, MicroBatch: src.b.B, Accumulate: 1,
				Optim: optim.Config{Beta1: g.AdamW.Beta1, Beta2: g.AdamW.Beta2, Eps: g.AdamW.Eps, Decay: g.AdamW.Decay}})
			before := map[string][]float32{}
			for _, p := range tr.Flat().Params() {
				before[p.Name] = tr.values(t, p.Name)
			}
			var m Metrics
			for i, want := range g.Full.Steps {
				if err := tr.Step(t.Context(), src, g.AdamW.LR, g.AdamW.MaxNorm, &m); err != nil {
					t.Fatal(err)
				}
				if math.Abs(m.Loss-want.Loss) > 1e-4*want.Loss || math.Abs(m.GradNorm-want.Norm) > 1e-3*want.Norm {
					t.Errorf("step %d: loss %v norm %v, want %v %v", i, m.Loss, m.GradNorm, want.Loss, want.Norm)
				}
			}
			change, err := safetensors.Open(filepath.Join(goldens, c.name, "change.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer change.Close()
			for _, p := range tr.Flat().Params() {
				after := tr.values(t, p.Name)
				want := make([]float32, len(after))
				if err := change.ReadF32(want, p.Name); err != nil {
					t.Fatal(err)
				}
				diff, norm := 0.0, 0.0
				for i := range want {
					d := float64(after[i]) - float64(before[p.Name][i]) - float64(want[i])
					diff += d * d
					norm += float64(want[i]) * float64(want[i])
				}
				if e := math.Sqrt(diff / norm); !(e <= 1e-3) {
					t.Errorf("%s: change off by %.2g of its norm, want at most 1e-3", p.Name, e)
				}
			}
		})
	}
}

// TestELOGolden compares losses and norms of the stage-one variant.
func TestELOGolden(t *testing.T) {
	for _, c := range []struct{ name, dir string }{{"stories260K", storiesDir}, {"tinyllama-random", randomDir}} {
		t.Run(c.name, func(t *testing.T) {
			g := readGolden(t, c.name)
			src := g.source()
			layers := g.ELO.Layers
			tr := openTrainer(t, c.dir, 2, Setup{Layers: layers, Train: func(w model.Tensor) bool { return w.Layer >= 0 },
				SeqLen: src.b.T, MicroBatch: src.b.B, Accumulate: 1,
				Optim: optim.Config{Beta1: g.AdamW.Beta1, Beta2: g.AdamW.Beta2, Eps: g.AdamW.Eps, Decay: g.AdamW.Decay}})
			var m Metrics
			for i, want := range g.ELO.Steps {
				if err := tr.Step(t.Context(), src, g.AdamW.LR, g.AdamW.MaxNorm, &m); err != nil {
					t.Fatal(err)
				}
				if math.Abs(m.Loss-want.Loss) > 1e-4*want.Loss || math.Abs(m.GradNorm-want.Norm) > 1e-3*want.Norm {
					t.Errorf("step %d: loss %v norm %v, want %v %v", i, m.Loss, m.GradNorm, want.Loss, want.Norm)
				}
			}
			for _, name := range []string{model.EmbedName, model.NormName} {
				if _, ok := tr.Flat().Size(name); ok {
					t.Errorf("%s is frozen but has gradient and moments", name)
				}
			}
		})
	}
}

// words is an Encoder that needs no tokenizer: a letter is an id.
type words struct{}

func (words) AppendIDs(dst []int32, text string, _ bool) ([]int32, error) {
	for _, r := range text {
		dst = append(dst, int32(r)%500+3)
	}
	return dst, nil
}

// unequal is a stream of documents of very different lengths.
func unequal(t testing.TB, seqLen int) *data.Stream {
	t.Helper()
	c := data.NewCorpus("made up", "xx")
	text := []rune("the quick brown fox jumps over the lazy dog; ")
	for i := range 40 {
		doc := ""
		for j := range 1 + i*i%57 {
			doc += string(text[(i*7+j*3)%len(text)])
		}
		if err := c.AddText(words{}, data.Policy{}, doc+"."); err != nil {
			t.Fatal(err)
		}
	}
	s, err := data.NewStream([]data.Part{{Corpus: c}}, data.Options{SeqLen: seqLen, Seed: 1, Epochs: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMicroBatches takes one step cut into micro-batches of 1, 2 and 8 rows:
// losses are divided by the targets of the whole step, so the gradients, and
// with them the step, are the same but for rounding.
func TestMicroBatches(t *testing.T) {
	type result struct {
		m Metrics
		w []float32
	}
	var all8 []result
	for _, micro := range []int{8, 2, 1} {
		tr := openTrainer(t, storiesDir, 2, Setup{Train: all, SeqLen: 32, MicroBatch: micro, Accumulate: 8 / micro, Optim: optim.Defaults()})
		var r result
		if err := tr.Step(t.Context(), unequal(t, 32), 1e-3, 0, &r.m); err != nil {
			t.Fatal(err)
		}
		r.w = tr.values(t, "model.layers.2.mlp.up_proj.weight")
		all8 = append(all8, r)
	}
	for i, r := range all8[1:] {
		want := all8[0]
		if r.m.Targets != want.m.Targets || math.Abs(r.m.Loss-want.m.Loss) > 1e-5*want.m.Loss || math.Abs(r.m.GradNorm-want.m.GradNorm) > 1e-4*want.m.GradNorm {
			t.Errorf("cut %d: %d targets, loss %v, norm %v, want %d, %v, %v", i+1, r.m.Targets, r.m.Loss, r.m.GradNorm, want.m.Targets, want.m.Loss, want.m.GradNorm)
		}
	}
}

// TestRecompute: activation checkpointing changes no bit.
func TestRecompute(t *testing.T) {
	var want []float32
	for _, recompute := range []bool{false, true} {
		tr := openTrainer(t, storiesDir, 2, Setup{Train: all, SeqLen: 32, MicroBatch: 2, Accumulate: 1, Optim: optim.Defaults(), Recompute: recompute})
		s := unequal(t, 32)
		var m Metrics
		for range 2 {
			if err := tr.Step(t.Context(), s, 1e-3, 1, &m); err != nil {
				t.Fatal(err)
			}
		}
		got := tr.values(t, "model.layers.0.self_attn.q_proj.weight")
		if !recompute {
			want = got
			continue
		}
		for i := range got {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("element %d: got %v, want %v", i, got[i], want[i])
			}
		}
	}
}

// TestEnd: a stream that ends inside a step gives a shorter step, then io.EOF.
func TestEnd(t *testing.T) {
	tr := openTrainer(t, storiesDir, 1, Setup{Train: all, SeqLen: 32, MicroBatch: 1, Accumulate: 4, Optim: optim.Defaults()})
	s := unequal(t, 32)
	s.SetEnd(6)
	var m Metrics
	for i, want := range []int{4, 2} {
		if err := tr.Step(t.Context(), s, 1e-3, 1, &m); err != nil || m.Micro != want || m.Step != i+1 {
			t.Errorf("step %d: %d micro-batches, step count %d, %v, want %d", i, m.Micro, m.Step, err, want)
		}
	}
	if err := tr.Step(t.Context(), s, 1e-3, 1, &m); err != io.EOF {
		t.Errorf("after the end: got %v, want io.EOF", err)
	}
}
