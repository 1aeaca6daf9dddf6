package cpu

import (
	"slices"

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

// gemmShape is the shape of a product and how it is cut. A tile of c is the
// work of a task. It goes through the blocks of k, and for each through its
// rows, MR at a time, against all columns: the panels of B in a block stay in
// the second cache, and a panel of A in the first. Where one tile alone needs them, rows
// of A are packed just before they are used.
type gemmShape struct {
	m, n, k int  // k counts words of packed panels: elements, or pairs of them
	pairs   bool // words are pairs of bf16
	depth   int  // elements of k
	batch   runs // operands a, b, c and, where present, residual
	kc      int  // of a block of k; alone decides how sums are rounded
	tm, tn  int  // rows and columns of a tile
	mt, nt  int  // tiles down and across
	// Operands that a step of its own packs for all tiles; the others are
	// packed by each task.
	packA, packB bool
	// A is not packed but where an edge of c needs it.
	inPlace bool
}

// mostPacked is the largest number of elements of an operand that are packed
// for all tiles at once: 9 MiB of scratch with AVX-512.
func mostPacked(t *simd.Tier) int { return 24 * t.KC * t.MC }

// narrow is the most panels of B for which it does not pay to pack A where the
// micro-kernel takes more rows of a panel than of memory.
const narrow = 4

// rows of c and of op(a), columns, and k.
func (p *product) dims() (m, n, k int) {
	r := len(p.c.shape) - 2
	k = p.a.shape[r+1]
	if p.transA {
		k = p.a.shape[r]
	}
	return p.c.shape[r], p.c.shape[r+1], k
}

func newGemmShape(p *product, t *simd.Tier, threads int) gemmShape {
	r := len(p.c.shape) - 2
	var g gemmShape
	g.m, g.n, g.depth = p.dims()
	g.k = g.depth
	if g.pairs = p.inPairs(t); g.pairs {
		g.k = blocks(g.depth, 2)
	}
	strides := [][]int{p.a.stride[:r], p.b.stride[:r], p.c.stride[:r]}
	if p.residual != nil {
		strides = append(strides, p.residual.stride[:r])
	}
	g.batch = newPositions(p.c.shape[:r], strides...)
	// Blocks of k are about equal, and whole steps of the kernels that pack and fetch
	// ahead.
	const step = 4 * simd.AheadLines
	g.kc = min(g.k, blocks(blocks(g.k, max(1, blocks(g.k, t.KC))), step)*step)
	g.inPlace = !p.transA && p.a.dt == kernels.F32 && p.alpha == 1 && (t.Rows == t.MR || g.n <= narrow*t.NR && g.n%t.NR == 0)
	if g.batch.count == 1 && g.m*g.n*g.k >= 16*t.Work {
		g.tm, g.tn = blocks(g.m, t.MR)*t.MR, min(t.NC, blocks(g.n, t.NR)*t.NR)
		g.packA = g.n > g.tn && !g.inPlace
		if p.c.dt != kernels.F32 || p.transA && !g.packA { // part of the tile, or A, is in the task's buffer
			g.tm = min(g.tm, t.MC/t.MR*t.MR)
		}
		enough := 1
		if threads > 1 { // no goroutine waits for long when the others are done
			enough = 4 * threads
		}
		g.split(t, func(tiles, work int) bool { return tiles < enough && work > t.Work })
		// A task packs its own block of B, which is then in the second cache, unless
		// many would pack the same.
		g.packB = g.mt > 3 && blocks(g.n, t.NR)*t.NR*g.k <= mostPacked(t)
		return g
	}
	g.tm, g.tn = min(t.MC/t.MR, blocks(g.m, t.MR))*t.MR, min(t.MC/t.NR, blocks(g.n, t.NR))*t.NR
	g.split(t, func(tiles, work int) bool { return work >= t.Work && (tiles < 8 || tiles < 64 && work >= 4*t.Work) })
	return g
}

// split halves tiles as long as there are too few. How a product is cut changes no
// bit of it.
func (g *gemmShape) split(t *simd.Tier, tooFew func(tiles, work int) bool) {
	for {
		g.mt, g.nt = blocks(g.m, g.tm), blocks(g.n, g.tn)
		if !tooFew(g.mt*g.nt*g.batch.count, g.tm*g.tn*g.k) {
			return
		}
		switch {
		case g.tm >= g.tn && g.tm >= 2*t.MR:
			g.tm = blocks(g.tm/2, t.MR) * t.MR
		case g.tn >= 2*t.NR:
			g.tn = blocks(g.tn/2, t.NR) * t.NR
		case g.tm >= 2*t.MR:
			g.tm = blocks(g.tm/2, t.MR) * t.MR
		default:
			return
		}
	}
}

// product adds the steps of a matrix product.
func (b *builder) product(p product) {
	g := newGemmShape(&p, b.tier, b.threads)
	if b.inParts(p, g) {
		return
	}
	s := step{kernel: p.name, reads: []operand{p.a, p.b}, writes: []operand{p.c}, soon: b.early(p.b)}
	if p.bias != nil {
		s.reads = append(s.reads, *p.bias)
	}
	if p.residual != nil {
		s.reads = append(s.reads, *p.residual)
	}
	if p.beta != 0 {
		s.reads = append(s.reads, p.c)
	}
	if g.m <= smallM(b.tier, p.transB) {
		b.smallProduct(s, p, g)
		return
	}
	pa, pb := b.packed(p, g)
	if g.packA {
		s.reads[0] = pa
	}
	if g.packB {
		s.reads[1], s.soon = pb, nil
	}
	t := b.tier
	s.tasks = g.mt * g.nt * g.batch.count
	s.local = g.tileBuffers(&p, t).size()
	s.bind = func(m *memory) task {
		x := bindGemm(m, p, g, t)
		x.bindPacked(m, pa, pb)
		return x.task
	}
	b.add(s)
}

// inParts adds a product in several parts where that is called for: large
// matrices of a batch one after another, and a large op(a) in pieces whose
// packed copies are not larger than mostPacked.
func (b *builder) inParts(p product, g gemmShape) bool {
	t := b.tier
	if r := len(p.c.shape) - 2; g.batch.count > 1 && g.batch.count <= 256 && g.m*g.n*g.k >= 16*t.Work {
		axis := slices.IndexFunc(p.c.shape[:r], func(d int) bool { return d > 1 })
		for i := range p.c.shape[axis] {
			b.product(p.part(axis, i, i+1))
		}
		return true
	}
	most := mostPacked(t)
	if !g.packA || g.m <= smallM(t, p.transB) || blocks(g.m, t.MR)*t.MR*g.k <= most {
		return false
	}
	rows, deep := most/g.k/t.MR*t.MR, most/(g.m+t.MR)/g.kc*g.kc
	if rows < 4*t.MC && deep > 0 && p.c.dt == kernels.F32 {
		for k := 0; k < g.k; k += deep {
			b.product(p.partOfK(g.elements(k), g.elements(min(k+deep, g.k))))
			// What is added is added once.
			p.beta, p.bias, p.residual = 1, nil, nil
		}
		return true
	}
	r := len(p.c.shape) - 2
	rows = max(rows, t.MC/t.MR*t.MR)
	if rows >= g.m {
		return false
	}
	for i := 0; i < g.m; i += rows {
		b.product(p.part(r, i, min(i+rows, g.m)))
	}
	return true
}
