package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// gradientQueries is how many queries go over the keys at once, whole panels:
// gradients of keys and values are read and written once for so many.
func gradientQueries(t *simd.Tier) int { return blocks(128, t.NR) * t.NR }

// gradientTasks is how many tasks there should be, where heads allow it.
const gradientTasks = 32

// lowerAttentionBwd gives each task a key head of a sequence, so that dk and
// dv have one owner and their order of summation is fixed. Where those are few,
// the query heads that share a key head are split, and a second step adds up
// what each part has found.
func lowerAttentionBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	q, k, v := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2])
	o, lse, do := b.view(in.In[4]), b.view(in.In[5]), b.view(in.In[6])
	dq, dk, dv := b.view(in.Out[0]), b.view(in.Out[1]), b.view(in.Out[2])
	reads, vis := b.visibility(in, d)
	x, nb := newHeads(in, d, b.tier), d.Get('B')
	kp, vp := b.packKeys(x, nb, k, asRows, reads, vis), b.packKeys(x, nb, v, asRows, reads, vis)
	kc := b.packKeys(x, nb, k, asColumns, reads, vis)
	reads = append(append(append(reads, kp.operands()...), vp.operands()...), kc.operands()...)
	parts := min(x.nh/x.nk, blocks(gradientTasks, nb*x.nk))
	main := step{
		kernel: "attention_bwd", reads: append(reads, q, k, o, lse, do), writes: []operand{dq, dk, dv},
		tasks: nb * x.nk * parts, local: x.gradientLocal(parts),
	}
	var sums operand
	if parts > 1 {
		sums = b.temp(2, nb*x.nk*parts, x.gradientSize())
		main.writes = []operand{dq, sums}
	}
	bind := func(m *memory) *attentionBwd {
		x := &attentionBwd{heads: x, parts: parts, do: m.array(do), dq: m.array(dq), dk: m.array(dk), dv: m.array(dv)}
		x.q, x.k, x.o, x.lse, x.vis = m.array(q), m.array(k), m.array(o), m.array(lse).f, vis(m)
		x.kp, x.vp, x.kc = kp.bind(m), vp.bind(m), kc.bind(m)
		if parts > 1 {
			all := m.array(sums).f
			half := nb * x.nk * parts * x.gradientSize()
			x.dkSums, x.dvSums = all[:half], all[half:2*half]
		}
		return x
	}
	main.bind = func(m *memory) task {
		x := bind(m)
		return func(t int, local []float32) { x.head(t/(x.nk*parts), t/parts%x.nk, t%parts, local) }
	}
	b.add(main)
	if parts > 1 {
		b.add(step{
			kernel: "attention_bwd_join", reads: []operand{sums}, writes: []operand{dk, dv},
			tasks: nb * x.nk, local: x.wide,
			bind: func(m *memory) task {
				x := bind(m)
				return func(t int, local []float32) {
					x.join(x.dk, x.dkSums, t/x.nk, t%x.nk, local)
					x.join(x.dv, x.dvSums, t/x.nk, t%x.nk, local)
				}
			},
		})
	}
}

type attentionBwd struct {
	heads
	do, dq, dk, dv *array
	kc             packedKeys // k by columns
	parts          int        // of the query heads of a key head
	dkSums, dvSums []float32  // (B, K, parts, S + MR, wide); nil for one part
}

// gradientSize is the elements of dk or dv of a key head while it is summed.
func (x *heads) gradientSize() int { return (x.ns + x.tier.MR) * x.wide }

// gradientTile is the buffers of some queries against a tile of keys. Names
// end in p for panels over the head size, in c for panels of columns.
type gradientTile struct {
	n, panels    int       // queries, panels of them
	qp, gp       []float32 // panels of (D, NR): q Scale, do as factors of the scores and of dp
	qc, gc       []float32 // (wide, queries): q, do as right-hand sides of dk, dv
	s, dp, slope []float32 // (keyTile, NR): p and ds once they are known; slope of a soft cap
	pt, dst      []float32 // (keyTile, queries), panels of MR keys: p and ds
	dq           []float32 // panels of (tall, NR)
	dk, dv       []float32 // (S + MR, wide)
	lse, delta   []float32 // (queries)
	out          []float32 // (NR, wide)
	finite       bool      // q and do are
	buf, buf2    []float32
}

func (x *heads) gradientLocal(parts int) int {
	t := x.tier
	w, kt := gradientQueries(t), keyTile(t)
	n := w*(2*x.hd+2*x.wide+2*kt+x.tall()+2) + 2*kt*t.NR + t.NR*t.NR + max(16*x.hd, 8*x.hd) + x.hd
	if x.softCap != 0 {
		n += kt * t.NR
	}
	if parts == 1 {
		n += 2 * x.gradientSize()
	}
	return n
}

func (x *attentionBwd) carve(l *gradientTile, local []float32) {
	w, kt, nr := gradientQueries(x.tier), keyTile(x.tier), x.tier.NR
	c := func(n int) []float32 { return carve(&local, n) }
	l.qp, l.gp, l.qc, l.gc = c(w*x.hd), c(w*x.hd), c(w*x.wide), c(w*x.wide)
	l.s, l.dp, l.pt, l.dst, l.dq = c(kt*nr), c(kt*nr), c(kt*w), c(kt*w), c(w*x.tall())
	if x.parts == 1 {
		l.dk, l.dv = c(x.gradientSize()), c(x.gradientSize())
	}
	l.lse, l.delta, l.out, l.buf2 = c(w), c(w), c(nr*nr), c(x.hd)
	if x.softCap != 0 {
		l.slope = c(kt * nr)
	}
	l.buf = local
}

// head computes everything of a part of the query heads that share key head kh
// in sequence b.
func (x *attentionBwd) head(b, kh, part int, local []float32) {
	var tile gradientTile
	l := &tile
	x.carve(l, local)
	if x.parts > 1 {
		at, n := ((b*x.nk+kh)*x.parts+part)*x.gradientSize(), x.gradientSize()
		l.dk, l.dv = x.dkSums[at:at+n], x.dvSums[at:at+n]
	}
	clear(l.dk)
	clear(l.dv)
	group, w := x.nh/x.nk, gradientQueries(x.tier)
	for h := kh*group + part*group/x.parts; h < kh*group+(part+1)*group/x.parts; h++ {
		for t0 := 0; t0 < x.nt; t0 += w {
			x.queries(l, b, h, kh, t0)
		}
	}
	if x.parts > 1 {
		return
	}
	for j := range x.ns {
		x.dk.store(x.row(x.dk, b, j, kh), l.dk[j*x.wide:j*x.wide+x.hd])
		x.dv.store(x.row(x.dv, b, j, kh), l.dv[j*x.wide:j*x.wide+x.hd])
	}
}

// join adds the parts of a key head's dk or dv up, in their order.
func (x *attentionBwd) join(to *array, sums []float32, b, kh int, local []float32) {
	size := x.gradientSize()
	sums = sums[(b*x.nk+kh)*x.parts*size:]
	total := local[:x.hd]
	for j := range x.ns {
		at := j * x.wide
		copy(total, sums[at:at+x.hd])
		for range x.parts - 1 {
			at += size
			x.tier.Add(total, total, sums[at:at+x.hd])
		}
		to.store(x.row(to, b, j, kh), total)
	}
}

// load prepares queries [t0, t0 + l.n) of head h.
func (x *attentionBwd) load(l *gradientTile, b, h, t0 int) {
	nr := x.tier.NR
	at, ag := x.row(x.q, b, t0, h), x.row(x.do, b, t0, h)
	packRows(l.qp, x.q, at, x.q.stride[1], l.n, x.hd, nr, x.scale, l.buf)
	packRows(l.gp, x.do, ag, x.do.stride[1], l.n, x.hd, nr, 1, l.buf)
	packColumns(l.qc, x.q, at, x.q.stride[1], x.hd, l.n, nr, 1, l.buf)
	packColumns(l.gc, x.do, ag, x.do.stride[1], x.hd, l.n, nr, 1, l.buf)
	l.finite = finiteRows(l.qc[:l.n*x.wide]) && finiteRows(l.gc[:l.n*x.wide])
	for i := range l.n {
		g := x.do.load(ag+i*x.do.stride[1], x.hd, l.buf)
		o := x.o.load(x.row(x.o, b, t0+i, h), x.hd, l.buf2)
		l.delta[i] = x.tier.Dot(g, o)
		l.lse[i] = x.lse[(b*x.nh+h)*x.nt+t0+i]
	}
	for i := l.n; i < l.panels*nr; i++ { // no queries: weights of 0
		l.lse[i], l.delta[i] = float32(math.Inf(1)), 0
	}
}

// queries adds the part of queries [t0, t0 + gradientQueries) of head h to dk
// and dv and stores their dq.
func (x *attentionBwd) queries(l *gradientTile, b, h, kh, t0 int) {
	kt, nr := keyTile(x.tier), x.tier.NR
	l.n = min(gradientQueries(x.tier), x.nt-t0)
	l.panels = blocks(l.n, nr)
	x.load(l, b, h, t0)
	clear(l.dq[:l.panels*x.tall()*nr])
	first, last := x.keys(b, t0, l.n)
	for j0 := first / kt * kt; j0 < last; j0 += kt {
		x.tile(l, b, h, kh, t0, j0)
	}
	for i := range l.panels {
		p := queryPanel{b: b, t0: t0 + i*nr, n: min(nr, l.n-i*nr)}
		x.storePanel(&p, x.dq, h, l.dq[i*x.tall()*nr:], l.out)
	}
}

// tile does the keys of the tile that begins at j0.
func (x *attentionBwd) tile(l *gradientTile, b, h, kh, t0, j0 int) {
	nr := x.tier.NR
	j1 := min(j0+keyTile(x.tier), x.ns)
	finite := l.finite && x.kp.finite(b, kh, j0)
	begin, end, to := l.panels, 0, 0 // panels that see keys of the tile, and where those end
	for i := range l.panels {
		p := x.panel(b, t0+i*nr)
		if !p.enter(&x.heads, j0, j1) {
			x.keep(l, i, 0, 0)
			continue
		}
		x.scores(&p, l.s, l.qp[i*nr*x.hd:], x.kp.tile(b, kh, j0))
		x.scores(&p, l.dp, l.gp[i*nr*x.hd:], x.vp.tile(b, kh, j0))
		x.gradient(l, &p, i, j0)
		if finite {
			x.addQueries(l, &p, i, b, kh, j0)
			x.keep(l, i, p.from, p.to)
			begin, end, to = min(begin, i), i+1, max(to, p.to)
		} else {
			x.addVisible(l, &p, i, b, h, kh, j0)
		}
	}
	if begin < end {
		x.addKeys(l, j0, begin*nr, min(end*nr, l.n), to)
	}
}

// gradient turns the scores of panel i into p, and dp into ds; both are 0 for
// what a query does not see.
func (x *attentionBwd) gradient(l *gradientTile, p *queryPanel, i, j0 int) {
	nr := x.tier.NR
	s, dp := l.s[p.from*nr:p.to*nr], l.dp[p.from*nr:p.to*nr]
	x.cap(s)
	if x.softCap != 0 { // the slope is 1 - tanh^2
		slope := l.slope[p.from*nr : p.to*nr]
		x.tier.Scale(slope, s, 1/x.softCap)
		x.tier.Mul(slope, slope, slope)
		x.tier.Affine(slope, slope, -1, 1)
	}
	x.tier.PanelGrad(p.to-p.from, s, dp, l.lse[i*nr:(i+1)*nr], l.delta[i*nr:(i+1)*nr], x.scale)
	if x.softCap != 0 {
		x.tier.Mul(dp, dp, l.slope[p.from*nr:p.to*nr])
	}
	x.mask(p, l.s, j0, 0)
	x.mask(p, l.dp, j0, 0)
}

// addQueries adds ds k to dq.
func (x *attentionBwd) addQueries(l *gradientTile, p *queryPanel, i, b, kh, j0 int) {
	mr, nr := x.tier.MR, x.tier.NR
	kc, nj, dq := x.kc.tile(b, kh, j0), min(keyTile(x.tier), x.ns-j0), l.dq[i*x.tall()*nr:]
	for c := 0; c < x.hd; c += mr {
		x.part(x.hd-c, p.n, p.to-p.from, kc[c*nj+p.from*mr:], l.dp[p.from*nr:], dq[c*nr:], nr, true)
	}
}

// keep packs rows [from, to) of p and ds as panels of keys, and zeros beside
// them: panel i of queries sees no other keys.
func (x *attentionBwd) keep(l *gradientTile, i, from, to int) {
	mr, nr, w := x.tier.MR, x.tier.NR, gradientQueries(x.tier)
	clear(l.s[to*nr : blocks(to, mr)*mr*nr])
	clear(l.dp[to*nr : blocks(to, mr)*mr*nr])
	for j := 0; j < keyTile(x.tier); j += mr {
		at := j*w + i*nr*mr
		if j < from || j >= to {
			clear(l.pt[at : at+nr*mr])
			clear(l.dst[at : at+nr*mr])
			continue
		}
		x.tier.PackRowsMR(l.pt[at:], l.s[j*nr:], nr, nr)
		x.tier.PackRowsMR(l.dst[at:], l.dp[j*nr:], nr, nr)
	}
}

// addKeys adds ds^T q to dk and p^T do to dv for queries [from, to) of the
// tile and its first keys.
func (x *attentionBwd) addKeys(l *gradientTile, j0, from, to, keys int) {
	mr, nr, w := x.tier.MR, x.tier.NR, gradientQueries(x.tier)
	for j := 0; j < keys; j += mr {
		pt, dst := l.pt[j*w+from*mr:], l.dst[j*w+from*mr:]
		for c := 0; c < x.hd; c += nr {
			x.part(mr, x.hd-c, to-from, dst, l.qc[c*l.n+from*nr:], l.dk[(j0+j)*x.wide+c:], x.wide, true)
			x.part(mr, x.hd-c, to-from, pt, l.gc[c*l.n+from*nr:], l.dv[(j0+j)*x.wide+c:], x.wide, true)
		}
	}
}

// addVisible adds a panel's part of dq, dk and dv and touches only pairs that
// see each other: a zero of p or ds would turn an infinity into a NaN.
func (x *attentionBwd) addVisible(l *gradientTile, p *queryPanel, i, b, h, kh, j0 int) {
	nr := x.tier.NR
	dq := l.dq[i*x.tall()*nr:]
	for e := range p.n {
		t := p.t0 + e
		lo, hi := x.vis.span(b, t)
		for j := max(lo, j0+p.from); j < min(hi, j0+p.to); j++ {
			w, ds := l.s[(j-j0)*nr+e], l.dp[(j-j0)*nr+e]
			for c, y := range x.k.load(x.row(x.k, b, j, kh), x.hd, l.buf) {
				dq[c*nr+e] += ds * y
			}
			x.tier.Axpy(l.dk[j*x.wide:j*x.wide+x.hd], x.q.load(x.row(x.q, b, t, h), x.hd, l.buf), ds)
			x.tier.Axpy(l.dv[j*x.wide:j*x.wide+x.hd], x.do.load(x.row(x.do, b, t, h), x.hd, l.buf), w)
		}
	}
}
