package model

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/kernels/kerneltest"
	_ "graft/kernels/ref"
	_ "graft/kernels/vulkan"
	"graft/model/safetensors"
	"graft/tensor"
)

// goldenModels are the models with references from PyTorch.
var goldenModels = map[string]string{
	"stories260K":      "../elo/demo/base",
	"tinyllama-random": "../testdata/models/tinyllama-random",
}

// references is where testdata/pytorch/make.py puts what it makes.
const references = "../testdata/pytorch"

// golden is testdata/pytorch/*/golden.json.
type golden struct {
	Batch struct {
		Tokens, Positions, Targets, First, End [][]int32
	}
	LogitRows []int `json:"logit_rows"`
	Full, Elo reference
	Greedy    struct{ Prompt, IDs []int }
}

type reference struct {
	Layers      []int
	Loss        float64
	TargetCount int         `json:"target_count"`
	TokenLoss   [][]float64 `json:"token_loss"`
	F32Error    struct {
		Loss, Logits float64
		Gradients    map[string]float64
	} `json:"f32_error"`
}

func readGolden(t *testing.T, dir string) golden {
	t.Helper()
	var g golden
	readJSON(t, filepath.Join(dir, "golden.json"), &g)
	return g
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(doc, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// values is the golden batch as the inputs of a program.
func (g golden) values() tensor.Values {
	n := len(g.Batch.Tokens) * len(g.Batch.Tokens[0])
	ids := slices.Concat(g.Batch.Tokens...)
	order, starts := make([]int32, n), slices.Repeat([]int32{int32(n)}, n+1)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(ids[a] - ids[b]) })
	runs := 0
	for i := range order {
		if i == 0 || ids[order[i]] != ids[order[i-1]] {
			starts[runs] = int32(i)
			runs++
		}
	}
	return tensor.Values{
		InputIDs: ids, InputPositions: slices.Concat(g.Batch.Positions...), InputTargets: slices.Concat(g.Batch.Targets...),
		InputDocuments: slices.Concat(slices.Concat(g.Batch.First...), slices.Concat(g.Batch.End...)),
		InputOrder:     order, InputStarts: starts,
	}
}

// gradients runs goldenGraph on a device.
func gradients(t *testing.T, device string, ck *Checkpoint, g golden, ref reference, o Options, wrt []Tensor) tensor.Values {
	t.Helper()
	be := kerneltest.OpenDevice(t, device)
	return runOnce(t, be, goldenGraph(t, ck, g, ref, o, wrt), ck, o.Layers, g.values())
}

// goldenGraph has the mean loss of the golden batch, "losses", "logits", and the
// gradients of the mean by the given tensors, named "d " and the tensor's name.
// Weights have the type of activations, as in training.
func goldenGraph(t *testing.T, ck *Checkpoint, g golden, ref reference, o Options, wrt []Tensor) *tensor.Graph {
	t.Helper()
	gr := tensor.New("golden")
	in := Inputs(gr, len(g.Batch.Tokens), len(g.Batch.Tokens[0]), true)
	w := Params(gr, all(o.Act))
	h, err := ck.Config.Hidden(gr, w, in, o)
	if err != nil {
		t.Fatal(err)
	}
	losses := ck.Config.Losses(gr, w, h, in.Targets)
	loss := gr.Affine(gr.Sum(losses), 1/float32(ref.TargetCount), 0)
	gr.Output("losses", losses)
	gr.Output("logits", ck.Config.Logits(gr, w, h))
	var params []*tensor.Tensor
	for _, p := range wrt {
		params = append(params, w.Weight(p.Name, p.Shape...))
	}
	for i, d := range gr.Grad(loss, params...) {
		gr.Output("d "+wrt[i].Name, d)
	}
	gr.Output("loss", loss)
	return gr
}

// runOnce compiles a graph, loads the weights and runs it.
func runOnce(t *testing.T, be kernels.Backend, g *tensor.Graph, ck *Checkpoint, layers []int, inputs tensor.Values) tensor.Values {
	t.Helper()
	return runProgram(t, be, lowered(t, be, g), ck, layers, inputs)
}

// lowered is the program that a backend runs for a graph.
func lowered(t *testing.T, be kernels.Backend, g *tensor.Graph) *kernels.Program {
	t.Helper()
	p, err := g.Compile()
	if err != nil {
		t.Fatal(err)
	}
	p, replaced, err := kernels.Lower(p, be.Supports)
	if err != nil {
		t.Fatal(err)
	}
	if len(replaced) > 0 {
		t.Logf("%v runs by its plain definition: %s", replaced[0].Op, replaced[0].Reason)
	}
	return p
}

// runProgram loads the weights and runs a program.
func runProgram(t *testing.T, be kernels.Backend, p *kernels.Program, ck *Checkpoint, layers []int, inputs tensor.Values) tensor.Values {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := tensor.NewStore(be)
	defer s.Close()
	must(s.Declare(p))
	must(s.Alloc())
	ex, err := s.Compile(p)
	must(err)
	must(ck.LoadParams(s, layers))
	for name, v := range inputs {
		id, ok := p.Find(name)
		if !ok {
			continue
		}
		data, err := tensor.Encode(p.Slots[id], v)
		must(err)
		copy(ex.Input(id), data)
	}
	must(ex.Run(context.Background(), 1))
	out := tensor.Values{}
	for i, slot := range p.Slots {
		if slot.Role == kernels.Output {
			out[slot.Name] = tensor.Decode(slot.DType, ex.Output(kernels.SlotID(i)))
		}
	}
	return out
}

// distance is ||got - want|| / ||want||.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var d, n float64
	for i := range want {
		e := float64(got[i]) - float64(want[i])
		d += e * e
		n += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(d / n)
}

// devices are the backends that goldens are held on.
func devices() []string { return kernels.Backends() }

func TestGradientsEqualPyTorch(t *testing.T) {
	for name, dir := range goldenModels {
		for _, device := range devices() {
			for _, variant := range []string{"full", "elo"} {
				t.Run(name+"/"+device+"/"+variant, func(t *testing.T) {
					testGradients(t, name, dir, device, variant)
				})
			}
		}
	}
}

func testGradients(t *testing.T, name, dir, device, variant string) {
	ck, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	g := readGolden(t, filepath.Join(references, name))
	ref, file, prefix := g.Full, "gradients.safetensors", "full"
	if variant == "elo" {
		ref, file, prefix = g.Elo, "elo_gradients.safetensors", "elo"
	}
	want, err := safetensors.Open(filepath.Join(references, name, file))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	var wrt []Tensor
	for _, p := range ck.Config.Tensors(ref.Layers) {
		if variant == "full" || p.Layer >= 0 {
			wrt = append(wrt, p)
		}
	}
	got := gradients(t, device, ck, g, ref, Options{Layers: ref.Layers}, wrt)
	bound := func(f32 float64) float64 { return max(1e-5, 2*f32) }

	if e := math.Abs(float64(got.Float32s("loss")[0])-ref.Loss) / ref.Loss; !(e <= bound(ref.F32Error.Loss)) {
		t.Errorf("loss: got %v, want %v", got.Float32s("loss")[0], ref.Loss)
	}
	for i, l := range slices.Concat(ref.TokenLoss...) {
		if e := math.Abs(float64(got.Float32s("losses")[i]) - l); !(e <= 1e-4) {
			t.Errorf("loss of token %d: got %v, want %v", i, got.Float32s("losses")[i], l)
		}
	}
	checkLogits(t, name, prefix, g.LogitRows, got.Float32s("logits"), ck.Config.Vocab, bound(ref.F32Error.Logits))
	checkGradients(t, got, want, wrt, func(name string) float64 { return bound(ref.F32Error.Gradients[name]) })
}

// checkGradients holds every gradient to a bound on its relative error.
func checkGradients(t *testing.T, got tensor.Values, want *safetensors.File, wrt []Tensor, bound func(name string) float64) {
	t.Helper()
	if len(wrt) != len(want.Names()) {
		t.Fatalf("%d gradients, want %d", len(wrt), len(want.Names()))
	}
	worst := 0.0
	for _, p := range wrt {
		w := make([]float32, p.Len())
		if err := want.ReadF32(w, p.Name); err != nil {
			t.Fatal(err)
		}
		e := distance(got.Float32s("d "+p.Name), w)
		if b := bound(p.Name); !(e <= b) {
			t.Errorf("gradient of %s: error %.3g, want at most %.3g", p.Name, e, b)
		}
		worst = max(worst, e)
	}
	t.Logf("worst gradient error %.3g", worst)
}

func checkLogits(t *testing.T, name, tensorName string, rows []int, got []float32, vocab int, bound float64) {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(references, name, "logits.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]float32, len(rows)*vocab)
	if err := f.ReadF32(want, tensorName); err != nil {
		t.Fatal(err)
	}
	var picked []float32
	for _, r := range rows {
		picked = append(picked, got[r*vocab:(r+1)*vocab]...)
	}
	if e := distance(picked, want); !(e <= bound) {
		t.Errorf("logits: error %.3g, want at most %.3g", e, bound)
	}
}

func TestCheckpointedGradientsEqualPlainOnes(t *testing.T) {
	for _, tc := range []struct {
		name, device string
		act          kernels.DType
	}{
		{"stories260K", "cpu", kernels.F32},
		{"stories260K", "cpu", kernels.BF16},
		{"tinyllama-random", "cpu", kernels.F32},
		{"tinyllama-random", "cpu", kernels.BF16},
		{"tinyllama-random", "ref", kernels.F32},
	} {
		t.Run(fmt.Sprintf("%s/%s/%v", tc.name, tc.device, tc.act), func(t *testing.T) {
			ck, err := Open(goldenModels[tc.name])
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			g := readGolden(t, filepath.Join(references, tc.name))
			wrt := ck.Config.Tensors(nil)
			plain := gradients(t, tc.device, ck, g, g.Full, Options{Act: tc.act}, wrt)
			again := gradients(t, tc.device, ck, g, g.Full, Options{Act: tc.act, Checkpoint: true}, wrt)
			for out := range plain {
				if !slices.Equal(plain.Float32s(out), again.Float32s(out)) {
					t.Errorf("%s differs when layers are recomputed", out)
				}
			}
		})
	}
}

// Recomputing must take less memory, else it does nothing.
func TestCheckpointingSavesMemory(t *testing.T) {
	ck, err := Open(goldenModels["stories260K"])
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	be, err := kernels.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	temp := func(o Options) int64 {
		g := tensor.New("memory")
		in, w := Inputs(g, 2, 128, true), Params(g, ck.DType)
		h, err := ck.Config.Hidden(g, w, in, o)
		if err != nil {
			t.Fatal(err)
		}
		var params []*tensor.Tensor
		for _, p := range ck.Config.Tensors(nil) {
			params = append(params, w.Weight(p.Name, p.Shape...))
		}
		loss := g.Sum(ck.Config.Losses(g, w, h, in.Targets))
		for i, d := range g.Grad(loss, params...) {
			g.Output(fmt.Sprint("d", i), d)
		}
		p, err := g.Compile()
		if err != nil {
			t.Fatal(err)
		}
		pl, err := be.Plan(p)
		if err != nil {
			t.Fatal(err)
		}
		return pl.TempBytes
	}
	plain, again := temp(Options{}), temp(Options{Checkpoint: true})
	t.Logf("temporary memory %d bytes, %d when layers are recomputed", plain, again)
	if again > plain*2/3 { // one layer of five, and four inputs
		t.Errorf("recomputing takes %d bytes, want well below %d", again, plain)
	}
}
