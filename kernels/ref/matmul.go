package ref

import "graft/kernels"

// matMul: c = Alpha op(a) op(b) [+ bias] [+ residual] + Beta c, for every
// matrix of the batch.
func matMul(c *call) {
	a, b, bias, residual := c.arg("a"), c.arg("b"), c.arg("bias"), c.arg("residual")
	m, k, n := kernels.MatMulShape(c.Instr)
	var old []float64
	if c.Attr.Beta != 0 {
		old = c.old("c")
	}
	for e := range c.Out[0].Len() {
		batch, i, j := e/(m*n), e/n%m, e%n
		var s total
		for l := range k {
			ai, bi := i*k+l, l*n+j
			if c.Attr.TransA {
				ai = l*m + i
			}
			if c.Attr.TransB {
				bi = j*k + l
			}
			s.product(a[batch*m*k+ai], b[batch*k*n+bi])
		}
		y := total{float64(c.Attr.Alpha) * s.x, prod(float64(c.Attr.Alpha), s.s)}
		if bias != nil {
			y.add(exact(bias[j]))
		}
		if residual != nil {
			y.add(exact(residual[e]))
		}
		if old != nil {
			y.mulAdd(exact(float64(c.Attr.Beta)), exact(old[e]))
		}
		c.set("c", e, y.num())
	}
}
