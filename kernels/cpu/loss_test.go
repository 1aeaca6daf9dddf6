package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"graft/kernels/cpu/simd"
)

// exactLoss is log sum exp, the loss and its gradient by the logits, in float64.
func exactLoss(x []float32, target int, g, scale, softCap float64) (lse, loss float64, dx []float64) {
	z, slope := make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		z[i], slope[i] = float64(v)*scale, scale
		if softCap != 0 {
			t := math.Tanh(z[i] / softCap)
			z[i], slope[i] = softCap*t, scale*(1-t*t)
		}
	}
	largest, sum := slices.Max(z), 0.0
	for _, v := range z {
		sum += math.Exp(v - largest)
	}
	lse = largest + math.Log(sum)
	for i, v := range z {
		p := math.Exp(v - lse)
		if i == target {
			p--
		}
		dx = append(dx, g*p*slope[i])
	}
	return lse, lse - z[target], dx
}

// TestLossBlocks holds rows of several blocks to float64: what comes in one block has
// to change what was summed up in those before.
func TestLossBlocks(t *testing.T) {
	const n = 2*lossBlock + 300
	inf := float32(math.Inf(1))
	rows := map[string]func(i int) float32{
		"rising":       func(i int) float32 { return float32(i) / 200 },
		"falling":      func(i int) float32 { return -float32(i) / 200 },
		"far apart":    func(i int) float32 { return float32(i/lossBlock) * 150 },
		"-Inf first":   func(i int) float32 { return map[bool]float32{true: -inf, false: 1}[i < lossBlock+7] },
		"-Inf last":    func(i int) float32 { return map[bool]float32{true: -inf, false: 1}[i > lossBlock+7] },
		"-Inf between": func(i int) float32 { return map[bool]float32{true: -inf, false: 1}[i/lossBlock == 1] },
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, tier := range simd.Tiers() {
		for name, at := range rows {
			for _, k := range []struct{ scale, softCap float32 }{{1, 0}, {0.25, 0}, {-0.5, 0}, {0, 0}, {0.5, 9}} {
				if math.IsInf(float64(at(0)+at(lossBlock)+at(n-1)), 0) && (k.softCap != 0 || k.scale <= 0) {
					continue // of these infinities no others are made
				}
				for _, target := range []int{0, lossBlock - 1, lossBlock, n - 1} {
					if at(target) == -inf {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%v/%d", tier.Name, name, k, target), func(t *testing.T) {
						x := make([]float32, n)
						for i := range x {
							x[i] = at(i) + r.Float32()
						}
						holdLoss(t, tier, x, target, k.scale, k.softCap)
					})
				}
			}
		}
	}
}

func holdLoss(t *testing.T, tier *simd.Tier, x []float32, target int, scale, softCap float32) {
	t.Helper()
	const g = 0.75
	wantLSE, wantLoss, want := exactLoss(x, target, g, float64(scale), float64(softCap))
	near := func(what string, got float32, want float64) {
		t.Helper()
		if !(math.Abs(float64(got)-want) <= 4e-6*max(1, math.Abs(want))) {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
	all := func(what string, got []float32) {
		t.Helper()
		for i, v := range got {
			near(fmt.Sprint(what, " ", i), v, want[i])
		}
	}
	row := lossRow{tier, x, scale, softCap}
	loss, lse := row.loss(make([]float32, lossBlock), int32(target))
	near("loss", loss, wantLoss)
	near("log sum exp", lse, wantLSE)
	dx := make([]float32, len(x))
	row.gradient(dx, make([]float32, lossBlock), int32(target), lse, g)
	all("gradient", dx)
	loss = row.gradientInPlace(make([]float32, len(x)), make([]float32, blocks(len(x), lossBlock)+1), int32(target), g)
	near("loss with its gradient", loss, wantLoss)
	all("gradient in place", x)
}

// TestLossInfinite wants what a row of one block gives: an infinite score takes it all,
// and a NaN is seen wherever it is.
func TestLossInfinite(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tier := range simd.Tiers() {
		for _, at := range []int{0, lossBlock + 1, 2*lossBlock + 1} {
			x := make([]float32, 2*lossBlock+2)
			buf, most := make([]float32, len(x)), make([]float32, 4)
			if x[at] = inf; at > 0 {
				x[at-1] = nan
				if loss, lse := (lossRow{tier, x, 1, 0}).loss(buf, 1); loss == loss || lse == lse {
					t.Errorf("%s: NaN and Inf at %d: loss %v, log sum exp %v, want NaN", tier.Name, at, loss, lse)
				}
				x[at-1] = 0
			}
			loss, lse := (lossRow{tier, x, 1, 0}).loss(buf, 5)
			if loss != inf || lse != inf {
				t.Errorf("%s: Inf at %d: loss %v, log sum exp %v, want Inf", tier.Name, at, loss, lse)
			}
			lossRow{tier, x, 1, 0}.gradientInPlace(buf, most, 5, 1)
			for i, v := range x {
				if want := map[bool]float32{true: -1}[i == 5]; i != at && v != want || i == at && v == v {
					t.Fatalf("%s: Inf at %d: gradient %d is %v", tier.Name, at, i, v)
				}
			}
			for i := range x {
				x[i] = map[bool]float32{true: -inf}[i <= lossBlock]
			}
			loss = lossRow{tier, x, 1, 0}.gradientInPlace(buf, most, 5, 1)
			if share := 1 / float32(lossBlock+1); loss != inf || x[5] != -1 || x[6] != 0 || math.Abs(float64(x[lossBlock+1]/share)-1) > 1e-6 {
				t.Errorf("%s: a target at -Inf: loss %v, gradient %v there, %v beside, %v behind", tier.Name, loss, x[5], x[6], x[lossBlock+1])
			}
			for i := range x {
				x[i] = -inf
			}
			if loss, lse := (lossRow{tier, x, 1, 0}).loss(buf, 5); loss == loss || lse != -inf {
				t.Errorf("%s: -Inf alone: loss %v, log sum exp %v, want NaN and -Inf", tier.Name, loss, lse)
			}
			lossRow{tier, x, 1, 0}.gradientInPlace(buf, most, 5, 1)
			for i, v := range x {
				if v == v {
					t.Fatalf("%s: -Inf alone: gradient %d is %v, want NaN", tier.Name, i, v)
				}
			}
		}
	}
}
