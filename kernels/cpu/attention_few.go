package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// fewQueries is the most queries of a sequence for which attention streams
// keys and values from where they lie instead of packing them: a token that
// is generated, or a few that are guessed.
const fewQueries = 8

// fewKeys is how many keys a task takes: what they and their values occupy
// stays in the second cache, and a long cache is shared by many goroutines.
const fewKeys = 256

// fewAttention is attention of a few queries. A task takes a part of the keys
// and all query heads that share them; a second step joins the parts (Dao et
// al. 2023, Flash-Decoding).
type fewAttention struct {
	q, k, v, o *array
	lse        []float32 // (B, H, T)
	part       []float32 // (B, K, splits, rows, D + 2): weighted values, largest score, sum
	vis        visibility
	nh, nk, hd int
	group      int // query heads of a key head
	rows       int // of queries that share keys: T * group
	splits     int
	scale      float32
	softCap    float32
}

// lowerFewAttention adds the two steps.
func lowerFewAttention(b *builder, in kernels.Instr, d kernels.Dims) {
	q, k, v, o, lse := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0]), b.view(in.Out[1])
	reads, vis := b.visibility(in, d)
	x := fewAttention{nh: d.Get('H'), nk: d.Get('K'), hd: d.Get('D'), splits: blocks(d.Get('S'), fewKeys),
		scale: in.Attr.Scale, softCap: in.Attr.SoftCap}
	x.group = x.nh / x.nk
	x.rows = d.Get('T') * x.group
	part := b.temp(d.Get('B'), x.nk, x.splits, x.rows, x.hd+2)
	bind := func(m *memory) *fewAttention {
		x := x
		x.q, x.k, x.v, x.o = m.array(q), m.array(k), m.array(v), m.array(o)
		x.lse, x.part, x.vis = m.array(lse).f, m.array(part).f, vis(m)
		return &x
	}
	padded := blocks(x.rows, b.tier.DotRows) * b.tier.DotRows
	b.add(step{
		kernel: "attention_few", reads: append(reads, q, k, v), writes: []operand{part}, tasks: d.Get('B') * x.nk * x.splits, soon: b.early(k, v),
		local: padded*(x.hd+fewKeys) + 4*x.hd + 4*b.tier.DotRows,
		bind:  func(m *memory) task { return bind(m).keys },
	})
	b.add(step{
		kernel: "attention_few_join", reads: append(reads, part), writes: []operand{o, lse}, tasks: d.Get('B') * x.nk, moves: 8 * d.Get('B') * x.splits * x.rows * x.nk * (x.hd + 2),
		local: x.hd,
		bind:  func(m *memory) task { return bind(m).join },
	})
}

// at is the partial result of a row of queries.
func (x *fewAttention) at(b, kh, split, row int) []float32 {
	w := x.hd + 2
	i := ((b*x.nk+kh)*x.splits+split)*x.rows + row
	return x.part[i*w : (i+1)*w]
}

// keys computes the partial results of some keys of a head. Tasks of the same keys
// follow each other: what lies beside a head's keys was fetched with them.
func (x *fewAttention) keys(t int, local []float32) {
	b, split, kh := t/(x.nk*x.splits), t/x.nk%x.splits, t%x.nk
	j0, j1 := split*fewKeys, (split+1)*fewKeys
	first, last := j1, j0
	for r := range x.rows {
		if lo, hi := x.span(b, r, j0, j1); lo < hi {
			first, last = min(first, lo), max(last, hi)
		}
		p := x.at(b, kh, split, r)
		p[x.hd], p[x.hd+1] = negInf, 0
	}
	if first >= last {
		return
	}
	padded := blocks(x.rows, x.q.tier.DotRows) * x.q.tier.DotRows
	qs, s := carve(&local, padded*x.hd), carve(&local, padded*fewKeys)
	x.queries(qs, b, kh)
	x.k.products(s, fewKeys, qs, x.hd, padded, x.row(x.k, b, first, kh), x.k.stride[1], last-first, x.hd, local)
	for r := range x.rows {
		if lo, hi := x.span(b, r, j0, j1); lo < hi {
			weights := s[r*fewKeys+lo-first : r*fewKeys+hi-first]
			x.weigh(x.at(b, kh, split, r), weights, x.row(x.v, b, lo, kh), local)
		}
	}
}

// span is the part of [j0, j1) that row r of the queries of a sequence sees.
func (x *fewAttention) span(b, r, j0, j1 int) (lo, hi int) {
	lo, hi = x.vis.span(b, r/x.group)
	return max(lo, j0), min(hi, j1)
}

// row is where the vector of position t and head h of sequence b starts.
func (x *fewAttention) row(a *array, b, t, h int) int { return b*a.stride[0] + t*a.stride[1] + h*x.hd }

// queries copies the queries that share a key head, scaled, and zeros after
// them.
func (x *fewAttention) queries(qs []float32, b, kh int) {
	for r := range x.rows {
		dst := qs[r*x.hd : (r+1)*x.hd]
		x.q.tier.Scale(dst, x.q.load(x.row(x.q, b, r/x.group, kh*x.group+r%x.group), x.hd, dst), x.scale)
	}
	clear(qs[x.rows*x.hd:])
}

// weigh turns scores into weights and adds up the values from off on. Scores
// that are all -Inf weigh nothing beside those of other parts.
func (x *fewAttention) weigh(p, s []float32, off int, buf []float32) {
	largest := scores(x.q.tier, s, s, 1, x.softCap)
	p[x.hd] = largest
	if largest == negInf {
		return
	}
	p[x.hd+1] = x.q.tier.ExpSum(s, s, 1, largest)
	acc := p[:x.hd]
	clear(acc)
	x.v.axpys(acc, s, off, x.v.stride[1], buf)
}

// join adds up the parts of the queries of a key head, in order.
func (x *fewAttention) join(t int, local []float32) {
	b, kh := t/x.nk, t%x.nk
	for r := range x.rows {
		t, h := r/x.group, kh*x.group+r%x.group
		largest := negInf
		for split := range x.splits {
			if m := x.at(b, kh, split, r)[x.hd]; m > largest || m != m {
				largest = m
			}
		}
		acc, sum := local[:x.hd], float32(0)
		clear(acc)
		for split := range x.splits {
			p := x.at(b, kh, split, r)
			if p[x.hd] == negInf {
				continue
			}
			f := float32(simd.Exp(float64(p[x.hd] - largest)))
			sum += f * p[x.hd+1]
			x.o.tier.Axpy(acc, p[:x.hd], f)
		}
		x.finish(b, h, t, acc, largest, sum)
	}
}

// finish normalises a query's output. One that sees nothing gives 0 and -Inf.
func (x *fewAttention) finish(b, h, t int, acc []float32, largest, sum float32) {
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
	x.lse[(b*x.nh+h)*x.vis.t+t] = l
	x.o.store(x.row(x.o, b, t, h), acc)
}
