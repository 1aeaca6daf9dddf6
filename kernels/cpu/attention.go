package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// Attention is made of products of the micro-kernel on panels, with queries on
// the lanes. The scores of a panel of NR queries are K Q^T, a row for each key:
// the softmax runs down the lanes, and its result is, as it lies, the right-hand
// panel of the product with V. Keys and values are packed once for all
// queries and heads that share them.

// heads is what attention and its gradient share: operands, geometry and
// tiles. Shapes are (B, T, H, D) and (B, S, K, D).
type heads struct {
	q, k, v, o     *array
	lse            []float32 // (B, H, T)
	vis            visibility
	nh, nk, nt, ns int
	hd             int // head size D
	up, wide       int // D rounded up to rows, and to columns, of the micro-kernel
	scale, softCap float32
	tier           *simd.Tier
	kp, vp         packedKeys
}

// keyTile is how many keys a tile of scores has, so that it stays in the first
// cache: a whole number of panels of the micro-kernel's rows.
func keyTile(t *simd.Tier) int { return 96 / t.MR * t.MR }

func newHeads(in kernels.Instr, d kernels.Dims, t *simd.Tier) heads {
	hd := d.Get('D')
	return heads{nh: d.Get('H'), nk: d.Get('K'), nt: d.Get('T'), ns: d.Get('S'),
		hd: hd, up: blocks(hd, t.MR) * t.MR, wide: blocks(hd, t.NR) * t.NR,
		scale: in.Attr.Scale, softCap: in.Attr.SoftCap, tier: t}
}

// tall is the rows of a panel of outputs: D, rounded up to whole products and
// whole transposes.
func (x *heads) tall() int { return max(x.up, blocks(x.hd, x.tier.Lanes)*x.tier.Lanes) }

// row is where the vector of position t and head h of sequence b starts.
func (x *heads) row(a *array, b, t, h int) int { return b*a.stride[0] + t*a.stride[1] + h*x.hd }

// keys is the range of keys that some query in [t0, t0+n) sees.
func (x *heads) keys(b, t0, n int) (first, last int) {
	first = math.MaxInt
	for t := t0; t < t0+n; t++ {
		if lo, hi := x.vis.span(b, t); lo < hi {
			first, last = min(first, lo), max(last, hi)
		}
	}
	return min(first, last), last
}

// part runs the micro-kernel for the first m rows and n columns of a tile of c.
// What it writes beside them is inside of the tile.
func (x *heads) part(m, n, kc int, a, b, c []float32, ldc int, acc bool) {
	t := x.tier
	if t.GemmPart == nil || m > t.MR-2 && n > t.NR-t.Lanes {
		t.Gemm(kc, 1, a, b, c, ldc, acc, address(b), -stripBytes)
		return
	}
	t.GemmPart((min(m, t.MR)-1)/2*(t.NR/t.Lanes)+(min(n, t.NR)-1)/t.Lanes, kc, a, b, c, ldc, acc)
}

// queryPanel is NR queries of a head, the part of a tile of keys that they
// see, and how much of that they all see.
type queryPanel struct {
	b, t0, n    int // queries [t0, t0+n) of sequence b
	first, last int // keys that some query sees
	from, to    int // the part of a tile, in keys from its start; from is a whole panel
	masked      bool
}

func (x *heads) panel(b, t0 int) (p queryPanel) {
	p = queryPanel{b: b, t0: t0, n: min(x.tier.NR, x.nt-t0)}
	p.first, p.last = x.keys(b, t0, p.n)
	return p
}

// enter sets the part of the tile [j0, j1) that the panel sees; false is none.
func (p *queryPanel) enter(x *heads, j0, j1 int) bool {
	p.from, p.to = max(p.first, j0)-j0, min(p.last, j1)-j0
	if p.from >= p.to {
		return false
	}
	p.from = p.from / x.tier.MR * x.tier.MR
	p.masked = false
	for t := p.t0; t < p.t0+p.n && !p.masked; t++ {
		lo, hi := x.vis.span(p.b, t)
		p.masked = lo > j0+p.from || hi < j0+p.to
	}
	return true
}

// scores sets rows [from, to) of s, NR wide, to the products of the panel's
// packed queries and the tile's packed keys.
func (x *heads) scores(p *queryPanel, s, qp, kp []float32) {
	for i := p.from; i < p.to; i += x.tier.MR {
		x.part(p.to-i, p.n, x.hd, kp[i*x.hd:], qp, s[i*x.tier.NR:], x.tier.NR, false)
	}
}

// mask sets what a query of the panel does not see in the tile to a value.
func (x *heads) mask(p *queryPanel, s []float32, j0 int, value float32) {
	if !p.masked {
		return
	}
	nr := x.tier.NR
	for i := range p.n {
		lo, hi := x.vis.span(p.b, p.t0+i)
		lo, hi = min(max(lo-j0, p.from), p.to), min(max(hi-j0, p.from), p.to)
		if hi <= lo {
			lo, hi = p.to, p.to
		}
		for j := p.from; j < lo; j++ {
			s[j*nr+i] = value
		}
		for j := hi; j < p.to; j++ {
			s[j*nr+i] = value
		}
	}
}

// attentionQueries is how many queries a task has: about 64, whole panels.
func attentionQueries(t *simd.Tier) int { return blocks(64, t.NR) * t.NR }

// lowerAttention keeps, for each query of a panel, the largest score so far,
// the sum of exponentials and the unnormalised output, and walks over the
// visible keys tile by tile (Dao et al. 2022).
func lowerAttention(b *builder, in kernels.Instr, d kernels.Dims) {
	if d.Get('T') <= fewQueries {
		lowerFewAttention(b, in, d)
		return
	}
	q, k, v, o, lse := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0]), b.view(in.Out[1])
	reads, vis := b.visibility(in, d)
	x, nb := newHeads(in, d, b.tier), d.Get('B')
	kp, vp := b.packKeys(x, nb, k, asRows, reads, vis), b.packKeys(x, nb, v, asColumns, reads, vis)
	nr, w := b.tier.NR, attentionQueries(b.tier)
	tiles := blocks(x.nt, w)
	b.add(step{
		kernel: "attention", reads: append(append(append(reads, q, v), kp.operands()...), vp.operands()...), writes: []operand{o, lse}, tasks: nb * x.nh * tiles,
		local: nr*x.hd + keyTile(b.tier)*nr + x.tall()*nr + nr*nr + 3*nr + max(16*x.hd, 16*nr),
		bind: func(m *memory) task {
			x := attention{x}
			x.q, x.v, x.o, x.lse, x.vis = m.array(q), m.array(v), m.array(o), m.array(lse).f, vis(m)
			x.kp, x.vp = kp.bind(m), vp.bind(m)
			return func(t int, local []float32) {
				// The last queries of a sequence see the most keys: they come
				// first, so that threads finish together.
				t0 := (tiles - 1 - t%tiles) * w
				for end := min(t0+w, x.nt); t0 < end; t0 += nr {
					x.queries(t/(x.nh*tiles), t/tiles%x.nh, t0, local)
				}
			}
		},
	})
}

type attention struct{ heads }

// attentionBuffers is what a task computes in.
type attentionBuffers struct {
	qp, s        []float32 // (D, NR), (keyTile, NR)
	acc, out     []float32 // (tall, NR), (NR, NR)
	most, sum, f []float32 // (NR)
	buf          []float32
}

// queries computes a panel of queries of head h.
func (x *attention) queries(b, h, t0 int, local []float32) {
	nr, kt := x.tier.NR, keyTile(x.tier)
	c := func(n int) []float32 { return carve(&local, n) }
	l := attentionBuffers{qp: c(nr * x.hd), s: c(kt * nr), acc: c(x.tall() * nr), out: c(nr * nr), most: c(nr), sum: c(nr), f: c(nr), buf: local}
	p, kh := x.panel(b, t0), h/(x.nh/x.nk)
	packRows(l.qp, x.q, x.row(x.q, b, t0, h), x.q.stride[1], p.n, x.hd, nr, x.scale, l.buf)
	clear(l.sum)
	for i := range l.most {
		l.most[i] = negInf
	}
	fresh := true // nothing is in acc yet
	for j0 := p.first / kt * kt; j0 < p.last; j0 += kt {
		if !p.enter(&x.heads, j0, min(j0+kt, x.ns)) {
			continue
		}
		x.scores(&p, l.s, l.qp, x.kp.tile(b, kh, j0))
		x.cap(l.s[p.from*nr : p.to*nr])
		x.mask(&p, l.s, j0, negInf)
		x.tier.PanelSoftmax(p.to-p.from, l.s[p.from*nr:], l.most, l.sum, l.f)
		if !fresh {
			x.rescale(l.acc, l.f)
		}
		x.weigh(&p, &l, b, kh, j0, fresh)
		fresh = false
	}
	x.finish(&p, &l, h, fresh)
}

// cap makes c tanh(s / c) of scores.
func (x *heads) cap(s []float32) {
	if x.softCap != 0 {
		x.tier.Scale(s, s, 1/x.softCap)
		x.tier.Tanh(s, s)
		x.tier.Scale(s, s, x.softCap)
	}
}

// rescale multiplies the outputs so far by a factor for each query, which is 1
// for all of them once the largest scores have been seen.
func (x *attention) rescale(acc, f []float32) {
	for _, e := range f {
		if e != 1 {
			x.tier.PanelScale(x.hd, acc, f)
			return
		}
	}
}

// weigh adds the weights times the values of a tile to acc.
func (x *attention) weigh(p *queryPanel, l *attentionBuffers, b, kh, j0 int, fresh bool) {
	mr, nr := x.tier.MR, x.tier.NR
	if !x.vp.finite(b, kh, j0) {
		x.weighVisible(p, l, b, kh, j0, fresh)
		return
	}
	vp, nj := x.vp.tile(b, kh, j0), min(keyTile(x.tier), x.ns-j0)
	for c := 0; c < x.hd; c += mr {
		x.part(x.hd-c, p.n, p.to-p.from, vp[c*nj+p.from*mr:], l.s[p.from*nr:], l.acc[c*nr:], nr, !fresh)
	}
}

// weighVisible works like weigh and reads no value that a query does not see:
// a weight of zero would turn an infinity into a NaN.
func (x *attention) weighVisible(p *queryPanel, l *attentionBuffers, b, kh, j0 int, fresh bool) {
	nr := x.tier.NR
	if fresh {
		clear(l.acc)
	}
	for j := p.from; j < p.to; j++ {
		v := x.v.load(x.row(x.v, b, j0+j, kh), x.hd, l.buf)
		for i := range p.n {
			if lo, hi := x.vis.span(b, p.t0+i); j0+j < lo || j0+j >= hi {
				continue
			}
			for c, e := range v {
				l.acc[c*nr+i] += l.s[j*nr+i] * e
			}
		}
	}
}

// finish normalises the outputs. A query that sees nothing gives 0 and -Inf.
func (x *attention) finish(p *queryPanel, l *attentionBuffers, h int, fresh bool) {
	if fresh {
		clear(l.acc)
	}
	for i := range p.n {
		lse := float32(float64(l.most[i]) + math.Log(float64(l.sum[i])))
		if math.IsInf(float64(l.most[i]), 0) {
			lse = l.most[i]
		}
		l.f[i] = 1 / l.sum[i]
		if lo, hi := x.vis.span(p.b, p.t0+i); hi <= lo {
			l.f[i], lse = 0, negInf
		}
		x.lse[(p.b*x.nh+h)*x.nt+p.t0+i] = lse
	}
	x.tier.PanelScale(x.hd, l.acc, l.f)
	x.storePanel(p, x.o, h, l.acc, l.out)
}

// storePanel writes D rows of a panel as a vector for each query. out holds
// (NR, NR).
func (x *heads) storePanel(p *queryPanel, to *array, h int, acc, out []float32) {
	t := x.tier
	for c0 := 0; c0 < x.hd; c0 += t.NR {
		n := min(t.NR, x.hd-c0)
		for c := 0; c < n; c += t.Lanes {
			t.PackRowsNR(out[c:], acc[(c0+c)*t.NR:], t.NR, t.NR)
		}
		for i := range p.n {
			to.store(x.row(to, p.b, p.t0+i, h)+c0, out[i*t.NR:i*t.NR+n])
		}
	}
}
