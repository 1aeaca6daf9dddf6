package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// operands are what a kernel works on: slices of n elements in the middle of
// longer ones, whose other elements nobody may touch.
type operands struct {
	f [6][]float32
	h [2][]uint16
}

// around is the number of elements on each side.
const around = 20

// newOperands fills everything, the surroundings too, with ordinary numbers.
func newOperands(n, offset int) (all, mine operands) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(offset)))
	lo, hi := around+offset, around+offset+n
	for i := range all.f {
		x := make([]float32, n+offset+2*around)
		for k := range x {
			x[k] = float32(r.NormFloat64())
		}
		all.f[i], mine.f[i] = x, x[lo:hi:hi]
	}
	for i := range all.h {
		x := make([]uint16, n+offset+2*around)
		for k := range x {
			x[k] = uint16(r.Uint32())
		}
		all.h[i], mine.h[i] = x, x[lo:hi:hi]
	}
	return all, mine
}

// kernel is a field of Tier under test.
type kernel struct {
	name string
	run  func(t *Tier, o operands) []float32
	// tolerance is how far results may be from the twin's, in parts of what
	// the element's terms sum up to; 0 is bit by bit.
	tolerance float64
	prepare   func(o operands) // changes the operands; may be nil
}

func testKernels() []kernel {
	return []kernel{
		{name: "Dot", tolerance: 2e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.Dot(o.f[0], o.f[1])} }},
		{name: "Axpy", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { t.Axpy(o.f[0], o.f[1], 1.5); return nil }},
		{name: "Scale", run: func(t *Tier, o operands) []float32 { t.Scale(o.f[0], o.f[1], 1.5); return nil }},
		{name: "Scale in place", run: func(t *Tier, o operands) []float32 { t.Scale(o.f[0], o.f[0], -3); return nil }},
		{name: "Sum", tolerance: 2e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.Sum(o.f[0])} }},
		{name: "SumSq", tolerance: 2e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.SumSq(o.f[0])} }},
		{name: "Dot3", tolerance: 4e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.Dot3(o.f[0], o.f[1], o.f[2])} }},
		{name: "MaxOf", run: func(t *Tier, o operands) []float32 { return []float32{t.MaxOf(o.f[0])} }},
		{name: "MaxOf negative", run: func(t *Tier, o operands) []float32 {
			t.Affine(o.f[0], o.f[0], 1, -100)
			return []float32{t.MaxOf(o.f[0])}
		}},
		{name: "Add", run: func(t *Tier, o operands) []float32 { t.Add(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "Sub", run: func(t *Tier, o operands) []float32 { t.Sub(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "Mul", run: func(t *Tier, o operands) []float32 { t.Mul(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "Div", run: func(t *Tier, o operands) []float32 { t.Div(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "Max", run: func(t *Tier, o operands) []float32 { t.Max(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "Equal", run: func(t *Tier, o operands) []float32 {
			t.Equal(o.f[0], o.f[1], o.f[2])
			t.Equal(o.f[3], o.f[4], o.f[4])
			return nil
		}},
		{name: "Affine", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { t.Affine(o.f[0], o.f[1], 2.5, -1); return nil }},
		{name: "ReLU", run: func(t *Tier, o operands) []float32 { t.ReLU(o.f[0], o.f[1]); return nil }},
		{name: "Step", run: func(t *Tier, o operands) []float32 { t.Step(o.f[0], o.f[1]); return nil }},
		{name: "Sqrt", prepare: squares, run: func(t *Tier, o operands) []float32 { t.Sqrt(o.f[0], o.f[1]); return nil }},
		{name: "Recip", run: func(t *Tier, o operands) []float32 { t.Recip(o.f[0], o.f[1]); return nil }},
		{name: "Exp", tolerance: 3e-7, run: func(t *Tier, o operands) []float32 { t.Exp(o.f[0], o.f[1]); return nil }},
		{name: "Log", tolerance: 3e-7, prepare: squares, run: func(t *Tier, o operands) []float32 { t.Log(o.f[0], o.f[1]); return nil }},
		{name: "Tanh", tolerance: 3e-7, run: func(t *Tier, o operands) []float32 { t.Tanh(o.f[0], o.f[1]); return nil }},
		{name: "Sigmoid", tolerance: 3e-7, run: func(t *Tier, o operands) []float32 { t.Sigmoid(o.f[0], o.f[1]); return nil }},
		{name: "Scores", run: func(t *Tier, o operands) []float32 { return []float32{t.Scores(o.f[0], o.f[1], 0.3)} }},
		{name: "Scores below 0", run: func(t *Tier, o operands) []float32 {
			t.Affine(o.f[1], o.f[1], 1, -100)
			return []float32{t.Scores(o.f[0], o.f[1], 0.5)}
		}},
		{name: "CapScores", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.CapScores(o.f[0], o.f[1], 2, 1.5)} }},
		{name: "CapScores below 0", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 {
			t.Affine(o.f[1], o.f[1], 1, -100)
			return []float32{t.CapScores(o.f[0], o.f[1], 0.01, 30)}
		}},
		{name: "CapSlope", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { t.CapSlope(o.f[0], o.f[1], 2); return nil }},
		{name: "ExpSum", tolerance: 2e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.ExpSum(o.f[0], o.f[0], 1, 1)} }},
		{name: "ExpSum scaled", tolerance: 2e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.ExpSum(o.f[0], o.f[1], -0.3, 0.5)} }},
		{name: "SumExp", tolerance: 2e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.SumExp(o.f[0], 0.7, 1)} }},
		{name: "SoftmaxGrad", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 {
			t.SoftmaxGrad(o.f[0], o.f[1], o.f[2], 0.5, 0.25)
			return nil
		}},
		{name: "SiLU", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { t.SiLU(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "GELU", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { t.GELU(o.f[0], o.f[1], o.f[2]); return nil }},
		{name: "SiLUBwd", tolerance: 3e-6, run: func(t *Tier, o operands) []float32 { t.SiLUBwd(o.f[0], o.f[1], o.f[2], o.f[3], o.f[4]); return nil }},
		{name: "SiLUBwd in place", tolerance: 3e-6, run: func(t *Tier, o operands) []float32 { t.SiLUBwd(o.f[2], o.f[4], o.f[2], o.f[3], o.f[4]); return nil }},
		{name: "GELUBwd", tolerance: 3e-6, run: func(t *Tier, o operands) []float32 { t.GELUBwd(o.f[0], o.f[1], o.f[2], o.f[3], o.f[4]); return nil }},
		{name: "NormRow", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { t.NormRow(o.f[0], o.f[1], o.f[2], 0.7); return nil }},
		{name: "NormBwd", tolerance: 3e-6, run: func(t *Tier, o operands) []float32 { t.NormBwd(o.f[0], o.f[1], o.f[0], o.f[2], 0.7, -0.2); return nil }},
		{name: "MulAxpyDot", tolerance: 4e-6, run: func(t *Tier, o operands) []float32 {
			return []float32{t.MulAxpyDot(o.f[0], o.f[1], o.f[2], o.f[3], 0.7)}
		}},
		{name: "Rotate", tolerance: 3e-6, run: func(t *Tier, o operands) []float32 {
			// As many pairs as there is room for in some heads.
			for heads := 1; heads < 4; heads++ {
				if n := len(o.f[0]) / (2*heads + 1); n >= heads {
					t.Rotate(o.f[heads], o.f[0], o.f[4][:n], o.f[5][:n], heads, 2*n)
					t.Rotate(o.f[0], o.f[0], o.f[4][:n], o.f[5][:n], heads, 2*n+1)
				}
			}
			return nil
		}},
		{name: "Turn", tolerance: 1e-6, run: func(t *Tier, o operands) []float32 { return []float32{t.Turn(o.f[0], o.f[1], o.f[2], -37, 1.5)} }},
		{name: "AdamW", tolerance: 3e-6, prepare: squares, run: func(t *Tier, o operands) []float32 {
			t.AdamW(o.f[0], o.f[2], o.f[1], o.f[3], 0.5, 0.9, 0.1, 0.999, 0.001, 0.99, 0.01, 3, 1e-3)
			return nil
		}},
		{name: "WidenBF16", run: func(t *Tier, o operands) []float32 { t.WidenBF16(o.f[0], o.h[0]); return nil }},
		{name: "NarrowBF16", run: func(t *Tier, o operands) []float32 { t.NarrowBF16(o.h[0], o.f[0]); return nil }},
		{name: "WidenF16", run: func(t *Tier, o operands) []float32 { t.WidenF16(o.f[0], o.h[0]); return nil }},
		{name: "NarrowF16", run: func(t *Tier, o operands) []float32 { t.NarrowF16(o.h[0], o.f[0]); return nil }},
	}
}

// squares makes the second operand positive.
func squares(o operands) {
	for i, x := range o.f[1] {
		o.f[1][i] = x*x + 0x1p-10
	}
}

// TestTwins holds each kernel of each tier to its twin in Go, at lengths that
// reach every part of a loop, and its surroundings to what they were.
func TestTwins(t *testing.T) {
	for _, tier := range Tiers() {
		if tier == &portable {
			continue
		}
		for _, k := range testKernels() {
			t.Run(tier.Name+"/"+k.name, func(t *testing.T) {
				for n := 0; n < 150; n++ {
					for _, offset := range []int{0, 1, 3} {
						if err := k.compare(tier, n, offset); err != nil {
							t.Fatalf("n = %d, offset %d: %v", n, offset, err)
						}
					}
				}
			})
		}
	}
}

func (k *kernel) compare(tier *Tier, n, offset int) error {
	all, mine := newOperands(n, offset)
	want, theirs := newOperands(n, offset)
	if k.prepare != nil {
		k.prepare(mine)
		k.prepare(theirs)
	}
	got, expect := k.run(tier, mine), k.run(&portable, theirs)
	sum := 1.0
	if len(got) > 0 {
		sum = math.Sqrt(float64(n) + 1)
	}
	for i, x := range got {
		if !near(x, expect[i], k.tolerance*sum) {
			return fmt.Errorf("result %d: got %v, want %v", i, x, expect[i])
		}
	}
	for i := range all.f {
		for e, x := range all.f[i] {
			if !near(x, want.f[i][e], k.tolerance) {
				return fmt.Errorf("operand %d[%d]: got %v, want %v", i, e-around-offset, x, want.f[i][e])
			}
		}
	}
	for i := range all.h {
		for e, x := range all.h[i] {
			if x != want.h[i][e] {
				return fmt.Errorf("16-bit operand %d[%d]: got %#x, want %#x", i, e-around-offset, x, want.h[i][e])
			}
		}
	}
	return nil
}

// near compares within a tolerance relative to numbers above 1; without one,
// bit by bit.
func near(got, want float32, tolerance float64) bool {
	if math.Float32bits(got) == math.Float32bits(want) {
		return true
	}
	if tolerance == 0 {
		return false
	}
	g, w := float64(got), float64(want)
	return math.IsNaN(g) && math.IsNaN(w) || math.Abs(g-w) <= tolerance*max(1, math.Abs(w))
}

// TestConversions compares all 16-bit patterns widened, and the F32 around
// every one of them narrowed, NaN included.
func TestConversions(t *testing.T) {
	halves := make([]uint16, 1<<16)
	var wide []float32
	for i := range halves {
		halves[i] = uint16(i)
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			wide = append(wide, math.Float32frombits(uint32(i)<<16|low))
		}
		// Half way between two numbers of F16, and beside it.
		for _, low := range []uint32{0xfff, 0x1000, 0x1001} {
			wide = append(wide, math.Float32frombits(uint32(i)<<13+112<<23|low))
		}
	}
	for _, tier := range Tiers() {
		for _, c := range []struct {
			name   string
			widen  func(*Tier) func([]float32, []uint16)
			narrow func(*Tier) func([]uint16, []float32)
		}{
			{"bf16", func(t *Tier) func([]float32, []uint16) { return t.WidenBF16 }, func(t *Tier) func([]uint16, []float32) { return t.NarrowBF16 }},
			{"f16", func(t *Tier) func([]float32, []uint16) { return t.WidenF16 }, func(t *Tier) func([]uint16, []float32) { return t.NarrowF16 }},
		} {
			t.Run(tier.Name+"/"+c.name, func(t *testing.T) {
				got, want := make([]float32, len(halves)), make([]float32, len(halves))
				c.widen(tier)(got, halves)
				c.widen(&portable)(want, halves)
				for i := range got {
					if g, w := math.Float32bits(got[i]), math.Float32bits(want[i]); g != w {
						t.Fatalf("widen %#04x: got %#08x, want %#08x", i, g, w)
					}
				}
				less, expect := make([]uint16, len(wide)), make([]uint16, len(wide))
				c.narrow(tier)(less, wide)
				c.narrow(&portable)(expect, wide)
				for i := range less {
					if less[i] != expect[i] {
						t.Fatalf("narrow %#08x: got %#04x, want %#04x", math.Float32bits(wide[i]), less[i], expect[i])
					}
				}
			})
		}
	}
}

// TestDotSeesAll fails where a tail is left out or counted twice.
func TestDotSeesAll(t *testing.T) {
	for _, tier := range Tiers() {
		for n := range 150 {
			x := slices.Repeat([]float32{1}, n)
			if got := tier.Dot(x, x); got != float32(n) {
				t.Errorf("%s: got %v, want %d", tier.Name, got, n)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	for _, tier := range Tiers() {
		got, err := Choose(tier.Name)
		if err != nil || got != tier {
			t.Errorf("Choose(%q): got %v, %v", tier.Name, got, err)
		}
	}
	if got, err := Choose(""); err != nil || got != Best() {
		t.Errorf("Choose of nothing: got %v, %v, want the best", got, err)
	}
	_, err := Choose("sse9")
	if err == nil || !strings.Contains(err.Error(), `got "sse9", want one of`) || !strings.Contains(err.Error(), "portable") {
		t.Errorf(`Choose("sse9"): got %v, want an error with the names`, err)
	}
}
