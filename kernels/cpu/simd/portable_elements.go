package simd

import "math"

func addGo(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

func subGo(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] - b[i]
	}
}

func mulGo(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] * b[i]
	}
}

func divGo(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] / b[i]
	}
}

func maxGo(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = maxf(a[i], b[i])
	}
}

// maxf is the larger number, NaN if either is.
func maxf(a, b float32) float32 {
	if b > a || b != b {
		return b
	}
	return a
}

func equalGo(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = bit(a[i] == b[i])
	}
}

func bit(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

func affineGo(y, x []float32, a, b float32) {
	for i, v := range x[:len(y)] {
		y[i] = a*v + b
	}
}

func reluGo(y, x []float32) {
	for i, v := range x[:len(y)] {
		if v < 0 { // NaN passes
			v = 0
		}
		y[i] = v
	}
}

func stepGo(y, x []float32) {
	for i, v := range x[:len(y)] {
		y[i] = bit(v > 0)
	}
}

// eachGo is y = f(x).
func eachGo(f func(float64) float64) func(y, x []float32) {
	return func(y, x []float32) {
		for i, v := range x[:len(y)] {
			y[i] = float32(f(float64(v)))
		}
	}
}

func adamWGo(w, m, v, g []float32, clip, b1, c1, b2, c2, keep, rate, root, eps float32) {
	m, v, g = m[:len(w)], v[:len(w)], g[:len(w)]
	for i, x := range g {
		x *= clip
		mi := b1*m[i] + c1*x
		vi := b2*v[i] + c2*(x*x)
		m[i], v[i] = mi, vi
		step := float64(rate) * float64(mi) / (math.Sqrt(float64(vi)*float64(root)) + float64(eps))
		w[i] = float32(float64(w[i]*keep) - step)
	}
}

// Both activations are x sigmoid(u): u = x for SiLU, and for GELU, since
// (1 + tanh t) / 2 = sigmoid(2 t), u = 2 sqrt(2/pi) (x + 0.044715 x^3). The
// derivative is s + x s (1 - s) u'.
type activation bool

const (
	silu activation = false
	gelu activation = true

	geluSlope = 2 * 0.7978845608028654
	geluCube  = 0.044715
)

// sigmoid is s = sigmoid(u(x)).
func (a activation) sigmoid(x float64) float64 {
	u := x
	if a == gelu {
		u = geluSlope * x * (1 + geluCube*x*x)
	}
	if u > -700 && u < 700 {
		return 1 / (1 + expCore(-u))
	}
	return 1 / (1 + Exp(-u))
}

func gateGo(y, gate, up []float32, a activation) {
	gate, up = gate[:len(y)], up[:len(y)]
	for k, g := range gate {
		x := float64(g)
		y[k] = float32(x * a.sigmoid(x) * float64(up[k]))
	}
}

func gateBwdGo(dgate, dup, gate, up, dy []float32, a activation) {
	n := len(dgate)
	dup, gate, up, dy = dup[:n], gate[:n], up[:n], dy[:n]
	for k, g := range gate {
		x, slope := float64(g), 1.0
		if a == gelu {
			slope = geluSlope * (1 + 3*geluCube*x*x)
		}
		s := a.sigmoid(x)
		d, u := float64(dy[k]), float64(up[k])
		dgate[k] = float32(d * u * (s + x*(s*(1-s))*slope))
		dup[k] = float32(d * x * s)
	}
}
