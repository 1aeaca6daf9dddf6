package diff

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/model"
	"graft/model/safetensors"
)

// stored is a tensor to be written: numbers, or bytes of another type.
type stored struct {
	name  string
	dtype safetensors.DType
	shape []int
	x     []float32
	raw   []byte
}

// directory writes a model directory of just these tensors.
func directory(t *testing.T, config string, tensors ...stored) string {
	t.Helper()
	dir := t.TempDir()
	if config != "" {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var specs []safetensors.Spec
	of := map[string]stored{}
	for _, s := range tensors {
		specs = append(specs, safetensors.Spec{Name: s.name, DType: s.dtype, Shape: s.shape})
		of[s.name] = s
	}
	err := safetensors.WriteModel(dir, specs, safetensors.ModelOptions{}, func(s safetensors.Spec, w io.Writer) error {
		if raw := of[s.Name].raw; raw != nil {
			_, err := w.Write(raw)
			return err
		}
		return safetensors.WriteF32(w, s.DType, of[s.Name].x)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func vector(name string, dt safetensors.DType, x ...float32) stored {
	return stored{name: name, dtype: dt, shape: []int{len(x)}, x: x}
}

func models(t *testing.T, a, b string) *Report {
	t.Helper()
	r, err := Models(t.Context(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const unknown = `{"model_type": "made-up"}`

func TestTensors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name             string
		a, b             stored
		same             bool
		differing        int64
		maxAbs, relative float64
	}{
		{"equal", vector("x", "F32", 1, 2), vector("x", "F32", 1, 2), true, 0, 0, 0},
		{"one of three", vector("x", "F32", 3, 0, 4), vector("x", "F32", 3, 0, 2), false, 1, 2, 2.0 / 5},
		{"all", vector("x", "F32", 3, 4), vector("x", "F32", 4, 3), false, 2, 1, math.Sqrt2 / 5},
		{"another type, equal values", vector("x", "BF16", 1, 2), vector("x", "F32", 1, 2), false, 0, 0, 0},
		{"another type, rounded", vector("x", "F32", 1.00390625, 2), vector("x", "BF16", 1.00390625, 2), false, 1, 0.00390625, 0.00390625 / math.Sqrt(1.00390625*1.00390625+4)},
		{"signs of zero", vector("x", "F16", 0, 1), vector("x", "F16", float32(math.Copysign(0, -1)), 1), false, 1, 0, 0},
		{"the same NaN", vector("x", "F32", nan, 1), vector("x", "F32", nan, 1), true, 0, 0, 0},
		{"a NaN", vector("x", "F32", 1, 2), vector("x", "F32", nan, 9), false, 2, math.NaN(), math.NaN()},
		{"infinity", vector("x", "F32", 1, 2), vector("x", "F32", 1, inf), false, 1, math.Inf(1), math.Inf(1)},
		{"from nothing", vector("x", "F32", 0, 0), vector("x", "F32", 0, 1), false, 1, 1, math.Inf(1)},
		{"integers", stored{name: "x", dtype: "I64", shape: []int{2}, raw: make([]byte, 16)}, stored{name: "x", dtype: "I64", shape: []int{2}, raw: append(make([]byte, 15), 1)}, false, 1, 0, 0},
		{"other integers", stored{name: "x", dtype: "I32", shape: []int{1}, raw: make([]byte, 4)}, stored{name: "x", dtype: "U32", shape: []int{1}, raw: make([]byte, 4)}, false, 1, 0, 0},
		{"another shape", stored{name: "x", dtype: "F32", shape: []int{1, 2}, x: []float32{1, 2}}, vector("x", "F32", 1, 2), false, 0, 0, 0},
		{"empty", vector("x", "F32"), vector("x", "F32"), true, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := models(t, directory(t, unknown, c.a), directory(t, unknown, c.b))
			if len(r.Tensors) != 1 || r.Equal() != c.same || r.NoConfig == nil {
				t.Fatalf("got %d tensors, equal %v, %v, want 1, %v and no config", len(r.Tensors), r.Equal(), r.NoConfig, c.same)
			}
			g := r.Tensors[0]
			if g.Same() != c.same || g.Differing != c.differing || !alike(g.MaxAbs, c.maxAbs) || !alike(g.Relative(), c.relative) {
				t.Errorf("got %v, %d differing, largest %v, relative %v\nwant %v, %d, %v, %v",
					g.Same(), g.Differing, g.MaxAbs, g.Relative(), c.same, c.differing, c.maxAbs, c.relative)
			}
		})
	}
}

// alike allows the rounding of a few operations in float64.
func alike(got, want float64) bool {
	return got == want || math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= 8*0x1p-53*math.Abs(want)
}

// TestPieces finds single elements on both sides of each border of a piece.
func TestPieces(t *testing.T) {
	const n = 2*pieceLen + 3
	x := make([]float32, n)
	a := directory(t, unknown, vector("x", "BF16", x...))
	for _, i := range []int{0, pieceLen - 1, pieceLen, 2*pieceLen - 1, 2 * pieceLen, n - 1} {
		y := slices.Clone(x)
		y[i] = 2
		if g := models(t, a, directory(t, unknown, vector("x", "BF16", y...))).Tensors[0]; g.Differing != 1 || g.MaxAbs != 2 || g.Elements != n {
			t.Errorf("element %d: got %d of %d differing by %v, want 1 of %d by 2", i, g.Differing, g.Elements, g.MaxAbs, n)
		}
	}
}

func TestReport(t *testing.T) {
	a := directory(t, unknown,
		vector("model.layers.0.a", "F32", 3), vector("model.layers.0.b", "F32", 4, 0), vector("model.layers.1.a", "F32", 1),
		vector("norm", "F32", 1), vector("gone", "F32", 1), vector("rotary_emb.inv_freq", "F32", 1))
	b := directory(t, unknown,
		vector("model.layers.0.a", "F32", 3), vector("model.layers.0.b", "F32", 4, 1), vector("model.layers.1.a", "F32", 1),
		vector("norm", "F32", 3), vector("new", "F32", 1))
	r := models(t, a, b)
	if !slices.Equal(r.OnlyA, []string{"gone"}) || !slices.Equal(r.OnlyB, []string{"new"}) {
		t.Errorf("got only %v and %v, want [gone] and [new]", r.OnlyA, r.OnlyB)
	}
	var names []string
	for _, d := range r.Differing() {
		names = append(names, d.Name)
	}
	if want := []string{"norm", "model.layers.0.b"}; !slices.Equal(names, want) {
		t.Errorf("got %v differing, want %v", names, want)
	}
	want := []Group{
		{"layer 0", 0, 2, 1, 3, 1, 1, 1.0 / 4},
		{"layer 1", 1, 1, 0, 1, 0, 0, 0},
		{"norm", -1, 1, 1, 1, 1, 2, 2},
	}
	if got := r.Groups(); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLayerOf(t *testing.T) {
	for name, want := range map[string]int{"model.layers.12.mlp.up_proj.weight": 12, "transformer.h.3.ln_1.weight": 3, "0.weight": 0, "lm_head.weight": -1, "wpe2.weight": -1, "x.99999999999.y": -1} {
		if got := layerOf(name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

const testModel = "../testdata/llama-random"

// A head that is stored though it is tied is no difference as long as it is the
// embedding.
func TestTiedHead(t *testing.T) {
	ck, err := model.Open(testModel)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	for _, same := range []bool{true, false} {
		var list []stored
		for _, w := range ck.Config.Tensors(nil) {
			x := make([]float32, w.Len())
			if err := ck.ReadF32(x, w.Name); err != nil {
				t.Fatal(err)
			}
			info, _ := ck.Info(w.Name)
			list = append(list, stored{name: w.Name, dtype: info.DType, shape: w.Shape, x: x})
		}
		head := list[0]
		head.name, head.x = model.HeadName, slices.Clone(head.x)
		if !same {
			head.x[5]++
		}
		b := directory(t, string(ck.Config.JSON()), append(list, head)...)
		r := models(t, testModel, b)
		if r.Equal() != same || r.NoConfig != nil {
			t.Errorf("a head equal to the embedding is %v: got equal %v, only B %v, %v", same, r.Equal(), r.OnlyB, r.NoConfig)
		}
	}
}

func TestConfigs(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(testModel, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(testModel, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, old, now string
		want           []model.Difference
	}{
		{"as it is", "", "", nil},
		{"what does not matter", `"use_cache": true`, `"use_cache": false`, nil},
		{"rope", `"rope_theta": 300.0`, `"rope_theta": 301.0`, []model.Difference{{Key: "rope_parameters", A: "yarn by 4 with theta 300 (0.5, 4, 16, false, 1.3)", B: "yarn by 4 with theta 301 (0.5, 4, 16, false, 1.3)"}}},
		{"end of text", `"eos_token_id": 2`, `"eos_token_id": [2, 3]`, []model.Difference{{Key: "eos_token_id", A: "2", B: "[2 3]"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.old != "" && strings.Count(string(doc), c.old) != 1 {
				t.Fatalf("config.json has %q %d times, want once", c.old, strings.Count(string(doc), c.old))
			}
			for name, content := range map[string][]byte{"config.json": []byte(strings.ReplaceAll(string(doc), c.old, c.now)), "model.safetensors": weights} {
				if c.old == "" && name == "config.json" {
					content = doc
				}
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			r := models(t, testModel, dir)
			if !slices.Equal(r.Config, c.want) || r.Equal() != (c.want == nil) {
				t.Errorf("got %+v, want %+v", r.Config, c.want)
			}
		})
	}
}

// A broken model is compared as far as it goes; what cannot be read is an error.
func TestBroken(t *testing.T) {
	whole := directory(t, "", vector("x", "F32", 1))
	if r := models(t, whole, whole); r.NoConfig == nil || !r.Equal() {
		t.Errorf("without config.json: got %v and equal %v, want a reason and true", r.NoConfig, r.Equal())
	}
	if _, err := Models(t.Context(), whole, filepath.Join(whole, "none")); err == nil {
		t.Error("no directory: got no error")
	}
	cut := directory(t, "", vector("x", "F32", make([]float32, 100)...))
	path := filepath.Join(cut, "model.safetensors")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := binary.LittleEndian.Uint64(b); n == 0 {
		t.Fatal("no header")
	}
	if err := os.Truncate(path, int64(len(b)-1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Models(t.Context(), cut, whole); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("cut off: got %v", err)
	}
}
