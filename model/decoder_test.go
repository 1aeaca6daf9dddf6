package model

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/tensor"
)

// losses runs the golden batch through a checkpoint's layers on the CPU.
func losses(t *testing.T, ck *Checkpoint, g golden, dtype func(string) kernels.DType, o Options) []float32 {
	t.Helper()
	return lossesOf(t, ck, g, dtype, func(*tensor.Graph) Options { return o })
}

// lossesOf is losses with options that use the graph.
func lossesOf(t *testing.T, ck *Checkpoint, g golden, dtype func(string) kernels.DType, options func(*tensor.Graph) Options) []float32 {
	t.Helper()
	be, err := kernels.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	gr := tensor.New("losses")
	o := options(gr)
	in, w := Inputs(gr, len(g.Batch.Tokens), len(g.Batch.Tokens[0]), false), Params(gr, dtype)
	h, err := ck.Config.Hidden(gr, w, in, o)
	if err != nil {
		t.Fatal(err)
	}
	gr.Output("losses", ck.Config.Losses(gr, w, h, in.Targets))
	return runOnce(t, be, gr, ck, o.Layers, g.values()).Float32s("losses")
}

func all(dt kernels.DType) func(string) kernels.DType {
	return func(string) kernels.DType { return dt }
}

// The directory written for some layers is the same model as these layers of
// the original, to the bit.
func TestSmallModelIsTheOriginalsLayers(t *testing.T) {
	for name, dir := range goldenModels {
		t.Run(name, func(t *testing.T) {
			ck, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			layers := []int{1, ck.Config.Layers - 1}
			c, err := ck.Config.Select(layers)
			if err != nil {
				t.Fatal(err)
			}
			dtype, data := asStored(ck, layers)
			small := filepath.Join(t.TempDir(), "small")
			if err := Write(small, WriteOptions{Config: c, Source: dir, DType: dtype}, data); err != nil {
				t.Fatal(err)
			}
			again, err := Open(small)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			g := readGolden(t, filepath.Join(references, name))
			want := losses(t, ck, g, ck.DType, Options{Layers: layers})
			if got := losses(t, again, g, again.DType, Options{}); !slices.Equal(got, want) {
				t.Errorf("losses differ: %v, want %v", got[:5], want[:5])
			}
		})
	}
}

// In bf16 each of the sums along the way is rounded by up to 2^-8 of its size;
// losses of some nats stay within a few hundredths of the f32 ones on average.
func TestBF16IsNear(t *testing.T) {
	ck, err := Open(goldenModels["tinyllama-random"])
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	g := readGolden(t, references+"/tinyllama-random")
	want := slices.Concat(g.Full.TokenLoss...)
	for _, tc := range []struct {
		weights, act kernels.DType
		low, high    float64 // mean distance from float64
	}{
		{kernels.F32, kernels.F32, 0, 1e-5},
		{kernels.BF16, kernels.F32, 1e-4, 0.02},
		{kernels.F32, kernels.BF16, 1e-4, 0.02},
		{kernels.BF16, kernels.BF16, 1e-4, 0.02},
		{kernels.F16, kernels.BF16, 1e-4, 0.02},
	} {
		t.Run(fmt.Sprintf("weights %v, activations %v", tc.weights, tc.act), func(t *testing.T) {
			got := losses(t, ck, g, all(tc.weights), Options{Act: tc.act})
			sum := 0.0
			for i, x := range got {
				sum += math.Abs(float64(x) - want[i])
			}
			if mean := sum / float64(g.Full.TargetCount); !(mean >= tc.low && mean <= tc.high) {
				t.Errorf("mean distance from the float64 losses is %.3g, want %v to %v", mean, tc.low, tc.high)
			}
		})
	}
}

func TestAfterSeesAndReplaces(t *testing.T) {
	ck, err := Open(goldenModels["tinyllama-random"])
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	g := readGolden(t, references+"/tinyllama-random")
	plain := losses(t, ck, g, ck.DType, Options{Layers: []int{0, 3}})
	var seen []int
	keep := func(l int, x *tensor.Tensor) *tensor.Tensor {
		seen = append(seen, l)
		return x
	}
	if got := losses(t, ck, g, ck.DType, Options{Layers: []int{0, 3}, After: keep}); !slices.Equal(got, plain) {
		t.Error("looking at the layers' outputs changed the losses")
	}
	if !slices.Equal(seen, []int{0, 3}) {
		t.Errorf("called after layers %v, want [0 3]", seen)
	}
	// The final norm of a zero vector is zero, so every token is equally likely.
	got := lossesOf(t, ck, g, ck.DType, func(gr *tensor.Graph) Options {
		return Options{After: func(l int, x *tensor.Tensor) *tensor.Tensor {
			if l == ck.Config.Layers-1 {
				return gr.Affine(x, 0, 0)
			}
			return x
		}}
	})
	for i, target := range slices.Concat(g.Batch.Targets...) {
		want := 0.0
		if target >= 0 {
			want = math.Log(float64(ck.Config.Vocab))
		}
		if math.Abs(float64(got[i])-want) > 1e-5 {
			t.Fatalf("loss of token %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestHiddenRefuses(t *testing.T) {
	ck, err := Open(goldenModels["tinyllama-random"])
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	for _, tc := range []struct {
		name, want string
		o          Options
	}{
		{"activations", "activations in f16, want f32 or bf16", Options{Act: kernels.F16}},
		{"no layers", "no layers chosen", Options{Layers: []int{}}},
		{"layer out of range", "layer 4: the model has 4 layers, 0 to 3", Options{Layers: []int{0, 4}}},
		{"order", "layers [3 0] are not in ascending order", Options{Layers: []int{3, 0}}},
	} {
		g := tensor.New("x")
		_, err := ck.Config.Hidden(g, Params(g, ck.DType), Inputs(g, 1, 4, false), tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestTensors(t *testing.T) {
	c, err := ParseConfig("c", []byte(tiny(false)))
	if err != nil {
		t.Fatal(err)
	}
	ts := c.Tensors([]int{1})
	if ts[0].Name != EmbedName || ts[len(ts)-2].Name != NormName || ts[len(ts)-1].Name != HeadName || len(ts) != 12 {
		t.Errorf("got %v", ts)
	}
	matrices := 0
	for _, w := range ts {
		if w.Matrix() {
			matrices++
		}
		if inside := strings.HasPrefix(w.Name, "model.layers.1."); inside != (w.Layer == 1) || !inside && w.Layer != -1 {
			t.Errorf("%s is in layer %d", w.Name, w.Layer)
		}
	}
	if matrices != 9 {
		t.Errorf("got %d matrices, want 9", matrices)
	}
	// 2 tables of 5x4, norm of 4, and per layer q 4x4, k and v 2x4, o 4x4, three of 6x4, two norms.
	layer := int64(16 + 8 + 8 + 16 + 3*24 + 2*4)
	if got := c.Params([]int{1}); got != 44+layer {
		t.Errorf("got %d parameters, want %d", got, 44+layer)
	}
	if got := c.Params(nil); got != 44+2*layer {
		t.Errorf("got %d parameters, want %d", got, 44+2*layer)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(llamaJSON(``))
	f.Add(mistralJSON(`, "sliding_window": null, "layer_types": ["a","b","c","d","e"]`))
	f.Add(llamaJSON(`, "eos_token_id": [1, 2], "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := ParseConfig("fuzz", doc)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the message has several lines: %q", err)
			}
			return
		}
		again, err := ParseConfig("fuzz", c.JSON())
		if err != nil {
			t.Fatalf("written as %s: %v", c.JSON(), err)
		}
		if string(again.JSON()) != string(c.JSON()) {
			t.Errorf("written as %s, then as %s", c.JSON(), again.JSON())
		}
		if small, err := c.Select([]int{c.Layers - 1}); err == nil && small.Layers != 1 {
			t.Errorf("got %d layers, want 1", small.Layers)
		}
	})
}
