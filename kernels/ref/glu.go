package ref

import (
	"math"

	"graft/kernels"
)

// glu: y = act(gate) * up. Shazeer 2020.
func glu(c *call) {
	gate, up := c.arg("gate"), c.arg("up") // (N, F)
	for i := range gate {
		act, _ := activation(c.Attr.Act, exact(gate[i]))
		c.set("y", i, mul(act, exact(up[i])))
	}
}

// gluBwd: dgate = dy * up * act'(gate); dup = dy * act(gate).
func gluBwd(c *call) {
	gate, up, dy := c.arg("gate"), c.arg("up"), c.arg("dy")
	for i := range gate {
		act, slope := activation(c.Attr.Act, exact(gate[i]))
		c.set("dgate", i, mul(mul(exact(dy[i]), exact(up[i])), slope))
		c.set("dup", i, mul(exact(dy[i]), act))
	}
}

// activation gives act(x) and act'(x).
func activation(k kernels.Activation, x num) (act, slope num) {
	one := exact(1)
	if k == kernels.SiLU {
		s := sigmoid(x)
		return mul(x, s), mul(s, add(one, mul(x, sub(one, s))))
	}
	const a = 0.044715
	k0 := math.Sqrt(2 / math.Pi)
	x2 := mul(x, x)
	t := tanh(times(k0, mul(x, add(one, times(a, x2)))))
	inner := times(k0, add(one, times(3*a, x2))) // d/dx of tanh's argument
	half := times(0.5, add(one, t))
	return mul(x, half), add(half, times(0.5, mul(mul(x, sub(one, mul(t, t))), inner)))
}
