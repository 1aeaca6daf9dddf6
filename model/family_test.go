package model

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"graft/kernels"
	"graft/model/safetensors"
)

// familyDir is a tiny random model as Transformers 5 writes it, with references in
// float64; testdata/families.py made both. Sequences are longer than the windows, and
// one of them holds two documents.
func familyDir(modelType string) string { return "testdata/" + modelType + "-random" }

// familyGolden is golden.json of those.
type familyGolden struct {
	golden
	LastLogits []float32 `json:"last_logits"`
}

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
		g := readFamily(t, dir)
		want, err := safetensors.Open(filepath.Join(dir, "gradients.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		for _, device := range devices() {
			t.Run(name+"/"+device, func(t *testing.T) {
				wrt := ck.Config.Tensors(nil)
				got := gradients(t, device, ck, g.golden, g.Full, Options{}, wrt)
				checkLosses(t, got.Float32s("losses"), g.Full, 1e-5)
				if e := distance(got.Float32s("logits")[len(got.Float32s("logits"))-ck.Config.Vocab:], g.LastLogits); !(e <= 1e-5) {
					t.Errorf("last logits: error %.3g, want at most 1e-5", e)
				}
				checkGradients(t, got, want, wrt, func(name string) float64 { return max(1e-5, 2*g.Full.F32Error.Gradients[name]) })

				pair := g.Elo.Layers
				got = gradients(t, device, ck, g.golden, g.Elo, Options{Layers: pair}, nil)
				checkLosses(t, got.Float32s("losses"), g.Elo, 1e-5)
			})
		}
	}
}

// TestFamiliesBF16 holds the models in BF16 to their own numbers in F32: what rounding
// every activation to 8 bits may do, and no more.
func TestFamiliesBF16(t *testing.T) {
	for _, name := range Families() {
		t.Run(name, func(t *testing.T) {
			ck, err := Open(familyDir(name))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			g := readFamily(t, familyDir(name))
			got := gradients(t, "cpu", ck, g.golden, g.Full, Options{Act: kernels.BF16}, nil)
			// A unit in the last place is 2^-8; four layers of some ten roundings each.
			checkLosses(t, got.Float32s("losses"), g.Full, 0.1)
			exact := gradients(t, "cpu", ck, g.golden, g.Full, Options{}, nil)
			if slices.Equal(got.Float32s("losses"), exact.Float32s("losses")) {
				t.Error("the losses are those of F32: nothing was rounded")
			}
		})
	}
}

func TestFamiliesGreedy(t *testing.T) {
	for _, name := range Families() {
		want := readFamily(t, familyDir(name)).Greedy
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

func readFamily(t *testing.T, dir string) familyGolden {
	t.Helper()
	var g familyGolden
	readJSON(t, filepath.Join(dir, "golden.json"), &g)
	return g
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
