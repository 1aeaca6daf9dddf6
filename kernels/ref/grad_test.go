package ref

import (
	"math"
	"slices"
	"testing"

	"graft/kernels"
)

// differentiate gives the central difference of sum(dy * output o) by every
// element of input i of a forward operation.
func differentiate(t *testing.T, op kernels.Op, at kernels.Attr, in, out []operand, i, o int, dy []float64) []float64 {
	t.Helper()
	const h = 1e-5
	value := func(j int, d float64) float64 {
		moved := slices.Clone(in)
		moved[i].x = slices.Clone(in[i].x)
		moved[i].x[j] += d
		var s float64
		for e, y := range run(t, op, at, moved, out)[o].Exact {
			s += dy[e] * y
		}
		return s
	}
	g := make([]float64, len(in[i].x))
	for j := range g {
		g[j] = (value(j, h) - value(j, -h)) / (2 * h)
	}
	return g
}

func equal(t *testing.T, name string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", name, len(got), len(want))
	}
	nonzero := false
	for i := range want {
		if !near(got[i], want[i], 1e-7) {
			t.Errorf("%s[%d]: got %v, central difference %v", name, i, got[i], want[i])
		}
		nonzero = nonzero || want[i] != 0
	}
	if !nonzero {
		t.Errorf("%s: gradient is zero, the test shows nothing", name)
	}
}

func TestRMSNormBwd(t *testing.T) {
	x, w, dy, dsum := random(1, 3, 5), random(2, 5), random(3, 3, 5), random(4, 3, 5)
	for _, plusOne := range []bool{false, true} {
		at := kernels.Attr{Eps: 0.1, PlusOne: plusOne}
		in, out := []operand{x, w}, []operand{zeros(3, 5), zeros(3)}
		y := run(t, kernels.RMSNorm, at, in, out)
		bwd := at
		bwd.Opt, bwd.Beta = kernels.WithDW|kernels.WithSum, 1
		got := run(t, kernels.RMSNormBwd, bwd, []operand{x, w, floats(y[1].Exact, 3), dy, dsum},
			[]operand{zeros(3, 5), random(5, 5)})
		want := differentiate(t, kernels.RMSNorm, at, in, out, 0, 0, dy.x)
		for i := range want {
			want[i] += dsum.x[i]
		}
		equal(t, "dx", got[0].Exact, want)
		want = differentiate(t, kernels.RMSNorm, at, in, out, 1, 0, dy.x)
		for i, old := range random(5, 5).x {
			want[i] += old
		}
		equal(t, "dw", got[1].Exact, want)
	}
}

func TestRoPEIsItsOwnBackward(t *testing.T) {
	x, dy := random(1, 2, 2, 5), random(2, 2, 2, 5)
	positions, freqs := ints([]float64{3, 7}, 2), floats([]float64{1, 0.1}, 2)
	at := kernels.Attr{Sign: 1, Scale: 1.5}
	want := differentiate(t, kernels.RoPE, at, []operand{x, positions, freqs}, []operand{zeros(2, 2, 5)}, 0, 0, dy.x)
	at.Sign = -1
	got := run(t, kernels.RoPE, at, []operand{dy, positions, freqs}, []operand{zeros(2, 2, 5)})
	equal(t, "dx", got[0].Exact, want)
}

func TestGLUBwd(t *testing.T) {
	gate, up, dy := random(1, 3, 4), random(2, 3, 4), random(3, 3, 4)
	for act := range kernels.NumActivations {
		at := kernels.Attr{Act: act}
		in, out := []operand{gate, up}, []operand{zeros(3, 4)}
		got := run(t, kernels.GLUBwd, at, []operand{gate, up, dy}, []operand{zeros(3, 4), zeros(3, 4)})
		equal(t, act.String()+" dgate", got[0].Exact, differentiate(t, kernels.GLU, at, in, out, 0, 0, dy.x))
		equal(t, act.String()+" dup", got[1].Exact, differentiate(t, kernels.GLU, at, in, out, 1, 0, dy.x))
	}
}

func TestAttentionBwd(t *testing.T) {
	const nb, nt, nh, nk, nd = 2, 6, 4, 2, 3
	q, k, v := random(1, nb, nt, nh, nd), random(2, nb, nt, nk, nd), random(3, nb, nt, nk, nd)
	do := random(4, nb, nt, nh, nd)
	documents := ints([]float64{
		0, 0, 0, 0, 4, 4, 0, 0, 2, 2, 2, 2, // first
		4, 4, 4, 4, 6, 6, 2, 2, 6, 6, 6, 6}, 2, nb, nt) // one past last
	for _, c := range []struct {
		name string
		at   kernels.Attr
	}{
		{"plain", kernels.Attr{Scale: 0.7}},
		{"window", kernels.Attr{Scale: 0.7, Window: 2}},
		{"cap", kernels.Attr{Scale: 0.7, SoftCap: 1.5}},
	} {
		in := []operand{q, k, v, documents}
		out := []operand{zeros(nb, nt, nh, nd), zeros(nb, nh, nt)}
		y := run(t, kernels.Attention, c.at, in, out)
		got := run(t, kernels.AttentionBwd, c.at,
			[]operand{q, k, v, documents, floats(y[0].Exact, nb, nt, nh, nd), floats(y[1].Exact, nb, nh, nt), do},
			[]operand{zeros(nb, nt, nh, nd), zeros(nb, nt, nk, nd), zeros(nb, nt, nk, nd)})
		for i, name := range []string{"dq", "dk", "dv"} {
			equal(t, c.name+" "+name, got[i].Exact, differentiate(t, kernels.Attention, c.at, in, out, i, 0, do.x))
		}
	}
}

func TestSoftmaxBwd(t *testing.T) {
	x, dp := random(1, 1, 2, 3, 3), random(2, 1, 2, 3, 3)
	documents := ints([]float64{0, 1, 1, 1, 3, 3}, 2, 1, 3)
	for _, opt := range []kernels.Opt{0, kernels.WithDocuments} {
		at := kernels.Attr{Scale: 0.7, SoftCap: 1.5, Opt: opt}
		in, out := []operand{x}, []operand{zeros(1, 2, 3, 3), zeros(1, 2, 3)}
		if opt != 0 {
			in = append(in, documents)
		}
		p := run(t, kernels.Softmax, at, in, out)[0].Exact
		bwd := at
		bwd.Opt = 0
		got := run(t, kernels.SoftmaxBwd, bwd, []operand{x, floats(p, 1, 2, 3, 3), dp}, []operand{zeros(1, 2, 3, 3)})
		equal(t, "dx", got[0].Exact, differentiate(t, kernels.Softmax, at, in, out, 0, 0, dp.x))
	}
}

func TestCrossEntropyBwd(t *testing.T) {
	logits, dloss, targets := random(1, 4, 5), random(2, 4), ints([]float64{0, 4, -1, 5}, 4)
	for _, at := range []kernels.Attr{{Scale: 0.7}, {Scale: 0.7, SoftCap: 1.5}} {
		in, out := []operand{logits, targets}, []operand{zeros(4), zeros(4)}
		lse := run(t, kernels.CrossEntropy, at, in, out)[1].Exact
		got := run(t, kernels.CrossEntropyBwd, at, []operand{logits, targets, floats(lse, 4), dloss}, []operand{zeros(4, 5)})
		equal(t, "dlogits", got[0].Exact, differentiate(t, kernels.CrossEntropy, at, in, out, 0, 0, dloss.x))
	}
}

func TestLinearCEGrad(t *testing.T) {
	h, head, scale, targets := random(1, 4, 3), random(2, 5, 3), random(3, 4), ints([]float64{0, 4, -1, 5}, 4)
	for _, at := range []kernels.Attr{{Scale: 0.7}, {Scale: 0.7, SoftCap: 1.5}} {
		in, out := []operand{h, head, targets}, []operand{zeros(4), zeros(4)}
		loss := run(t, kernels.LinearCE, at, in, out)[0].Exact
		bwd := at
		bwd.Opt, bwd.Beta = kernels.WithDW, 2
		old := random(4, 5, 3)
		got := run(t, kernels.LinearCEGrad, bwd, []operand{h, head, targets, scale}, []operand{zeros(4), zeros(4, 3), old})
		equal(t, "loss", got[0].Exact, loss)
		equal(t, "dh", got[1].Exact, differentiate(t, kernels.LinearCE, at, in, out, 0, 0, scale.x))
		want := differentiate(t, kernels.LinearCE, at, in, out, 1, 0, scale.x)
		for i := range want {
			want[i] += 2 * old.x[i]
		}
		equal(t, "dhead", got[2].Exact, want)
	}
}

func TestEmbedBwd(t *testing.T) {
	ids, table, dy := ints([]float64{2, 0, 2, 9}, 4), random(1, 3, 2), random(2, 4, 2)
	got := run(t, kernels.EmbedBwd, kernels.Attr{}, []operand{dy, ids, ints([]float64{1, 0, 2, 3}, 4), ints([]float64{0, 1, 3, 4, 4}, 5)},
		[]operand{zeros(3, 2)})
	equal(t, "dtable", got[0].Exact, differentiate(t, kernels.Embed, kernels.Attr{}, []operand{ids, table}, []operand{zeros(4, 2)}, 1, 0, dy.x))
}

// TestAdamWFirstStep is independent of the formula: with the bias corrected,
// the first step is lr against the sign of the gradient, whatever its size.
func TestAdamWFirstStep(t *testing.T) {
	at := kernels.Attr{Beta1: 0.9, Beta2: 0.999}
	hyper := zeros(8)
	hyper.x[kernels.HyperLR] = 0.01
	state := run(t, kernels.Advance, at, []operand{zeros(1), zeros(1), hyper}, []operand{zeros(8)})[0].Exact
	for _, g := range []float64{1e-3, -50} {
		w := run(t, kernels.AdamW, at, []operand{floats([]float64{g}, 1), hyper, floats(state, 8)}, []operand{zeros(1), zeros(1), zeros(1)})[0].Exact[0]
		if want := -math.Copysign(0.01, g); !near(w, want, 1e-9) {
			t.Errorf("gradient %v: moved by %v, want %v", g, w, want)
		}
	}
}
