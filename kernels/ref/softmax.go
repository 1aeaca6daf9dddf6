package ref

import (
	"math"

	"graft/kernels"
)

// capped: z = c tanh(x / c), and dz/dx; with c = 0, z = x.
func capped(a kernels.Attr, x num) (z, slope num) {
	if a.SoftCap == 0 {
		return x, exact(1)
	}
	c := float64(a.SoftCap)
	t := tanh(times(1/c, x))
	return times(c, t), sub(exact(1), mul(t, t))
}

// logSumExp: log of the sum of exp(z), -Inf without terms.
func logSumExp(z []num) num {
	top := math.Inf(-1)
	for _, x := range z {
		if x.x > top || math.IsNaN(x.x) {
			top = x.x
		}
		if math.IsNaN(top) {
			return num{math.NaN(), 0}
		}
	}
	if math.IsInf(top, 0) {
		return exact(top)
	}
	var sum float64
	for _, x := range z {
		sum += math.Exp(x.x - top)
	}
	lse := num{top + math.Log(sum), 0}
	// Each term moves the result by its share p; any implementation subtracts
	// some maximum first and so rounds |z - lse| as well.
	lse.s = math.Abs(lse.x) + 1
	for _, x := range z {
		lse.s += prod(math.Exp(x.x-lse.x), x.s+math.Abs(x.x-lse.x))
	}
	return lse
}

// share: p = exp(z - lse).
func share(z, lse num) num {
	d := sub(z, lse)
	d.s = z.s + lse.s + math.Abs(d.x)
	return exp(d)
}

// visible gives the keys lo <= j < hi that query t of sequence b sees.
type visible struct {
	documents, rows []float64 // (2, B, T), (B, T); nil when absent
	queries, keys   int       // T, S
	window          int
}

func (c *call) visible() visible {
	return visible{c.arg("documents"), c.arg("rows"), c.dim('T'), c.dim('S'), c.Attr.Window}
}

func (v visible) of(b, t int) (lo, hi int) {
	if v.documents == nil {
		return 0, v.keys
	}
	r := t
	if v.rows != nil {
		r = int(v.rows[b*v.queries+t])
	}
	lo = max(0, int(v.documents[b*v.queries+t]))
	if v.window > 0 {
		lo = max(lo, r-v.window+1)
	}
	return lo, max(lo, min(r+1, v.keys))
}

// softmax: p = softmax of cap(Scale x) over the visible keys, 0 elsewhere.
func softmax(c *call) {
	x, vis := c.arg("x"), c.visible() // (B, H, T, S)
	nh, nt, ns := c.dim('H'), c.dim('T'), c.dim('S')
	for row := range c.dim('B') * nh * nt {
		lo, hi := vis.of(row/(nh*nt), row%nt)
		z := make([]num, 0, ns)
		for j := lo; j < hi; j++ {
			zj, _ := capped(c.Attr, times(float64(c.Attr.Scale), exact(x[row*ns+j])))
			z = append(z, zj)
		}
		lse := logSumExp(z)
		for j, zj := range z {
			c.set("p", row*ns+lo+j, share(zj, lse))
		}
		c.set("lse", row, lse)
	}
}

// softmaxBwd: dx = Scale * cap'(Scale x) * p * (dp - sum over keys of p dp).
func softmaxBwd(c *call) {
	x, p, dp := c.arg("x"), c.arg("p"), c.arg("dp") // (B, H, T, S)
	ns := c.dim('S')
	for row := range len(x) / ns {
		var mean total
		for i := row * ns; i < (row+1)*ns; i++ {
			mean.mulAdd(exact(p[i]), exact(dp[i]))
		}
		for i := row * ns; i < (row+1)*ns; i++ {
			_, slope := capped(c.Attr, times(float64(c.Attr.Scale), exact(x[i])))
			ds := mul(exact(p[i]), sub(exact(dp[i]), mean.num()))
			c.set("dx", i, times(float64(c.Attr.Scale), mul(slope, ds)))
		}
	}
}
