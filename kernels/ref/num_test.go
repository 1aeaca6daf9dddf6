package ref

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestNum(t *testing.T) {
	a, b := num{2, 3}, num{-5, 7}
	var s total
	s.add(a)
	s.mulAdd(a, b)
	s.product(-3, 4)
	for _, c := range []struct {
		name      string
		got, want num
	}{
		{"add", add(a, b), num{-3, 3 + 7 + 2 + 5}},
		{"sub", sub(a, b), num{7, 3 + 7 + 2 + 5}},
		{"mul", mul(a, b), num{-10, 2*7 + 5*3 + 10}},
		{"div", div(a, b), num{-0.4, 3.0/5 + 0.4*7/5 + 0.4}},
		{"sqrt", sqrt(num{4, 3}), num{2, 3.0/4 + 2}},
		{"sqrt of 0", sqrt(num{0, 3}), num{0, 0}},
		{"exp", exp(num{0, 3}), num{1, 3 + 1}},
		{"total", s.num(), num{2 - 10 - 12, (3 + 2) + (2*7 + 5*3 + 10) + 12}},
		{"zero times infinity", mul(exact(0), num{1, math.Inf(1)}), num{0, 0}},
	} {
		if !near(c.got.x, c.want.x, 1e-15) || !near(c.got.s, c.want.s, 1e-15) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// TestNumBoundsFloat32 computes random expressions in float32 beside num: the
// error must stay within the unit roundoff times the scale, and come within a
// tenth of it somewhere.
func TestNumBoundsFloat32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	worst := 0.0
	for range 2000 {
		x := make([]float32, 4)
		y := make([]num, 4)
		for i := range x {
			x[i] = float32(r.NormFloat64())
			y[i] = exact(float64(x[i]))
		}
		for range 6 {
			i, j, k := r.IntN(4), r.IntN(4), r.IntN(4)
			switch r.IntN(5) {
			case 0:
				x[k], y[k] = x[i]+x[j], add(y[i], y[j])
			case 1:
				x[k], y[k] = float32(x[i]*x[j]), mul(y[i], y[j])
			case 2:
				if math.Abs(float64(x[j])) > 0.1 {
					x[k], y[k] = x[i]/x[j], div(y[i], y[j])
				}
			case 3:
				x[k], y[k] = float32(math.Tanh(float64(x[i]))), tanh(y[i])
			case 4:
				x[k], y[k] = float32(1/(1+math.Exp(-float64(x[i])))), sigmoid(y[i])
			}
			for e := range x {
				bound := 1.01 * y[e].s / (1 << 24) // second-order terms
				off := math.Abs(float64(x[e]) - y[e].x)
				if off > bound {
					t.Fatalf("float32 %v, exact %v: off by %v, bound %v", x[e], y[e].x, off, bound)
				}
				if bound > 0 {
					worst = max(worst, off/bound)
				}
			}
		}
	}
	if worst < 0.1 {
		t.Errorf("the worst error is %v of its bound", worst)
	}
}
