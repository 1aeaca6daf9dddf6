package simd

import (
	"math"
	"reflect"
	"slices"
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

// TestAngles turns by positions up to the last that a text may have, and by
// frequencies that no model has, where another way is taken.
func TestAngles(t *testing.T) {
	freqs := make([]float32, 77)
	for i := range freqs {
		freqs[i] = float32(math.Pow(10000, -float64(i)/float64(len(freqs))))
	}
	for _, tier := range Tiers() {
		worst := 0.0
		for _, c := range []struct {
			pos   float64
			scale float32 // of frequencies
		}{{0, 1}, {1, 1}, {-1, 1}, {2, 1}, {3, 1}, {1000, 1}, {4097, 1}, {-65537, 1}, {1<<20 - 1, 1}, {1 << 20, 1},
			{1<<24 + 1, 1}, {1<<31 - 1, 1}, {12345, 1000}, {1, float32(math.Inf(1))}, {0, float32(math.NaN())}} {
			f := make([]float32, len(freqs))
			portable.Scale(f, freqs, c.scale)
			sin, cos := make([]float32, len(f)), make([]float32, len(f))
			tier.Angles(sin, cos, f, c.pos, 0.5)
			for i, x := range f {
				s, o := math.Sincos(c.pos * float64(x))
				for _, e := range []float64{float64(sin[i]) - s/2, float64(cos[i]) - o/2} {
					if math.IsNaN(s) && e != e {
						continue
					}
					if worst = max(worst, math.Abs(e)); !(math.Abs(e) <= 0.5e-7) {
						t.Fatalf("%s: position %v, frequency %v: got %v, %v, want %v, %v", tier.Name, c.pos, x, sin[i], cos[i], s/2, o/2)
					}
				}
			}
		}
		t.Logf("%s: error %.3g", tier.Name, 2*worst)
	}
}

// TestWeights holds the weights of a softmax to exp, in units in the last place.
func TestWeights(t *testing.T) {
	for _, tier := range Tiers() {
		x, y := make([]float32, 1<<16), make([]float32, 1<<16)
		for i := range x {
			x[i] = -87 * float32(i) / float32(len(x))
		}
		tier.ExpSum(y, x, 1, 0)
		var near, far float64
		for i, v := range x {
			want := math.Exp(float64(v))
			ulps := math.Abs(float64(y[i])-want) / (want * 0x1p-23)
			if v > -20 {
				near = max(near, ulps)
			} else {
				far = max(far, ulps)
			}
		}
		if t.Logf("%s: %.2f units down to e^-20, %.2f below", tier.Name, near, far); near > 2 || far > 5 {
			t.Errorf("%s: more than 2 and 5", tier.Name)
		}
	}
}

// TestSpecialValues puts a NaN or an infinity at every place of a row, and
// wants to find it in what is made of the whole row.
func TestSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tier := range Tiers() {
		most := map[string]func(x []float32) float32{
			"MaxOf":     tier.MaxOf,
			"Scores":    func(x []float32) float32 { return tier.Scores(make([]float32, len(x)), x, 1) },
			"CapScores": func(x []float32) float32 { return tier.CapScores(make([]float32, len(x)), x, 1, inf) },
		}
		for name, f := range most {
			t.Run(tier.Name+"/"+name, func(t *testing.T) {
				if got := f(nil); got != -inf {
					t.Errorf("largest of nothing: got %v, want -Inf", got)
				}
				for _, n := range []int{1, 5, 16, 37, 100} {
					for at := range n {
						x := make([]float32, n)
						for i := range x {
							x[i] = -2 - float32(i)
						}
						x[at] = nan
						if got := f(x); got == got {
							t.Fatalf("NaN at %d of %d: got %v", at, n, got)
						}
						if x[at] = inf; f(x) != inf {
							t.Fatalf("Inf at %d of %d: got %v", at, n, f(x))
						}
						if x[at] = -1; name == "MaxOf" && f(x) != -1 {
							t.Fatalf("-1 at %d of %d: got %v", at, n, f(x))
						}
					}
				}
			})
		}
		t.Run(tier.Name+"/Max", func(t *testing.T) {
			x, y := make([]float32, 37), make([]float32, 37)
			for i := range x {
				x[i], y[i] = []float32{nan, 1, nan, inf}[i%4], []float32{1, nan, nan, -inf}[i%4]
			}
			tier.Max(x, x, y)
			for i, v := range x {
				if want := i%4 == 3; (v == inf) != want || (v == v) != want {
					t.Fatalf("element %d: got %v", i, v)
				}
			}
		})
		t.Run(tier.Name+"/ExpSum", func(t *testing.T) {
			if x := []float32{-3, inf, 200, nan}; !(tier.SumExp(x[:1], 1, 4) < 1e-2) || tier.SumExp(x[:2], 1, 4) != inf ||
				tier.SumExp(x[2:3], 1, 4) != inf || !math.IsNaN(float64(tier.SumExp(x[3:], 1, 4))) {
				t.Error("exp far above 0 has to be Inf, that of NaN NaN")
			}
			x := []float32{0, inf, -inf, 3, inf}
			alone := tier.SumExp(x, 1, inf)
			sum := tier.ExpSum(x, x, 1, inf)
			if x[0] != 0 || x[1] == x[1] || x[2] != 0 || x[3] != 0 || sum == sum || alone == alone {
				t.Errorf("exp(x - Inf): got %v, sums %v and %v", x, sum, alone)
			}
		})
	}
}

// TestComplete wants every kernel in every tier, and those of pairs in both or
// none.
func TestComplete(t *testing.T) {
	for _, tier := range Tiers() {
		v := reflect.ValueOf(*tier)
		for i := range v.NumField() {
			// Edge looks for another way where there is no GemmPart.
			if f := v.Type().Field(i); v.Field(i).IsZero() && !slices.Contains([]string{"GemmPart", "Pairs", "PairBF16"}, f.Name) {
				t.Errorf("%s has no %s", tier.Name, f.Name)
			}
		}
		if (tier.Pairs == nil) != (tier.PairBF16 == nil) {
			t.Errorf("%s has Pairs or PairBF16, want both or none", tier.Name)
		}
	}
}
