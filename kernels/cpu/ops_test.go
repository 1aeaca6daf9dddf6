package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"graft/kernels"
)

const (
	f32 = kernels.F32
	b16 = kernels.BF16
	h16 = kernels.F16
	i32 = kernels.I32
)

func TestOps(t *testing.T) {
	var all []*trial
	for _, dt := range []kernels.DType{f32, b16, h16} {
		for _, trials := range [][]*trial{elementTrials(dt), reduceTrials(dt), indexTrials(dt), matmulTrials(dt),
			modelTrials(dt), attentionTrials(dt), lossTrials(dt), optimTrials(dt)} {
			for _, tr := range trials {
				tr.name += "/" + dt.String()
				all = append(all, tr)
			}
		}
	}
	for _, tr := range all {
		t.Run(tr.name, tr.check)
	}
}

func elementTrials(dt kernels.DType) []*trial {
	all := []*trial{
		one("fill", kernels.Fill, kernels.Attr{Alpha: -1.7}).out(dt, 3, 5001),
		one("copy cast", kernels.Copy, kernels.Attr{}).in(dt, nil, 7, 1300).out(f32, 7, 1300).strided(3),
		one("copy strided", kernels.Copy, kernels.Attr{}).in(f32, nil, 5, 9, 70).strided(4).out(dt, 5, 9, 70),
	}
	tr := one("copy transpose", kernels.Copy, kernels.Attr{}).in(dt, nil, 31, 57).out(dt, 57, 31)
	v := &tr.p.Code[0].In[0]
	v.Shape, v.Stride = []int{57, 31}, []int{1, 57}
	all = append(all, tr)
	for k := range kernels.NumUnary {
		f := positiveValues
		if k != kernels.Log && k != kernels.Sqrt && k != kernels.Recip {
			f = func(r *rand.Rand, i int) float64 { return r.NormFloat64() * math.Pow(10, float64(i%4-2)) }
		}
		all = append(all, one("unary "+k.String(), kernels.Unary, kernels.Attr{Unary: k, Alpha: 1.5, Beta: -0.25}).in(dt, f, 20011).out(dt, 20011))
	}
	for k := range kernels.NumBinary {
		a := kernels.Attr{Binary: k}
		all = append(all, one("binary "+k.String(), kernels.Binary, a).in(dt, ints(5), 9, 1100).in(dt, positiveValues, 9, 1100).out(dt, 9, 1100))
		tr := one("binary broadcast "+k.String(), kernels.Binary, a).in(dt, nil, 9, 40, 11).in(dt, positiveValues, 40).out(dt, 9, 40, 11)
		b := &tr.p.Code[0].In[1]
		b.Shape, b.Stride = []int{9, 40, 11}, []int{0, 1, 0}
		all = append(all, tr)
	}
	return all
}

func reduceTrials(dt kernels.DType) []*trial {
	var all []*trial
	for _, k := range []kernels.ReduceKind{kernels.Sum, kernels.Max} {
		for _, s := range [][2][]int{
			{{1000, 37}, {1, 37}}, {{1000, 37}, {1000, 1}}, {{50001}, {1}}, {{3, 40000}, {3, 1}}, {{}, {}}, {{5, 6}, {5, 6}},
			{{4, 5, 6, 7}, {4, 1, 6, 1}}, {{4, 5, 6, 7}, {1, 5, 1, 7}}, {{2, 300, 3, 1}, {1, 300, 1, 1}}, {{70, 9000}, {1, 9000}}, {{200, 3, 130}, {1, 3, 1}},
		} {
			all = append(all, one(fmt.Sprint("reduce ", k, s), kernels.Reduce, kernels.Attr{Reduce: k}).in(dt, nil, s[0]...).out(f32, s[1]...))
		}
	}
	all = append(all, one("reduce beta", kernels.Reduce, kernels.Attr{Beta: 1}).in(dt, nil, 999, 37).out(f32, 1, 37))
	tr := one("reduce strided", kernels.Reduce, kernels.Attr{}).in(dt, nil, 60, 70).out(dt, 70, 1)
	v := &tr.p.Code[0].In[0]
	v.Shape, v.Stride = []int{70, 60}, []int{1, 70}
	return append(all, tr)
}

// sorted fills order and starts for ids that depend on the position only.
func embedBwd(dt kernels.DType, n, v, c int) *trial {
	id := func(i int) int { return (i*7)%(v+2) - 1 } // some are outside
	order, starts := []int{}, []int{}
	for k := -1; k <= v; k++ {
		at := len(order)
		for i := range n {
			if id(i) == k {
				order = append(order, i)
			}
		}
		if len(order) > at {
			starts = append(starts, at)
		}
	}
	for len(starts) <= n {
		starts = append(starts, n)
	}
	list := func(x []int) func(*rand.Rand, int) float64 {
		return func(_ *rand.Rand, i int) float64 { return float64(x[i]) }
	}
	return one("embed_bwd", kernels.EmbedBwd, kernels.Attr{}).in(dt, nil, n, c).
		in(i32, func(_ *rand.Rand, i int) float64 { return float64(id(i)) }, n).in(i32, list(order), n).in(i32, list(starts), n+1).out(f32, v, c)
}

func indexTrials(dt kernels.DType) []*trial {
	outside := func(r *rand.Rand, _ int) float64 { return float64(r.IntN(30) - 4) }
	distinct := func(_ *rand.Rand, i int) float64 { return float64(i*3%25 - 2) }
	return []*trial{
		one("gather", kernels.Gather, kernels.Attr{}).in(dt, nil, 23, 17).in(i32, outside, 1000).out(dt, 1000, 17),
		one("put_rows", kernels.PutRows, kernels.Attr{}).in(dt, nil, 20, 9).strided(5).in(i32, distinct, 20).out(dt, 19, 9),
		one("embed", kernels.Embed, kernels.Attr{}).in(i32, outside, 700).in(b16, nil, 23, 33).out(dt, 700, 33),
		embedBwd(dt, 300, 11, 70),
		embedBwd(dt, 1, 1, 1),
	}
}

func matmulTrials(dt kernels.DType) []*trial {
	var all []*trial
	for _, s := range [][3]int{{1, 1, 1}, {1, 300, 500}, {3, 70, 41}, {4, 5, 3}, {64, 64, 64}, {65, 40, 67}, {127, 1000, 2}, {131, 400, 66}, {9, 33, 259}, {5, 17, 6}, {7, 90, 530}, {8, 33, 71}, {11, 50, 34}, {16, 24, 70}, {17, 24, 70}} {
		if s[0]*s[1]*s[2] > 1<<19 && dt == h16 {
			continue // the oracle is slow
		}
		for tr := range 4 {
			m, k, n := s[0], s[1], s[2]
			a, b := []int{m, k}, []int{k, n}
			if tr&1 != 0 {
				a = []int{k, m}
			}
			if tr&2 != 0 {
				b = []int{n, k}
			}
			at := kernels.Attr{Alpha: 0.75, TransA: tr&1 != 0, TransB: tr&2 != 0}
			name := fmt.Sprintf("matmul %v %d", s, tr)
			all = append(all, one(name, kernels.MatMul, at).in(dt, nil, a...).strided(2).in(f32, nil, b...).strided(6).out(dt, m, n).strided(1))
			at.Beta, at.Opt = -0.5, kernels.WithBias|kernels.WithResidual
			all = append(all, one(name+" all", kernels.MatMul, at).in(f32, nil, a...).in(dt, nil, b...).in(b16, nil, n).in(dt, nil, m, n).strided(4).out(dt, m, n))
		}
	}
	at := kernels.Attr{Alpha: 1, Beta: 1, TransA: true}
	all = append(all, one("matmul batch", kernels.MatMul, at).in(dt, nil, 3, 4, 30, 9).in(dt, nil, 3, 4, 30, 11).strided(2).out(f32, 3, 4, 9, 11))
	tr := one("matmul repeated", kernels.MatMul, kernels.Attr{Alpha: 1, TransB: true}).in(dt, nil, 3, 4, 30, 9).in(dt, nil, 3, 1, 50, 9).out(f32, 3, 4, 30, 50)
	b := &tr.p.Code[0].In[1]
	b.Shape, b.Stride = []int{3, 4, 50, 9}, []int{450, 0, 9, 1}
	return append(all, tr)
}

func modelTrials(dt kernels.DType) []*trial {
	var all []*trial
	for _, c := range []int{1, 63, 200} {
		n := 77
		a := kernels.Attr{Eps: 1e-5}
		w := kernels.Attr{Eps: 1e-5, PlusOne: true, Opt: kernels.WithResidual}
		all = append(all,
			one(fmt.Sprint("rms_norm ", c), kernels.RMSNorm, a).in(dt, nil, n, c).in(b16, nil, c).out(dt, n, c).out(f32, n),
			one(fmt.Sprint("rms_norm residual ", c), kernels.RMSNorm, w).in(dt, nil, n, c).in(f32, nil, c).in(dt, nil, n, c).out(dt, n, c).out(f32, n).out(dt, n, c),
			one(fmt.Sprint("rms_norm_bwd ", c), kernels.RMSNormBwd, kernels.Attr{Eps: 1e-5}).in(dt, nil, n, c).in(f32, nil, c).in(f32, positiveValues, n).in(dt, nil, n, c).out(dt, n, c))
		for _, beta := range []float32{0, 1} {
			d := kernels.Attr{Eps: 1e-5, PlusOne: true, Beta: beta, Opt: kernels.WithDW | kernels.WithSum}
			all = append(all, one(fmt.Sprint("rms_norm_bwd dw ", c, beta), kernels.RMSNormBwd, d).in(dt, nil, n, c).in(dt, nil, c).
				in(f32, positiveValues, n).in(dt, nil, n, c).in(dt, nil, n, c).out(dt, n, c).out(f32, c))
		}
	}
	positions := func(r *rand.Rand, _ int) float64 { return float64(r.IntN(100000)) }
	freqs := func(_ *rand.Rand, i int) float64 { return math.Pow(10000, -float64(i)/4) }
	for _, s := range [][2]int{{8, 4}, {11, 3}, {2, 1}} {
		for _, sign := range []float32{1, -1} {
			all = append(all, one(fmt.Sprint("rope ", s, sign), kernels.RoPE, kernels.Attr{Sign: sign, Scale: 0.9}).
				in(dt, nil, 130, 3, s[0]).in(i32, positions, 130).in(f32, freqs, s[1]).out(dt, 130, 3, s[0]))
		}
	}
	for act := range kernels.NumActivations {
		wide := func(r *rand.Rand, i int) float64 { return r.NormFloat64() * math.Pow(4, float64(i%5-2)) }
		all = append(all,
			one("glu "+act.String(), kernels.GLU, kernels.Attr{Act: act}).in(dt, wide, 50, 173).strided(9).in(dt, nil, 50, 173).strided(3).out(dt, 50, 173),
			one("glu_bwd "+act.String(), kernels.GLUBwd, kernels.Attr{Act: act}).in(dt, wide, 50, 173).strided(9).in(dt, nil, 50, 173).in(dt, nil, 50, 173).
				out(dt, 50, 173).strided(5).out(dt, 50, 173))
	}
	return all
}

// documents of uneven lengths: first, then one past the last row.
func documents(nb, nt int) func(*rand.Rand, int) float64 {
	starts := []int{0, nt / 5, nt / 5 * 3, nt - 1, nt}
	return func(_ *rand.Rand, i int) float64 {
		t := i % nt
		for k := len(starts) - 2; ; k-- {
			if starts[k] <= t {
				return float64(starts[k+i/(nb*nt)])
			}
		}
	}
}

func attentionTrials(dt kernels.DType) []*trial {
	var all []*trial
	for _, s := range [][5]int{{1, 1, 1, 1, 1}, {2, 70, 4, 2, 8}, {1, 131, 3, 1, 17}, {2, 33, 2, 2, 64}} {
		nb, nt, nh, nk, hd := s[0], s[1], s[2], s[3], s[4]
		for _, a := range []kernels.Attr{{Scale: 0.35}, {Scale: 0.35, Window: 9, SoftCap: 2}} {
			name := fmt.Sprint(s, " window ", a.Window)
			all = append(all,
				one("attention "+name, kernels.Attention, a).in(dt, nil, nb, nt, nh, hd).in(dt, nil, nb, nt, nk, hd).in(dt, nil, nb, nt, nk, hd).
					in(i32, documents(nb, nt), 2, nb, nt).out(dt, nb, nt, nh, hd).out(f32, nb, nh, nt),
				one("attention_bwd "+name, kernels.AttentionBwd, a).in(dt, nil, nb, nt, nh, hd).in(dt, nil, nb, nt, nk, hd).in(dt, nil, nb, nt, nk, hd).
					in(i32, documents(nb, nt), 2, nb, nt).in(dt, nil, nb, nt, nh, hd).in(f32, positiveValues, nb, nh, nt).in(dt, nil, nb, nt, nh, hd).
					out(dt, nb, nt, nh, hd).out(dt, nb, nt, nk, hd).out(dt, nb, nt, nk, hd))
			a.Opt = kernels.WithDocuments
			all = append(all, one("softmax "+name, kernels.Softmax, a).in(dt, nil, nb, nh, nt, nt).in(i32, documents(nb, nt), 2, nb, nt).
				out(dt, nb, nh, nt, nt).out(f32, nb, nh, nt))
			all = append(all, one("softmax_bwd "+name, kernels.SoftmaxBwd, kernels.Attr{Scale: a.Scale, SoftCap: a.SoftCap}).
				in(dt, nil, nb, nh, nt, nt).in(dt, nil, nb, nh, nt, nt).in(dt, nil, nb, nh, nt, nt).out(dt, nb, nh, nt, nt))
		}
	}
	// A NaN or an infinity reaches those who see it and nobody else.
	for which, name := range []string{"q", "k", "v", "do"} {
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			var f [4]func(*rand.Rand, int) float64
			f[which] = func(r *rand.Rand, i int) float64 {
				if i%1500 == 777 {
					return bad
				}
				return r.NormFloat64()
			}
			a, nt := kernels.Attr{Scale: 0.35}, 150
			name := fmt.Sprint(bad, " in ", name)
			if which < 3 {
				all = append(all, one("attention "+name, kernels.Attention, a).in(dt, f[0], 1, nt, 4, 8).in(dt, f[1], 1, nt, 2, 8).in(dt, f[2], 1, nt, 2, 8).
					in(i32, documents(1, nt), 2, 1, nt).out(dt, 1, nt, 4, 8).out(f32, 1, 4, nt))
			}
			all = append(all, one("attention_bwd "+name, kernels.AttentionBwd, a).in(dt, f[0], 1, nt, 4, 8).in(dt, f[1], 1, nt, 2, 8).in(dt, f[2], 1, nt, 2, 8).
				in(i32, documents(1, nt), 2, 1, nt).in(dt, nil, 1, nt, 4, 8).in(f32, positiveValues, 1, 4, nt).in(dt, f[3], 1, nt, 4, 8).
				out(dt, 1, nt, 4, 8).out(dt, 1, nt, 2, 8).out(dt, 1, nt, 2, 8))
		}
	}
	// A few queries over a cache of one part and of several, as in generation:
	// some see nothing, some all, and infinities beyond what a query sees.
	zero := func(*rand.Rand, int) float64 { return 0 }
	for _, c := range []struct{ t, s, h, k, d, window int }{{5, 120, 4, 2, 8, 0}, {1, 700, 6, 2, 17, 0}, {8, 513, 9, 3, 16, 200}, {9, 513, 9, 3, 16, 200}} {
		rows := func(r *rand.Rand, _ int) float64 { return float64(r.IntN(c.s+20) - 10) }
		wild := func(r *rand.Rand, i int) float64 {
			if i%2999 == 1777 {
				return math.Inf(1)
			}
			return r.NormFloat64()
		}
		for _, v := range []func(*rand.Rand, int) float64{nil, wild} {
			a := kernels.Attr{Scale: 0.3, Window: c.window, SoftCap: float32(c.window) / 50, Opt: kernels.WithRows}
			all = append(all, one(fmt.Sprint("attention rows ", c, v != nil), kernels.Attention, a).
				in(dt, nil, 3, c.t, c.h, c.d).in(dt, nil, 3, c.s, c.k, c.d).in(dt, v, 3, c.s, c.k, c.d).
				in(i32, zero, 2, 3, c.t).in(i32, rows, 3, c.t).out(dt, 3, c.t, c.h, c.d).out(f32, 3, c.h, c.t))
		}
	}
	return all
}

func lossTrials(dt kernels.DType) []*trial {
	var all []*trial
	for _, s := range [][3]int{{1, 1, 1}, {300, 70, 33}, {33, 1031, 20}} {
		n, v, c := s[0], s[1], s[2]
		targets := func(r *rand.Rand, _ int) float64 { return float64(r.IntN(v+2) - 1) }
		for _, a := range []kernels.Attr{{Scale: 1}, {Scale: 0.7, SoftCap: 3}} {
			name := fmt.Sprint(s, " cap ", a.SoftCap)
			g := a
			g.Opt, g.Beta = kernels.WithDW, 1
			all = append(all,
				one("linear_ce "+name, kernels.LinearCE, a).in(dt, nil, n, c).in(b16, nil, v, c).in(i32, targets, n).out(f32, n).out(f32, n),
				one("linear_ce_grad "+name, kernels.LinearCEGrad, a).in(dt, nil, n, c).in(f32, nil, v, c).in(i32, targets, n).in(f32, nil, n).out(f32, n).out(dt, n, c),
				one("linear_ce_grad dw "+name, kernels.LinearCEGrad, g).in(dt, nil, n, c).in(f32, nil, v, c).in(i32, targets, n).in(f32, nil, n).out(f32, n).out(dt, n, c).out(f32, v, c),
				one("cross_entropy "+name, kernels.CrossEntropy, a).in(dt, nil, n, v).in(i32, targets, n).out(f32, n).out(f32, n),
				one("cross_entropy_bwd "+name, kernels.CrossEntropyBwd, a).in(dt, nil, n, v).in(i32, targets, n).in(f32, positiveValues, n).in(f32, nil, n).out(dt, n, v))
		}
	}
	return all
}

func optimTrials(dt kernels.DType) []*trial {
	a := kernels.Attr{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, Opt: kernels.WithStore}
	hyper := func(_ *rand.Rand, i int) float64 { return []float64{1e-3, 1, 0.5, 0, 0, 0, 0, 0}[i] }
	state := func(apply float64) func(*rand.Rand, int) float64 {
		return func(_ *rand.Rand, i int) float64 { return []float64{3, 1, 0.27, 0.003, 0.5, apply, 1, 1}[i] }
	}
	adam := func(name string, apply float64) *trial {
		t := one("adamw "+name, kernels.AdamW, a).in(f32, nil, 20001).in(f32, hyper, 8).in(f32, state(apply), 8).out(f32, 20001).out(f32, 20001).out(f32, 20001).out(dt, 20001)
		t.fill[t.p.Code[0].Out[2].Slot] = positiveValues
		return t
	}
	adv := func(name string, loss float64) *trial {
		l := func(*rand.Rand, int) float64 { return loss }
		t := one("advance "+name, kernels.Advance, kernels.Attr{Beta1: 0.9, Beta2: 0.999}).in(f32, l, 1).in(f32, positiveValues, 1).in(f32, hyper, 8).out(f32, 8)
		t.fill[t.p.Code[0].Out[0].Slot] = state(1)
		return t
	}
	return []*trial{
		one("sum_sq", kernels.SumSq, kernels.Attr{}).in(f32, nil, 70001).out(f32, 1),
		one("sum_sq beta", kernels.SumSq, kernels.Attr{Beta: 1}).in(f32, nil, 5).out(f32, 1),
		adam("apply", 1), adam("skip", 0), adv("finite", 2), adv("nan", math.NaN()), adv("inf", math.Inf(1)),
	}
}
