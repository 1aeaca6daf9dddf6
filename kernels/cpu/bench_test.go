//go:build unix

package cpu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"graft/kernels"
)

// cpuSeconds is the processor time that the process has used: other processes
// do not count.
func cpuSeconds() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Sec) + float64(r.Utime.Usec)/1e6
}

// bench runs an instruction repeatedly on one thread.
func (tr *trial) bench(b *testing.B) {
	b.Helper()
	be := open(b, 1, false)
	ex, _ := compile(b, be, tr.p, tr.content(1))
	in := tr.p.Code[0]
	d, err := kernels.Check(tr.p, in)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	start := cpuSeconds()
	for b.Loop() {
		if err := ex.Run(ctx, 1); err != nil {
			b.Fatal(err)
		}
	}
	per := (cpuSeconds() - start) / float64(b.N)
	b.ReportMetric(per*1e6, "cpu-us")
	b.ReportMetric(float64(kernels.CostOf(tr.p, in, d).FLOPs)/per/1e9, "GFLOP/s")
}

// BenchmarkMatMul is one thread at shapes of a large and of a tiny model. NT
// is a linear layer's forward, NN its input gradient, TN its weight gradient.
func BenchmarkMatMul(b *testing.B) {
	for _, c := range []struct {
		m, k, n int
		ta, tb  bool
	}{
		{1024, 1024, 1024, false, false}, {1024, 1024, 1024, false, true}, {1024, 1024, 1024, true, false},
		{1024, 64, 172, false, true}, {1024, 172, 64, false, true}, {1024, 64, 64, false, true}, {1024, 64, 512, false, true},
		{1024, 172, 64, false, false}, {1024, 512, 64, false, false},
		{64, 1024, 172, true, false}, {64, 1024, 64, true, false}, {512, 1024, 64, true, false},
		{1, 64, 172, false, true}, {1, 1024, 1024, false, true}, {1, 1024, 1024, false, false},
	} {
		a, w := []int{c.m, c.k}, []int{c.k, c.n}
		name := "NN"
		if c.ta {
			a, name = []int{c.k, c.m}, "TN"
		}
		if c.tb {
			w, name = []int{c.n, c.k}, "NT"
		}
		for _, dt := range []kernels.DType{f32, b16} {
			if dt == b16 && c.m*c.k < 1<<20 {
				continue
			}
			tr := one("", kernels.MatMul, kernels.Attr{Alpha: 1, TransA: c.ta, TransB: c.tb}).in(f32, nil, a...).in(dt, nil, w...).out(f32, c.m, c.n)
			b.Run(fmt.Sprintf("%s/%dx%dx%d/%v", name, c.m, c.k, c.n, dt), tr.bench)
		}
	}
}

// BenchmarkOps is one thread at the shapes of a tiny model: four sequences of
// 256 tokens, width 64, 8 heads over 4 key heads, vocabulary 512.
func BenchmarkOps(b *testing.B) {
	const nb, nt, n, c, f, nv = 4, 256, 1024, 64, 172, 512
	for _, tr := range []*trial{
		one("rms_norm", kernels.RMSNorm, kernels.Attr{Eps: 1e-5}).in(f32, nil, n, c).in(f32, nil, c).out(f32, n, c).out(f32, n),
		one("rms_norm_bwd", kernels.RMSNormBwd, kernels.Attr{Eps: 1e-5, Opt: kernels.WithDW}).in(f32, nil, n, c).in(f32, nil, c).in(f32, positiveValues, n).in(f32, nil, n, c).out(f32, n, c).out(f32, c),
		one("rope", kernels.RoPE, kernels.Attr{Sign: 1, Scale: 1}).in(f32, nil, n, 8, 8).in(i32, ints(256), n).in(f32, positiveValues, 4).out(f32, n, 8, 8),
		one("glu", kernels.GLU, kernels.Attr{}).in(f32, nil, n, f).in(f32, nil, n, f).out(f32, n, f),
		one("glu_bwd", kernels.GLUBwd, kernels.Attr{}).in(f32, nil, n, f).in(f32, nil, n, f).in(f32, nil, n, f).out(f32, n, f).out(f32, n, f),
		one("binary_add", kernels.Binary, kernels.Attr{}).in(f32, nil, n, c).in(f32, nil, n, c).out(f32, n, c),
		one("unary_exp", kernels.Unary, kernels.Attr{Unary: kernels.Exp}).in(f32, nil, n, c).out(f32, n, c),
		attentionTrial(kernels.Attention, nb, nt, 8, 4, 8),
		attentionTrial(kernels.AttentionBwd, nb, nt, 8, 4, 8),
		attentionTrial(kernels.Attention, 1, 512, 8, 4, 64),
		attentionTrial(kernels.AttentionBwd, 1, 512, 8, 4, 64),
		one("linear_ce", kernels.LinearCE, kernels.Attr{Scale: 1}).in(f32, nil, n, c).in(f32, nil, nv, c).in(i32, ints(nv), n).out(f32, n).out(f32, n),
		one("linear_ce_grad", kernels.LinearCEGrad, kernels.Attr{Scale: 1, Opt: kernels.WithDW}).in(f32, nil, n, c).in(f32, nil, nv, c).in(i32, ints(nv), n).in(f32, nil, n).out(f32, n).out(f32, n, c).out(f32, nv, c),
		embedBwd(f32, n, 500, c),
		optimTrials(f32)[2],
	} {
		b.Run(tr.name, tr.bench)
	}
}

// attentionTrial has one whole document in each sequence.
func attentionTrial(op kernels.Op, nb, nt, nh, nk, hd int) *trial {
	docs := func(_ *rand.Rand, i int) float64 { return float64(i / (nb * nt) * nt) }
	tr := one(fmt.Sprintf("%v %dx%dx%dx%d", op, nb, nt, nh, hd), op, kernels.Attr{Scale: 0.35}).
		in(f32, nil, nb, nt, nh, hd).in(f32, nil, nb, nt, nk, hd).in(f32, nil, nb, nt, nk, hd).in(i32, docs, 2, nb, nt)
	if op == kernels.Attention {
		return tr.out(f32, nb, nt, nh, hd).out(f32, nb, nh, nt)
	}
	large := func(*rand.Rand, int) float64 { return 9 }
	return tr.in(f32, nil, nb, nt, nh, hd).in(f32, large, nb, nh, nt).in(f32, nil, nb, nt, nh, hd).
		out(f32, nb, nt, nh, hd).out(f32, nb, nt, nk, hd).out(f32, nb, nt, nk, hd)
}
