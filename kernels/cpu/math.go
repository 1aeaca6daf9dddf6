package cpu

import "math"

// Scalar functions compute in float64, which costs a scalar unit no more than
// float32 and leaves one rounding, the last.

// expTable[i] is 2^(i/32).
var expTable = [32]float64{
	1.0,
	1.0218971486541166,
	1.0442737824274138,
	1.0671404006768237,
	1.0905077326652577,
	1.1143867425958924,
	1.1387886347566916,
	1.1637248587775775,
	1.189207115002721,
	1.215247359980469,
	1.241857812073484,
	1.2690509571917332,
	1.2968395546510096,
	1.3252366431597413,
	1.3542555469368927,
	1.383909881963832,
	1.4142135623730951,
	1.4451808069770467,
	1.4768261459394993,
	1.5091644275934228,
	1.5422108254079407,
	1.5759808451078865,
	1.6104903319492543,
	1.645755478153965,
	1.681792830507429,
	1.718619298122478,
	1.7562521603732995,
	1.7947090750031072,
	1.8340080864093424,
	1.8741676341103,
	1.9152065613971474,
	1.9571441241754002,
}

const (
	expScale = 32 / math.Ln2
	expStep  = math.Ln2 / 32
	// Adding 1.5 * 2^52 rounds a small number to an integer in the low bits.
	roundMagic = 0x1.8p52
)

// exp is e^x for x in [-708, 708], to 1e-9: 2^(n/32) from a table times a
// polynomial of degree 3 in what is left, at most ln 2 / 64. Outside it is 0
// or +Inf; NaN gives NaN.
func exp(x float64) float64 {
	if !(x > -708) {
		if x != x {
			return x
		}
		return 0
	}
	if x > 708 {
		return math.Inf(1)
	}
	n := x*expScale + roundMagic
	i := int64(math.Float64bits(n)) // low bits: n
	r := x - (n-roundMagic)*expStep
	p := 1 + r*(1+r*(0.5+r*(1.0/6)))
	scale := math.Float64frombits(math.Float64bits(expTable[i&31]) + uint64(i>>5)<<52)
	return scale * p
}

// expf is exp for float32, right up to the last rounding, subnormal results
// included.
func expf(x float32) float32 { return float32(exp(float64(x))) }

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
	e := exp(2 * x)
	return (e - 1) / (e + 1)
}

func sigmoid(x float64) float64 { return 1 / (1 + exp(-x)) }

// silu is x sigmoid(x) and its derivative.
func silu(x float64) (y, dy float64) {
	s := sigmoid(x)
	return x * s, s * (1 + x*(1-s))
}

// gelu is x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3), and its
// derivative.
func gelu(x float64) (y, dy float64) {
	const k, a = 0.7978845608028654, 0.044715
	// (1 + tanh u) / 2 = sigmoid(2u), which keeps its relative accuracy
	// for negative u.
	s := sigmoid(2 * k * x * (1 + a*x*x))
	return x * s, s + x*2*s*(1-s)*k*(1+3*a*x*x)
}

const (
	pio2Hi = 0x1.921fb544p+0 // the first 33 bits of pi/2
	pio2Lo = 0x1.0b4611a626331p-34
)

// sincos is accurate to 1e-10 for |x| up to 2^20; beyond it asks math.
func sincos(x float64) (sin, cos float64) {
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

// capped is c tanh(x / c), and its derivative; c = 0 is no cap.
func capped(x, c float32) (y, dy float32) {
	if c == 0 {
		return x, 1
	}
	t := tanh(float64(x) / float64(c))
	return float32(float64(c) * t), float32(1 - t*t)
}
