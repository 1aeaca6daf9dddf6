package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// panels are operands of the kernels of attention, each with surroundings that
// nobody may touch.
type panels struct {
	all                     [][]float32
	s, dp, m, l, lse, delta []float32
}

func newPanels(rows, nr int) *panels {
	p := &panels{}
	r := rand.New(rand.NewPCG(uint64(rows), uint64(nr)))
	make := func(n int, scale float64) []float32 {
		x := make([]float32, n+2*around)
		for i := range x {
			x[i] = float32(scale * r.NormFloat64())
		}
		p.all = append(p.all, x)
		return x[around : around+n : around+n]
	}
	p.s, p.dp = make(rows*nr, 8), make(rows*nr, 1)
	p.m, p.l, p.lse, p.delta = make(nr, 8), make(nr, 1), make(nr, 3), make(nr, 1)
	for i := range p.l { // what a softmax has so far
		p.l[i] = 1 + float32(math.Abs(float64(p.l[i])))
		p.lse[i] += 20
	}
	return p
}

// same compares two sets of operands, NaN and infinities exactly.
func (p *panels) same(want *panels, tolerance float64) error {
	for i := range p.all {
		for j, x := range p.all[i] {
			if !near(x, want.all[i][j], tolerance) {
				return fmt.Errorf("operand %d[%d]: got %v, want %v", i, j-around, x, want.all[i][j])
			}
		}
	}
	return nil
}

// TestPanels holds the kernels of attention to their twins in Go, for any
// number of rows and for scores that are masked, infinite or no numbers.
func TestPanels(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	special := []struct {
		name string
		set  func(p *panels, nr int)
	}{
		{"plain", func(*panels, int) {}},
		{"first", func(p *panels, nr int) {
			for j := range nr {
				p.m[j], p.l[j] = -inf, 0
			}
		}},
		{"masked", func(p *panels, nr int) {
			for i := range p.s {
				if i%nr%3 == 0 || i/nr%2 == 0 {
					p.s[i] = -inf
				}
			}
			p.m[0], p.l[0] = -inf, 0
		}},
		{"infinite", func(p *panels, nr int) { p.s[len(p.s)-1], p.s[0], p.m[nr/2] = inf, inf, inf }},
		{"NaN", func(p *panels, nr int) { p.s[0], p.s[len(p.s)-1], p.m[nr/2], p.lse[0] = nan, nan, nan, nan }},
		{"large", func(p *panels, _ int) {
			for i := range p.s {
				p.s[i] = -30 * float32(math.Abs(float64(p.s[i])))
			}
		}},
	}
	for _, tier := range Tiers() {
		for _, c := range special {
			t.Run(tier.Name+"/"+c.name, func(t *testing.T) {
				for rows := 1; rows < 40; rows++ {
					for _, k := range []struct {
						name string
						run  func(t *Tier, p *panels)
					}{
						{"PanelSoftmax", func(t *Tier, p *panels) { t.PanelSoftmax(rows, p.s, p.m, p.l, p.delta) }},
						{"PanelScale", func(t *Tier, p *panels) { t.PanelScale(rows, p.s, p.delta) }},
						{"PanelGrad", func(t *Tier, p *panels) { t.PanelGrad(rows, p.s, p.dp, p.lse, p.delta, 0.125) }},
					} {
						got, want := newPanels(rows, tier.NR), newPanels(rows, tier.NR)
						c.set(got, tier.NR)
						c.set(want, tier.NR)
						k.run(tier, got)
						k.run(&portable, want)
						if err := got.same(want, 4e-6); err != nil {
							t.Fatalf("%s, %d rows: %v", k.name, rows, err)
						}
					}
				}
			})
		}
	}
}

// TestPanelSoftmax compares a softmax in two parts with the formula.
func TestPanelSoftmax(t *testing.T) {
	for _, tier := range Tiers() {
		const rows, cut = 30, 13
		nr := tier.NR
		p := newPanels(rows, nr)
		scores := slices.Clone(p.s)
		m, l, f := slices.Repeat([]float32{negInf}, nr), make([]float32, nr), make([]float32, nr)
		tier.PanelSoftmax(cut, p.s[:cut*nr], m, l, f)
		tier.PanelSoftmax(rows-cut, p.s[cut*nr:], m, l, f)
		tier.PanelScale(cut, p.s[:cut*nr], f)
		for j := range nr {
			var sum float64
			for i := range rows {
				sum += math.Exp(float64(scores[i*nr+j]) - float64(m[j]))
			}
			for i := range rows {
				x := float64(scores[i*nr+j]) - float64(m[j])
				want := math.Exp(x) / sum
				// Differences of scores are rounded, and that by e^x.
				if got := float64(p.s[i*nr+j]) / float64(l[j]); math.Abs(got-want) > (1e-6-1e-7*x)*want+1e-30 {
					t.Fatalf("%s: row %d, column %d: got %v, want %v", tier.Name, i, j, got, want)
				}
			}
		}
	}
}
