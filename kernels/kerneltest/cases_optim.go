package kerneltest

import (
	"fmt"
	"math"

	"graft/kernels"
)

func sumSqCases(g *gen) {
	for _, n := range append([]int{4096, 20011, 100003}, lengths...) {
		for _, beta := range []float32{0, 1} {
			g.add(fmt.Sprintf("%d beta %v", n, beta), kernels.Attr{Beta: beta}, sizes("M", n), func(d *draft) {
				d.offset = n % 5
				if beta != 0 {
					d.data["s"] = []float64{float64(n)}
				}
			})
		}
	}
	for _, x := range []float64{0, 1e-8, 1e5, inf, nan} {
		g.add(fmt.Sprintf("of %v", x), kernels.Attr{}, sizes("M", 40), func(d *draft) { d.data["x"] = repeat(40, 0, x, -x) })
	}
}

// hyper gives the hyper block.
func hyper(lr, maxNorm float64) []float64 {
	x := make([]float64, kernels.HyperLen)
	x[kernels.HyperLR], x[kernels.HyperMaxNorm], x[kernels.HyperInvTargets] = lr, maxNorm, 1.0/3
	return x
}

// state gives the state block after a number of updates.
func state(steps, skipped, beta1, beta2, clip, apply float64) []float64 {
	x := make([]float64, kernels.StateLen)
	x[kernels.StateStep], x[kernels.StateSkipped] = steps, skipped
	x[kernels.StateBC1], x[kernels.StateBC2] = 1-math.Pow(beta1, steps), 1-math.Pow(beta2, steps)
	x[kernels.StateClip], x[kernels.StateApply] = clip, apply
	return x
}

func advanceCases(g *gen) {
	at := kernels.Attr{Beta1: 0.9, Beta2: 0.999}
	for _, c := range []struct {
		name                string
		loss, sumsq, limit  float64
		steps, skipped, old float64 // old is apply of the update before
	}{
		{"first", 2.5, 0.25, 1, 0, 0, 0},
		{"clipped", 2.5, 100, 1, 7, 2, 1},
		{"at the limit", 2.5, 4, 2, 7, 2, 1},
		{"no limit", 2.5, 1e8, 0, 100000, 2, 1},
		{"after a skip", 2.5, 3, 1, 7, 3, 0},
		{"zero gradient", 2.5, 0, 1, 7, 0, 1},
		{"small gradient", 1e-8, 1e-16, 1, 7, 0, 1},
		{"large gradient", 1e5, 1e10, 1, 7, 0, 1},
		{"loss NaN", nan, 3, 1, 7, 2, 1},
		{"loss Inf", inf, 3, 1, 7, 2, 1},
		{"loss -Inf", -inf, 3, 0, 7, 2, 0},
		{"norm NaN", 2.5, nan, 1, 7, 2, 1},
		{"norm Inf", 2.5, inf, 0, 0, 0, 1},
	} {
		g.add(c.name, at, nil, func(d *draft) {
			d.data["loss"], d.data["sumsq"], d.data["hyper"] = []float64{c.loss}, []float64{c.sumsq}, hyper(1e-3, c.limit)
			d.data["state"] = state(c.steps, c.skipped, at.Beta1, at.Beta2, 0.5, c.old)
		})
	}
	g.add("moments without memory", kernels.Attr{}, nil, func(d *draft) {
		d.data["loss"], d.data["sumsq"], d.data["hyper"] = []float64{1}, []float64{4}, hyper(1e-3, 1)
		d.data["state"] = state(0, 0, 0, 0, 1, 0)
	})
}

func adamWCases(g *gen) {
	at := kernels.Attr{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1}
	moments := func(steps, clip, lr float64) func(*draft) {
		return func(d *draft) {
			d.data["hyper"] = hyper(lr, 1)
			d.data["state"] = state(steps, 0, at.Beta1, at.Beta2, clip, 1)
			v := d.random("v", d.dims['M'])
			for i := range v {
				v[i] *= v[i] * 0.01
			}
			if steps == 1 { // the moments of a first update are zero
				v = make([]float64, len(v))
				d.data["m"] = make([]float64, len(v))
			}
			d.data["v"] = v
		}
	}
	for _, n := range append([]int{20011}, lengths...) {
		g.add(fmt.Sprintf("%d", n), at, sizes("M", n), moments(10, 1, 0.01))
	}
	g.add("first update", at, sizes("M", 130), moments(1, 1, 0.01))
	g.add("clipped", at, sizes("M", 130), moments(3, 0.125, 0.01))
	g.add("no decay, large eps", kernels.Attr{Beta1: 0.9, Beta2: 0.95, Eps: 0.1}, sizes("M", 130), moments(3, 0.5, 0.1))
	stored := at
	stored.Opt = kernels.WithStore
	for _, t := range reals {
		for _, n := range []int{1, 17, 130} {
			g.add(fmt.Sprintf("store %v %d", t, n), stored, sizes("M", n), func(d *draft) {
				moments(5, 0.5, 0.01)(d)
				d.types["store"] = t
			})
		}
		g.add(fmt.Sprintf("skipped, store %v", t), stored, sizes("M", 65), func(d *draft) {
			moments(5, 0.5, 0.01)(d)
			d.types["store"], d.exact = t, true
			d.data["state"][kernels.StateApply] = 0
			d.with("grad", map[int]float64{3: nan, 9: inf})
		})
	}
	for _, x := range []float64{0, 1e-8, 1e5} {
		g.add(fmt.Sprintf("gradients of %g", x), stored, sizes("M", 40), func(d *draft) {
			moments(2, 1, 0.01)(d)
			d.types["store"] = kernels.BF16
			d.data["grad"], d.data["m"], d.data["v"] = repeat(40, x, -x), repeat(40, x/2), repeat(40, x*x)
		})
	}
	g.add("NaN", at, sizes("M", 40), func(d *draft) {
		moments(2, 1, 0.01)(d)
		d.with("grad", map[int]float64{33: nan})
	})
}
