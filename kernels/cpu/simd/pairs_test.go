package simd

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"graft/internal/f16"
)

// pairTiers are the modes that the machine has, and the twin of each tier.
func pairTiers() []*Tier {
	var ts []*Tier
	for _, t := range Tiers() {
		if t.Pairs != nil {
			ts = append(ts, t)
		} else {
			ts = append(ts, t.WithPairsGo())
		}
	}
	return ts
}

// TestBestHasNoPairs: the mode is chosen by name only.
func TestBestHasNoPairs(t *testing.T) {
	if best := Best(); best.Pairs != nil {
		t.Errorf("Best is %s", best.Name)
	}
}

// exactFMA is a b + c in numbers of any length, rounded to 24 bits with no limit
// to the exponent; what is subnormal then is 0. The operands are finite.
func exactFMA(a, b uint16, c float32) float64 {
	number := func(x float32) *big.Float {
		if math.Abs(float64(x)) < 0x1p-126 {
			x = 0
		}
		return new(big.Float).SetPrec(1000).SetFloat64(float64(x))
	}
	s := new(big.Float).SetPrec(1000).Mul(number(fromBF16(a)), number(fromBF16(b)))
	s.Add(s, number(c)).SetPrec(24).SetMode(big.ToNearestEven)
	got, _ := s.Float64()
	switch {
	case math.Abs(got) < 0x1p-126:
		return 0
	case math.Abs(got) > math.MaxFloat32:
		return math.Inf(s.Sign())
	}
	return got
}

// TestFMABF16 holds the twin's arithmetic to that of arbitrary precision: on
// numbers of all sizes, on sums in which most cancels, and near the smallest
// normal number.
func TestFMABF16(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	near := func(exponent int) uint16 { // a bf16 of about that size
		return uint16(r.Uint32()&0x807f) | uint16(exponent+127)<<7
	}
	flushed, between := 0, 0
	for i := range 300000 {
		a, b, c := uint16(r.Uint32()), uint16(r.Uint32()), math.Float32frombits(r.Uint32())
		switch i % 3 {
		case 1: // c is up to 60 bits larger or smaller than the product
			a, b = near(r.IntN(40)), near(r.IntN(40))
			c = float32(math.Ldexp(float64(fromBF16(a))*float64(fromBF16(b)), r.IntN(120)-60)) * (1 + float32(r.IntN(1<<24))*0x1p-24)
		case 2:
			e := r.IntN(60)
			a, b = near(e-63-r.IntN(3)), near(-e-63)
			c = float32(r.IntN(1<<25)-1<<24) * 0x1p-149
		}
		if x := fromBF16(a) - fromBF16(a) + fromBF16(b) - fromBF16(b) + c - c; x != 0 {
			continue // infinite or no number
		}
		got, want := float64(fmaBF16(a, b, c)), exactFMA(a, b, c)
		if got != want {
			t.Fatalf("%#x * %#x + %v: got %v, want %v", a, b, c, got, want)
		}
		if want == 0 && fromBF16(a) != 0 && fromBF16(b) != 0 {
			flushed++
		}
		if float64(float32(float64(fromBF16(a))*float64(fromBF16(b))+float64(c))) != want {
			between++
		}
	}
	if flushed < 1000 || between < 1000 {
		t.Errorf("%d results are flushed and %d differ from rounding twice, want 1000 at least", flushed, between)
	}
	one, inf := f16.ToBF16(1), f16.ToBF16(float32(math.Inf(1)))
	for _, c := range []struct {
		a, b uint16
		c    float32
		want float32
	}{
		{inf, one, 1, float32(math.Inf(1))},
		{inf, one | 1<<15, 1, float32(math.Inf(-1))},
		{inf, one, float32(math.Inf(-1)), float32(math.NaN())},
		{inf, 0, 1, float32(math.NaN())},
		{inf, 1, 1, float32(math.NaN())}, // subnormal: 0
		{one, one, float32(math.NaN()), float32(math.NaN())},
		{0x7fc0, one, 1, float32(math.NaN())},
		{0x8001, one, float32(math.Copysign(0, -1)), float32(math.Copysign(0, -1))},
		{one, one, -1, 0},
	} {
		got := fmaBF16(c.a, c.b, c.c)
		if math.Float32bits(got) != math.Float32bits(c.want) && !(got != got && c.want != c.want) {
			t.Errorf("%#x * %#x + %v: got %v, want %v", c.a, c.b, c.c, got, c.want)
		}
	}
}

// pairPanel is a packed panel of random bf16, and the same numbers for every
// element of k, as the micro-kernel of F32 has them.
func pairPanel(r *rand.Rand, kc, w int) (words, wide []float32) {
	words, wide = make([]float32, kc*w), make([]float32, 2*kc*w)
	h := Halves(words)
	for at := range h {
		h[at] = f16.ToBF16(float32(r.NormFloat64()))
		k, i := at/2/w*2+at%2, at/2%w
		wide[k*w+i] = fromBF16(h[at])
	}
	return words, wide
}

// TestGemmPairs multiplies whole tiles of pairs and every size of one at an
// edge. -v tells how often an instruction rounds otherwise than its twin.
func TestGemmPairs(t *testing.T) {
	for _, tier := range pairTiers() {
		t.Run(tier.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			buf, twin := make([]float32, tier.MR*tier.NR), make([]float32, tier.MR*tier.NR)
			other := 0
			for _, kc := range []int{0, 1, 2, 3, 4, 5, 9, 35} {
				a, wideA := pairPanel(r, kc, tier.MR)
				b, wideB := pairPanel(r, kc, tier.NR)
				for _, acc := range []bool{false, true} {
					x := newTile(r, tier.MR, tier.NR)
					gemmPairsGo(tier.MR, tier.NR, tier, kc, a, b, twin, tier.NR, false)
					tier.Pairs.Gemm(kc, 1, a, b, x.c(), x.ldc, acc, 0, 0)
					if err := x.check(tier, 2*kc, wideA, wideB, acc); err != nil {
						t.Fatalf("kc %d, acc %v: %v", kc, acc, err)
					}
					for i := range twin {
						if !acc && x.c()[i/tier.NR*x.ldc+i%tier.NR] != twin[i] {
							other++
						}
					}
					if kc != 5 {
						continue
					}
					for m := 1; m <= tier.MR; m++ {
						for n := 1; n <= tier.NR; n++ {
							x := newTile(r, m, n)
							tier.Pairs.Edge(m, n, kc, a, b, x.c(), x.ldc, acc, buf)
							if err := x.check(tier, 2*kc, wideA, wideB, acc); err != nil {
								t.Fatalf("kc %d, acc %v, %d x %d: %v", kc, acc, m, n, err)
							}
						}
					}
				}
			}
			t.Logf("%d sums differ from the twin's", other)
		})
	}
}

// TestGemmPairsOrder: of a pair, the product of the second elements is added
// first. From 2^24 on, ones get lost.
func TestGemmPairsOrder(t *testing.T) {
	for _, tier := range pairTiers() {
		a, b := make([]float32, 2*tier.MR), make([]float32, 2*tier.NR)
		c := make([]float32, tier.MR*tier.NR)
		one, big := f16.ToBF16(1), f16.ToBF16(0x1p24)
		for i := range tier.MR {
			copy(Halves(a)[2*i:], []uint16{big, 0})
			copy(Halves(a)[2*(tier.MR+i):], []uint16{one, big | 1<<15})
		}
		for j := range Halves(b) {
			Halves(b)[j] = one
		}
		tier.Pairs.Gemm(2, 1, a, b, c, tier.NR, false, 0, 0)
		for i, got := range c {
			if got != 1 {
				t.Fatalf("%s: element %d: got %v, want 1", tier.Name, i, got)
			}
		}
	}
}

// TestPairBF16 joins rows of all bits and lengths.
func TestPairBF16(t *testing.T) {
	for _, tier := range pairTiers() {
		testPairBF16(t, tier.Name, tier.PairBF16)
	}
}

func testPairBF16(t *testing.T, name string, pair func(y []float32, lo, hi []uint16)) {
	t.Helper()
	for n := range 150 {
		_, o := newOperands(n, n%3)
		all, mem := newOperands(n, n%5)
		pair(mem.f[0], o.h[0], o.h[1])
		for i, got := range Halves(mem.f[0]) {
			if want := o.h[i%2][i/2]; got != want {
				t.Fatalf("%s, %d words: half %d: got %#x, want %#x", name, n, i, got, want)
			}
		}
		was, _ := newOperands(n, n%5)
		for i, x := range all.f[0] {
			if inside := i >= around+n%5 && i < around+n%5+n; !inside && x != was.f[0][i] {
				t.Fatal(fmt.Errorf("%s, %d words: element %d beside them changed", name, n, i-around-n%5))
			}
		}
	}
}
