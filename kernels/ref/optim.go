package ref

import (
	"math"

	"graft/kernels"
)

// sumSq: s = sum of x^2, + Beta s.
func sumSq(c *call) {
	var s total
	for _, x := range c.arg("x") {
		s.mulAdd(exact(x), exact(x))
	}
	c.accumulate("s", 0, s)
}

// advance counts the update, or its skipping when loss or norm are not finite,
// and sets the factors that AdamW needs.
func advance(c *call) {
	loss, hyper := c.arg("loss")[0], c.arg("hyper")
	norm := sqrt(exact(c.arg("sumsq")[0]))
	state := make([]num, kernels.StateLen)
	for i, x := range c.old("state") {
		state[i] = exact(x)
	}
	state[kernels.StateNorm], state[kernels.StateLoss] = norm, exact(loss)
	if finite(loss) && finite(norm.x) {
		state[kernels.StateStep].x++
		state[kernels.StateBC1] = decay(c.Attr.Beta1, state[kernels.StateBC1], exact(1))
		state[kernels.StateBC2] = decay(c.Attr.Beta2, state[kernels.StateBC2], exact(1))
		state[kernels.StateClip] = clip(norm, hyper[kernels.HyperMaxNorm])
		state[kernels.StateApply] = exact(1)
	} else {
		state[kernels.StateSkipped].x++
		state[kernels.StateApply] = exact(0)
	}
	for i := range state {
		c.set("state", i, state[i])
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// decay: beta m + (1 - beta) x.
func decay(beta float64, m, x num) num { return add(times(beta, m), times(1-beta, x)) }

// clip: min(1, max / (norm + 1e-6)), 1 when max is 0.
func clip(norm num, limit float64) num {
	if limit == 0 {
		return exact(1)
	}
	f := div(exact(limit), add(norm, exact(1e-6)))
	if f.x >= 1 {
		return exact(1)
	}
	return f
}

// adamW: g = clip * grad; m and v decay towards g and g^2;
// w = w (1 - lr Decay) - lr / bc1 * m / (sqrt(v / bc2) + Eps).
// Loshchilov and Hutter 2019, the order of operations as in PyTorch.
func adamW(c *call) {
	grad, hyper, state := c.arg("grad"), c.arg("hyper"), c.arg("state")
	w, m, v := c.old("w"), c.old("m"), c.old("v")
	if state[kernels.StateApply] == 0 {
		c.unchanged()
		return
	}
	lr := exact(hyper[kernels.HyperLR])
	bc1, bc2 := exact(state[kernels.StateBC1]), exact(state[kernels.StateBC2])
	for i := range grad {
		g := times(state[kernels.StateClip], exact(grad[i]))
		mi := decay(c.Attr.Beta1, exact(m[i]), g)
		vi := decay(c.Attr.Beta2, exact(v[i]), mul(g, g))
		kept := mul(exact(w[i]), sub(exact(1), times(c.Attr.Decay, lr)))
		step := div(mul(div(lr, bc1), mi), add(sqrt(div(vi, bc2)), exact(c.Attr.Eps)))
		wi := sub(kept, step)
		c.set("m", i, mi)
		c.set("v", i, vi)
		c.set("w", i, wi)
		c.set("store", i, wi)
	}
}

// unchanged sets every output to what it was.
func (c *call) unchanged() {
	for _, q := range kernels.OutPorts(c.Instr) {
		for i, x := range c.old(q.Name) {
			c.set(q.Name, i, exact(x))
		}
	}
}
