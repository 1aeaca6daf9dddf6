package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// gemm is a product bound to memory.
type gemm struct {
	gemmShape
	p              product
	mk             *simd.Tier
	a, b, c        *array
	bias, residual *array
	lda, ldb, ldc  int
	ldr            int
	pa, pb         []float32 // packed operands, for all tiles
	threads        int
	bufs           tileBuffers
}

func bindGemm(m *memory, p product, g gemmShape, mk *simd.Tier) *gemm {
	r := len(p.c.shape) - 2
	if g.pairs {
		mk = mk.Pairs
	}
	x := &gemm{gemmShape: g, p: p, mk: mk, a: m.array(p.a), b: m.array(p.b), c: m.array(p.c),
		lda: p.a.stride[r], ldb: p.b.stride[r], ldc: p.c.stride[r], threads: m.threads, bufs: g.tileBuffers(&p, mk)}
	if p.bias != nil {
		x.bias = m.array(*p.bias)
	}
	if p.residual != nil {
		x.residual, x.ldr = m.array(*p.residual), p.residual.stride[r]
	}
	return x
}

func (x *gemm) bindPacked(m *memory, pa, pb operand) {
	if x.gemmShape.packA {
		x.pa = m.array(pa).f
	}
	if x.gemmShape.packB {
		x.pb = m.array(pb).f
	}
}

// tileBuffers are the lengths of what a task needs for its tile.
type tileBuffers struct {
	a, b int // packed operands, one block of k
	own  int // sums, where c is not F32
	edge int // a tile of the micro-kernel
	buf  int // widened rows
}

func (l tileBuffers) size() int { return l.a + l.b + l.own + l.edge + l.buf }

func (g *gemmShape) tileBuffers(p *product, t *simd.Tier) tileBuffers {
	l := tileBuffers{edge: t.MR * t.NR, buf: max(g.tn, 16*g.kc)}
	switch {
	case g.packA:
	case p.transA:
		l.a = g.tm * g.kc
	default: // a panel, where A is in place that of rows and columns at the edge of c
		l.a = t.MR * g.kc
	}
	if !g.packB {
		l.b = g.tn * g.kc
	}
	if p.c.dt != kernels.F32 {
		l.own = g.tm * g.tn
	}
	if p.a.dt != kernels.F32 || p.b.dt != kernels.F32 {
		l.buf = max(l.buf, 8*g.tm, 8*g.tn)
	}
	return l
}

// task computes one tile of c. It starts from what is added to the product
// and then accumulates the blocks of k, in c itself where that is F32.
func (x *gemm) task(task int, local []float32) {
	batch, t := task/(x.mt*x.nt), task%(x.mt*x.nt)
	i0, j0 := t%x.mt*x.tm, t/x.mt*x.tn // down first: the next tile has the same B
	m, n := min(x.tm, x.m-i0), min(x.tn, x.n-j0)
	ap, bp := carve(&local, x.bufs.a), carve(&local, x.bufs.b)
	own, edge := carve(&local, x.bufs.own), carve(&local, x.bufs.edge)
	buf := carve(&local, x.bufs.buf)
	co := x.batch.offset(2, batch) + i0*x.ldc + j0
	w, ldw := own, n
	if x.c.dt == kernels.F32 {
		w, ldw = x.c.f[co:], x.ldc
	}
	mr, nr := x.mk.MR, x.mk.NR
	for k0 := 0; k0 < x.k; k0 += x.kc {
		kc := min(x.kc, x.k-k0)
		if x.gemmShape.packB {
			bp = x.pb[k0*(blocks(x.n, nr)*nr)+j0*kc:]
		} else {
			x.packB(bp, batch, j0, n, k0, kc, buf)
		}
		if x.gemmShape.packA {
			ap = x.pa[k0*(blocks(x.m, mr)*mr)+i0*kc:]
		} else if x.p.transA {
			x.packA(ap, batch, i0, m, k0, kc, buf)
		}
		next := x.upcoming(task, k0)
		next.spread(blocks(m, x.tileRows(m)), n/nr, kc, bp)
		for i := 0; i < m; {
			rows := x.tileRows(m - i)
			acc := k0 > 0 || x.begin(w[i*ldw:], ldw, batch, i0+i, j0, rows, n, buf)
			panel, inPlace := ap, []float32(nil)
			if x.inPlace {
				inPlace = x.a.f[x.batch.offset(0, batch)+(i0+i)*x.lda+k0:]
			}
			switch {
			case x.gemmShape.packA || x.p.transA:
				panel = ap[i*kc:]
			case !x.inPlace || n%nr > 0:
				x.packA(panel, batch, i0+i, rows, k0, kc, buf)
			}
			x.multiply(w[i*ldw:], ldw, panel, inPlace, bp, rows, n, kc, acc, edge, &next)
			i += rows
		}
	}
	if x.c.dt != kernels.F32 {
		for i := range m {
			x.c.store(co+i*x.ldc, w[i*ldw:i*ldw+n])
		}
	}
}

// packA packs m rows of alpha op(a) from row i0 and word k0 on.
func (x *gemm) packA(dst []float32, batch, i0, m, k0, kc int, buf []float32) {
	at, k, to := x.batch.offset(0, batch), x.elements(k0), x.elements(k0+kc)
	rows, columns := at+i0*x.lda+k, at+k*x.lda+i0
	switch mr := x.mk.MR; {
	case x.pairs && x.p.transA:
		packPairColumns(dst, x.a, columns, x.lda, m, to-k, mr, buf)
	case x.pairs:
		packPairRows(dst, x.a, rows, x.lda, m, to-k, mr, buf)
	case x.p.transA:
		packColumns(dst, x.a, columns, x.lda, m, kc, mr, x.p.alpha, buf)
	default:
		packRows(dst, x.a, rows, x.lda, m, kc, mr, x.p.alpha, buf)
	}
}

// packB packs n columns of op(b) from word k0 and column j0 on.
func (x *gemm) packB(dst []float32, batch, j0, n, k0, kc int, buf []float32) {
	at, k, to := x.batch.offset(1, batch), x.elements(k0), x.elements(k0+kc)
	rows, columns := at+j0*x.ldb+k, at+k*x.ldb+j0
	switch nr := x.mk.NR; {
	case x.pairs && x.p.transB:
		packPairRows(dst, x.b, rows, x.ldb, n, to-k, nr, buf)
	case x.pairs:
		packPairColumns(dst, x.b, columns, x.ldb, n, to-k, nr, buf)
	case x.p.transB:
		packRows(dst, x.b, rows, x.ldb, n, kc, nr, 1, buf)
	default:
		packColumns(dst, x.b, columns, x.ldb, n, kc, nr, 1, buf)
	}
}

// begin puts beta c + bias + residual into rows of w; it returns false when
// there is nothing to add and w is left as it is.
func (x *gemm) begin(w []float32, ldw, batch, i0, j0, m, n int, buf []float32) bool {
	beta := x.p.beta
	if beta == 0 && x.bias == nil && x.residual == nil {
		return false
	}
	co := x.batch.offset(2, batch) + i0*x.ldc + j0
	if beta == 1 && x.bias == nil && x.residual == nil && x.c.dt == kernels.F32 && &w[0] == &x.c.f[co] {
		return true
	}
	for i := range m {
		dst := w[i*ldw : i*ldw+n]
		if beta != 0 { // first: it may lie in w
			x.mk.Scale(dst, x.c.load(co+i*x.ldc, n, buf), beta)
		}
		if x.residual != nil {
			r := x.residual.load(x.batch.offset(3, batch)+(i0+i)*x.ldr+j0, n, buf)
			if beta == 0 {
				copy(dst, r)
			} else {
				x.mk.Axpy(dst, r, 1)
			}
		}
		if x.bias == nil {
			continue
		}
		if beta == 0 && x.residual == nil {
			copy(dst, x.bias.load(j0, n, buf))
		} else {
			x.mk.Axpy(dst, x.bias.load(j0, n, buf), 1)
		}
	}
	return true
}

// tileRows is how many of so many rows the next tiles take. Two tiles of four rows
// take less time than one of six and one of two.
func (x *gemm) tileRows(left int) int {
	most := x.mk.MR
	if x.inPlace {
		most = x.mk.Rows
	}
	if x.inPlace && most == 6 && left > most && left <= 8 {
		return 4
	}
	return min(most, left)
}

// multiply multiplies at most MR rows of A by the panels of B. Whole tiles take
// A from inPlace, its rows in memory, where that is given.
func (x *gemm) multiply(w []float32, ldw int, a, inPlace, bp []float32, m, n, kc int, acc bool, edge []float32, next *ahead) {
	if x.pairs && x.p.alpha != 1 {
		x.multiplyScaled(w, ldw, a, bp, m, n, kc, acc, edge)
		return
	}
	mr, nr := x.mk.MR, x.mk.NR
	whole := n / nr
	switch {
	case whole == 0:
	case inPlace != nil:
		addr, skip := next.take()
		x.mk.GemmRows(m, kc, whole, inPlace, x.lda, bp, w, ldw, acc, addr, skip)
	case m == mr:
		addr, skip := next.take()
		x.mk.Gemm(kc, whole, a, bp, w, ldw, acc, addr, skip)
	default:
		whole = 0
	}
	for j := whole * nr; j < n; j += nr {
		x.mk.Edge(m, min(nr, n-j), kc, a, bp[j*kc:], w[j:], ldw, acc, edge)
	}
}
