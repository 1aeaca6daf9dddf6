package ref

// rmsNorm: sum = x [+ residual]; rstd = 1 / sqrt(mean(sum^2) + Eps);
// y = sum * rstd * w, or * (1 + w). Zhang and Sennrich 2019.
func rmsNorm(c *call) {
	x, w, residual := c.arg("x"), c.arg("w"), c.arg("residual") // (N, C), (C), (N, C)
	nc := c.dim('C')
	sum := make([]num, nc)
	for n := range c.dim('N') {
		var ss total
		for j := range sum {
			sum[j] = exact(x[n*nc+j])
			if residual != nil {
				sum[j] = add(sum[j], exact(residual[n*nc+j]))
			}
			ss.mulAdd(sum[j], sum[j])
		}
		mean := times(1/float64(nc), ss.num())
		rstd := recip(sqrt(add(mean, exact(c.Attr.Eps))))
		for j := range sum {
			c.set("y", n*nc+j, mul(mul(sum[j], rstd), c.normWeight(w[j])))
			c.set("sum", n*nc+j, sum[j])
		}
		c.set("rstd", n, rstd)
	}
}

// normWeight is w, or 1 + w.
func (c *call) normWeight(w float64) num {
	if c.Attr.PlusOne {
		return add(exact(1), exact(w))
	}
	return exact(w)
}

// rmsNormBwd: g = dy * w; dx = rstd * g - x * rstd^3 * mean(g * x) [+ dsum];
// dw = sum over n of dy * x * rstd, + Beta dw.
func rmsNormBwd(c *call) {
	x, w, rstds, dy, dsum := c.arg("x"), c.arg("w"), c.arg("rstd"), c.arg("dy"), c.arg("dsum")
	nc := c.dim('C')
	dw := make([]total, nc)
	for n := range c.dim('N') {
		rstd := exact(rstds[n])
		var gx total
		for j := range nc {
			g := mul(exact(dy[n*nc+j]), c.normWeight(w[j]))
			gx.mulAdd(g, exact(x[n*nc+j]))
		}
		mean := times(1/float64(nc), gx.num())
		cube := mul(mul(rstd, rstd), rstd)
		for j := range nc {
			i := n*nc + j
			g := mul(exact(dy[i]), c.normWeight(w[j]))
			dx := sub(mul(rstd, g), mul(mul(exact(x[i]), cube), mean))
			if dsum != nil {
				dx = add(dx, exact(dsum[i]))
			}
			c.set("dx", i, dx)
			dw[j].mulAdd(mul(exact(dy[i]), exact(x[i])), rstd)
		}
	}
	if c.has("dw") {
		for j := range nc {
			c.accumulate("dw", j, dw[j])
		}
	}
}
