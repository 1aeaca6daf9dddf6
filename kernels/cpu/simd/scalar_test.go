package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestScalarFunctions compares with package math: each function's error is far
// below a float32's rounding, relative for exp, tanh and sigmoid, absolute for
// sin and cos.
func TestScalarFunctions(t *testing.T) {
	relative := func(got, want float64) float64 { return math.Abs(got-want) / math.Abs(want) }
	absolute := func(got, want float64) float64 { return math.Abs(got - want) }
	for _, c := range []struct {
		name      string
		got, want func(float64) float64
		lo, hi    float64
		err       func(got, want float64) float64
		bound     float64
	}{
		{"exp", Exp, math.Exp, -700, 700, relative, 1e-9},
		{"exp near 0", Exp, math.Exp, -0.1, 0.1, relative, 1e-9},
		{"tanh", tanh, math.Tanh, -25, 25, relative, 2e-8},
		{"tanh near 0", tanh, math.Tanh, -0.2, 0.2, relative, 2e-8},
		{"sigmoid", sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -80, 80, relative, 1e-9},
		{"sin", func(x float64) float64 { s, _ := Sincos(x); return s }, math.Sin, -1e6, 1e6, absolute, 1e-9},
		{"cos", func(x float64) float64 { _, c := Sincos(x); return c }, math.Cos, -1e6, 1e6, absolute, 1e-9},
		{"sin near 0", func(x float64) float64 { s, _ := Sincos(x); return s }, math.Sin, -4, 4, absolute, 1e-9},
		{"cos of large numbers", func(x float64) float64 { _, c := Sincos(x); return c }, math.Cos, 1e6, 1e9, absolute, 1e-9},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			worst, at := 0.0, 0.0
			for range 100000 {
				x := c.lo + (c.hi-c.lo)*r.Float64()
				if e := c.err(c.got(x), c.want(x)); !(e <= worst) {
					worst, at = e, x
				}
			}
			if !(worst <= c.bound) {
				t.Errorf("error %.3g at %v, want at most %v", worst, at, c.bound)
			}
			t.Logf("error %.3g", worst)
		})
	}
}

func TestScalarLimits(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"exp(-Inf)", Exp(-inf), 0}, {"exp(Inf)", Exp(inf), inf}, {"exp(NaN)", Exp(nan), nan}, {"exp(0)", Exp(0), 1},
		{"tanh(-Inf)", tanh(-inf), -1}, {"tanh(Inf)", tanh(inf), 1}, {"tanh(NaN)", tanh(nan), nan}, {"tanh(0)", tanh(0), 0},
		{"sigmoid(-Inf)", sigmoid(-inf), 0}, {"sigmoid(Inf)", sigmoid(inf), 1}, {"sigmoid(NaN)", sigmoid(nan), nan},
		{"exp(-104)", float64(float32(Exp(-104))), 0}, {"exp(89)", float64(float32(Exp(89))), inf},
		{"exp of a subnormal", float64(float32(Exp(-100))), float64(float32(math.Exp(-100)))},
	} {
		if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}
