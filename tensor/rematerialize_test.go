package tensor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/kernels/plan"
	_ "graft/kernels/ref"
)

// keeping is the graph's program with everything kept for the backward pass.
func keeping(t *testing.T, g *Graph) *kernels.Program {
	t.Helper()
	p, err := g.program()
	if err != nil {
		t.Fatal(err)
	}
	dropUnused(p)
	return p
}

func compiled(t *testing.T, g *Graph) *kernels.Program {
	t.Helper()
	p, err := g.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// more counts by operation what q does oftener than p.
func more(p, q *kernels.Program) map[kernels.Op]int {
	n := map[kernels.Op]int{}
	for _, in := range q.Code {
		n[in.Op]++
	}
	for _, in := range p.Code {
		n[in.Op]--
	}
	maps.DeleteFunc(n, func(_ kernels.Op, n int) bool { return n == 0 })
	return n
}

func planned(t *testing.T, p *kernels.Program) int64 {
	t.Helper()
	l, err := plan.Memory(p, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l.Bytes
}

// sameBits runs both programs on random parameters and compares all that they
// leave behind.
func sameBits(t *testing.T, device string, p, q *kernels.Program) {
	t.Helper()
	be, err := kernels.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	values := Values{}
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range p.Slots {
		switch {
		case s.Role == kernels.Temp || s.Role == kernels.Output:
		case s.DType == kernels.I32:
			values[s.Name] = make([]int32, s.Len())
		default:
			x := make([]float32, s.Len())
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			values[s.Name] = x
		}
	}
	want, err := evalProgram(be, p, values)
	if err != nil {
		t.Fatal(err)
	}
	got, err := evalProgram(be, q, values)
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		// As text: a NaN equals itself, and 0 is not -0.
		if g, w := fmt.Sprint(got[name]), fmt.Sprint(want[name]); g != w {
			t.Errorf("%s on %s: got %.200s, want %.200s", name, device, g, w)
		}
	}
}

const width, ffn, tokens = 8, 24, 16

// net writes layers whose weights are parameters with gradients, by name.
type net struct {
	*Graph
	act, weights kernels.DType
	trained      map[string]*Tensor
}

func newNet(act, weights kernels.DType) *net {
	return &net{New("net"), act, weights, map[string]*Tensor{}}
}

func (n *net) weight(name string, shape ...int) *Tensor {
	if n.trained[name] == nil {
		n.trained[name] = n.Param(name, n.weights, shape...)
	}
	return n.trained[name]
}

func (n *net) norm(name string, x *Tensor) *Tensor {
	return n.RMSNorm(x, n.weight(name, x.Dim(-1)), 1e-3)
}

func (n *net) linear(name string, x *Tensor, out int, residual *Tensor) *Tensor {
	return n.Linear(x, n.weight(name, out, x.Dim(-1)), nil, residual, TransB)
}

func (n *net) feedForward(name string, h, residual *Tensor) *Tensor {
	glu := n.GLU(n.linear(name+".gate", h, ffn, nil), n.linear(name+".up", h, ffn, nil), kernels.SiLU)
	return n.linear(name+".down", glu, width, residual)
}

// attention has two heads, whose queries and keys may be normed.
func (n *net) attention(name string, h *Tensor, normed bool) *Tensor {
	head := func(what string, turn bool) *Tensor {
		x := n.linear(name+what, h, width, nil)
		if normed && turn {
			x = n.Reshape(n.norm(name+what+".norm", n.Reshape(x, -1, width/2)), -1, width)
		}
		x = n.Reshape(x, tokens, 2, width/2)
		if turn {
			x = n.RoPE(x, n.Input("positions", kernels.I32, tokens), n.Param("frequencies", kernels.F32, width/4), 1)
		}
		return n.Reshape(x, 1, tokens, 2, width/2)
	}
	docs := n.Input("documents", kernels.I32, 2, 1, tokens)
	o := n.Attention(head(".q", true), head(".k", true), head(".v", false), Visible{Documents: docs}, 0.5, 0)
	return n.Reshape(o, tokens, width)
}

func (n *net) llama(name string, x *Tensor, normed bool) *Tensor {
	x = n.linear(name+".o", n.attention(name, n.norm(name+".in", x), normed), width, x)
	return n.feedForward(name, n.norm(name+".post", x), x)
}

// gemma norms what it adds, and adds in a norm.
func (n *net) gemma(name string, x *Tensor) *Tensor {
	h := n.linear(name+".o", n.attention(name, n.norm(name+".in", x), false), width, nil)
	h, x = n.AddRMSNorm(n.norm(name+".post", h), x, n.weight(name+".pre", width), 1e-3)
	return n.Add(x, n.norm(name+".last", n.feedForward(name, h, nil)))
}

func (n *net) layers(count int, layer func(name string, x *Tensor) *Tensor) *Tensor {
	x := n.Param("x", n.act, tokens, width)
	n.trained["x"] = x
	for l := range count {
		x = layer(fmt.Sprint(l), x)
	}
	return x
}

// differentiate adds the gradients of all weights into memory of their own, or
// gives them as outputs.
func (n *net) differentiate(y *Tensor, into bool) {
	loss := n.Sum(n.Mul(y, y))
	n.Output("loss", loss)
	var wrt, to []*Tensor
	names := slices.Sorted(maps.Keys(n.trained))
	for _, name := range names {
		w := n.trained[name]
		wrt, to = append(wrt, w), append(to, nil)
		if into {
			to[len(to)-1] = n.Param("grad."+name, kernels.F32, w.Shape()...)
		}
	}
	for i, d := range n.GradInto(loss, wrt, to) {
		if !into {
			n.Output("d."+names[i], d)
		}
	}
}

// TestRematerialize holds programs to the bits of those that keep everything, to
// less memory, and to the operations that they do again: for three layers the
// GLU and both norms of each, and what else a family has between products.
func TestRematerialize(t *testing.T) {
	type again = map[kernels.Op]int
	llama := func(n *net, name string, x *Tensor) *Tensor { return n.llama(name, x, false) }
	for _, c := range []struct {
		name         string
		act, weights kernels.DType
		into         bool
		layer        func(n *net, name string, x *Tensor) *Tensor
		want         again
	}{
		{"llama", kernels.F32, kernels.F32, true, llama, again{kernels.GLU: 3, kernels.RMSNorm: 6}},
		// The gradients pile up: the peak lies where the last layer's GLU is no longer needed.
		{"llama, gradients as outputs", kernels.F32, kernels.F32, false, llama, again{kernels.GLU: 2, kernels.RMSNorm: 6}},
		{"llama in bf16", kernels.BF16, kernels.BF16, true, llama, again{kernels.GLU: 3, kernels.RMSNorm: 6}},
		{"llama, activations in bf16", kernels.BF16, kernels.F32, true, llama, again{kernels.GLU: 3, kernels.RMSNorm: 6}},
		{"queries and keys normed", kernels.F32, kernels.F32, true, func(n *net, name string, x *Tensor) *Tensor {
			return n.llama(name, x, true)
		}, again{kernels.GLU: 3, kernels.RMSNorm: 12, kernels.RoPE: 6}},
		{"gemma", kernels.F32, kernels.F32, true, (*net).gemma, again{kernels.GLU: 3, kernels.RMSNorm: 9}},
		{"checkpointed", kernels.F32, kernels.F32, true, func(n *net, name string, x *Tensor) (y *Tensor) {
			n.Checkpoint(func() { y = n.llama(name, x, false) })
			return y
		}, again{kernels.RMSNorm: 5}}, // of those in the regions, as far as these hold the peak
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNet(c.act, c.weights)
			n.differentiate(n.layers(3, func(name string, x *Tensor) *Tensor { return c.layer(n, name, x) }), c.into)
			p, q := keeping(t, n.Graph), compiled(t, n.Graph)
			if got := more(p, q); !maps.Equal(got, c.want) {
				t.Errorf("does %v again, want %v\n%v", got, c.want, q)
			}
			if got, most := planned(t, q), planned(t, p); got >= most {
				t.Errorf("got %d bytes, want less than the %d of keeping everything", got, most)
			}
			for _, device := range []string{"ref", "cpu"} {
				sameBits(t, device, p, q)
			}
			if got := compiled(t, n.Graph); got.String() != q.String() {
				t.Errorf("compiled twice: got\n%v, want\n%v", got, q)
			}
		})
	}
}

// TestRematerializeNothing has programs in which nothing is to be gained, or
// could be gained only by a result that is another one.
func TestRematerializeNothing(t *testing.T) {
	llama := func(n *net) *Tensor {
		return n.layers(2, func(name string, x *Tensor) *Tensor { return n.llama(name, x, false) })
	}
	for _, c := range []struct {
		name  string
		build func(n *net)
	}{
		{"no gradient", func(n *net) { n.Output("y", llama(n)) }},
		{"a loss alone", func(n *net) { y := llama(n); n.Output("loss", n.Sum(n.Mul(y, y))) }},
		{"gradient of the input alone", func(n *net) {
			y := llama(n)
			n.trained = map[string]*Tensor{"x": n.trained["x"]}
			n.differentiate(y, true)
		}},
		{"operands that nobody keeps", func(n *net) {
			x := n.Param("x", n.act, tokens, width)
			for l := range 3 {
				x = n.Exp(n.linear(fmt.Sprint(l), x, width, nil))
			}
			n.differentiate(x, true)
		}},
		{"products", func(n *net) {
			x := n.Param("x", n.act, tokens, width)
			for l := range 3 {
				x = n.linear(fmt.Sprint(l), x, width, nil)
			}
			n.differentiate(x, true)
		}},
		{"an operand overwritten in between", func(n *net) {
			state := n.Param("state", kernels.F32, tokens, width)
			y := n.linear("w", n.Exp(state), width, nil)
			n.Write(state, y)
			n.differentiate(n.linear("v", y, width, nil), true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNet(kernels.F32, kernels.F32)
			c.build(n)
			p, q := keeping(t, n.Graph), compiled(t, n.Graph)
			if p.String() != q.String() {
				t.Errorf("got\n%v, want\n%v", q, p)
			}
			sameBits(t, "cpu", p, q)
		})
	}
}

// TestRematerializePeak has a value that is kept across the peak, with no reader
// in front of it, and one that is read there.
func TestRematerializePeak(t *testing.T) {
	for _, c := range []struct {
		name   string
		atPeak bool
		want   []kernels.Op
	}{
		{"kept across", false, []kernels.Op{kernels.Fill, kernels.Binary, kernels.Unary, kernels.Binary, kernels.Copy}},
		{"read there", true, []kernels.Op{kernels.Unary, kernels.Fill, kernels.Binary, kernels.Binary, kernels.Copy}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := New("peak")
			x := g.Param("x", kernels.F32, 1, 1024)
			y, large := g.ReLU(x), g.Full(1, kernels.F32, 4, 1024)
			first := x
			if c.atPeak {
				first = y
			}
			sum := g.Add(first, g.Slice(large, 0, 0, 1)) // the peak
			g.Output("z", g.Mul(sum, y))
			p := keeping(t, g)
			q := keeping(t, g)
			rematerialize(q)
			var got []kernels.Op
			for _, in := range q.Code {
				got = append(got, in.Op)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			sameBits(t, "cpu", p, q)
		})
	}
}

// TestRematerializeRandom holds random graphs to the bits of programs that keep
// everything, and to a peak that is no higher.
func TestRematerializeRandom(t *testing.T) {
	changed, chains := 0, 0
	for seed := range uint64(60) {
		n := newNet(kernels.F32, kernels.F32)
		n.random(rand.New(rand.NewPCG(seed, 7)))
		p, q := keeping(t, n.Graph), compiled(t, n.Graph)
		if p.String() == q.String() {
			continue
		}
		changed++
		before, after := &remat{p: p}, &remat{p: q}
		before.measure()
		after.measure()
		if got, most := after.used[after.peak], before.used[before.peak]; got > most {
			t.Errorf("seed %d: got %d bytes in use, want at most %d", seed, got, most)
		}
		for i, in := range q.Code {
			if i > 0 && strings.HasPrefix(in.Note, "again") && strings.HasPrefix(q.Code[i-1].Note, "again") && in.In[0].Slot == q.Code[i-1].Out[0].Slot {
				chains++
			}
		}
		sameBits(t, "ref", p, q)
		if t.Failed() {
			t.Fatalf("seed %d: got\n%v, from\n%v", seed, q, p)
		}
	}
	if changed < 40 || chains < 20 {
		t.Errorf("%d graphs compute something again, %d in two steps: the test shows little", changed, chains)
	}
}

// random adds operations on what there is by then, more often on the latest,
// and the gradient of all weights.
func (n *net) random(r *rand.Rand) {
	all := []*Tensor{n.Param("x", n.act, tokens, width)}
	n.trained["x"] = all[0]
	state := n.Param("state", kernels.F32, tokens, width)
	pick := func() *Tensor { return all[max(0, len(all)-1-r.IntN(1+r.IntN(5)))] }
	for i := range 8 + r.IntN(25) {
		name := fmt.Sprint("w", r.IntN(12))
		x := pick()
		switch r.IntN(11) {
		case 0:
			x = n.norm(name+".norm", x)
		case 1:
			x, all[len(all)-1] = n.AddRMSNorm(x, pick(), n.weight(name+".norm", width), 1e-3)
		case 2:
			x = n.GLU(x, pick(), kernels.GELUTanh)
		case 3:
			x = n.Tanh(x)
		case 4:
			x = n.Mul(x, pick())
		case 5:
			x = n.Add(x, state)
		case 6:
			n.Write(state, n.Param("next", kernels.F32, tokens, width))
			continue
		case 7:
			x = n.Permute(n.Reshape(x, 4, 4, width), 1, 0, 2)
			x = n.Reshape(n.Dense(x), tokens, width)
		case 8:
			n.Checkpoint(func() { x = n.feedForward(fmt.Sprint("ffn", i), n.norm(name+".norm", x), nil) })
		default:
			x = n.linear(name, x, width, nil)
		}
		all = append(all, x)
	}
	n.differentiate(n.Add(all[len(all)-1], pick()), r.IntN(2) == 0)
}
