package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// Generation multiplies one token, or a few, by every weight: memory sets the
// pace, so that b is streamed once, without packing.

// smallM is the most rows of c for which packing b costs more than it saves.
func smallM(t *simd.Tier) int {
	if t.Name == "portable" {
		return 4
	}
	return 8
}

// streamWidth is how many columns of c a task makes: of a large b enough to
// work for a while, of a small one few, so that there is something for many
// goroutines. Where b is stored by rows, a task reads part of each, which must
// not be short.
func (g *gemmShape) streamWidth(p *product) int {
	column := g.k * p.b.dt.Size()
	width := min(max(8<<10, g.n*column/64), 128<<10) / column
	if p.transB {
		return min(g.n, max(4, width/4*4))
	}
	return min(g.n, max(256, width/64*64))
}

// smallProduct adds a step that streams b.
func (b *builder) smallProduct(s step, p product, g gemmShape) {
	width := g.streamWidth(&p)
	nt := blocks(g.n, width)
	s.kernel += "_small"
	s.tasks = nt * g.batch.count
	s.local = g.m*g.k + g.m*width + max(4*g.k, width) + 4*b.tier.DotRows
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
	if !x.begin(w, x.width, batch, 0, j0, x.m, n, local) {
		clear(w)
	}
	bo := x.batch.offset(1, batch)
	if x.p.transB {
		x.dots(w, a, lda, bo+j0*x.ldb, n, local)
	} else {
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

// dots adds the products with n rows of b, from off on, to w. Four rows are
// read at once, a quarter of n apart: the processor fetches four long streams
// ahead, faster than it does one.
func (x *smallGemm) dots(w, a []float32, lda, off, n int, local []float32) {
	out := carve(&local, 4*x.mk.DotRows)
	q := n / 4
	for j := range q {
		at, ld := off+j*x.ldb, q*x.ldb
		wide := x.b.f
		if x.b.dt == kernels.F16 {
			wide = local
			for r := range 4 {
				x.b.load(at+r*ld, x.k, wide[r*x.k:])
			}
			at, ld = 0, x.k
		}
		for i := 0; i < x.m; {
			rows := 1
			if x.m-i >= x.mk.DotRows {
				rows = x.mk.DotRows
			}
			ai := a[i*lda:]
			switch {
			case x.b.dt == kernels.BF16 && rows == 1:
				x.mk.DotsBF16(out, ai, lda, x.b.h[at:], ld, x.k)
			case x.b.dt == kernels.BF16:
				x.mk.TileDotsBF16(out, ai, lda, x.b.h[at:], ld, x.k)
			case rows == 1:
				x.mk.Dots(out, ai, lda, wide[at:], ld, x.k)
			default:
				x.mk.TileDots(out, ai, lda, wide[at:], ld, x.k)
			}
			for r, sum := range out[:4*rows] {
				w[(i+r/4)*x.width+j+r%4*q] += sum
			}
			i += rows
		}
	}
	for j := 4 * q; j < n; j++ {
		row := x.b.load(off+j*x.ldb, x.k, local)
		for i := range x.m {
			w[i*x.width+j] += x.mk.Dot(a[i*lda:i*lda+x.k], row)
		}
	}
}

// axpys adds the products with n columns of b, from off on, to w, eight rows
// of b at once.
func (x *smallGemm) axpys(w, a []float32, lda, off, n int, local []float32) {
	k := 0
	for ; k+8 <= x.k && x.b.dt != kernels.F16; k += 8 {
		at := off + k*x.ldb
		for i := range x.m {
			c, f := w[i*x.width:i*x.width+n], a[i*lda+k:i*lda+k+8]
			if x.b.dt == kernels.BF16 {
				x.mk.AxpysBF16(c, f, x.b.h[at:], x.ldb)
			} else {
				x.mk.Axpys(c, f, x.b.f[at:], x.ldb)
			}
		}
	}
	for ; k < x.k; k++ {
		row := x.b.load(off+k*x.ldb, n, local)
		for i := range x.m {
			x.mk.Axpy(w[i*x.width:i*x.width+n], row, a[i*lda+k])
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
