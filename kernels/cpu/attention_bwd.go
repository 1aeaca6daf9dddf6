package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// lowerAttentionBwd gives each task a key head of a sequence, so that dk and
// dv have one owner and their order of summation is fixed.
func lowerAttentionBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	q, k, v := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2])
	o, lse, do := b.view(in.In[4]), b.view(in.In[5]), b.view(in.In[6])
	dq, dk, dv := b.view(in.Out[0]), b.view(in.Out[1]), b.view(in.Out[2])
	reads, vis := b.visibility(in, d)
	x := newHeads(in, d, b.tier)
	b.add(step{
		kernel: "attention_bwd", reads: append(reads, q, k, v, o, lse, do), writes: []operand{dq, dk, dv},
		tasks: d.Get('B') * x.nk,
		local: x.tile*(5*x.hd+4*x.padded+5*x.tile+2) + 2*(x.ns+x.tile)*x.padded + 2*x.hd,
		bind: func(m *memory) task {
			x := attentionBwd{heads: x, do: m.array(do), dq: m.array(dq), dk: m.array(dk), dv: m.array(dv)}
			x.q, x.k, x.v, x.o, x.lse, x.vis = m.array(q), m.array(k), m.array(v), m.array(o), m.array(lse).f, vis(m)
			return func(t int, local []float32) { x.head(t/x.nk, t%x.nk, local) }
		},
	})
}

type attentionBwd struct {
	heads
	do, dq, dk, dv *array
}

// bwdTile is the buffers of a tile of queries against a tile of keys. Names
// end in p for panels over the head size, in c for panels of columns.
type bwdTile struct {
	qp, gp, kp, vp []float32 // q Scale, do, k, v as factors of the scores and of dp
	qc, gc, kc     []float32 // q, do, k as right-hand sides of dk, dv, dq
	s, dp          []float32 // (tile, tile): p and ds once they are known
	pt, dst, ds    []float32 // panels: p and ds by keys, ds by queries
	dq             []float32 // (tile, padded)
	dk, dv         []float32 // (S + tile, padded)
	lse, delta     []float32
	buf, buf2      []float32
}

func (x *attentionBwd) carve(l *bwdTile, local []float32) {
	w := x.tile
	c := func(n int) []float32 { return carve(&local, n) }
	*l = bwdTile{
		qp: c(w * x.hd), gp: c(w * x.hd), kp: c(w * x.hd), vp: c(w * x.hd),
		qc: c(w * x.padded), gc: c(w * x.padded), kc: c(w * x.padded),
		s: c(w * w), dp: c(w * w), pt: c(w * w), dst: c(w * w), ds: c(w * w),
		dq: c(w * x.padded), dk: c((x.ns + w) * x.padded), dv: c((x.ns + w) * x.padded),
		lse: c(w), delta: c(w), buf: c(x.hd), buf2: c(x.hd),
	}
}

// head computes everything of key head kh in sequence b.
func (x *attentionBwd) head(b, kh int, local []float32) {
	var tile bwdTile
	l := &tile
	x.carve(l, local)
	clear(l.dk)
	clear(l.dv)
	group := x.nh / x.nk
	for h := kh * group; h < (kh+1)*group; h++ {
		for t0 := 0; t0 < x.nt; t0 += x.tile {
			x.queries(l, b, h, kh, t0)
		}
	}
	for j := range x.ns {
		x.dk.store(x.row(x.dk, b, j, kh), l.dk[j*x.padded:j*x.padded+x.hd])
		x.dv.store(x.row(x.dv, b, j, kh), l.dv[j*x.padded:j*x.padded+x.hd])
	}
}

// queries adds the part of queries [t0, t0+tile) of head h to dk and dv and
// stores their dq.
func (x *attentionBwd) queries(l *bwdTile, b, h, kh, t0 int) {
	n, hd, mk := min(x.tile, x.nt-t0), x.hd, x.mk
	at, ag := x.row(x.q, b, t0, h), x.row(x.do, b, t0, h)
	packRows(l.qp, x.q, at, x.q.stride[1], n, hd, mk.MR, x.scale, l.buf)
	packRows(l.gp, x.do, ag, x.do.stride[1], n, hd, mk.MR, 1, l.buf)
	packColumns(l.qc, x.q, at, x.q.stride[1], hd, n, mk.NR, 1, l.buf)
	packColumns(l.gc, x.do, ag, x.do.stride[1], hd, n, mk.NR, 1, l.buf)
	finite := finiteRows(l.qc[:n*x.padded]) && finiteRows(l.gc[:n*x.padded])
	clear(l.dq)
	for i := range n {
		g := x.do.load(ag+i*x.do.stride[1], hd, l.buf)
		o := x.o.load(x.row(x.o, b, t0+i, h), hd, l.buf2)
		l.delta[i] = x.mk.Dot(g, o)
		l.lse[i] = x.lse[(b*x.nh+h)*x.nt+t0+i]
	}
	first, last := x.keys(b, t0, n)
	// Whole tiles from a fixed start: padding rows of dk and dv then never
	// reach into another tile's.
	for j0 := first / x.tile * x.tile; j0 < last; j0 += x.tile {
		j1 := min(j0+x.tile, last)
		ak := x.row(x.k, b, j0, kh)
		packRows(l.kp, x.k, ak, x.k.stride[1], j1-j0, hd, mk.NR, 1, l.buf)
		packRows(l.vp, x.v, x.row(x.v, b, j0, kh), x.v.stride[1], j1-j0, hd, mk.NR, 1, l.buf)
		packColumns(l.kc, x.k, ak, x.k.stride[1], hd, j1-j0, mk.NR, 1, l.buf)
		x.scoreTile(l.s, l.qp, l.kp, b, t0, n, j0, j1)
		x.scoreTile(l.dp, l.gp, l.vp, b, t0, n, j0, j1)
		clear(l.pt[:n*x.tile])
		clear(l.dst[:n*x.tile])
		clear(l.ds[:blocks(n, mk.MR)*mk.MR*x.tile])
		for i := range n {
			x.gradient(l, b, t0, i, n, j0, j1)
		}
		if finite && finiteRows(l.kc[:(j1-j0)*x.padded]) {
			x.multiply(l, b, t0, n, j0, j1)
		} else {
			x.multiplyVisible(l, b, h, kh, t0, n, j0, j1)
		}
	}
	for i := range n {
		x.dq.store(x.row(x.dq, b, t0+i, h), l.dq[i*x.padded:i*x.padded+hd])
	}
}

// gradient turns the scores of query i into p, and dp into ds.
func (x *attentionBwd) gradient(l *bwdTile, b, t0, i, n, j0, j1 int) {
	lo, hi := x.vis.span(b, t0+i)
	lo, hi = max(lo, j0)-j0, min(hi, j1)-j0
	if hi <= lo {
		return
	}
	mr := x.mk.MR
	p, ds := l.s[i*x.tile+lo:i*x.tile+hi], l.dp[i*x.tile+lo:i*x.tile+hi]
	lse, delta := float64(l.lse[i]), l.delta[i]
	if x.softCap == 0 {
		x.mk.ExpSum(p, p, l.lse[i])
		for j, e := range p {
			ds[j] = e * (ds[j] - delta) * x.scale
		}
	} else {
		for j, s := range p {
			z, slope := simd.Capped(s, x.softCap)
			p[j] = float32(simd.Exp(float64(z) - lse))
			ds[j] = p[j] * (ds[j] - delta) * slope * x.scale
		}
	}
	rows := l.ds[i/mr*mr*x.tile+lo*mr+i%mr:]
	for j, d := range ds {
		rows[j*mr] = d
	}
	for j := range p {
		at := (lo+j)/mr*mr*n + i*mr + (lo+j)%mr
		l.pt[at] = p[j]
		l.dst[at] = ds[j]
	}
}

// multiply adds ds k to dq, ds^T q to dk and p^T do to dv.
func (x *attentionBwd) multiply(l *bwdTile, b, t0, n, j0, j1 int) {
	mr, nr, nj, w := x.mk.MR, x.mk.NR, j1-j0, x.padded
	for i := 0; i < n; i += mr {
		from, to := x.panelRange(b, t0+i, min(mr, n-i), j0, j1)
		if from >= to {
			continue
		}
		for c := 0; c < w; c += nr {
			x.mk.Gemm(to-from, l.ds[i*x.tile+from*mr:], l.kc[c*nj+from*nr:], l.dq[i*w+c:], w, true)
		}
	}
	for j := 0; j < nj; j += mr {
		from := max(0, j0+j-t0) // no earlier query sees the key
		if from >= n {
			break
		}
		for c := 0; c < w; c += nr {
			x.mk.Gemm(n-from, l.dst[j*n+from*mr:], l.qc[c*n+from*nr:], l.dk[(j0+j)*w+c:], w, true)
			x.mk.Gemm(n-from, l.pt[j*n+from*mr:], l.gc[c*n+from*nr:], l.dv[(j0+j)*w+c:], w, true)
		}
	}
}

// multiplyVisible works like multiply and touches only pairs that see each
// other.
func (x *attentionBwd) multiplyVisible(l *bwdTile, b, h, kh, t0, n, j0, j1 int) {
	w, hd := x.padded, x.hd
	for i := range n {
		lo, hi := x.vis.span(b, t0+i)
		for j := max(lo, j0); j < min(hi, j1); j++ {
			p, ds := l.s[i*x.tile+j-j0], l.dp[i*x.tile+j-j0]
			axpy(l.dq[i*w:i*w+hd], ds, x.k.load(x.row(x.k, b, j, kh), hd, l.buf))
			axpy(l.dk[j*w:j*w+hd], ds, x.q.load(x.row(x.q, b, t0+i, h), hd, l.buf))
			axpy(l.dv[j*w:j*w+hd], p, x.do.load(x.row(x.do, b, t0+i, h), hd, l.buf))
		}
	}
}
