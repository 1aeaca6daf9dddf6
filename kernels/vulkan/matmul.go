package vulkan

import (
	"slices"

	"graft/kernels"
)

func expandMatMul(x *expansion) error {
	in := x.in
	g := gemm{transA: in.Attr.TransA, transB: in.Attr.TransB, alpha: in.Attr.Alpha, beta: in.Attr.Beta,
		a: x.matrix(in.In[0]), b: x.matrix(in.In[1]), c: x.matrix(in.Out[0])}
	g.m, g.k, g.n = kernels.MatMulShape(in)
	g.batch = in.Out[0].Shape[:len(in.Out[0].Shape)-2]
	if v, ok := kernels.In(in, "bias"); ok {
		g.bias = &operand{at: x.at(v, 0), typ: x.prog.DType(v)}
	}
	if v, ok := kernels.In(in, "residual"); ok {
		residual := x.matrix(v)
		g.residual = &residual
	}
	x.gemm(g)
	return nil
}

// matrix is a view as an operand of a gemm: its last two axes are the matrix.
func (x *expansion) matrix(v kernels.View) operand {
	r := len(v.Shape) - 2
	return operand{at: x.at(v, 0), typ: x.prog.DType(v), ld: v.Stride[r], batch: v.Stride[:r]}
}

// matmulAxes is how many batch axes a kernel walks.
const matmulAxes = 3

// launch makes a product that one launch can count.
func (x *expansion) launch(p product, c choice) {
	k, part := p.size(axisK), max(1, p.size(axisK))
	if c.parts > 1 {
		part = ceilDiv(ceilDiv(k, c.parts), c.bk) * c.bk
		if parts := ceilDiv(k, part); parts > 1 {
			sums := x.partials(0, p, parts)
			x.tiles(p.into(sums), c, part, parts)
			x.sum(p, sums, parts)
			return
		}
	}
	x.tiles(p, c, part, 1)
}

// tiles launches a workgroup for every tile of c and part of K.
func (x *expansion) tiles(p product, c choice, part, parts int) {
	v := c.variant()
	spec := append(p.spec(), v.spec...)
	spec[specSize] = uint32(c.size)
	reads, writes := p.spans()
	writes[0].Hi += int64(parts-1) * p.bytes()
	x.add(launch{kernel: v.kernel, spec: spec, subgroup: v.subgroup, addrs: p.addrs(), words: p.words(part),
		groups: [3]uint32{uint32(ceilDiv(p.size(axisN), c.bn)), uint32(ceilDiv(p.size(axisM), c.bm)), uint32(p.count() * parts)},
		reads:  reads, writes: writes})
}

// sum adds up parts of a product, which lie one after another from sums on.
func (x *expansion) sum(p product, sums place, parts int) {
	q := p
	q.a = operand{at: sums, typ: kernels.F32, ld: p.size(axisN)}
	q.b, q.base[opA], q.base[opB] = q.a, 0, 0
	reads, writes := p.spans()
	reads = append([]kernels.Span{{Slot: sums.slot, Lo: sums.offset, Hi: sums.offset + int64(parts)*p.bytes()}}, reads[2:]...)
	words := q.words(1)
	words[wordK] = uint32(parts)
	spec := q.spec()
	spec[specWideA] = flag(p.size(axisN)%4 == 0)
	spec[specSize] = sumSize
	fours := p.size(axisM) * ceilDiv(p.size(axisN), 4)
	x.add(launch{kernel: "matmul_sum", spec: spec, addrs: q.addrs(), words: words,
		groups: [3]uint32{linear(fours, sumSize)[0], 1, uint32(p.count())},
		reads:  reads, writes: writes})
}

// sumSize is the size of a workgroup of matmul_sum.
const sumSize = 64

// partials gives scratch for parts of a product. Products of an instruction share it, but
// for those of another level, within whose parts they may lie.
func (x *expansion) partials(level int, p product, parts int) place {
	have := &x.parts[level]
	if need := int64(parts) * p.bytes(); need > have.bytes {
		have.at, have.bytes = x.take(need), need
	}
	return have.at
}

// scratchPart is a piece of an instruction's scratch.
type scratchPart struct {
	at    place
	bytes int64
}

// into is the sum of p's products alone, stored densely as F32 from at on.
func (p product) into(at place) product {
	p.bias, p.residual, p.alpha, p.beta = nil, nil, 1, 0
	p.c = operand{at: at, typ: kernels.F32, ld: p.size(axisN)}
	p.base[opC] = 0
	axes := make([]axis, len(p.axes))
	dense := p.size(axisM) * p.size(axisN)
	for i := len(axes) - 1; i >= 0; i-- {
		axes[i] = axis{p.axes[i].size, slices.Clone(p.axes[i].stride)}
		switch to := axes[i].stride; i {
		case len(axes) - axisK:
			to[opC] = 0
		case len(axes) - axisN:
			to[opC] = 1
		case len(axes) - axisM:
			to[opC] = p.c.ld
		default:
			to[opC] = dense
			dense *= axes[i].size
		}
		axes[i].stride[opResidual] = axes[i].stride[opC]
	}
	p.axes = axes
	return p
}

// bytes is the size of the product's sums, stored densely as F32.
func (p *product) bytes() int64 {
	return 4 * int64(p.count()) * int64(p.size(axisM)) * int64(p.size(axisN))
}

// Positions in the specialisation constants and words of the kernels that include
// gemm.glsl.
const (
	specSize  = 10
	specWideA = 11
	wordK     = 2
)

// spec gives the constants of gemm.glsl.
func (p *product) spec() []uint32 {
	bias, _ := p.operand(opBias)
	return []uint32{uint32(p.a.typ), uint32(p.b.typ), uint32(p.c.typ), uint32(bias.typ),
		flag(p.transA), flag(p.transB), flag(p.bias != nil), flag(p.residual != nil), float(p.alpha), float(p.beta), 0,
		flag(p.wide(opA, 16/p.a.typ.Size())), flag(p.wide(opB, 16/p.b.typ.Size())),
		flag(p.wide(opC, 4) && p.wide(opResidual, 4) && p.wide(opBias, 4))}
}

// wide tells whether n neighbours of an operand can be loaded at once: whether every row
// of it begins and ends at a multiple of n elements.
func (p *product) wide(op, n int) bool {
	o, present := p.operand(op)
	if !present {
		return true
	}
	inner := len(p.axes) - p.innermost(op)
	if p.start(op).offset%int64(n*o.typ.Size()) != 0 || p.axes[inner].size%n != 0 {
		return false
	}
	for i, a := range p.axes {
		if i != inner && a.size > 1 && a.stride[op]%n != 0 {
			return false
		}
	}
	return true
}

// innermost is the axis, from the end, on which an operand's neighbours lie.
func (p *product) innermost(op int) int {
	switch {
	case op == opA && p.transA:
		return axisM
	case op == opA || op == opB && p.transB:
		return axisK
	}
	return axisN
}

// neighboursAlongK tells whether both a and b have the elements of a sum side by side.
func (p *product) neighboursAlongK() bool {
	return p.innermost(opA) == axisK && p.innermost(opB) == axisK
}

func (p *product) addrs() []place {
	var places []place
	for op := range numOperands {
		places = append(places, p.start(op))
	}
	return places
}

// words gives the push constants of gemm.glsl after the addresses.
func (p *product) words(part int) []uint32 {
	residual, _ := p.operand(opResidual)
	axes := pad(p.batches(), matmulAxes, numOperands)
	words := []uint32{uint32(p.size(axisM)), uint32(p.size(axisN)), uint32(p.size(axisK)),
		uint32(p.a.ld), uint32(p.b.ld), uint32(residual.ld), uint32(p.c.ld), uint32(axes[1].size), uint32(axes[2].size)}
	for _, op := range []int{opA, opB, opResidual, opC} { // bias is the same for every matrix
		for _, a := range axes {
			words = append(words, uint32(a.stride[op]))
		}
	}
	return append(words, uint32(part))
}
