package vulkan

import "graft/kernels"

func expandMatMul(x *expansion) error {
	in := x.in
	if err := x.countable(append(in.In[:len(in.In):len(in.In)], in.Out...)...); err != nil {
		return err
	}
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

const (
	matmulTile = 16 // rows and columns of c that a workgroup makes
	matmulAxes = 3  // batch axes that a kernel walks
)

// tiles launches a product, a workgroup for every tile of c.
func (x *expansion) tiles(p product) {
	m, n := p.size(axisM), p.size(axisN)
	batches := 1
	for _, a := range p.batches() {
		batches *= a.size
	}
	l := launch{kernel: "matmul",
		spec: []uint32{uint32(p.a.typ), uint32(p.b.typ), uint32(p.c.typ), 0,
			flag(p.transA), flag(p.transB), flag(p.bias != nil), flag(p.residual != nil), float(p.alpha), float(p.beta)},
		groups: [3]uint32{uint32((n + matmulTile - 1) / matmulTile), uint32((m + matmulTile - 1) / matmulTile), uint32(batches)},
	}
	if p.bias != nil {
		l.spec[3] = uint32(p.bias.typ)
	}
	residual, _ := p.operand(opResidual)
	axes := pad(p.batches(), matmulAxes, numOperands)
	l.words = []uint32{uint32(m), uint32(n), uint32(p.size(axisK)),
		uint32(p.a.ld), uint32(p.b.ld), uint32(residual.ld), uint32(p.c.ld),
		uint32(axes[1].size), uint32(axes[2].size)}
	for op := range numOperands {
		l.addrs = append(l.addrs, p.start(op))
		if op == opBias {
			continue // the same for every matrix
		}
		for _, a := range axes {
			l.words = append(l.words, uint32(a.stride[op]))
		}
	}
	l.reads, l.writes = p.spans()
	x.add(l)
}
