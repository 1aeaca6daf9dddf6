package simd

import "math"

// The scalar functions that the twins in Go use compute in float64, which costs
// a scalar unit no more than float32 and leaves one rounding, the last.

// expTable[i] is the bits of 2^(i/32).
var expTable = [32]uint64{
	0x3ff0000000000000,
	0x3ff059b0d3158574,
	0x3ff0b5586cf9890f,
	0x3ff11301d0125b51,
	0x3ff172b83c7d517b,
	0x3ff1d4873168b9aa,
	0x3ff2387a6e756238,
	0x3ff29e9df51fdee1,
	0x3ff306fe0a31b715,
	0x3ff371a7373aa9cb,
	0x3ff3dea64c123422,
	0x3ff44e086061892d,
	0x3ff4bfdad5362a27,
	0x3ff5342b569d4f82,
	0x3ff5ab07dd485429,
	0x3ff6247eb03a5585,
	0x3ff6a09e667f3bcd,
	0x3ff71f75e8ec5f74,
	0x3ff7a11473eb0187,
	0x3ff82589994cce13,
	0x3ff8ace5422aa0db,
	0x3ff93737b0cdc5e5,
	0x3ff9c49182a3f090,
	0x3ffa5503b23e255d,
	0x3ffae89f995ad3ad,
	0x3ffb7f76f2fb5e47,
	0x3ffc199bdd85529c,
	0x3ffcb720dcef9069,
	0x3ffd5818dcfba487,
	0x3ffdfc97337b9b5f,
	0x3ffea4afa2a490da,
	0x3fff50765b6e4540,
}

const (
	expScale = 32 / math.Ln2
	expStep  = math.Ln2 / 32
	// Adding 1.5 * 2^52 rounds a small number to an integer in the low bits.
	roundMagic = 0x1.8p52
)

// Exp is e^x, to 1e-9, for x in [-708, 708]. Outside it is 0 or +Inf; NaN
// gives NaN.
func Exp(x float64) float64 {
	if !(x > -708) {
		if x != x {
			return x
		}
		return 0
	}
	if x > 708 {
		return math.Inf(1)
	}
	return expCore(x)
}

// expCore is Exp inside its range: 2^(n/32) from a table times a polynomial of
// degree 3 in what is left, at most ln 2 / 64. It is small enough to be
// inlined into loops.
func expCore(x float64) float64 {
	n := x*expScale + roundMagic
	i := math.Float64bits(n) // low bits: n
	r := x - (n-roundMagic)*expStep
	return math.Float64frombits(expTable[i&31]+uint64(int64(i)>>5)<<52) * (1 + r*(1+r*(0.5+r*(1.0/6))))
}

// tanh goes through exp; near 0 the difference would cancel, so that the
// series takes over.
func tanh(x float64) float64 {
	a := math.Abs(x)
	if a < 0.1 {
		s := x * x
		return x * (1 + s*(-1.0/3+s*(2.0/15+s*(-17.0/315+s*(62.0/2835)))))
	}
	if a > 20 {
		return math.Copysign(1, x)
	}
	e := Exp(2 * x)
	return (e - 1) / (e + 1)
}

func sigmoid(x float64) float64 { return 1 / (1 + Exp(-x)) }

const (
	pio2Hi = 0x1.921fb544p+0 // the first 33 bits of pi/2
	pio2Lo = 0x1.0b4611a626331p-34
)

// Sincos is accurate to 1e-10 for |x| up to 2^20; beyond it asks math.
func Sincos(x float64) (sin, cos float64) {
	if !(math.Abs(x) < 1<<20) {
		return math.Sincos(x)
	}
	n := x*(2/math.Pi) + roundMagic
	q := math.Float64bits(n)
	n -= roundMagic
	r := x - n*pio2Hi
	r -= n * pio2Lo
	s := r * r
	sin = r * (1 + s*(-1.0/6+s*(1.0/120+s*(-1.0/5040+s*(1.0/362880-s*(1.0/39916800))))))
	cos = 1 + s*(-0.5+s*(1.0/24+s*(-1.0/720+s*(1.0/40320+s*(-1.0/3628800+s*(1.0/479001600))))))
	if q&1 != 0 {
		sin, cos = cos, -sin
	}
	if q&2 != 0 {
		sin, cos = -sin, -cos
	}
	return sin, cos
}

// Capped is c tanh(x / c), and its derivative; c = 0 is no cap.
func Capped(x, c float32) (y, dy float32) {
	if c == 0 {
		return x, 1
	}
	t := tanh(float64(x) / float64(c))
	return float32(float64(c) * t), float32(1 - t*t)
}
