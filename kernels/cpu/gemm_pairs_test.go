package cpu

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
	"graft/kernels/kerneltest"
)

// pairTiers are the modes that the machine has, and the first and the last tier
// with the twin in Go of what such a mode has.
func pairTiers() []*simd.Tier {
	tiers := simd.Tiers()
	ts := []*simd.Tier{tiers[len(tiers)-1].WithPairsGo()}
	for _, t := range tiers {
		if t.Pairs != nil {
			ts = append(ts, t)
		}
	}
	if best := simd.Best(); best != tiers[len(tiers)-1] {
		ts = append(ts, best.WithPairsGo())
	}
	return ts
}

// TestPairsConformance holds the products of the modes to the op table.
func TestPairsConformance(t *testing.T) {
	for _, tier := range pairTiers() {
		with := func(threads string) kerneltest.Open {
			return func() (kernels.Backend, error) {
				be, err := Open(threads)
				if err != nil {
					return nil, err
				}
				be.tier, be.pay = tier, 1
				return be, nil
			}
		}
		t.Run(tier.Name, func(t *testing.T) {
			kerneltest.Run(t, with("1"), kerneltest.Options{Name: "cpu", Ops: []kernels.Op{kernels.MatMul},
				Same: map[string]kerneltest.Open{"2 threads": with("2")}})
		})
	}
}

// TestPairsShapes is TestGemmShapes for two BF16 operands in the modes.
func TestPairsShapes(t *testing.T) {
	for _, tier := range pairTiers() {
		cut := tiny(tier)
		cut.KC = 16
		seen := map[string]int{}
		r := rand.New(rand.NewPCG(21, 22))
		near := func(x int) int { return max(1, x*r.IntN(4)+r.IntN(5)-2) }
		for i := range 60 {
			m, n, k := 17+near(tier.MR), near(tier.NR), 1+r.IntN(90)
			switch i % 6 {
			case 0: // B is packed for all rows
				m, n = m+2*cut.NC, min(n, cut.NC)
			case 1:
				m, n = m+2*cut.NC, n+cut.NC
			case 2:
				n += 2 * cut.NC
			case 3: // more of A than is packed at once
				m, n, k = m+150, cut.NC+1+r.IntN(5), k+300
			}
			tr := gemmTrial(r, m, n, k, b16)
			count(seen, tr, cut)
			t.Run(tier.Name+"/"+tr.name, func(t *testing.T) { tr.checkOn(t, cut) })
		}
		for _, way := range []string{"A and B", "A", "B", "neither", "parts"} {
			if seen[way] < 3 {
				t.Errorf("%s: %d products are cut in the way %q, want 3 at least", tier.Name, seen[way], way)
			}
		}
	}
}

// TestPairsChoice tells by subnormal numbers, which are 0 for the modes, which
// products are made of pairs: those of two BF16 matrices with more than a few
// rows, in a mode.
func TestPairsChoice(t *testing.T) {
	const small, large = 0x1p-130, 0x1p100
	for _, tier := range pairTiers() {
		plain := *tier
		plain.Pairs = nil
		for _, c := range []struct {
			name string
			tier *simd.Tier
			a, b kernels.DType
			m    int
			want float64
		}{
			{"pairs", tier, b16, b16, 40, 0},
			{"few rows", tier, b16, b16, 4, 5 * small * large},
			{"f32 x bf16", tier, f32, b16, 40, 5 * small * large},
			{"bf16 x f32", tier, b16, f32, 40, 5 * small * large},
			{"f32 x f32", tier, f32, f32, 40, 5 * small * large},
			{"no mode", &plain, b16, b16, 40, 5 * small * large},
		} {
			all := func(x float64) func(*rand.Rand, int) float64 {
				return func(*rand.Rand, int) float64 { return x }
			}
			tr := one(c.name, kernels.MatMul, kernels.Attr{Alpha: 1})
			tr.in(c.a, all(small), c.m, 5).in(c.b, all(large), 5, 7).out(f32, c.m, 7)
			be := open(t, 1, false)
			be.tier = c.tier
			ex, mem := compile(t, be, tr.p, tr.content(1))
			if err := ex.Run(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			for i, got := range cast[float32](mem[2])[:7*c.m] {
				if float64(got) != c.want {
					t.Errorf("%s, %s: element %d: got %v, want %v", tier.Name, c.name, i, got, c.want)
					break
				}
			}
		}
	}
}

// TestPairsSpecial: NaN and infinities come through, alpha or not, and what is
// packed past the edge of k or of a panel adds nothing to them.
func TestPairsSpecial(t *testing.T) {
	inf := math.Inf(1)
	for _, tier := range pairTiers() {
		for _, trans := range []bool{false, true} {
			for _, alpha := range []float32{1, 2} {
				tr := one("special", kernels.MatMul, kernels.Attr{Alpha: alpha, TransA: trans, TransB: trans})
				const m, k, n = 37, 3, 5
				at := func(i, rows, columns int) (row, column int) { // of op(a), op(b)
					if trans {
						return i % rows, i / rows
					}
					return i / columns, i % columns
				}
				a := func(_ *rand.Rand, i int) float64 {
					row, column := at(i, m, k)
					switch {
					case row == 1 && column == 2:
						return inf
					case row == 2 && column == 0:
						return math.NaN()
					}
					return 1
				}
				b := func(_ *rand.Rand, i int) float64 {
					if row, column := at(i, k, n); row == 2 && column == 3 {
						return -1
					}
					return 1
				}
				left, right := []int{m, k}, []int{k, n}
				if trans {
					left, right = []int{k, m}, []int{n, k}
				}
				tr.in(b16, a, left...).in(b16, b, right...).out(f32, m, n)
				tr.checkOn(t, tier)
			}
		}
	}
}

// TestPairsRun: a mode has a fingerprint of its own, a run in it allocates
// nothing, and GRAFT_CPU takes it where the machine has it.
func TestPairsRun(t *testing.T) {
	for _, tier := range pairTiers() {
		be := open(t, 2, false)
		be.tier = tier
		if got := fingerprint(tier); !strings.HasPrefix(got, "cpu/"+tier.Name+"/") || !strings.HasSuffix(tier.Name, "_bf16") {
			t.Errorf("got the fingerprint %s of %s, want cpu/..._bf16/...", got, tier.Name)
		}
		for _, at := range []kernels.Attr{{Alpha: 1, TransB: true}, {Alpha: 2, TransA: true}} {
			tr := one("run", kernels.MatMul, at)
			tr.in(b16, nil, 40, 40).in(b16, nil, 40, 40).out(b16, 40, 40)
			ex, _ := compile(t, be, tr.p, tr.content(1))
			if n := testing.AllocsPerRun(2, func() {
				if err := ex.Run(context.Background(), 1); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations a run, want 0", tier.Name, n)
			}
		}
	}
	_, there := simd.Choose("avx512_bf16")
	t.Setenv("GRAFT_CPU", "avx512_bf16")
	be, err := Open("1")
	switch {
	case (err == nil) != (there == nil):
		t.Errorf("GRAFT_CPU=avx512_bf16: got %v, want %v", err, there)
	case err != nil && !strings.Contains(err.Error(), simd.Best().Name):
		t.Errorf("got %v, want what the machine has", err)
	case err == nil:
		defer be.Close()
		if got := be.Caps().Fingerprint; !strings.HasPrefix(got, "cpu/avx512_bf16/") {
			t.Errorf("got the fingerprint %s, want cpu/avx512_bf16/...", got)
		}
	}
}
