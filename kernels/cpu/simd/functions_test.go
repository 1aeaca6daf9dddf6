package simd

import (
	"math"
	"testing"
)

// functions are those of one number, with the error in units in the last place
// that tier.go promises.
var functions = []struct {
	name string
	run  func(*Tier) func(y, x []float32)
	want func(float64) float64
	ulps float64
}{
	{"exp", func(t *Tier) func(y, x []float32) { return t.Exp }, math.Exp, 2},
	{"log", func(t *Tier) func(y, x []float32) { return t.Log }, math.Log, 2},
	{"tanh", func(t *Tier) func(y, x []float32) { return t.Tanh }, math.Tanh, 2},
	{"sigmoid", func(t *Tier) func(y, x []float32) { return t.Sigmoid }, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 4},
	{"sqrt", func(t *Tier) func(y, x []float32) { return t.Sqrt }, math.Sqrt, 0.51},
	{"recip", func(t *Tier) func(y, x []float32) { return t.Recip }, func(x float64) float64 { return 1 / x }, 0.51},
}

// TestFunctions compares with package math at numbers spread over all bit
// patterns: infinities, NaN, both zeros and subnormal numbers among them.
func TestFunctions(t *testing.T) {
	var x []float32
	for u := uint64(0); u < 1<<32; u += 149837 {
		x = append(x, math.Float32frombits(uint32(u)))
	}
	// Where results are ordinary: up to 128, and around 1.
	for i := range 1 << 16 {
		x = append(x, float32(i-1<<15)/256, 1+float32(i-1<<15)*0x1p-17)
	}
	inf := float32(math.Inf(1))
	x = append(x, 0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), 1, -1, 0x1p-126, 0x1p-149, -0x1p-149,
		88.72283, 88.72284, -87.33654, -87.33655, -103.97, -103.98, -104, -104.6, 0.625, 0.62499994, math.MaxFloat32)
	y := make([]float32, len(x))
	for _, tier := range Tiers() {
		for _, f := range functions {
			t.Run(tier.Name+"/"+f.name, func(t *testing.T) {
				f.run(tier)(y, x)
				worst, at := 0.0, float32(0)
				for i, v := range x {
					want := f.want(float64(v))
					if e := ulps(y[i], want); e > worst {
						worst, at = e, v
					}
				}
				t.Logf("%.3f units in the last place at %v", worst, at)
				if !(worst <= f.ulps) {
					t.Errorf("error of %v units in the last place at %v, want at most %v", worst, at, f.ulps)
				}
			})
		}
	}
}

// ulps is the error in units in the last place of the exact result; those of
// the smallest normal number for subnormal ones.
func ulps(got float32, want float64) float64 {
	g := float64(got)
	switch {
	case math.IsNaN(want) || math.IsNaN(g):
		if math.IsNaN(want) && math.IsNaN(g) {
			return 0
		}
		return math.Inf(1)
	case g == want || float32(want) == got:
		return 0
	case math.IsInf(g, 0) || math.IsInf(want, 0):
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(g-want) / math.Ldexp(1, max(e-24, -149))
}
