package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// Generation multiplies one token, or a few, by every weight: memory sets the
// pace, so that b is streamed once, without packing.

// smallM is the most rows of c for which packing b costs more than it saves, as
// measured. Rows of b meet many rows of a while they are in registers, columns
// only one.
func smallM(t *simd.Tier, transB bool) int {
	switch {
	case t.Name == "portable":
		return 4
	case transB:
		return 16
	default:
		return 8
	}
}

// streamWidth is how many columns of c a task makes: enough to read for a while, since
// the processor fetches a long stream ahead and is slow to begin one, and few enough
// that no goroutine waits for long. Where b is stored by rows, a task reads part of
// each, which must not be short. No bit of c depends on it.
func (g *gemmShape) streamWidth(p *product, threads int) int {
	column := g.k * p.b.dt.Size()
	width := min(max(8<<10, g.n*column/(8*threads)), 128<<10) / column
	if p.transB {
		return min(g.n, max(4, width/4*4))
	}
	return min(g.n, max(256, width/64*64))
}

// smallProduct adds a step that streams b.
func (b *builder) smallProduct(s step, p product, g gemmShape) {
	width := g.streamWidth(&p, b.threads)
	nt := blocks(g.n, width)
	s.kernel += "_small"
	s.tasks = nt * g.batch.count
	s.local = g.m*g.k + 2*g.m*width + max(4*g.k, width) + 4*b.tier.DotRows
	s.bind = func(m *memory) task {
		x := &smallGemm{gemm: bindGemm(m, p, g, b.tier), width: width, nt: nt}
		return x.task
	}
	b.add(s)
}

// smallGemm is a product with few rows of c, bound to memory.
type smallGemm struct {
	*gemm
	width int // columns of a task
	nt    int // tasks across
}

// task computes some columns of c.
func (x *smallGemm) task(t int, local []float32) {
	batch, j0 := t/x.nt, t%x.nt*x.width
	n := min(x.width, x.n-j0)
	w := carve(&local, x.m*x.width) // c, rows of x.width
	a, lda := x.left(batch, carve(&local, x.m*x.k))
	bo := x.batch.offset(1, batch)
	if x.p.transB {
		sums := carve(&local, x.m*x.width)
		x.b.products(sums, x.width, a, lda, x.m, bo+j0*x.ldb, x.ldb, n, x.k, local)
		if x.begin(w, x.width, batch, 0, j0, x.m, n, local) {
			addTo(w, sums)
		} else {
			w = sums
		}
	} else {
		if !x.begin(w, x.width, batch, 0, j0, x.m, n, local) {
			clear(w)
		}
		x.axpys(w, a, lda, bo+j0, n, local)
	}
	co := x.batch.offset(2, batch) + j0
	for i := range x.m {
		x.c.store(co+i*x.ldc, w[i*x.width:i*x.width+n])
	}
}

// left is alpha op(a) and the distance of its rows: a itself or a copy in buf.
func (x *smallGemm) left(batch int, buf []float32) (a []float32, lda int) {
	ao := x.batch.offset(0, batch)
	rs, cs := x.lda, 1
	if x.p.transA {
		rs, cs = 1, x.lda
	}
	if x.a.dt == kernels.F32 && cs == 1 && x.p.alpha == 1 {
		return x.a.f[ao:], rs
	}
	for i := range x.m {
		row := buf[i*x.k : (i+1)*x.k]
		copy(row, x.a.gather(ao+i*rs, x.k, cs, row))
		if x.p.alpha != 1 {
			x.mk.Scale(row, row, x.p.alpha)
		}
	}
	return buf, x.k
}

// axpys adds the products with n columns of b, from off on, to w: some rows of
// b for all rows of a, while they are in the first cache.
func (x *smallGemm) axpys(w, a []float32, lda, off, n int, local []float32) {
	const rows = 16
	for k := 0; k < x.k; k += rows {
		for i := range x.m {
			f := a[i*lda+k : i*lda+min(k+rows, x.k)]
			x.b.axpys(w[i*x.width:i*x.width+n], f, off+k*x.ldb, x.ldb, local)
		}
	}
}

// axpy is y += a x.
func axpy(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += a * v
	}
}
