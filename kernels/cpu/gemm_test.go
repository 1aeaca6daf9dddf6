package cpu

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// tiny is a tier with blocks so small that little matrices have many, and
// tasks so small that they are cut as large ones are.
func tiny(t *simd.Tier) *simd.Tier {
	c := *t
	c.KC, c.NC, c.Work = 32, 32/t.NR*t.NR, 1<<7
	c.NC = max(c.NC, t.NR)
	c.MC = c.NC
	return &c
}

// gemmTrial is a product of random operands: stored transposed or not, rows
// longer than they look, of the given types, in a batch or not, with and without
// what may be added.
func gemmTrial(r *rand.Rand, m, n, k int, types ...kernels.DType) *trial {
	operand := func() kernels.DType { return types[r.IntN(len(types))] }
	at := kernels.Attr{Alpha: []float32{1, 1, -0.5}[r.IntN(3)], TransA: r.IntN(2) == 0, TransB: r.IntN(2) == 0}
	a, b, c := []int{m, k}, []int{k, n}, []int{m, n}
	if at.TransA {
		a = []int{k, m}
	}
	if at.TransB {
		b = []int{n, k}
	}
	if r.IntN(4) == 0 {
		front := [][]int{{2}, {1, 3}, {2, 1, 2}}[r.IntN(3)]
		a, b, c = append(front[:len(front):len(front)], a...), append(front[:len(front):len(front)], b...), append(front[:len(front):len(front)], c...)
	}
	out := []kernels.DType{f32, f32, b16, h16}[r.IntN(4)]
	at.Beta = []float32{0, 0, 1, -0.5}[r.IntN(4)]
	tr := one("", kernels.MatMul, at)
	tr.in(operand(), nil, a...).strided(r.IntN(3) * 2)
	tr.in(operand(), nil, b...).strided(r.IntN(3) * 2)
	if r.IntN(3) == 0 {
		tr.p.Code[0].Attr.Opt |= kernels.WithBias
		tr.in(operand(), nil, n)
	}
	if r.IntN(3) == 0 {
		tr.p.Code[0].Attr.Opt |= kernels.WithResidual
		tr.in(out, nil, c...).strided(r.IntN(2) * 2)
	}
	tr.out(out, c...).strided(r.IntN(2) * 6)
	tr.name = fmt.Sprintf("%d %dx%dx%d %v%v", len(c), m, n, k, at.TransA, at.TransB)
	return tr
}

// TestGemmShapes draws products of all kinds, with edges everywhere, and holds
// them on every tier to the oracle, and more threads to the bits of one. That
// all ways to cut a product occur is checked, too.
func TestGemmShapes(t *testing.T) {
	for _, tier := range simd.Tiers() {
		cut := tiny(tier)
		seen := map[string]int{}
		r := rand.New(rand.NewPCG(11, 12))
		near := func(x int) int { return max(1, x*r.IntN(6)+r.IntN(5)-2) }
		for range 150 {
			m, n, k := near(tier.MR), near(tier.NR), 1+r.IntN(90)
			switch r.IntN(4) {
			case 0: // B is packed for all rows
				m, n = m+2*cut.NC, n+r.IntN(2)*cut.NC
			case 2:
				n += 2 * cut.NC
			case 1: // more of A than is packed at once
				m, k = m+250, k+250
				n = min(n, 2*tier.NR+3)
			}
			tr := gemmTrial(r, m, n, k, f32, f32, b16, h16)
			count(seen, tr, cut)
			t.Run(tier.Name+"/"+tr.name, func(t *testing.T) { tr.checkOn(t, cut) })
		}
		for _, way := range []string{"small", "A and B", "A", "B", "neither", "parts"} {
			if seen[way] < 3 {
				t.Errorf("%s: %d products are cut in the way %q, want 3 at least", tier.Name, seen[way], way)
			}
		}
	}
}

// count notes which way a trial's product is cut.
func count(seen map[string]int, tr *trial, tier *simd.Tier) {
	b, err := build(tr.p, tier, 3)
	if err != nil {
		return // the trial will say so
	}
	last := b.steps[len(b.steps)-1]
	packs, reads := 0, 0
	for _, s := range b.steps {
		if strings.HasSuffix(s.kernel, "_pack") {
			packs, reads = packs+1, len(s.reads)
		}
	}
	in := tr.p.Code[0]
	switch {
	case strings.HasSuffix(last.kernel, "_small"):
		seen["small"]++
	case packs > 1:
		seen["parts"]++
	case packs == 0:
		seen["neither"]++
	case reads == 2:
		seen["A and B"]++
	case b.steps[0].reads[0].slot == in.In[0].Slot:
		seen["A"]++
	default:
		seen["B"]++
	}
}
