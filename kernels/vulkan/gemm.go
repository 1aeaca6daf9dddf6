package vulkan

import (
	"math"

	"graft/kernels"
)

// operand is a matrix of a gemm, or several of them: where the first element lies, the
// storage type, and strides in elements. The elements of a stored row are neighbours.
type operand struct {
	at    place
	typ   kernels.DType
	ld    int   // from row to row, as stored
	batch []int // from matrix to matrix, for each axis of gemm.batch
}

// gemm is c = alpha op(a) op(b) [+ bias] [+ residual] + beta c: op(a) is (m, k), op(b)
// (k, n), bias (n), residual and c (m, n), all but bias once for every index of batch.
// Operands lie in slots or in the instruction's scratch.
type gemm struct {
	batch          []int
	m, n, k        int
	transA, transB bool // a is stored (k, m), b (n, k)
	alpha, beta    float32
	a, b, c        operand
	bias, residual *operand // nil: absent; residual has c's type
}

// gemm appends the launches of a product. They declare the bytes that the operands cover.
func (x *expansion) gemm(g gemm) {
	axes := g.axes()
	for _, a := range axes[:len(axes)-axisK] {
		if a.size == 0 {
			return // c has no elements
		}
	}
	x.cut(product{gemm: g, axes: axes})
}

// Operands by number, as in the strides of a gemm's axes.
const (
	opA = iota
	opB
	opBias
	opResidual
	opC
	numOperands
)

// axes lists the axes with the strides that each operand walks them by: batch axes, as
// few as will do, then m, n and k.
func (g *gemm) axes() []axis {
	am, ak, bk, bn := g.a.ld, 1, g.b.ld, 1
	if g.transA {
		am, ak = ak, am
	}
	if g.transB {
		bk, bn = bn, bk
	}
	res := g.c
	if g.residual != nil {
		res = *g.residual
	}
	none := make([]int, len(g.batch))
	axes := collapse(g.batch, g.a.batch, g.b.batch, none, res.batch, g.c.batch)
	return append(axes,
		axis{g.m, []int{am, 0, 0, res.ld, g.c.ld}},
		axis{g.n, []int{0, bn, 1, 1, 1}},
		axis{g.k, []int{ak, bk, 0, 0, 0}})
}

// product is a part of a gemm on its way to a launch: the axes' sizes and where each
// operand begins, in elements from its place.
type product struct {
	gemm
	axes []axis // as gemm.axes
	base [numOperands]int
}

// The last axes of a product, from the end.
const (
	axisK = iota + 1
	axisN
	axisM
)

func (p *product) size(fromEnd int) int { return p.axes[len(p.axes)-fromEnd].size }

func (p *product) batches() []axis { return p.axes[:len(p.axes)-axisM] }

// slice is p between the indices at and at+size of an axis.
func (p product) slice(i, at, size int) product {
	axes := make([]axis, 0, len(p.axes))
	for k, a := range p.axes {
		if k == i {
			for o, s := range a.stride {
				p.base[o] += at * s
			}
			a.size = size
			if size == 1 && k < len(p.axes)-axisM {
				continue // a batch axis of one matrix is none
			}
		}
		axes = append(axes, a)
	}
	p.axes = axes
	return p
}

const (
	// maxIndex bounds the element indices inside a launch: they are signed, and a tile may
	// reach over the edge of its matrix.
	maxIndex = math.MaxInt32 - 4096
	// maxPartial is how many sums of parts of K may lie in scratch for want of indices.
	maxPartial = 1 << 26
	// mostWork bounds the FLOPs of a launch, for each unit of the device: a quarter of a
	// second where a unit makes 32 GFLOP/s. Watchdogs fire after one or two.
	mostWork = 1 << 33
	// cutAt is what cuts are multiples of, so that alignment and tiles survive them.
	cutAt = 128
)

// cut launches p, in parts where a launch could not count it.
func (x *expansion) cut(p product) {
	c := x.target.choose(&p)
	i, size := p.excess(c)
	if i < 0 && p.flops() > mostWork*float64(max(1, x.target.units)) {
		if k, half := p.halve(); p.axes[k].size > cutAt {
			i, size = k, half
		}
	}
	switch {
	case i < 0:
		x.launch(p, c)
	case i == len(p.axes)-axisK:
		parts := ceilDiv(p.axes[i].size, size)
		sums := x.partials(1, p, parts)
		for s := range parts {
			at := place{sums.slot, sums.offset + int64(s)*p.bytes()}
			x.cut(p.slice(i, s*size, min(size, p.axes[i].size-s*size)).into(at))
		}
		x.sum(p, sums, parts)
	default:
		for at := 0; at < p.axes[i].size; at += size {
			x.cut(p.slice(i, at, min(size, p.axes[i].size-at)))
		}
	}
}

// excess finds an axis that is too long for one launch and gives the size of its parts;
// i is -1 when there is none.
func (p *product) excess(c choice) (i, size int) {
	m, n := len(p.axes)-axisM, len(p.axes)-axisN
	switch count := p.count(); {
	case len(p.batches()) > matmulAxes:
		return 0, 1
	case count*c.parts > maxGroups:
		return 0, max(1, maxGroups/c.parts/(count/p.axes[0].size))
	case p.axes[m].size > maxGroups*c.bm:
		return m, maxGroups * c.bm
	case p.axes[n].size > maxGroups*c.bn:
		return n, maxGroups * c.bn
	}
	for _, op := range []int{opC, opResidual, opA, opB} { // c is never too long along K
		over := p.elements(op) - maxIndex
		if over <= 0 {
			continue
		}
		for k, a := range p.axes {
			if w := p.axes[i]; (a.size-1)*a.stride[op] > (w.size-1)*w.stride[op] {
				i = k
			}
		}
		a := p.axes[i]
		size = max(1, a.size-ceilDiv(over, a.stride[op]))
		if size > cutAt {
			size -= size % cutAt
		}
		if i != len(p.axes)-axisK {
			return i, size
		}
		if total := ceilDiv(a.size, size) * int(p.bytes()/4); total > maxPartial {
			return p.halve()
		}
		return i, size
	}
	return -1, 0
}

// halve cuts the longest of c's axes.
func (p *product) halve() (i, size int) {
	for k, a := range p.axes[:len(p.axes)-axisK] {
		if a.size > p.axes[i].size {
			i = k
		}
	}
	if size = ceilDiv(p.axes[i].size, 2); size > cutAt {
		size = ceilDiv(size, cutAt) * cutAt
	}
	return i, size
}

// flops counts multiplications and additions.
func (p *product) flops() float64 {
	n := 2.0
	for _, a := range p.axes {
		n *= float64(a.size)
	}
	return n
}

// count is the number of matrices.
func (p *product) count() int {
	n := 1
	for _, a := range p.batches() {
		n *= a.size
	}
	return n
}

// elements is the distance from an operand's first element to its last, plus one.
func (p *product) elements(op int) int {
	n := 1
	for _, a := range p.axes {
		n += (a.size - 1) * a.stride[op]
	}
	return n
}

// operand gives one by its number. An absent one is a, or for the residual c, of which
// every address exists.
func (p *product) operand(op int) (o operand, present bool) {
	switch op {
	case opA:
		return p.a, true
	case opB:
		return p.b, true
	case opC:
		return p.c, true
	case opBias:
		if p.bias != nil {
			return *p.bias, true
		}
		return p.a, false
	}
	if p.residual != nil {
		return *p.residual, true
	}
	return p.c, false
}

// start is the place of an operand's first element in this part.
func (p *product) start(op int) place {
	o, present := p.operand(op)
	if present {
		o.at.offset += int64(p.base[op] * o.typ.Size())
	}
	return o.at
}

// span is the range of bytes that this part touches of an operand.
func (p *product) span(op int) kernels.Span {
	o, _ := p.operand(op)
	at := p.start(op)
	return kernels.Span{Slot: at.slot, Lo: at.offset, Hi: at.offset + int64(p.elements(op)*o.typ.Size())}
}

// spans lists what this part reads and writes.
func (p *product) spans() (reads, writes []kernels.Span) {
	for op := range opC {
		if _, ok := p.operand(op); ok {
			reads = append(reads, p.span(op))
		}
	}
	writes = []kernels.Span{p.span(opC)}
	if p.beta != 0 {
		reads = append(reads, writes[0])
	}
	return reads, writes
}
