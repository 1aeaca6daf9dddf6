package model

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/model/safetensors"
	"graft/tensor"
)

// familyDir is a tiny random model as Transformers 5 writes it, with references in
// float64; testdata/families.py made both. Sequences are longer than the windows, and
// one of them holds two documents.
func familyDir(modelType string) string { return "testdata/" + modelType + "-random" }

func TestFamilies(t *testing.T) {
	for _, name := range Families() {
		dir := familyDir(name)
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("family %s has no references: %v", name, err)
			continue
		}
		ck, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		g, wrt := readGolden(t, dir), ck.Config.Tensors(nil)
		want := exactResults(t, ck, dir, g, wrt)
		for _, device := range devices() {
			t.Run(name+"/"+device, func(t *testing.T) {
				got := gradients(t, device, ck, g, g.Full, Options{}, wrt)
				checkLosses(t, got.Float32s("losses"), g.Full, 1e-5)
				checkResults(t, got, want, func(name string) float64 {
					return max(1e-5, 2*g.Full.F32Error.Gradients[strings.TrimPrefix(name, "d ")])
				})

				pair := g.Elo.Layers
				got = gradients(t, device, ck, g, g.Elo, Options{Layers: pair}, nil)
				checkLosses(t, got.Float32s("losses"), g.Elo, 1e-5)
			})
		}
	}
}

func TestFamiliesGreedy(t *testing.T) {
	for _, name := range Families() {
		want := readGolden(t, familyDir(name)).Greedy
		for _, device := range devices() {
			g, _ := openGenerator(t, device, familyDir(name), GeneratorOptions{Prefill: 2})
			got, _ := generate(t, g, Request{Prompt: want.Prompt, MaxTokens: len(want.IDs)})
			if !slices.Equal(got, want.IDs) {
				t.Errorf("%s on %s: got %v, want %v", name, device, got, want.IDs)
			}
		}
	}
}

// TestSelectKeepsKinds cuts layers out of configs whose windows follow from the layers'
// numbers: the small model has to keep each layer's own.
func TestSelectKeepsKinds(t *testing.T) {
	head := `{"hidden_size": 24, "intermediate_size": 28, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 61, `
	for _, tc := range []struct {
		name, fields string
		layers       []int
		windows      []int
	}{
		{"gemma2 by number", `"model_type": "gemma2", "num_hidden_layers": 6`, []int{0, 5}, []int{4096, 0}},
		{"gemma2, one that sees everything", `"model_type": "gemma2", "num_hidden_layers": 6, "sliding_window": 7`, []int{1, 2, 5}, []int{0, 7, 0}},
		{"gemma3 by pattern", `"model_type": "gemma3_text", "num_hidden_layers": 12, "sliding_window": 512`, []int{0, 5, 11}, []int{512, 0, 0}},
		{"gemma3 by a pattern of its own", `"model_type": "gemma3_text", "num_hidden_layers": 4, "sliding_window": 9, "sliding_window_pattern": 2`, []int{1, 2}, []int{0, 9}},
		{"qwen2 above a number", `"model_type": "qwen2", "num_hidden_layers": 4, "use_sliding_window": true, "max_window_layers": 2`, []int{0, 3}, []int{0, 4096}},
		{"qwen2 as a list", `"model_type": "qwen2", "num_hidden_layers": 3, "use_sliding_window": true, "layer_types": ["sliding_attention", "full_attention", "full_attention"]`, []int{0, 2}, []int{4096, 0}},
		{"qwen3 without windows", `"model_type": "qwen3", "num_hidden_layers": 4, "sliding_window": 100`, []int{0, 3}, []int{0, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := ParseConfig("config.json", []byte(head+tc.fields+"}"))
			if err != nil {
				t.Fatal(err)
			}
			small, err := c.Select(tc.layers)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseConfig("written", small.JSON())
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range tc.layers {
				if again.Kinds[i] != c.Kinds[l] || again.Kinds[i].Window != tc.windows[i] {
					t.Errorf("layer %d of %d: got %+v, want %+v with window %d", i, len(tc.layers), again.Kinds[i], c.Kinds[l], tc.windows[i])
				}
			}
		})
	}
}

// exactResults reads the results in float64, named as in goldenGraph.
func exactResults(t *testing.T, ck *Checkpoint, dir string, g golden, wrt []Tensor) tensor.Values {
	t.Helper()
	want := tensor.Values{"loss": []float32{float32(g.Full.Loss)}}
	var losses []float32
	for _, l := range slices.Concat(g.Full.TokenLoss...) {
		losses = append(losses, float32(l))
	}
	want["losses"] = losses
	for _, part := range []struct {
		file, prefix string
		tensors      []Tensor
	}{
		{"logits.safetensors", "", []Tensor{{Name: "logits", Shape: []int{len(losses), ck.Config.Vocab}}}},
		{"gradients.safetensors", "d ", wrt},
	} {
		f, err := safetensors.Open(filepath.Join(dir, part.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(f.Names()) != len(part.tensors) {
			t.Fatalf("%s has %d tensors, want %d", part.file, len(f.Names()), len(part.tensors))
		}
		for _, p := range part.tensors {
			x := make([]float32, p.Len())
			if err := f.ReadF32(x, p.Name); err != nil {
				t.Fatal(err)
			}
			want[part.prefix+p.Name] = x
		}
	}
	return want
}

// checkResults holds the relative error of every result to its bound, and returns
// the largest over its bound.
func checkResults(t *testing.T, got, want tensor.Values, bound func(name string) float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d results, want %d", len(got), len(want))
	}
	worst := 0.0
	for name := range want {
		e, b := distance(got.Float32s(name), want.Float32s(name)), bound(name)
		if !(e <= b) {
			t.Errorf("%s: error %.3g, want at most %.3g", name, e, b)
		}
		worst = max(worst, e/b)
	}
	t.Logf("the worst result is at %.2g of its bound", worst)
	return worst
}

func checkLosses(t *testing.T, got []float32, want reference, bound float64) {
	t.Helper()
	sum := 0.0
	for i, l := range slices.Concat(want.TokenLoss...) {
		sum += float64(got[i])
		if e := math.Abs(float64(got[i]) - l); !(e <= bound*max(1, l)) {
			t.Errorf("loss of token %d: got %v, want %v", i, got[i], l)
		}
	}
	if mean := sum / float64(want.TargetCount); !(math.Abs(mean-want.Loss) <= bound*want.Loss) {
		t.Errorf("mean loss: got %v, want %v", mean, want.Loss)
	}
}
