package ref

import "math"

// num is a number with its scale: to first order, arithmetic with unit
// roundoff u gives x with an error of a small multiple of u * s. A stored
// operand has scale 0: it is exact.
type num struct{ x, s float64 }

func exact(x float64) num { return num{x: x} }

// prod multiplies magnitudes; a zero wins over an infinity, so that an
// infinite slope does not spoil the scale of something exact.
func prod(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return math.Abs(a * b)
}

func add(a, b num) num {
	return num{a.x + b.x, a.s + b.s + math.Abs(a.x) + math.Abs(b.x)}
}

func sub(a, b num) num { return add(a, neg(b)) }

func neg(a num) num { return num{-a.x, a.s} }

func mul(a, b num) num {
	y := a.x * b.x
	return num{y, prod(a.x, b.s) + prod(b.x, a.s) + math.Abs(y)}
}

func div(a, b num) num {
	y := a.x / b.x
	return num{y, prod(1/b.x, a.s) + prod(y/b.x, b.s) + math.Abs(y)}
}

// times is k * a for a constant.
func times(k float64, a num) num { return mul(exact(k), a) }

// apply is y = f(a) with slope f'(a).
func apply(a num, y, slope float64) num { return num{y, prod(slope, a.s) + math.Abs(y)} }

func exp(a num) num { y := math.Exp(a.x); return apply(a, y, y) }

func sqrt(a num) num {
	y := math.Sqrt(a.x)
	if y == 0 {
		return num{y, 0} // relative errors of a stay relative errors
	}
	return apply(a, y, 1/(2*y))
}

func recip(a num) num { return div(exact(1), a) }

func tanh(a num) num { y := math.Tanh(a.x); return apply(a, y, 1-y*y) }

func sigmoid(a num) num {
	y := 1 / (1 + math.Exp(-a.x))
	return apply(a, y, y*(1-y))
}

// cos and sin are exact to a multiple of u, not of u times the result: range
// reduction ends where the angle ends.
func cos(a num) num { return num{math.Cos(a.x), prod(math.Sin(a.x), a.s) + 1} }
func sin(a num) num { return num{math.Sin(a.x), prod(math.Cos(a.x), a.s) + 1} }

// total is a running sum. Its scale counts every term once, not every partial
// sum: the growth with the number of terms is the sqrt(Terms) of the bound.
type total struct{ x, s float64 }

func (t *total) add(a num) {
	t.x += a.x
	t.s += a.s + math.Abs(a.x)
}

// mulAdd adds a * b, rounded at most once.
func (t *total) mulAdd(a, b num) {
	y := a.x * b.x
	t.x += y
	t.s += prod(a.x, b.s) + prod(b.x, a.s) + math.Abs(y)
}

// product adds a * b of two stored operands.
func (t *total) product(a, b float64) {
	y := a * b
	t.x += y
	t.s += math.Abs(y)
}

func (t *total) num() num { return num(*t) }
