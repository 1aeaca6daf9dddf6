package ref

import (
	"math"

	"graft/kernels"
)

// fill: y = Alpha.
func fill(c *call) {
	for i := range c.Out[0].Len() {
		c.set("y", i, exact(float64(c.Attr.Alpha)))
	}
}

// copyOp: y = x.
func copyOp(c *call) {
	for i, x := range c.arg("x") {
		c.set("y", i, exact(x))
	}
}

// unary: y = f(x).
func unary(c *call) {
	for i, x := range c.arg("x") {
		c.set("y", i, unaryOf(c.Attr, exact(x)))
	}
}

func unaryOf(a kernels.Attr, x num) num {
	switch a.Unary {
	case kernels.Affine:
		return add(times(float64(a.Alpha), x), exact(float64(a.Beta)))
	case kernels.Exp:
		return exp(x)
	case kernels.Log:
		return apply(x, math.Log(x.x), 1/x.x)
	case kernels.Sqrt:
		return sqrt(x)
	case kernels.Recip:
		return recip(x)
	case kernels.Tanh:
		return tanh(x)
	case kernels.Sigmoid:
		return sigmoid(x)
	case kernels.ReLU:
		if x.x < 0 { // and not max(x, 0), which some take to turn NaN into 0
			return exact(0)
		}
		return x
	}
	if x.x > 0 { // Step
		return exact(1)
	}
	return exact(0)
}

// binaryOp: y = a . b.
func binaryOp(c *call) {
	a, b := c.arg("a"), c.arg("b")
	for i := range a {
		c.set("y", i, binaryOf(c.Attr.Binary, exact(a[i]), exact(b[i])))
	}
}

func binaryOf(k kernels.BinaryKind, a, b num) num {
	switch k {
	case kernels.Add:
		return add(a, b)
	case kernels.Sub:
		return sub(a, b)
	case kernels.Mul:
		return mul(a, b)
	case kernels.Div:
		return div(a, b)
	}
	if a.x == b.x { // Equal
		return exact(1)
	}
	return exact(0)
}

// reduce: y = sum or max of x over the axes on which y has size 1, + Beta y.
func reduce(c *call) {
	x := c.arg("x")
	sums := make([]total, c.Out[0].Len())
	seen := make([]bool, len(sums))
	Each(reduced(c.In[0].Shape, c.Out[0].Shape), func(i, o int) {
		switch s := &sums[o]; {
		case c.Attr.Reduce == kernels.Sum:
			s.add(exact(x[i]))
		case !seen[o] || x[i] > s.x || math.IsNaN(x[i]):
			s.x = x[i] // nothing is larger than a NaN, so it stays
		}
		seen[o] = true
	})
	for o, s := range sums {
		c.accumulate("y", o, s)
	}
}

// reduced is a view of the output in the shape of the input: an axis that is
// summed away has stride 0.
func reduced(x, y []int) kernels.View {
	v := kernels.Dense(0, 0, y...)
	for i := range y {
		if y[i] == 1 {
			v.Stride[i] = 0
		}
	}
	v.Shape = x
	return v
}

// gather: y[n] = x[ids[n]], zeros where ids[n] is outside [0, R).
func gather(c *call) { rows(c, c.arg("x"), c.arg("ids"), c.dim('R')) }

// embed: y[n] = table[ids[n]], zeros where ids[n] is outside [0, V).
func embed(c *call) { rows(c, c.arg("table"), c.arg("ids"), c.dim('V')) }

// rows sets the output to rows of x (n rows).
func rows(c *call, x, ids []float64, n int) {
	nc := c.dim('C')
	for i, id := range ids {
		for j := range nc {
			if r := int(id); r >= 0 && r < n {
				c.set("y", i*nc+j, exact(x[r*nc+j]))
			}
		}
	}
}

// putRows: y[ids[n]] = x[n], other rows stay.
func putRows(c *call) {
	x, ids, nc := c.arg("x"), c.arg("ids"), c.dim('C')
	for i, y := range c.old("y") {
		c.set("y", i, exact(y))
	}
	for n, id := range ids {
		for j := range nc {
			if r := int(id); r >= 0 && r < c.dim('R') {
				c.set("y", r*nc+j, exact(x[n*nc+j]))
			}
		}
	}
}

// embedBwd: dtable[ids[n]] += dy[n], run by run.
func embedBwd(c *call) {
	dy, ids, order, starts := c.arg("dy"), c.arg("ids"), c.arg("order"), c.arg("starts")
	n, nc := c.dim('N'), c.dim('C')
	sums := make([]total, c.Out[0].Len())
	for i, x := range c.old("dtable") {
		sums[i].add(exact(x))
	}
	for r := range n {
		for i := max(0, int(starts[r])); i < min(n, int(starts[r+1])); i++ {
			t := int(order[i])
			if t < 0 || t >= n || ids[t] < 0 || int(ids[t]) >= c.dim('V') {
				continue
			}
			for j := range nc {
				sums[int(ids[t])*nc+j].add(exact(dy[t*nc+j]))
			}
		}
	}
	for i, s := range sums {
		c.set("dtable", i, s.num())
	}
}
