package kerneltest

import (
	"fmt"
	"math"

	"graft/kernels"
)

// targets gives one for each token, every fourth to be ignored, in every way
// that a target can be outside of [0, V).
func targets(n, v int) []float64 {
	x := scattered(n, 0, v)
	for i := 3; i < n; i += 4 {
		x[i] = []float64{-1, float64(v), math.MaxInt32, math.MinInt32}[i/4%4]
	}
	return x
}

func aimed(d *draft) { d.data["targets"] = targets(d.dims['N'], d.dims['V']) }

// linearShapes are tokens, width, vocabulary.
var linearShapes = [][3]int{
	{1, 1, 1}, {1, 7, 2}, {2, 8, 15}, {5, 17, 33}, {7, 64, 65}, {8, 33, 127}, {16, 5, 257}, {33, 16, 31}, {3, 300, 19}, {2, 3, 4099}, {67, 9, 130},
}

var capped = []kernels.Attr{{Scale: 1}, {Scale: 0.25}, {Scale: 1.5, SoftCap: 4}}

func lossName(a kernels.Attr) string { return fmt.Sprintf("scale %v cap %v", a.Scale, a.SoftCap) }

func linearDims(s [3]int) map[byte]int { return sizes("N", s[0], "C", s[1], "V", s[2]) }

// moderate keeps the logits of random operands of one size whatever the width.
func moderate(d *draft) {
	aimed(d)
	h := d.random("h", d.dims['N']*d.dims['C'])
	for i := range h {
		h[i] *= 2 / math.Sqrt(float64(d.dims['C']))
	}
	d.data["h"] = h
}

func linearCECases(g *gen) {
	for _, s := range linearShapes {
		g.add(fmt.Sprint(s), kernels.Attr{Scale: 1}, linearDims(s), moderate)
	}
	for _, at := range capped {
		g.eachType(lossName(at), at, linearDims([3]int{9, 21, 70}), moderate)
	}
	g.add("bf16 operands of 1e-8", kernels.Attr{Scale: 1}, linearDims([3]int{4, 33, 40}), func(d *draft) {
		d.act, d.weight, d.scale = kernels.BF16, kernels.BF16, 1e-8
		aimed(d)
	})
	g.add("large logits", kernels.Attr{Scale: 1}, linearDims([3]int{4, 33, 40}), func(d *draft) {
		d.act, d.weight, d.scale = kernels.BF16, kernels.BF16, 30
		aimed(d)
	})
	g.add("NaN stays in its token", kernels.Attr{Scale: 1}, linearDims([3]int{5, 8, 40}), func(d *draft) {
		aimed(d)
		d.with("h", map[int]float64{17: nan})
	})
	if g.long {
		g.add("a model", kernels.Attr{Scale: 1}, linearDims([3]int{24, 512, 32000}), func(d *draft) {
			d.act, d.weight = kernels.BF16, kernels.BF16
			moderate(d)
		})
	}
}

func linearCEGradCases(g *gen) {
	both := func(at kernels.Attr, beta float32) kernels.Attr {
		at.Opt, at.Beta = kernels.WithDW, beta
		return at
	}
	for _, s := range linearShapes {
		g.add(fmt.Sprint(s), both(kernels.Attr{Scale: 1}, 0), linearDims(s), moderate)
		g.add(fmt.Sprint(s, " beta"), both(kernels.Attr{Scale: 1}, 1), linearDims(s), moderate)
	}
	for _, at := range capped {
		g.eachType(lossName(at), at, linearDims([3]int{9, 21, 70}), moderate)
		g.eachType(lossName(at)+" head", both(at, 1), linearDims([3]int{9, 21, 70}), moderate)
	}
	g.add("one scale for all tokens", both(kernels.Attr{Scale: 1}, 0), linearDims([3]int{9, 21, 70}), func(d *draft) {
		moderate(d)
		d.strides["scale"] = []int{0}
		d.data["scale"] = repeat(9, 0.125)
	})
	g.add("all ignored", both(kernels.Attr{Scale: 1}, 0), linearDims([3]int{3, 8, 9}), func(d *draft) {
		d.data["targets"] = repeat(3, -1, 9)
	})
	g.add("bf16 operands of 1e-8", both(kernels.Attr{Scale: 1}, 0), linearDims([3]int{4, 33, 40}), func(d *draft) {
		d.act, d.weight, d.scale = kernels.BF16, kernels.BF16, 1e-8
		aimed(d)
	})
	g.add("incoming gradient of 1e5", both(kernels.Attr{Scale: 1}, 0), linearDims([3]int{4, 33, 40}), func(d *draft) {
		d.act, d.weight = kernels.BF16, kernels.BF16
		moderate(d)
		d.data["scale"] = []float64{1e5, -1e5, 3e4, 1}
	})
}

// lossDims are tokens and vocabulary.
func lossDims(n, v int) map[byte]int { return sizes("N", n, "V", v) }

func crossEntropyCases(g *gen) {
	for _, v := range lengths {
		g.add(fmt.Sprintf("vocabulary %d", v), kernels.Attr{Scale: 1}, lossDims(5, v), aimed)
	}
	for _, at := range capped {
		g.eachType(lossName(at), at, lossDims(9, 70), aimed)
	}
	g.add("tokens", kernels.Attr{Scale: 1}, lossDims(131, 7), aimed)
	g.add("large and small logits", kernels.Attr{Scale: 1}, lossDims(3, 17), func(d *draft) {
		d.data["targets"] = []float64{0, 1, 2}
		d.data["logits"] = append(append(repeat(17, 1e5, -1e5, 3), repeat(17, 1e-8)...), repeat(17, -1e5)...)
	})
	g.add("-Inf and NaN", kernels.Attr{Scale: 1}, lossDims(3, 17), func(d *draft) {
		d.data["targets"] = []float64{1, 1, 2}
		d.with("logits", map[int]float64{0: -inf, 3: -inf, 20: nan})
	})
}

func crossEntropyBwdCases(g *gen) {
	forward := func(d *draft) {
		aimed(d)
		f := newDraft(kernels.CrossEntropy, d.attr, d.dims)
		f.act = d.act
		f.data["targets"], f.data["logits"] = d.data["targets"], d.random("logits", d.dims['N']*d.dims['V'])
		d.data["logits"], d.data["lse"] = f.data["logits"], f.results()["lse"]
	}
	for _, v := range lengths {
		g.add(fmt.Sprintf("vocabulary %d", v), kernels.Attr{Scale: 1}, lossDims(5, v), forward)
	}
	for _, at := range capped {
		g.eachType(lossName(at), at, lossDims(9, 70), forward)
	}
	g.add("one gradient for all tokens", kernels.Attr{Scale: 1}, lossDims(9, 30), func(d *draft) {
		forward(d)
		d.strides["dloss"], d.data["dloss"] = []int{0}, repeat(9, 0.125)
	})
	for _, x := range []float64{1e-8, 1e5} {
		g.add(fmt.Sprintf("bf16, incoming gradient of %g", x), kernels.Attr{Scale: 1}, lossDims(9, 30), func(d *draft) {
			d.act = kernels.BF16
			forward(d)
			d.data["dloss"] = repeat(9, x)
		})
	}
	g.add("NaN stays in its token", kernels.Attr{Scale: 1}, lossDims(3, 17), func(d *draft) {
		forward(d)
		d.with("dloss", map[int]float64{1: nan})
	})
}
