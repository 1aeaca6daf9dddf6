// Package gradcheck compares gradients with finite differences, on any backend.
//
//	err := gradcheck.Check(be, build, values, gradcheck.Options{})
//
// build adds a scalar loss to a graph and names the parameters to check. Each
// is probed along random directions, so that the cost does not grow with its
// size. A fourth-order difference keeps the truncation error below the rounding
// of F32 storage. The package tests derivatives, not values: kerneltest does
// that.
package gradcheck

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"graft/kernels"
	"graft/tensor"
)

// ErrMismatch is wrapped when gradient and finite difference disagree.
var ErrMismatch = errors.New("gradient differs from finite differences")

// Options tune a check; zero means the default.
type Options struct {
	Step       float64 // finite-difference step (1/64)
	Tolerance  float64 // allowed |gradient - difference| / (|gradient| + |difference| + Scale) (2e-3)
	Scale      float64 // derivatives well below this count as zero (1e-2)
	Directions int     // random directions per parameter (3)
	Seed       uint64
}

func (o *Options) defaults() {
	set := func(x *float64, v float64) {
		if *x == 0 {
			*x = v
		}
	}
	set(&o.Step, 1.0/64)
	set(&o.Tolerance, 2e-3)
	set(&o.Scale, 1e-2)
	if o.Directions == 0 {
		o.Directions = 3
	}
}

// Build adds a loss, of any shape, to the graph and returns it with the
// parameters (Graph.Param of F32) to check. The loss is summed.
type Build func(g *tensor.Graph) (loss *tensor.Tensor, params map[string]*tensor.Tensor)

// Check builds the graph with gradients and compares them. values must hold
// every parameter that is checked.
func Check(be kernels.Backend, build Build, values tensor.Values, o Options) error {
	o.defaults()
	g := tensor.New("gradcheck")
	loss, params := build(g)
	names := slices.Sorted(maps.Keys(params))
	wrt := make([]*tensor.Tensor, len(names))
	for i, name := range names {
		wrt[i] = params[name]
	}
	for i, d := range g.Grad(loss, wrt...) {
		g.Output("gradcheck."+names[i], d)
	}
	got, err := tensor.Eval(be, g, values)
	if err != nil {
		return err
	}
	for _, name := range names {
		grad := got.Float32s("gradcheck." + name)
		for k := range o.Directions {
			if err := direction(be, build, values, name, grad, o, uint64(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// direction compares <gradient, d> with the derivative along a random d.
func direction(be kernels.Backend, build Build, values tensor.Values, name string, grad []float32, o Options, k uint64) error {
	x := values.Float32s(name)
	if len(x) != len(grad) {
		return fmt.Errorf("gradcheck: %q has %d values and a gradient of %d", name, len(x), len(grad))
	}
	rng := rand.New(rand.NewPCG(o.Seed, k))
	d := make([]float64, len(x))
	norm := 0.0
	for i := range d {
		d[i] = rng.NormFloat64()
		norm += d[i] * d[i]
	}
	want := 0.0
	for i := range d {
		d[i] /= math.Sqrt(norm)
		want += float64(grad[i]) * d[i]
	}
	// (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h is exact up to h^4.
	diff := 0.0
	for _, p := range []struct{ at, weight float64 }{{1, 8}, {-1, -8}, {2, -1}, {-2, 1}} {
		moved := make([]float32, len(x))
		for i := range x {
			moved[i] = float32(float64(x[i]) + p.at*o.Step*d[i])
		}
		f, err := value(be, build, values, name, moved)
		if err != nil {
			return err
		}
		diff += p.weight * f
	}
	diff /= 12 * o.Step
	if e := math.Abs(diff-want) / (math.Abs(diff) + math.Abs(want) + o.Scale); !(e <= o.Tolerance) {
		return fmt.Errorf("gradcheck: %q, direction %d: gradient %g, difference %g, error %.2g: %w", name, k, want, diff, e, ErrMismatch)
	}
	return nil
}

// value is the loss with one parameter replaced, summed in float64.
func value(be kernels.Backend, build Build, values tensor.Values, name string, x []float32) (float64, error) {
	g := tensor.New("gradcheck")
	loss, _ := build(g)
	g.Output("gradcheck.loss", loss)
	moved := tensor.Values{}
	for n, v := range values {
		moved[n] = v
	}
	moved[name] = x
	out, err := tensor.Eval(be, g, moved)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, f := range out.Float32s("gradcheck.loss") {
		sum += float64(f)
	}
	return sum, nil
}
