package ref

import (
	"math"
	"math/rand/v2"
	"testing"

	"graft/kernels"
)

// operand is an array in float64: Eval never rounds, so that differences of
// its results are exact enough to differentiate.
type operand struct {
	t     kernels.DType
	shape []int
	x     []float64
}

func floats(x []float64, shape ...int) operand { return operand{kernels.F32, shape, x} }

func ints(x []float64, shape ...int) operand { return operand{kernels.I32, shape, x} }

func random(seed uint64, shape ...int) operand {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float64, kernels.Slot{Shape: shape}.Len())
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return floats(x, shape...)
}

func zeros(shape ...int) operand {
	return floats(make([]float64, kernels.Slot{Shape: shape}.Len()), shape...)
}

// run evaluates an op on dense operands; out gives the shapes and the old
// contents of the outputs.
func run(t *testing.T, op kernels.Op, at kernels.Attr, in, out []operand) []Result {
	t.Helper()
	p := &kernels.Program{Name: "test"}
	instr := kernels.Instr{Op: op, Attr: at}
	var mem [][]float64
	view := func(o operand) kernels.View {
		mem = append(mem, o.x)
		return kernels.Dense(p.AddSlot(kernels.Slot{DType: o.t, Shape: o.shape, Role: kernels.Persistent}), 0, o.shape...)
	}
	for _, o := range in {
		instr.In = append(instr.In, view(o))
	}
	for _, o := range out {
		instr.Out = append(instr.Out, view(o))
	}
	results, err := Eval(p, instr, func(v kernels.View) []float64 { return mem[v.Slot] })
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func near(a, b, tol float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= tol*(1+math.Abs(b))
}

// TestValues compares with results worked out by hand.
func TestValues(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	ln2 := math.Ln2
	f := floats
	for _, c := range []struct {
		name string
		op   kernels.Op
		at   kernels.Attr
		in   []operand
		out  []operand
		want [][]float64
	}{
		{"fill", kernels.Fill, kernels.Attr{Alpha: 3}, nil, []operand{zeros(2)}, [][]float64{{3, 3}}},
		{"copy", kernels.Copy, kernels.Attr{}, []operand{f([]float64{1, -2}, 2)}, []operand{zeros(2)}, [][]float64{{1, -2}}},
		{"affine", kernels.Unary, kernels.Attr{Alpha: 2, Beta: 1}, []operand{f([]float64{3, -4}, 2)}, []operand{zeros(2)}, [][]float64{{7, -7}}},
		{"exp", kernels.Unary, kernels.Attr{Unary: kernels.Exp}, []operand{f([]float64{0, ln2, -inf}, 3)}, []operand{zeros(3)}, [][]float64{{1, 2, 0}}},
		{"log", kernels.Unary, kernels.Attr{Unary: kernels.Log}, []operand{f([]float64{1, 2, 0, -1}, 4)}, []operand{zeros(4)}, [][]float64{{0, ln2, -inf, nan}}},
		{"sqrt", kernels.Unary, kernels.Attr{Unary: kernels.Sqrt}, []operand{f([]float64{9, 0, -1}, 3)}, []operand{zeros(3)}, [][]float64{{3, 0, nan}}},
		{"recip", kernels.Unary, kernels.Attr{Unary: kernels.Recip}, []operand{f([]float64{4, 0}, 2)}, []operand{zeros(2)}, [][]float64{{0.25, inf}}},
		{"tanh", kernels.Unary, kernels.Attr{Unary: kernels.Tanh}, []operand{f([]float64{ln2, inf}, 2)}, []operand{zeros(2)}, [][]float64{{0.6, 1}}},
		{"sigmoid", kernels.Unary, kernels.Attr{Unary: kernels.Sigmoid}, []operand{f([]float64{ln2, -inf}, 2)}, []operand{zeros(2)}, [][]float64{{2.0 / 3, 0}}},
		{"relu", kernels.Unary, kernels.Attr{Unary: kernels.ReLU}, []operand{f([]float64{-1, 2, nan}, 3)}, []operand{zeros(3)}, [][]float64{{0, 2, nan}}},
		{"step", kernels.Unary, kernels.Attr{Unary: kernels.Step}, []operand{f([]float64{-1, 0, 2}, 3)}, []operand{zeros(3)}, [][]float64{{0, 0, 1}}},
		{"sub", kernels.Binary, kernels.Attr{Binary: kernels.Sub}, []operand{f([]float64{5, 1}, 2), f([]float64{2, 3}, 2)}, []operand{zeros(2)}, [][]float64{{3, -2}}},
		{"div", kernels.Binary, kernels.Attr{Binary: kernels.Div}, []operand{f([]float64{5, 1}, 2), f([]float64{2, 0}, 2)}, []operand{zeros(2)}, [][]float64{{2.5, inf}}},
		{"equal", kernels.Binary, kernels.Attr{Binary: kernels.Equal}, []operand{f([]float64{5, 1}, 2), f([]float64{5, 0}, 2)}, []operand{zeros(2)}, [][]float64{{1, 0}}},
		{"sum of rows and beta", kernels.Reduce, kernels.Attr{Beta: 2}, []operand{f([]float64{1, 2, 3, 4}, 2, 2)}, []operand{f([]float64{10, 20}, 1, 2)}, [][]float64{{24, 46}}},
		{"max of columns", kernels.Reduce, kernels.Attr{Reduce: kernels.Max}, []operand{f([]float64{-1, -2, nan, 4}, 2, 2)}, []operand{zeros(2, 1)}, [][]float64{{-1, nan}}},
		{"gather", kernels.Gather, kernels.Attr{}, []operand{f([]float64{1, 2, 3, 4}, 2, 2), ints([]float64{1, -1, 0, 2}, 4)}, []operand{zeros(4, 2)},
			[][]float64{{3, 4, 0, 0, 1, 2, 0, 0}}},
		{"put_rows", kernels.PutRows, kernels.Attr{}, []operand{f([]float64{1, 2, 3, 4}, 2, 2), ints([]float64{2, -1}, 2)}, []operand{f([]float64{9, 8, 7, 6, 5, 4}, 3, 2)},
			[][]float64{{9, 8, 7, 6, 1, 2}}},
		{"matmul", kernels.MatMul, kernels.Attr{Alpha: 1}, []operand{f([]float64{1, 2, 3, 4, 5, 6}, 2, 3), f([]float64{1, 0, 0, 1, 1, 1}, 3, 2)}, []operand{zeros(2, 2)},
			[][]float64{{4, 5, 10, 11}}},
		{"matmul transposed, everything", kernels.MatMul, kernels.Attr{Alpha: 2, Beta: -1, TransA: true, TransB: true, Opt: kernels.WithBias | kernels.WithResidual},
			[]operand{f([]float64{1, 4, 2, 5, 3, 6}, 3, 2), f([]float64{1, 0, 1, 0, 1, 1}, 2, 3), f([]float64{100, 200}, 2), f([]float64{1, 2, 3, 4}, 2, 2)},
			[]operand{f([]float64{10, 20, 30, 40}, 2, 2)}, [][]float64{{8 + 100 + 1 - 10, 10 + 200 + 2 - 20, 20 + 100 + 3 - 30, 22 + 200 + 4 - 40}}},
		{"matmul, batch of two", kernels.MatMul, kernels.Attr{Alpha: 1}, []operand{f([]float64{1, 2, 3, 4}, 2, 1, 2), f([]float64{1, 10, 2, 5}, 2, 2, 1)}, []operand{zeros(2, 1, 1)},
			[][]float64{{21, 26}}},
		{"embed", kernels.Embed, kernels.Attr{}, []operand{ints([]float64{1, 7}, 2), f([]float64{1, 2, 3, 4}, 2, 2)}, []operand{zeros(2, 2)}, [][]float64{{3, 4, 0, 0}}},
		{"embed_bwd", kernels.EmbedBwd, kernels.Attr{}, []operand{f([]float64{1, 2, 3, 4, 5, 6}, 3, 2), ints([]float64{1, -1, 1}, 3), ints([]float64{1, 0, 2}, 3), ints([]float64{0, 1, 3, 3}, 4)},
			[]operand{f([]float64{10, 20, 30, 40}, 2, 2)}, [][]float64{{10, 20, 36, 48}}},
		{"rms_norm", kernels.RMSNorm, kernels.Attr{Eps: 0.5, PlusOne: true, Opt: kernels.WithResidual}, []operand{f([]float64{1, 2}, 1, 2), f([]float64{1, 3}, 2), f([]float64{0, 1}, 1, 2)}, []operand{zeros(1, 2), zeros(1), zeros(1, 2)},
			[][]float64{{2 / math.Sqrt(5.5), 12 / math.Sqrt(5.5)}, {1 / math.Sqrt(5.5)}, {1, 3}}},
		{"rope, quarter turn, last axis copied", kernels.RoPE, kernels.Attr{Sign: 1, Scale: 2}, []operand{f([]float64{3, 4, 5}, 1, 1, 3), ints([]float64{2}, 1), f([]float64{math.Pi / 4}, 1)}, []operand{zeros(1, 1, 3)},
			[][]float64{{-8, 6, 5}}},
		{"rope, two tokens of two heads", kernels.RoPE, kernels.Attr{Sign: 1, Scale: 1}, []operand{f([]float64{1, 0, 2, 0, 3, 0, 4, 0}, 2, 2, 2), ints([]float64{0, 1}, 2), f([]float64{math.Pi / 2}, 1)}, []operand{zeros(2, 2, 2)},
			[][]float64{{1, 0, 2, 0, 0, 3, 0, 4}}},
		{"silu", kernels.GLU, kernels.Attr{}, []operand{f([]float64{ln2}, 1, 1), f([]float64{3}, 1, 1)}, []operand{zeros(1, 1)}, [][]float64{{2 * ln2}}},
		{"gelu", kernels.GLU, kernels.Attr{Act: kernels.GELUTanh}, []operand{f([]float64{1}, 1, 1), f([]float64{1}, 1, 1)}, []operand{zeros(1, 1)}, [][]float64{{0.8411919906082768}}},
		// Two tokens, head size 1: the second sees both keys with scores 0 and
		// ln 3, so that its shares are 1/4 and 3/4.
		{"attention", kernels.Attention, kernels.Attr{Scale: 1}, []operand{f([]float64{1, 1}, 1, 2, 1, 1), f([]float64{0, math.Log(3)}, 1, 2, 1, 1), f([]float64{4, 8}, 1, 2, 1, 1), ints([]float64{0, 0, 2, 2}, 2, 1, 2)},
			[]operand{zeros(1, 2, 1, 1), zeros(1, 1, 2)}, [][]float64{{4, 7}, {0, math.Log(4)}}},
		{"attention, own document each", kernels.Attention, kernels.Attr{Scale: 1}, []operand{f([]float64{1, 1}, 1, 2, 1, 1), f([]float64{0, 5}, 1, 2, 1, 1), f([]float64{4, 8}, 1, 2, 1, 1), ints([]float64{0, 1, 1, 2}, 2, 1, 2)},
			[]operand{zeros(1, 2, 1, 1), zeros(1, 1, 2)}, [][]float64{{4, 8}, {0, 5}}},
		{"attention, window, row of a cache, nothing seen", kernels.Attention, kernels.Attr{Scale: 1, Window: 2, Opt: kernels.WithRows},
			[]operand{f([]float64{1, 1}, 1, 2, 1, 1), f([]float64{9, 0, math.Log(3), nan}, 1, 4, 1, 1), f([]float64{9, 4, 8, nan}, 1, 4, 1, 1), ints([]float64{0, 3, 3, 4}, 2, 1, 2), ints([]float64{2, 1}, 1, 2)},
			[]operand{zeros(1, 2, 1, 1), zeros(1, 1, 2)}, [][]float64{{7, 0}, {math.Log(4), -inf}}},
		{"attention, four heads on two key heads", kernels.Attention, kernels.Attr{Scale: 1}, []operand{f([]float64{1, 1, 1, 1}, 1, 1, 4, 1), f([]float64{2, 3}, 1, 1, 2, 1), f([]float64{5, 7}, 1, 1, 2, 1), ints([]float64{0, 1}, 2, 1, 1)},
			[]operand{zeros(1, 1, 4, 1), zeros(1, 4, 1)}, [][]float64{{5, 5, 7, 7}, {2, 2, 3, 3}}},
		{"attention, a row for each sequence", kernels.Attention, kernels.Attr{Scale: 1, Opt: kernels.WithRows},
			[]operand{f([]float64{1, 1}, 2, 1, 1, 1), f([]float64{0, 0, 0, 0}, 2, 2, 1, 1), f([]float64{1, 2, 3, 4}, 2, 2, 1, 1), ints([]float64{0, 1, 2, 2}, 2, 2, 1), ints([]float64{0, 1}, 2, 1)},
			[]operand{zeros(2, 1, 1, 1), zeros(2, 1, 1)}, [][]float64{{1, 4}, {0, 0}}},
		{"softmax", kernels.Softmax, kernels.Attr{Scale: 2}, []operand{f([]float64{0, ln2 / 2, 0}, 1, 1, 1, 3)}, []operand{zeros(1, 1, 1, 3), zeros(1, 1, 1)}, [][]float64{{0.25, 0.5, 0.25}, {2 * ln2}}},
		{"cross_entropy", kernels.CrossEntropy, kernels.Attr{Scale: 1}, []operand{f([]float64{0, ln2, 0, 0, ln2, 0}, 2, 3), ints([]float64{1, -1}, 2)}, []operand{zeros(2), zeros(2)}, [][]float64{{ln2, 0}, {2 * ln2, 2 * ln2}}},
		{"cross_entropy, cap", kernels.CrossEntropy, kernels.Attr{Scale: 2, SoftCap: 3}, []operand{f([]float64{1.5 * ln2, 0}, 1, 2), ints([]float64{1}, 1)}, []operand{zeros(1), zeros(1)},
			[][]float64{{math.Log(1 + math.Exp(1.8))}, {math.Log(1 + math.Exp(1.8))}}},
		{"sum_sq", kernels.SumSq, kernels.Attr{Beta: 1}, []operand{f([]float64{3, 4}, 2)}, []operand{f([]float64{2}, 1)}, [][]float64{{27}}},
		{"advance", kernels.Advance, kernels.Attr{Beta1: 0.5, Beta2: 0.75}, []operand{f([]float64{6}, 1), f([]float64{16}, 1), f([]float64{0, 1, 0, 0, 0, 0, 0, 0}, 8)},
			[]operand{f([]float64{1, 5, 0.5, 0.25, 9, 0, 0, 0}, 8)}, [][]float64{{2, 5, 0.75, 0.4375, 1 / (4 + 1e-6), 1, 4, 6}}},
		{"advance, below the limit", kernels.Advance, kernels.Attr{Beta1: 0.5, Beta2: 0.75}, []operand{f([]float64{6}, 1), f([]float64{0.25}, 1), f([]float64{0, 1, 0, 0, 0, 0, 0, 0}, 8)},
			[]operand{zeros(8)}, [][]float64{{1, 0, 0.5, 0.25, 1, 1, 0.5, 6}}},
		{"advance, loss not a number", kernels.Advance, kernels.Attr{}, []operand{f([]float64{nan}, 1), f([]float64{4}, 1), f([]float64{0, 1, 0, 0, 0, 0, 0, 0}, 8)},
			[]operand{f([]float64{1, 5, 0.5, 0.25, 9, 1, 0, 0}, 8)}, [][]float64{{1, 6, 0.5, 0.25, 9, 0, 2, nan}}},
		{"advance, skipped", kernels.Advance, kernels.Attr{Beta1: 0.5, Beta2: 0.75}, []operand{f([]float64{6}, 1), f([]float64{inf}, 1), f([]float64{0, 1, 0, 0, 0, 0, 0, 0}, 8)},
			[]operand{f([]float64{1, 5, 0.5, 0.25, 9, 1, 0, 0}, 8)}, [][]float64{{1, 6, 0.5, 0.25, 9, 0, inf, 6}}},
		{"adamw", kernels.AdamW, kernels.Attr{Beta1: 0.5, Beta2: 0.75, Eps: 0.5, Decay: 0.25}, []operand{f([]float64{4}, 1), f([]float64{0.5, 0, 0, 0, 0, 0, 0, 0}, 8), f([]float64{1, 0, 0.5, 0.25, 0.5, 1, 0, 0}, 8)},
			[]operand{f([]float64{2}, 1), zeros(1), zeros(1)}, [][]float64{{2*(1-0.125) - 1*1/(2+0.5)}, {1}, {1}}},
		{"adamw, clipped, with a store", kernels.AdamW, kernels.Attr{Beta1: 0.5, Beta2: 0.75, Opt: kernels.WithStore}, []operand{f([]float64{8}, 1), f([]float64{0.5, 0, 0, 0, 0, 0, 0, 0}, 8), f([]float64{1, 0, 0.5, 0.25, 0.5, 1, 0, 0}, 8)},
			[]operand{f([]float64{2}, 1), zeros(1), zeros(1), zeros(1)}, [][]float64{{1.5}, {2}, {4}, {1.5}}},
		{"adamw, skipped", kernels.AdamW, kernels.Attr{Beta1: 0.5, Beta2: 0.75, Eps: 0.5}, []operand{f([]float64{4}, 1), f([]float64{0.5, 0, 0, 0, 0, 0, 0, 0}, 8), zeros(8)},
			[]operand{f([]float64{2}, 1), f([]float64{3}, 1), f([]float64{5}, 1)}, [][]float64{{2}, {3}, {5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for o, r := range run(t, c.op, c.at, c.in, c.out) {
				for i, want := range c.want[o] {
					if !near(r.Exact[i], want, 1e-12) {
						t.Errorf("output %d: got %v, want %v", o, r.Exact, c.want[o])
						break
					}
				}
			}
		})
	}
}

func TestScale(t *testing.T) {
	a, b := floats([]float64{1, -2, 3}, 1, 3), floats([]float64{4, 5, -6}, 3, 1)
	r := run(t, kernels.MatMul, kernels.Attr{Alpha: 2, Beta: 1}, []operand{a, b}, []operand{floats([]float64{-7}, 1, 1)})
	if got, want := r[0].Scale[0], 2*(4+10+18)+7.0; got != want {
		t.Errorf("matmul: scale %v, want the sum of magnitudes %v", got, want)
	}
	r = run(t, kernels.Reduce, kernels.Attr{}, []operand{a}, []operand{zeros(1, 1)})
	if got, want := r[0].Scale[0], 6.0; got != want {
		t.Errorf("reduce: scale %v, want the sum of magnitudes %v", got, want)
	}
}

func TestRound(t *testing.T) {
	tie := 1 + 1.0/256 // between two bfloat16; the even one is 1
	for _, c := range []struct {
		t    kernels.DType
		x    float64
		want float64
	}{
		{kernels.BF16, tie, 1},
		{kernels.BF16, tie + 1e-12, 1 + 1.0/128}, // float32 would round this to the tie
		{kernels.BF16, -tie - 1e-12, -1 - 1.0/128},
		{kernels.BF16, 1 + 3.0/256 - 1e-12, 1 + 1.0/128},
		{kernels.BF16, 1e39, math.Inf(1)},
		{kernels.BF16, math.MaxFloat32, math.Inf(1)},
		{kernels.F16, 1 + 1.0/2048 + 1e-12, 1 + 1.0/1024},
		{kernels.F16, 65519.999999999, 65504},
		{kernels.F16, 1e-40, 0},
		{kernels.F32, 1 + 1.0/(1<<24), 1},
		{kernels.F32, math.NaN(), math.NaN()},
	} {
		if got := Round(c.t, c.x); !near(got, c.want, 0) {
			t.Errorf("%v of %v: got %v, want %v", c.t, c.x, got, c.want)
		}
	}
}
