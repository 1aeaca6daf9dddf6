package tensor_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	_ "graft/kernels/ref"
	"graft/tensor"
	"graft/tensor/gradcheck"
)

func open(t testing.TB) kernels.Backend {
	t.Helper()
	be, err := kernels.Open("ref")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

// normal gives reproducible values around zero; positive ones lie in (0.5, 2).
func normal(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func positive(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = 0.5 + 1.5*r.Float32()
	}
	return x
}

// setup is a graph under test: parameters by name, extra inputs, the loss.
type setup struct {
	name   string
	params map[string][]int
	pos    []string // parameters with positive values
	ints   tensor.Values
	scalar bool
	loss   func(g *tensor.Graph, p map[string]*tensor.Tensor) *tensor.Tensor
}

func (s setup) values() tensor.Values {
	v := tensor.Values{"mix": normal(99, 4096)}
	for i, name := range s.names() {
		n := kernels.Slot{Shape: s.params[name]}.Len()
		if slices.Contains(s.pos, name) {
			v[name] = positive(uint64(i), n)
		} else {
			v[name] = normal(uint64(i), n)
		}
	}
	for name, x := range s.ints {
		v[name] = x
	}
	return v
}

func (s setup) names() []string {
	var names []string
	for name := range s.params {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// build multiplies the value under test by fixed random numbers before it is
// summed: an operation that ignores its incoming gradient must fail. The sum is
// left to gradcheck, in float64, unless the graph needs a scalar root.
func (s setup) build(g *tensor.Graph) (*tensor.Tensor, map[string]*tensor.Tensor) {
	p := map[string]*tensor.Tensor{}
	for _, name := range s.names() {
		p[name] = g.Param(name, kernels.F32, s.params[name]...)
	}
	y := s.loss(g, p)
	mix := g.Part(g.Param("mix", kernels.F32, 4096), 0, y.Shape()...)
	if loss := g.Mul(y, mix); !s.scalar {
		return loss, p
	}
	return g.Sum(g.Mul(y, mix)), p
}

// documents gives two sequences of 6: documents of 4 and 2, and one of 6.
var documents = []int32{
	0, 0, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0,
	4, 4, 4, 4, 6, 6, 6, 6, 6, 6, 6, 6,
}

func attention(window int, softCap float32, permuted bool) func(*tensor.Graph, map[string]*tensor.Tensor) *tensor.Tensor {
	return func(g *tensor.Graph, p map[string]*tensor.Tensor) *tensor.Tensor {
		q := p["q"]
		if permuted { // stored as (T, B, H, D)
			q = g.Permute(q, 1, 0, 2, 3)
		}
		docs := g.Input("docs", kernels.I32, 2, 2, 6)
		return g.Attention(q, p["k"], p["v"], tensor.Visible{Documents: docs, Window: window}, 0.6, softCap)
	}
}

var qkv = map[string][]int{"q": {2, 6, 4, 4}, "k": {2, 6, 2, 4}, "v": {2, 6, 2, 4}}

func setups() []setup {
	type P = map[string]*tensor.Tensor
	type G = *tensor.Graph
	ids := tensor.Values{
		"ids": []int32{3, 1, 3, 0, 9, 1}, "order": []int32{3, 1, 5, 0, 2, 4}, "starts": []int32{0, 1, 3, 5, 6, 6, 6},
	}
	docs := tensor.Values{"docs": documents}
	pos := tensor.Values{"pos": []int32{0, 1, 2, 0, 7}}
	targets := tensor.Values{"targets": []int32{2, -1, 0, 6, 6}}
	xy := map[string][]int{"x": {3, 4}, "y": {3, 4}}
	lin := map[string][]int{"h": {5, 4}, "head": {7, 4}}
	un := func(name string, pos bool, f func(g G, x *tensor.Tensor) *tensor.Tensor) setup {
		s := setup{name: name, params: map[string][]int{"x": {3, 4}}, loss: func(g G, p P) *tensor.Tensor { return f(g, p["x"]) }}
		if pos {
			s.pos = []string{"x"}
		}
		return s
	}
	return []setup{
		un("affine", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Affine(x, 2, 3) }),
		un("exp", false, G.Exp), un("log", true, G.Log), un("sqrt", true, G.Sqrt), un("recip", true, G.Recip),
		un("tanh", false, G.Tanh), un("sigmoid", false, G.Sigmoid), un("relu", true, G.ReLU),
		un("x*x aliases", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Mul(x, x) }),
		un("x/x+x", true, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Add(g.Div(x, g.Exp(x)), x) }),
		un("sum axis", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Mul(x, g.Sum(x, 0)) }),
		un("mean", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Mul(x, g.Mean(x)) }),
		un("max", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Max(x, -1) }),
		un("reshape", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Reshape(g.Exp(x), 2, -1) }),
		un("permute", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Exp(g.Permute(x, 1, 0)) }),
		un("slice", false, func(g G, x *tensor.Tensor) *tensor.Tensor {
			return g.Mul(g.Slice(x, 1, 0, 2), g.Exp(g.Slice(x, 1, 2, 4)))
		}),
		un("broadcast", false, func(g G, x *tensor.Tensor) *tensor.Tensor { return g.Exp(g.Broadcast(x, 2, 3, 4)) }),
		{name: "add", params: xy, loss: func(g G, p P) *tensor.Tensor { return g.Add(p["x"], g.Exp(p["y"])) }},
		{name: "sub", params: xy, loss: func(g G, p P) *tensor.Tensor { return g.Sub(p["x"], g.Exp(p["y"])) }},
		{name: "mul row", params: map[string][]int{"x": {3, 4}, "y": {4}}, loss: func(g G, p P) *tensor.Tensor { return g.Mul(p["x"], p["y"]) }},
		{name: "div column", params: map[string][]int{"x": {3, 4}, "y": {3, 1}}, pos: []string{"y"}, loss: func(g G, p P) *tensor.Tensor { return g.Div(p["x"], p["y"]) }},
		matmulSetup("matmul nn", []int{3, 4}, []int{4, 5}), matmulSetup("matmul nt", []int{3, 4}, []int{5, 4}, tensor.TransB),
		matmulSetup("matmul tn", []int{4, 3}, []int{4, 5}, tensor.TransA), matmulSetup("matmul tt", []int{4, 3}, []int{5, 4}, tensor.TransA, tensor.TransB),
		matmulSetup("matmul batch", []int{2, 3, 4}, []int{2, 4, 5}),
		{name: "linear", params: map[string][]int{"x": {3, 4}, "w": {5, 4}, "b": {5}, "r": {3, 5}}, loss: func(g G, p P) *tensor.Tensor {
			return g.Linear(g.Exp(p["x"]), p["w"], p["b"], g.Exp(p["r"]), tensor.TransB)
		}},
		{name: "weight used twice", params: map[string][]int{"x": {3, 4}, "w": {4, 4}}, loss: func(g G, p P) *tensor.Tensor {
			return g.MatMul(g.MatMul(p["x"], p["w"]), g.Add(p["w"], g.Exp(p["w"])))
		}},
		{name: "embed", params: map[string][]int{"table": {4, 5}}, ints: ids, loss: func(g G, p P) *tensor.Tensor {
			in := func(name string, n int) *tensor.Tensor { return g.Input(name, kernels.I32, n) }
			return g.Exp(g.Embed(in("ids", 6), p["table"], tensor.Sorted{Order: in("order", 6), Starts: in("starts", 7)}))
		}},
		{name: "rms norm", params: map[string][]int{"x": {3, 6}, "w": {6}}, loss: func(g G, p P) *tensor.Tensor { return g.RMSNorm(p["x"], p["w"], 1e-3) }},
		{name: "rms norm 1+w", params: map[string][]int{"x": {3, 6}, "w": {6}}, loss: func(g G, p P) *tensor.Tensor {
			return g.RMSNorm(p["x"], p["w"], 1e-3, tensor.PlusOne)
		}},
		{name: "add rms norm", params: map[string][]int{"x": {3, 6}, "r": {3, 6}, "w": {6}}, loss: func(g G, p P) *tensor.Tensor {
			y, sum := g.AddRMSNorm(g.Exp(p["x"]), p["r"], p["w"], 1e-3)
			return g.Add(y, g.Tanh(sum))
		}},
		{name: "add rms norm, sum only", params: map[string][]int{"x": {3, 6}, "r": {3, 6}}, loss: func(g G, p P) *tensor.Tensor {
			_, sum := g.AddRMSNorm(p["x"], p["r"], g.Full(1, kernels.F32, 6), 1e-3)
			return g.Exp(sum)
		}},
		{name: "rope", params: map[string][]int{"x": {5, 2, 6}}, ints: pos, loss: func(g G, p P) *tensor.Tensor {
			return g.RoPE(p["x"], g.Input("pos", kernels.I32, 5), g.Full(0.3, kernels.F32, 2), 1.5)
		}},
		{name: "silu glu", params: xy, loss: func(g G, p P) *tensor.Tensor { return g.GLU(p["x"], p["y"], kernels.SiLU) }},
		{name: "gelu glu", params: xy, loss: func(g G, p P) *tensor.Tensor { return g.GLU(p["x"], p["y"], kernels.GELUTanh) }},
		{name: "attention", params: qkv, ints: docs, loss: attention(0, 0, false)},
		{name: "attention window cap", params: qkv, ints: docs, loss: attention(3, 2, false)},
		{name: "attention strided", params: map[string][]int{"q": {6, 2, 4, 4}, "k": {2, 6, 2, 4}, "v": {2, 6, 2, 4}}, ints: docs, loss: attention(0, 0, true)},
		{name: "softmax", params: map[string][]int{"x": {2, 3, 6, 6}}, ints: docs, loss: func(g G, p P) *tensor.Tensor {
			return g.Softmax(p["x"], tensor.Visible{Documents: g.Input("docs", kernels.I32, 2, 2, 6), Window: 4}, 0.7, 3)
		}},
		{name: "cross-entropy", params: map[string][]int{"x": {5, 7}}, ints: targets, loss: func(g G, p P) *tensor.Tensor {
			return g.CrossEntropy(p["x"], g.Input("targets", kernels.I32, 5))
		}},
		{scalar: true, name: "linear ce, factor known", params: lin, ints: targets, loss: func(g G, p P) *tensor.Tensor {
			return g.LinearCE(g.Affine(p["h"], 0.7, 0), p["head"], g.Input("targets", kernels.I32, 5), 1.3, 4)
		}},
		{scalar: true, name: "linear ce, factor from the parameters", params: lin, ints: targets, loss: func(g G, p P) *tensor.Tensor {
			l := g.LinearCE(g.Affine(p["h"], 0.7, 0), p["head"], g.Input("targets", kernels.I32, 5), 1, 0)
			return g.Mul(l, l)
		}},
		{scalar: true, name: "linear ce, summed and scaled", params: lin, ints: targets, loss: func(g G, p P) *tensor.Tensor {
			l := g.LinearCE(g.Exp(p["h"]), p["head"], g.Input("targets", kernels.I32, 5), 1, 0)
			return g.Sub(g.Full(1, kernels.F32, 1), g.Affine(g.Sum(l), 0.25, 1))
		}},
		{scalar: true, name: "tied head", params: map[string][]int{"table": {7, 4}}, loss: func(g G, p P) *tensor.Tensor {
			in := func(name string, n int) *tensor.Tensor { return g.Input(name, kernels.I32, n) }
			h := g.Embed(in("ids", 5), p["table"], tensor.Sorted{Order: in("order", 5), Starts: in("starts", 6)})
			return g.LinearCE(g.Tanh(h), p["table"], in("targets", 5), 1, 0)
		}, ints: tensor.Values{"targets": []int32{2, -1, 0, 6, 6}, "ids": []int32{6, 2, 6, 0, 1}, "order": []int32{3, 4, 1, 0, 2}, "starts": []int32{0, 1, 2, 3, 5, 5}}},
	}
}

func matmulSetup(name string, a, b []int, flags ...tensor.Flag) setup {
	return setup{name: name, params: map[string][]int{"a": a, "b": b}, loss: func(g *tensor.Graph, p map[string]*tensor.Tensor) *tensor.Tensor {
		return g.MatMul(g.Affine(p["a"], 0.5, 0), p["b"], flags...)
	}}
}

func TestGradients(t *testing.T) {
	be := open(t)
	for _, s := range setups() {
		t.Run(s.name, func(t *testing.T) {
			if err := gradcheck.Check(be, s.build, s.values(), gradcheck.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGradientsCovered holds the list of setups to the op table: every op that
// a builder method makes must be differentiated by some setup, or be listed
// here with its reason.
func TestGradientsCovered(t *testing.T) {
	without := map[kernels.Op]string{
		kernels.PutRows: "writes memory, gives no value", kernels.Gather: "Embed is its differentiable form",
		kernels.SumSq: "optimizer", kernels.Advance: "optimizer", kernels.AdamW: "optimizer",
	}
	seen := map[kernels.Op]bool{}
	for _, s := range setups() {
		g := tensor.New(s.name)
		loss, p := s.build(g)
		g.Output("loss", loss)
		for _, name := range s.names() {
			g.Output("d."+name, g.Grad(loss, p[name])[0])
		}
		prog, err := g.Compile()
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for _, in := range prog.Code {
			seen[in.Op] = true
		}
	}
	for op := range kernels.NumOps {
		if why := without[op]; seen[op] == (why != "") {
			t.Errorf("%v: in a differentiated graph %v, reason without %q", op, seen[op], why)
		}
	}
}

func TestLinearCEFusion(t *testing.T) {
	count := func(build func(g *tensor.Graph, losses, known *tensor.Tensor) *tensor.Tensor) (fused, plain int) {
		g := tensor.New("fusion")
		h, head := g.Param("h", kernels.F32, 5, 4), g.Param("head", kernels.F32, 7, 4)
		known := g.Input("known", kernels.F32, 1)
		loss := build(g, g.LinearCE(h, head, g.Input("targets", kernels.I32, 5), 1, 0), known)
		g.Output("loss", loss)
		g.Output("dh", g.Grad(loss, h)[0])
		p, err := g.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range p.Code {
			switch in.Op {
			case kernels.LinearCE:
				plain++
			case kernels.LinearCEGrad:
				fused++
			}
		}
		return fused, plain
	}
	for _, c := range []struct {
		name  string
		build func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor
		plain int
	}{
		{"sum", func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor { return g.Sum(l) }, 0},
		{"sum times input", func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor { return g.Mul(g.Sum(l), known) }, 0},
		{"input times losses", func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor { return g.Sum(g.Mul(known, l)) }, 0},
		{"square", func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor { s := g.Sum(l); return g.Mul(s, s) }, 1},
		{"exp", func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor { return g.Exp(g.Sum(l)) }, 1},
		{"factor made later", func(g *tensor.Graph, l, known *tensor.Tensor) *tensor.Tensor { return g.Mul(g.Sum(l), g.Exp(known)) }, 1},
	} {
		if fused, plain := count(c.build); fused != 1 || plain != c.plain {
			t.Errorf("%s: got %d LinearCEGrad and %d LinearCE, want 1 and %d", c.name, fused, plain, c.plain)
		}
	}
}

// TestCheckpointExact demands that a checkpointed gradient equals the plain one
// to the bit and that the forward values inside are not kept.
func TestCheckpointExact(t *testing.T) {
	be := open(t)
	run := func(checkpoint bool) (tensor.Values, int) {
		g := tensor.New("checkpoint")
		x, w, u := g.Param("x", kernels.F32, 3, 4), g.Param("w", kernels.F32, 4, 4), g.Param("u", kernels.F32, 4)
		h := x
		for range 3 {
			layer := func() {
				n := g.RMSNorm(h, u, 1e-5)
				n = g.MatMul(g.GLU(n, g.Reshape(g.Reshape(n, 12), 3, 4), kernels.SiLU), w)
				h = g.Add(h, n)
			}
			if checkpoint {
				g.Checkpoint(layer)
			} else {
				layer()
			}
		}
		loss := g.Sum(g.Mul(h, h))
		g.Output("loss", loss)
		for i, d := range g.Grad(loss, x, w, u) {
			g.Output([]string{"dx", "dw", "du"}[i], d)
		}
		out, err := tensor.Eval(be, g, tensor.Values{"x": normal(1, 12), "w": normal(2, 16), "u": normal(3, 4)})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := g.Compile()
		return out, len(p.Code)
	}
	plain, n := run(false)
	again, m := run(true)
	for name, v := range plain {
		if !slices.Equal(v.([]float32), again[name].([]float32)) {
			t.Errorf("%s: got %v, want %v", name, again[name], v)
		}
	}
	if m <= n {
		t.Errorf("checkpointed program has %d instructions, plain one %d: nothing is recomputed", m, n)
	}
}

func TestStickyErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(g *tensor.Graph)
		want  []string
	}{
		{"matmul", func(g *tensor.Graph) {
			x := g.MatMul(g.Input("a", kernels.F32, 8, 64), g.Input("b", kernels.F32, 32, 16))
			g.Output("y", g.Add(x, x)) // must not panic or hide the first error
		}, []string{"matmul", "[8 64]", "[32 16]", "grad_test.go:"}},
		{"broadcast", func(g *tensor.Graph) {
			g.Add(g.Input("a", kernels.F32, 3), g.Input("b", kernels.F32, 4))
		}, []string{"add", "[3]", "[4]"}},
		{"types", func(g *tensor.Graph) {
			g.Mul(g.Input("a", kernels.F32, 3), g.Input("b", kernels.BF16, 3))
		}, []string{"binary", "bf16"}},
		{"other graph", func(g *tensor.Graph) { g.Exp(tensor.New("else").Input("a", kernels.F32, 3)) }, []string{"exp", `"else"`}},
		{"no gradient", func(g *tensor.Graph) {
			x := g.Param("x", kernels.F32, 4, 2)
			g.Grad(g.Sum(g.Gather(x, g.Input("ids", kernels.I32, 3))), x)
		}, []string{"gather", "no gradient"}},
		{"redeclared", func(g *tensor.Graph) { g.Param("x", kernels.F32, 4); g.Param("x", kernels.F32, 5) }, []string{`"x"`, "[4]", "[5]"}},
		{"reshape", func(g *tensor.Graph) { g.Reshape(g.Input("x", kernels.F32, 6), 4, -1) }, []string{"reshape", "[6]"}},
		{"integer gradient", func(g *tensor.Graph) { x := g.Input("x", kernels.I32, 6); g.Grad(g.Input("y", kernels.F32, 1), x) }, []string{"i32"}},
		{"dim of nothing", func(g *tensor.Graph) { g.Input("x", kernels.F32, 6).Dim(3) }, []string{"axis 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := tensor.New("sticky")
			c.build(g)
			_, err := g.Compile()
			if !errors.Is(err, tensor.ErrGraph) {
				t.Fatalf("got %v, want an error", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %q, want it to contain %q", err, w)
				}
			}
		})
	}
}
