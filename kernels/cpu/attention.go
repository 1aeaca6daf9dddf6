package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// attentionTile is how many queries, and how many keys, a tile of scores has:
// about 64, and whole panels of the micro-kernel both ways.
func attentionTile(mk *simd.Tier) int {
	both := mk.MR * mk.NR
	if both%max(mk.MR, mk.NR) == 0 && max(mk.MR, mk.NR)%min(mk.MR, mk.NR) == 0 {
		both = max(mk.MR, mk.NR)
	}
	return blocks(64, both) * both
}

// heads is what attention and its gradient share: operands, geometry and the
// tile. Shapes are (B, T, H, D) and (B, S, K, D).
type heads struct {
	q, k, v, o     *array
	lse            []float32 // (B, H, T)
	vis            visibility
	nh, nk, nt, ns int
	hd, padded     int // head size, and rounded up to panels
	scale, softCap float32
	mk             *simd.Tier
	tile           int
}

func newHeads(in kernels.Instr, d kernels.Dims, mk *simd.Tier) heads {
	hd := d.Get('D')
	return heads{nh: d.Get('H'), nk: d.Get('K'), nt: d.Get('T'), ns: d.Get('S'), hd: hd, padded: blocks(hd, mk.NR) * mk.NR,
		scale: in.Attr.Scale, softCap: in.Attr.SoftCap, mk: mk, tile: attentionTile(mk)}
}

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

// panelRange is the part of the key tile [j0, j1), in keys from j0, that the
// queries of a row panel see, its start at a whole column panel.
func (x *heads) panelRange(b, t0, n, j0, j1 int) (from, to int) {
	lo, hi := x.keys(b, t0, n)
	lo, hi = max(lo, j0)-j0, min(hi, j1)-j0
	if hi <= lo {
		return 0, 0
	}
	return lo / x.mk.NR * x.mk.NR, hi
}

// scoreTile sets s, row by row of x.tile, to the products of packed queries
// and packed keys that are visible (and a few beside them).
func (x *heads) scoreTile(s, qp, kp []float32, b, t0, n, j0, j1 int) {
	mr, nr := x.mk.MR, x.mk.NR
	for i := 0; i < n; i += mr {
		from, to := x.panelRange(b, t0+i, min(mr, n-i), j0, j1)
		for j := from; j < to; j += nr {
			x.mk.Gemm(x.hd, qp[i*x.hd:], kp[j*x.hd:], s[i*x.tile+j:], x.tile, false)
		}
	}
}

// finiteRows reports whether n packed numbers are all finite. Masked scores
// weigh zero, which would turn an infinity into a NaN where nobody looks.
func finiteRows(x []float32) bool {
	var a, b, c, d float32
	for len(x) >= 4 {
		a += x[0] * 0
		b += x[1] * 0
		c += x[2] * 0
		d += x[3] * 0
		x = x[4:]
	}
	for _, v := range x {
		a += v * 0
	}
	return a+b+c+d == 0
}

// lowerAttention keeps, for each query of a tile, the largest score so far,
// the sum of exponentials and the unnormalised output, and walks over the
// visible keys tile by tile (Dao et al. 2022).
func lowerAttention(b *builder, in kernels.Instr, d kernels.Dims) {
	if d.Get('T') <= fewQueries {
		lowerFewAttention(b, in, d)
		return
	}
	q, k, v, o, lse := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0]), b.view(in.Out[1])
	reads, vis := b.visibility(in, d)
	x := newHeads(in, d, b.tier)
	tiles := blocks(x.nt, x.tile)
	b.add(step{
		kernel: "attention", reads: append(reads, q, k, v), writes: []operand{o, lse}, tasks: d.Get('B') * x.nh * tiles,
		local: x.tile * (2*x.hd + 2*x.padded + 2*x.tile + 2 + x.mk.NR),
		bind: func(m *memory) task {
			x := attention{x}
			x.q, x.k, x.v, x.o, x.lse, x.vis = m.array(q), m.array(k), m.array(v), m.array(o), m.array(lse).f, vis(m)
			return func(t int, local []float32) {
				// The last queries of a sequence see the most keys: they come
				// first, so that threads finish together.
				x.queries(t/(x.nh*tiles), t/tiles%x.nh, (tiles-1-t%tiles)*x.tile, local)
			}
		},
	})
}

type attention struct{ heads }

// queries computes head h of queries [t0, t0+tile).
func (x *attention) queries(b, h, t0 int, local []float32) {
	n, hd, w := min(x.tile, x.nt-t0), x.hd, x.tile
	qp, kp := carve(&local, w*hd), carve(&local, w*hd)
	vp, acc := carve(&local, w*x.padded), carve(&local, w*x.padded)
	s, pp := carve(&local, w*w), carve(&local, w*w)
	largest, sums, buf := carve(&local, w), carve(&local, w), local
	kh := h / (x.nh / x.nk)
	packRows(qp, x.q, x.row(x.q, b, t0, h), x.q.stride[1], n, hd, x.mk.MR, x.scale, buf)
	clear(acc)
	clear(sums)
	for i := range largest {
		largest[i] = negInf
	}
	first, last := x.keys(b, t0, n)
	for j0 := first; j0 < last; j0 += w {
		j1 := min(j0+w, last)
		packRows(kp, x.k, x.row(x.k, b, j0, kh), x.k.stride[1], j1-j0, hd, x.mk.NR, 1, buf)
		packColumns(vp, x.v, x.row(x.v, b, j0, kh), x.v.stride[1], hd, j1-j0, x.mk.NR, 1, buf)
		x.scoreTile(s, qp, kp, b, t0, n, j0, j1)
		clear(pp[:blocks(n, x.mk.MR)*x.mk.MR*w])
		for i := range n {
			x.softmax(s[i*w:], pp, acc[i*x.padded:(i+1)*x.padded], &largest[i], &sums[i], b, t0, i, j0, j1)
		}
		if finiteRows(vp[:x.padded*(j1-j0)]) {
			x.weigh(acc, pp, vp, b, t0, n, j0, j1)
		} else {
			x.weighVisible(acc, s, b, t0, n, j0, j1, kh, buf)
		}
	}
	for i := range n {
		x.finish(b, h, t0+i, acc[i*x.padded:i*x.padded+hd], largest[i], sums[i])
	}
}

// softmax adds the visible scores of query i to its running softmax: s becomes
// exp(s - largest), in place and in the panels pp, and acc is rescaled.
func (x *attention) softmax(s, pp, acc []float32, largest, sum *float32, b, t0, i, j0, j1 int) {
	lo, hi := x.vis.span(b, t0+i)
	lo, hi = max(lo, j0)-j0, min(hi, j1)-j0
	if hi <= lo {
		return
	}
	s = s[lo:hi]
	m := *largest
	for j, e := range s {
		if x.softCap != 0 {
			e, _ = simd.Capped(e, x.softCap)
			s[j] = e
		}
		if e > m || e != e {
			m = e
		}
	}
	if m == negInf { // it weighs nothing beside what may come
		clear(s)
		return
	}
	if m != *largest {
		f := float32(simd.Exp(float64(*largest - m)))
		for c := range acc {
			acc[c] *= f
		}
		*sum *= f
		*largest = m
	}
	*sum += x.mk.ExpSum(s, s, m)
	mr := x.mk.MR
	to := pp[i/mr*mr*x.tile+lo*mr+i%mr:]
	for j, p := range s {
		to[j*mr] = p
	}
}

// weigh adds the weights in panels times the packed values to acc.
func (x *attention) weigh(acc, pp, vp []float32, b, t0, n, j0, j1 int) {
	mr, nr, nj := x.mk.MR, x.mk.NR, j1-j0
	for i := 0; i < n; i += mr {
		from, to := x.panelRange(b, t0+i, min(mr, n-i), j0, j1)
		if from >= to {
			continue
		}
		for c := 0; c < x.padded; c += nr {
			x.mk.Gemm(to-from, pp[i*x.tile+from*mr:], vp[c*nj+from*nr:], acc[i*x.padded+c:], x.padded, true)
		}
	}
}

// weighVisible works like weigh and reads no value that a query does not see.
func (x *attention) weighVisible(acc, s []float32, b, t0, n, j0, j1, kh int, buf []float32) {
	for i := range n {
		lo, hi := x.vis.span(b, t0+i)
		for j := max(lo, j0); j < min(hi, j1); j++ {
			axpy(acc[i*x.padded:i*x.padded+x.hd], s[i*x.tile+j-j0], x.v.load(x.row(x.v, b, j, kh), x.hd, buf))
		}
	}
}

// finish normalises a query's output. One that sees nothing gives 0 and -Inf.
func (x *attention) finish(b, h, t int, acc []float32, largest, sum float32) {
	inv, l := 1/sum, float32(float64(largest)+math.Log(float64(sum)))
	if math.IsInf(float64(largest), 0) {
		l = largest
	}
	if lo, hi := x.vis.span(b, t); hi <= lo {
		inv, l = 0, negInf
	}
	for c := range acc {
		acc[c] *= inv
	}
	x.lse[(b*x.nh+h)*x.nt+t] = l
	x.o.store(x.row(x.o, b, t, h), acc)
}
