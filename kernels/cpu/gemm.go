package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// product is c = alpha op(a) op(b) [+ bias] [+ residual] + beta c.
type product struct {
	name           string
	a, b, c        operand // (..., rows, columns) as stored
	bias, residual *operand
	transA, transB bool
	alpha, beta    float32
}

func lowerMatMul(b *builder, in kernels.Instr, _ kernels.Dims) {
	p := product{
		name: "matmul", a: b.view(in.In[0]), b: b.view(in.In[1]), c: b.view(in.Out[0]),
		transA: in.Attr.TransA, transB: in.Attr.TransB, alpha: in.Attr.Alpha, beta: in.Attr.Beta,
	}
	if v, ok := b.in(in, "bias"); ok {
		p.bias = &v
	}
	if v, ok := b.in(in, "residual"); ok {
		p.residual = &v
	}
	b.product(p)
}

// shape of a product, its tiles and its buffers.
type gemmShape struct {
	m, n, k    int
	batch      runs // operands a, b, c and, where present, residual
	mc, nc, kc int
	mt, nt     int // tiles of c down and across
}

// Blocks of the packed driver. A panel of B of kc x nr stays in the first
// cache, mc x kc of A in the second.
const (
	blockM = 128
	blockN = 256
	blockK = 384
)

func newGemmShape(p *product, mk *simd.Tier) gemmShape {
	r := len(p.c.shape) - 2
	g := gemmShape{m: p.c.shape[r], n: p.c.shape[r+1], k: p.a.shape[r+1]}
	if p.transA {
		g.k = p.a.shape[r]
	}
	strides := [][]int{p.a.stride[:r], p.b.stride[:r], p.c.stride[:r]}
	if p.residual != nil {
		strides = append(strides, p.residual.stride[:r])
	}
	g.batch = newPositions(p.c.shape[:r], strides...)
	g.kc = min(blockK, g.k)
	g.mc = min(blockM/mk.MR, blocks(g.m, mk.MR)) * mk.MR
	g.nc = min(blockN/mk.NR, blocks(g.n, mk.NR)) * mk.NR
	g.split(mk)
	return g
}

// split makes tiles smaller until there are enough of them for a few threads,
// or, while they hold much work, for many. It knows shapes only.
func (g *gemmShape) split(mk *simd.Tier) {
	for {
		g.mt, g.nt = blocks(g.m, g.mc), blocks(g.n, g.nc)
		tiles, work := g.mt*g.nt*g.batch.count, g.mc*g.nc*g.k
		if work < 1<<18 || tiles >= 8 && work < 1<<20 || tiles >= 64 {
			return
		}
		switch {
		case g.mc >= g.nc && g.mc >= 2*mk.MR:
			g.mc = blocks(g.mc/2, mk.MR) * mk.MR
		case g.nc >= 2*mk.NR:
			g.nc = blocks(g.nc/2, mk.NR) * mk.NR
		default:
			return
		}
	}
}

// product adds the step of a matrix product.
func (b *builder) product(p product) {
	reads, writes := []operand{p.a, p.b}, []operand{p.c}
	if p.bias != nil {
		reads = append(reads, *p.bias)
	}
	if p.residual != nil {
		reads = append(reads, *p.residual)
	}
	if p.beta != 0 {
		reads = append(reads, p.c)
	}
	mk := b.tier
	g := newGemmShape(&p, mk)
	s := step{kernel: p.name, reads: reads, writes: writes}
	if g.m <= smallM(mk) {
		b.smallProduct(s, p, g)
		return
	}
	s.tasks = g.mt * g.nt * g.batch.count
	s.local = g.mc*g.kc + g.kc*g.nc + g.mc*g.nc + max(16*g.kc, g.mc, 8*g.nc) + mk.MR*mk.NR
	s.bind = func(m *memory) task {
		r := bindGemm(m, p, g, mk)
		return r.task
	}
	b.add(s)
}

// gemm is a product bound to memory.
type gemm struct {
	gemmShape
	p              product
	mk             *simd.Tier
	a, b, c        *array
	bias, residual *array
	lda, ldb, ldc  int
	ldr            int
}

func bindGemm(m *memory, p product, g gemmShape, mk *simd.Tier) *gemm {
	r := len(p.c.shape) - 2
	x := &gemm{gemmShape: g, p: p, mk: mk, a: m.array(p.a), b: m.array(p.b), c: m.array(p.c),
		lda: p.a.stride[r], ldb: p.b.stride[r], ldc: p.c.stride[r]}
	if p.bias != nil {
		x.bias = m.array(*p.bias)
	}
	if p.residual != nil {
		x.residual, x.ldr = m.array(*p.residual), p.residual.stride[r]
	}
	return x
}

// task computes one tile of c. It starts from what is added to the product
// and then accumulates the blocks of k, in c itself where that is F32.
func (x *gemm) task(t int, local []float32) {
	batch, t := t/(x.mt*x.nt), t%(x.mt*x.nt)
	i0, j0 := t/x.nt*x.mc, t%x.nt*x.nc
	m, n := min(x.mc, x.m-i0), min(x.nc, x.n-j0)
	ap, bp := carve(&local, x.mc*x.kc), carve(&local, x.kc*x.nc)
	own := carve(&local, x.mc*x.nc)
	row := carve(&local, max(16*x.kc, x.mc, 8*x.nc))
	edge := carve(&local, x.mk.MR*x.mk.NR)
	ao, bo := x.batch.offset(0, batch), x.batch.offset(1, batch)
	co := x.batch.offset(2, batch) + i0*x.ldc + j0
	w, ldw := own, n
	if x.c.dt == kernels.F32 {
		w, ldw = x.c.f[co:], x.ldc
	}
	acc := x.begin(w, ldw, batch, i0, j0, m, n, row)
	for k0 := 0; k0 < x.k; k0 += x.kc {
		kc := min(x.kc, x.k-k0)
		if x.p.transB {
			packRows(bp, x.b, bo+j0*x.ldb+k0, x.ldb, n, kc, x.mk.NR, 1, row)
		} else {
			packColumns(bp, x.b, bo+k0*x.ldb+j0, x.ldb, n, kc, x.mk.NR, 1, row)
		}
		if x.p.transA {
			packColumns(ap, x.a, ao+k0*x.lda+i0, x.lda, m, kc, x.mk.MR, x.p.alpha, row)
		} else {
			packRows(ap, x.a, ao+i0*x.lda+k0, x.lda, m, kc, x.mk.MR, x.p.alpha, row)
		}
		x.multiply(w, ldw, ap, bp, m, n, kc, acc, edge)
		acc = true
	}
	if x.c.dt != kernels.F32 {
		for i := range m {
			x.c.store(co+i*x.ldc, w[i*ldw:i*ldw+n])
		}
	}
}

// begin puts beta c + bias + residual into the tile; it returns false when
// there is nothing to add and the tile is left as it is.
func (x *gemm) begin(w []float32, ldw, batch, i0, j0, m, n int, buf []float32) bool {
	beta := x.p.beta
	if beta == 0 && x.bias == nil && x.residual == nil {
		return false
	}
	co := x.batch.offset(2, batch) + i0*x.ldc + j0
	for i := range m {
		dst := w[i*ldw : i*ldw+n]
		// What may lie in c itself comes first: beta c or the residual.
		switch {
		case x.residual != nil:
			r := x.residual.load(x.batch.offset(3, batch)+(i0+i)*x.ldr+j0, n, buf)
			if beta == 0 {
				copy(dst, r)
				break
			}
			for j, v := range r {
				dst[j] = v + beta*x.c.at(co+i*x.ldc+j)
			}
		case beta != 0:
			for j, v := range x.c.load(co+i*x.ldc, n, buf) {
				dst[j] = beta * v
			}
		default:
			clear(dst)
		}
		if x.bias != nil {
			addTo(dst, x.bias.load(j0, n, buf))
		}
	}
	return true
}

// multiply runs the micro-kernel over the panels of a tile. Tiles that reach
// past the edge go through a buffer.
func (x *gemm) multiply(w []float32, ldw int, ap, bp []float32, m, n, kc int, acc bool, edge []float32) {
	mr, nr := x.mk.MR, x.mk.NR
	for j := 0; j < n; j += nr {
		b := bp[j*kc : (j+nr)*kc]
		for i := 0; i < m; i += mr {
			a := ap[i*kc : (i+mr)*kc]
			if i+mr <= m && j+nr <= n {
				x.mk.Gemm(kc, a, b, w[i*ldw+j:], ldw, acc)
				continue
			}
			x.mk.Edge(min(mr, m-i), min(nr, n-j), kc, a, b, w[i*ldw+j:], ldw, acc, edge)
		}
	}
}
