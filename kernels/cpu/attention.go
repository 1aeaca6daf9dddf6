package cpu

import (
	"math"

	"graft/kernels"
)

// Tiles of attention: queries of a task, and keys that are widened and scored
// at once.
const (
	queryTile = 32
	keyTile   = 64
)

// lowerAttention keeps, for each query of a tile, the largest score so far,
// the sum of exponentials and the unnormalised output, and walks over the
// visible keys tile by tile (Dao et al. 2022).
func lowerAttention(b *builder, in kernels.Instr, d kernels.Dims) {
	q, k, v, o, lse := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0]), b.view(in.Out[1])
	reads, vis := b.visibility(in, d)
	nb, nt, nh, nk, hd := d.Get('B'), d.Get('T'), d.Get('H'), d.Get('K'), d.Get('D')
	tiles := blocks(nt, queryTile)
	b.add(step{
		kernel: "attention", reads: append(reads, q, k, v), writes: []operand{o, lse}, tasks: nb * nh * tiles,
		local: 2*keyTile*hd + 2*queryTile*hd + 2*queryTile + keyTile + hd,
		bind: func(m *memory) task {
			x := attention{q: m.array(q), k: m.array(k), v: m.array(v), o: m.array(o), lse: m.array(lse).f, vis: vis(m),
				heads: nh, kv: nk, nt: nt, hd: hd, scale: in.Attr.Scale, softCap: in.Attr.SoftCap}
			return func(t int, local []float32) {
				// The last queries of a sequence see the most keys: they come
				// first, so that threads finish together.
				x.tile(t/(nh*tiles), t/tiles%nh, (tiles-1-t%tiles)*queryTile, local)
			}
		},
	})
}

type attention struct {
	q, k, v, o     *array
	lse            []float32
	vis            visibility
	heads, kv      int
	nt, hd         int
	scale, softCap float32
}

// tile computes queries [t0, t0+queryTile) of head h.
func (x *attention) tile(b, h, t0 int, local []float32) {
	n, hd := min(queryTile, x.nt-t0), x.hd
	kt, vt := carve(&local, keyTile*hd), carve(&local, keyTile*hd)
	qt, acc := carve(&local, queryTile*hd), carve(&local, queryTile*hd)
	largest, sums := carve(&local, queryTile), carve(&local, queryTile)
	s, buf := carve(&local, keyTile), carve(&local, hd)
	first, last := math.MaxInt, 0
	for i := range n {
		lo, hi := x.vis.span(b, t0+i)
		if lo < hi {
			first, last = min(first, lo), max(last, hi)
		}
		row := x.q.load(b*x.q.stride[0]+(t0+i)*x.q.stride[1]+h*hd, hd, buf)
		for c, v := range row {
			qt[i*hd+c] = v * x.scale
		}
		largest[i], sums[i] = negInf, 0
	}
	clear(acc)
	kh := h / (x.heads / x.kv)
	for j0 := first; j0 < last; j0 += keyTile {
		j1 := min(j0+keyTile, last)
		widen(kt, x.k, b, j0, j1, kh, hd)
		widen(vt, x.v, b, j0, j1, kh, hd)
		for i := range n {
			lo, hi := x.vis.span(b, t0+i)
			lo, hi = max(lo, j0), min(hi, j1)
			if lo < hi {
				x.query(acc[i*hd:(i+1)*hd], qt[i*hd:(i+1)*hd], &largest[i], &sums[i],
					kt[(lo-j0)*hd:(hi-j0)*hd], vt[(lo-j0)*hd:(hi-j0)*hd], s[:hi-lo])
			}
		}
	}
	for i := range n {
		lo, hi := x.vis.span(b, t0+i)
		x.finish(b, h, t0+i, acc[i*hd:(i+1)*hd], largest[i], sums[i], lo < hi)
	}
}

// widen copies keys [j0, j1) of a head side by side.
func widen(dst []float32, a *array, b, j0, j1, kh, hd int) {
	for j := j0; j < j1; j++ {
		to := dst[(j-j0)*hd : (j-j0+1)*hd]
		copy(to, a.load(b*a.stride[0]+j*a.stride[1]+kh*hd, hd, to))
	}
}

// query adds a tile of keys to one query's running softmax.
func (x *attention) query(acc, q []float32, largest, sum *float32, k, v, s []float32) {
	dots(s, q, k)
	if x.softCap != 0 {
		for j := range s {
			s[j], _ = capped(s[j], x.softCap)
		}
	}
	m := *largest
	for _, e := range s {
		if e > m || e != e {
			m = e
		}
	}
	if math.IsInf(float64(m), -1) {
		return // nothing but -Inf so far: it weighs nothing beside what may come
	}
	if m != *largest {
		f := expf(*largest - m)
		for c := range acc {
			acc[c] *= f
		}
		*sum *= f
		*largest = m
	}
	*sum += float32(expSum(s, m))
	for j, p := range s {
		axpy(acc, p, v[j*len(acc):(j+1)*len(acc)])
	}
}

// dots sets s[j] to q . k[j] for rows of k.
func dots(s, q, k []float32) {
	d := len(q)
	j := 0
	for ; j+4 <= len(s); j += 4 {
		k0, k1, k2, k3 := k[j*d:][:d], k[(j+1)*d:][:d], k[(j+2)*d:][:d], k[(j+3)*d:][:d]
		var s0, s1, s2, s3 float32
		for c, v := range q {
			s0 += v * k0[c]
			s1 += v * k1[c]
			s2 += v * k2[c]
			s3 += v * k3[c]
		}
		s[j], s[j+1], s[j+2], s[j+3] = s0, s1, s2, s3
	}
	for ; j < len(s); j++ {
		s[j] = dot(q, k[j*d:(j+1)*d])
	}
}

// finish normalises a query's output. One that sees nothing gives 0 and -Inf.
func (x *attention) finish(b, h, t int, acc []float32, largest, sum float32, sees bool) {
	inv, l := 1/sum, float32(float64(largest)+math.Log(float64(sum)))
	switch {
	case !sees:
		inv, l = 0, negInf
	case math.IsInf(float64(largest), 0):
		l = largest
	}
	for c := range acc {
		acc[c] *= inv
	}
	x.lse[(b*x.heads+h)*x.nt+t] = l
	x.o.store(b*x.o.stride[0]+t*x.o.stride[1]+h*x.hd, acc)
}
