package ref

// rope: for r < R, (y[r], y[r+R]) = Scale * rotation of (x[r], x[r+R]) by
// Sign * positions[n] * freqs[r]; axes from 2R on are copied. Su et al. 2021,
// with the halves apart as in GPT-NeoX.
func rope(c *call) {
	x, positions, freqs := c.arg("x"), c.arg("positions"), c.arg("freqs") // (N, H, D), (N), (R)
	nh, nd, nr := c.dim('H'), c.dim('D'), c.dim('R')
	scale := float64(c.Attr.Scale)
	for row := range c.dim('N') * nh {
		i := row * nd
		for r := range nr {
			angle := times(float64(c.Attr.Sign), mul(exact(positions[row/nh]), exact(freqs[r])))
			co, si := cos(angle), sin(angle)
			a, b := exact(x[i+r]), exact(x[i+r+nr])
			c.set("y", i+r, times(scale, sub(mul(a, co), mul(b, si))))
			c.set("y", i+r+nr, times(scale, add(mul(a, si), mul(b, co))))
		}
		for r := 2 * nr; r < nd; r++ {
			c.set("y", i+r, exact(x[i+r]))
		}
	}
}
