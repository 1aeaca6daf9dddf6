package ref

// crossEntropy: z = cap(Scale logits); lse = log sum exp z;
// loss[n] = lse[n] - z[n, targets[n]], 0 where the target is ignored.
func crossEntropy(c *call) {
	logits, targets, nv := c.arg("logits"), c.arg("targets"), c.dim('V') // (N, V), (N)
	for n := range targets {
		z := make([]num, nv)
		for v := range z {
			z[v], _ = capped(c.Attr, times(float64(c.Attr.Scale), exact(logits[n*nv+v])))
		}
		c.loss(n, int(targets[n]), z)
	}
}

// loss sets loss[n] (and lse[n] where the operation gives it) and returns lse.
func (c *call) loss(n, target int, z []num) (lse num) {
	lse = logSumExp(z)
	c.set("lse", n, lse)
	if target >= 0 && target < len(z) {
		c.set("loss", n, sub(lse, z[target]))
	}
	return lse
}

// minusOne is the gradient of a loss: p - onehot(target).
func minusOne(p num, hit bool) num {
	if hit {
		return sub(p, exact(1))
	}
	return p
}

// crossEntropyBwd: dlogits = dloss[n] * Scale * cap'(..) * (exp(z - lse) -
// onehot(targets[n])), 0 for ignored targets.
func crossEntropyBwd(c *call) {
	logits, targets, lse, dloss := c.arg("logits"), c.arg("targets"), c.arg("lse"), c.arg("dloss")
	nv, scale := c.dim('V'), float64(c.Attr.Scale)
	for n := range targets {
		target := int(targets[n])
		if target < 0 || target >= nv {
			continue
		}
		for v := range nv {
			z, slope := capped(c.Attr, times(scale, exact(logits[n*nv+v])))
			g := minusOne(share(z, exact(lse[n])), v == target)
			c.set("dlogits", n*nv+v, times(dloss[n], times(scale, mul(slope, g))))
		}
	}
}

// project gives z = cap(Scale h head^T) of token n, with the slope of the cap.
func (c *call) project(h, head []float64, n int) (z, slope []num) {
	nc, nv := c.dim('C'), c.dim('V')
	z, slope = make([]num, nv), make([]num, nv)
	for v := range nv {
		z[v], slope[v] = capped(c.Attr, times(float64(c.Attr.Scale), dot(h[n*nc:], head[v*nc:], nc)))
	}
	return z, slope
}

// linearCE: crossEntropy of h head^T.
func linearCE(c *call) {
	h, head, targets := c.arg("h"), c.arg("head"), c.arg("targets") // (N, C), (V, C), (N)
	for n := range targets {
		z, _ := c.project(h, head, n)
		c.loss(n, int(targets[n]), z)
	}
}

// linearCEGrad: dz = scale[n] * Scale * cap'(..) * (softmax(z) -
// onehot(targets[n])), 0 for ignored targets; dh = dz head;
// dhead = dz^T h + Beta dhead.
func linearCEGrad(c *call) {
	h, head, targets, scale := c.arg("h"), c.arg("head"), c.arg("targets"), c.arg("scale")
	nc, nv := c.dim('C'), c.dim('V')
	dhead := make([]total, nv*nc)
	for n := range targets {
		target := int(targets[n])
		z, slope := c.project(h, head, n)
		lse := c.loss(n, target, z)
		if target < 0 || target >= nv {
			continue
		}
		dh := make([]total, nc)
		for v := range nv {
			g := mul(slope[v], minusOne(share(z[v], lse), v == target))
			dz := times(scale[n], times(float64(c.Attr.Scale), g))
			for j := range nc {
				dh[j].mulAdd(dz, exact(head[v*nc+j]))
				dhead[v*nc+j].mulAdd(dz, exact(h[n*nc+j]))
			}
		}
		for j := range nc {
			c.set("dh", n*nc+j, dh[j].num())
		}
	}
	if c.has("dhead") {
		for i := range dhead {
			c.accumulate("dhead", i, dhead[i])
		}
	}
}
