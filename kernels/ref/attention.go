package ref

// heads finds the vectors of a query head and of the key head that it reads.
type heads struct{ nb, nt, ns, nh, nk, nd int }

func (c *call) heads() heads {
	return heads{c.dim('B'), c.dim('T'), c.dim('S'), c.dim('H'), c.dim('K'), c.dim('D')}
}

// query is the start of q[b, t, h] in (B, T, H, D).
func (s heads) query(b, t, h int) int { return ((b*s.nt+t)*s.nh + h) * s.nd }

// key is the start of k[b, j, h / (H/K)] in (B, S, K, D).
func (s heads) key(b, j, h int) int { return ((b*s.ns+j)*s.nk + h/(s.nh/s.nk)) * s.nd }

// each calls f for every query of every head.
func (s heads) each(f func(b, h, t int)) {
	for b := range s.nb {
		for h := range s.nh {
			for t := range s.nt {
				f(b, h, t)
			}
		}
	}
}

// dot is the product of n stored values of a and of b.
func dot(a, b []float64, n int) num {
	var s total
	for i := range n {
		s.product(a[i], b[i])
	}
	return s.num()
}

// attention: o = softmax(s) v over the visible keys, s = cap(Scale q k),
// lse = log sum exp s.
func attention(c *call) {
	q, k, v, vis, hd := c.arg("q"), c.arg("k"), c.arg("v"), c.visible(), c.heads()
	hd.each(func(b, h, t int) {
		at := hd.query(b, t, h)
		lo, hi := vis.of(b, t)
		var s []num
		for j := lo; j < hi; j++ {
			sj, _ := capped(c.Attr, times(float64(c.Attr.Scale), dot(q[at:], k[hd.key(b, j, h):], hd.nd)))
			s = append(s, sj)
		}
		lse := logSumExp(s)
		o := make([]total, hd.nd)
		for j, sj := range s {
			p := share(sj, lse)
			for d := range o {
				o[d].mulAdd(p, exact(v[hd.key(b, lo+j, h)+d]))
			}
		}
		for d := range o {
			c.set("o", at+d, o[d].num())
		}
		c.set("lse", (b*hd.nh+h)*hd.nt+t, lse)
	})
}

// attentionBwd: p = exp(s - lse), dp = do v, ds = p * (dp - sum_d do o),
// through the cap; dq = Scale ds k, dk = Scale ds q, dv = p do, the last two
// summed over the heads of a key head. Dao et al. 2022, section 3.1.
func attentionBwd(c *call) {
	q, k, v, do, o, lses := c.arg("q"), c.arg("k"), c.arg("v"), c.arg("do"), c.arg("o"), c.arg("lse")
	vis, hd, scale := c.visible(), c.heads(), float64(c.Attr.Scale)
	dk, dv := make([]total, len(k)), make([]total, len(v))
	hd.each(func(b, h, t int) {
		at := hd.query(b, t, h)
		lse := exact(lses[(b*hd.nh+h)*hd.nt+t])
		delta := dot(do[at:], o[at:], hd.nd)
		dq := make([]total, hd.nd)
		lo, hi := vis.of(b, t)
		for j := lo; j < hi; j++ {
			kv := hd.key(b, j, h)
			s, slope := capped(c.Attr, times(scale, dot(q[at:], k[kv:], hd.nd)))
			p := share(s, lse)
			dp := dot(do[at:], v[kv:], hd.nd)
			ds := times(scale, mul(slope, mul(p, sub(dp, delta))))
			for d := range hd.nd {
				dq[d].mulAdd(ds, exact(k[kv+d]))
				dk[kv+d].mulAdd(ds, exact(q[at+d]))
				dv[kv+d].mulAdd(p, exact(do[at+d]))
			}
		}
		for d := range dq {
			c.set("dq", at+d, dq[d].num())
		}
	})
	for i := range dk {
		c.set("dk", i, dk[i].num())
		c.set("dv", i, dv[i].num())
	}
}
