package kerneltest

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"graft/kernels"
)

func embedCases(g *gen) {
	for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {19, 33, 40}, {3, 130, 2}} {
		g.eachType(fmt.Sprint(s), kernels.Attr{}, sizes("V", s[0], "C", s[1], "N", s[2]), func(d *draft) {
			d.data["ids"] = scattered(s[2], 0, s[0])
		})
	}
	g.add("ids out of range", kernels.Attr{}, sizes("V", 5, "C", 9, "N", 6), func(d *draft) {
		d.data["ids"] = []float64{-1, 4, 5, math.MaxInt32, math.MinInt32, 0}
	})
}

// byID sorts tokens as the packer does: order holds the tokens by id, starts
// the beginning of each run, padded with N.
func byID(ids []float64) (order, starts []float64) {
	n := len(ids)
	order = count(n, 0)
	sort.SliceStable(order, func(a, b int) bool { return ids[int(order[a])] < ids[int(order[b])] })
	for i := range order {
		if i == 0 || ids[int(order[i])] != ids[int(order[i-1])] {
			starts = append(starts, float64(i))
		}
	}
	for len(starts) <= n {
		starts = append(starts, float64(n))
	}
	return order, starts
}

func embedBwdCases(g *gen) {
	tokens := func(ids []float64) func(*draft) {
		return func(d *draft) {
			d.data["ids"] = ids
			d.data["order"], d.data["starts"] = byID(ids)
		}
	}
	for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {19, 33, 40}, {3, 130, 70}, {400, 9, 257}} {
		g.eachType(fmt.Sprint(s), kernels.Attr{}, sizes("V", s[0], "C", s[1], "N", s[2], "P", s[2]+1), tokens(scattered(s[2], 0, s[0])))
	}
	g.add("ids out of range", kernels.Attr{}, sizes("V", 5, "C", 9, "N", 7, "P", 8), tokens([]float64{-1, 4, 5, math.MaxInt32, math.MinInt32, 0, 4}))
	g.add("one id", kernels.Attr{}, sizes("V", 5, "C", 9, "N", 300, "P", 301), tokens(repeat(300, 3)))
	g.add("NaN", kernels.Attr{}, sizes("V", 5, "C", 9, "N", 4, "P", 5), func(d *draft) {
		tokens([]float64{1, 2, 1, 3})(d)
		d.with("dy", map[int]float64{18: nan, 9: inf})
	})
}

func rmsNormCases(g *gen) {
	plain := kernels.Attr{Eps: 1e-5}
	residual := kernels.Attr{Eps: 1e-5, PlusOne: true, Opt: kernels.WithResidual}
	for _, c := range append([]int{2048}, lengths...) {
		g.add(fmt.Sprintf("width %d", c), plain, sizes("N", 3, "C", c), nil)
		g.add(fmt.Sprintf("width %d, residual, 1 + w", c), residual, sizes("N", 2, "C", c), nil)
	}
	g.eachType("types", plain, sizes("N", 5, "C", 37), nil)
	g.eachType("types, residual, 1 + w", residual, sizes("N", 5, "C", 37), func(d *draft) { d.offset = 2 })
	g.add("rows", plain, sizes("N", 131, "C", 12), nil)
	g.add("large eps", kernels.Attr{Eps: 0.5}, sizes("N", 3, "C", 8), nil)
	g.extremes(kernels.Attr{Eps: 1e-6}, sizes("N", 4, "C", 33), nil)
	g.add("NaN stays in its row", plain, sizes("N", 3, "C", 17), func(d *draft) { d.with("x", map[int]float64{20: nan}) })
	g.add("zeros", plain, sizes("N", 2, "C", 17), func(d *draft) { d.data["x"] = repeat(34, 0) })
}

func rmsNormBwdCases(g *gen) {
	forward := func(d *draft) {
		f := newDraft(kernels.RMSNorm, kernels.Attr{Eps: 1e-5}, d.dims)
		f.name, f.act, f.weight, f.scale = d.name, d.act, d.weight, d.scale
		f.data["x"] = d.random("x", d.dims['N']*d.dims['C'])
		d.data["x"], d.data["rstd"] = f.data["x"], f.results()["rstd"]
	}
	all := kernels.Attr{Beta: 1, Opt: kernels.WithDW | kernels.WithSum, PlusOne: true}
	for _, c := range lengths {
		g.add(fmt.Sprintf("width %d", c), kernels.Attr{Opt: kernels.WithDW}, sizes("N", 3, "C", c), forward)
		g.add(fmt.Sprintf("width %d, sum, beta, 1 + w", c), all, sizes("N", 2, "C", c), forward)
	}
	g.eachType("types", kernels.Attr{}, sizes("N", 5, "C", 37), forward)
	g.eachType("types, everything", all, sizes("N", 5, "C", 37), forward)
	g.add("rows", kernels.Attr{Opt: kernels.WithDW | kernels.WithSum}, sizes("N", 257, "C", 12), forward)
	g.add("many rows, beta", all, sizes("N", 1031, "C", 5), forward)
	g.extremes(kernels.Attr{Opt: kernels.WithDW}, sizes("N", 4, "C", 33), func(d *draft) {
		forward(d)
		d.scale = 1
	})
	g.add("NaN stays in its row", kernels.Attr{}, sizes("N", 3, "C", 17), func(d *draft) {
		forward(d)
		d.with("dy", map[int]float64{20: nan})
	})
}

func ropeCases(g *gen) {
	rotate := func(d *draft) {
		n, r := d.dims['N'], d.dims['R']
		d.data["positions"] = scattered(n, 0, 4096)
		d.data["freqs"] = make([]float64, r)
		for i := range r {
			d.data["freqs"][i] = math.Pow(10000, -float64(i)/float64(r))
		}
	}
	for _, s := range [][4]int{{1, 1, 2, 1}, {3, 2, 8, 4}, {5, 3, 5, 2}, {2, 1, 64, 32}, {7, 4, 80, 16}, {9, 2, 128, 64}, {2, 2, 6, 1}} {
		for _, sign := range []float32{1, -1} {
			at := kernels.Attr{Sign: sign, Scale: 1}
			g.eachType(fmt.Sprint(s, sign), at, sizes("N", s[0], "H", s[1], "D", s[2], "R", s[3]), rotate)
		}
	}
	at := kernels.Attr{Sign: 1, Scale: 1.25}
	for _, t := range reals {
		g.add(fmt.Sprintf("strided %v", t), at, sizes("N", 5, "H", 3, "D", 10, "R", 4), func(d *draft) {
			rotate(d)
			d.act, d.pad, d.offset = t, 20, 3
		})
	}
	g.add("positions in order", at, sizes("N", 65, "H", 1, "D", 16, "R", 8), func(d *draft) {
		rotate(d)
		d.data["positions"] = count(65, 0)
	})
	g.extremes(at, sizes("N", 3, "H", 2, "D", 16, "R", 8), rotate)
	g.add("NaN stays in its pair", at, sizes("N", 2, "H", 2, "D", 10, "R", 4), func(d *draft) {
		rotate(d)
		d.with("x", map[int]float64{11: nan, 29: nan})
	})
}

// gluEdges are gates at which an activation has edges.
var gluEdges = []float64{0, 1e-8, -1e-8, 1e-3, -1e-3, 1, -1, 5, -5, 20, -20, 60, -60, 300, -300}

func gluCases(g *gen) {
	for act := range kernels.NumActivations {
		at := kernels.Attr{Act: act}
		for _, f := range lengths {
			g.add(fmt.Sprintf("%v %d", act, f), at, sizes("N", 2, "F", f), nil)
		}
		g.eachType(act.String(), at, sizes("N", 5, "F", 37), nil)
		g.eachType(act.String()+" strided", at, sizes("N", 5, "F", 37), func(d *draft) { d.pad, d.offset = 11, 5 })
		g.add(act.String()+" edges", at, sizes("N", 1, "F", len(gluEdges)), func(d *draft) { d.data["gate"] = slices.Clone(gluEdges) })
		g.extremes(at, sizes("N", 3, "F", 33), nil)
		g.add(act.String()+" NaN", at, sizes("N", 1, "F", 33), func(d *draft) {
			d.with("gate", map[int]float64{3: nan})
			d.with("up", map[int]float64{32: nan, 7: inf})
		})
	}
}

func gluBwdCases(g *gen) {
	for act := range kernels.NumActivations {
		at := kernels.Attr{Act: act}
		for _, f := range lengths {
			g.add(fmt.Sprintf("%v %d", act, f), at, sizes("N", 2, "F", f), nil)
		}
		g.eachType(act.String(), at, sizes("N", 5, "F", 37), nil)
		g.eachType(act.String()+" strided", at, sizes("N", 5, "F", 37), func(d *draft) { d.pad, d.offset = 11, 5 })
		g.add(act.String()+" edges", at, sizes("N", 1, "F", len(gluEdges)), func(d *draft) { d.data["gate"] = slices.Clone(gluEdges) })
		g.add(act.String()+" NaN", at, sizes("N", 1, "F", 33), func(d *draft) {
			d.with("gate", map[int]float64{3: nan})
			d.with("dy", map[int]float64{32: nan})
		})
	}
}
