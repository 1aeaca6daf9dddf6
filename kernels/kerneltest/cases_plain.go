package kerneltest

import (
	"fmt"
	"math"
	"slices"

	"graft/kernels"
)

var allTypes = []kernels.DType{kernels.F32, kernels.BF16, kernels.F16, kernels.I32, kernels.U8, kernels.U16}

// shaped sets the shape of the "*" ports.
func shaped(shape []int, ports ...string) func(*draft) {
	return func(d *draft) {
		for _, q := range ports {
			d.shapes[q] = shape
		}
	}
}

func fillCases(g *gen) {
	for _, t := range allTypes {
		for _, n := range []int{1, 17, 257} {
			g.add(fmt.Sprintf("%v %d", t, n), kernels.Attr{Alpha: 3}, nil, func(d *draft) {
				d.shapes["y"], d.types["y"], d.offset = []int{n}, t, 3
			})
		}
	}
	for _, alpha := range []float32{0, -1.7, 1e-8, float32(inf), float32(nan)} {
		for _, t := range reals {
			g.add(fmt.Sprintf("%v of %v", t, alpha), kernels.Attr{Alpha: alpha}, nil, func(d *draft) {
				d.shapes["y"], d.types["y"] = []int{3, 5}, t
			})
		}
	}
}

func copyCases(g *gen) {
	for _, x := range allTypes {
		for _, y := range allTypes {
			if x != y && (!x.Float() || !y.Float()) {
				continue
			}
			g.add(fmt.Sprintf("%v to %v", x, y), kernels.Attr{}, nil, func(d *draft) {
				shaped([]int{5, 33}, "x", "y")(d)
				d.types["x"], d.types["y"], d.pad = x, y, 3
				if !x.Float() {
					d.data["x"] = scattered(165, 0, 200)
				}
			})
		}
	}
	for _, y := range reals {
		// Ties and neighbours of ties of both 16-bit types, and their overflow.
		g.add(fmt.Sprintf("ties f32 to %v", y), kernels.Attr{}, nil, func(d *draft) {
			x := slices.Clone(specials)
			for _, e := range []float64{0x1p-7, 0x1p-10} {
				for k := range 8 {
					tie := 1 + e*(float64(k)+0.5)
					x = append(x, tie, -tie, float64(math.Nextafter32(float32(tie), 9)), float64(math.Nextafter32(float32(tie), 0)))
				}
			}
			x = append(x, 65504, 65519, 65520, 65536, 3.3e38, 3.4e38, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-14)
			shaped([]int{len(x)}, "x", "y")(d)
			d.data["x"], d.types["y"] = x, y
		})
	}
	g.add("transpose", kernels.Attr{}, nil, func(d *draft) {
		shaped([]int{3, 17, 5}, "x", "y")(d)
		d.strides["x"] = []int{5, 15, 1}
	})
	g.add("transpose of the output", kernels.Attr{}, nil, func(d *draft) {
		shaped([]int{17, 33}, "x", "y")(d)
		d.strides["y"] = []int{1, 17}
	})
	g.add("repeat", kernels.Attr{}, nil, func(d *draft) {
		shaped([]int{4, 2, 3, 8}, "x", "y")(d)
		d.strides["x"] = []int{0, 8, 0, 1}
	})
	g.add("every second", kernels.Attr{}, nil, func(d *draft) {
		shaped([]int{9}, "x", "y")(d)
		d.strides["x"], d.strides["y"], d.offset = []int{2}, []int{3}, 1
	})
	g.add("one", kernels.Attr{}, nil, func(d *draft) { shaped([]int{}, "x", "y")(d) })
}

func unaryCases(g *gen) {
	for k := range kernels.NumUnary {
		attr := kernels.Attr{Unary: k}
		if k == kernels.Affine {
			attr.Alpha, attr.Beta = -1.25, 0.3
		}
		positive := func(d *draft, n int) {
			if k == kernels.Log || k == kernels.Sqrt || k == kernels.Recip {
				x := d.random("x", n)
				for i := range x {
					x[i] = math.Exp(4 * x[i])
				}
				d.data["x"] = x
			}
		}
		for _, n := range lengths {
			g.add(fmt.Sprintf("%v %d", k, n), attr, nil, func(d *draft) {
				shaped([]int{n}, "x", "y")(d)
				d.offset = n % 3
				positive(d, n)
			})
		}
		for _, t := range reals {
			g.add(fmt.Sprintf("%v %v", k, t), attr, nil, func(d *draft) {
				shaped([]int{3, 67}, "x", "y")(d)
				d.act = t
				positive(d, 201)
			})
			g.add(fmt.Sprintf("%v %v specials", k, t), attr, nil, func(d *draft) {
				shaped([]int{len(specials)}, "x", "y")(d)
				d.act, d.data["x"] = t, slices.Clone(specials)
			})
		}
		g.add(fmt.Sprintf("%v near 0 and 1", k), attr, nil, func(d *draft) {
			var x []float64
			for e := -24.0; e < 4; e++ {
				s := math.Exp2(e)
				x = append(x, s, -s, 1+s, 1-s, 1.37*s, -1.37*s)
			}
			shaped([]int{len(x)}, "x", "y")(d)
			d.data["x"] = x
		})
	}
}

func binaryCases(g *gen) {
	for k := range kernels.NumBinary {
		attr := kernels.Attr{Binary: k}
		for _, n := range lengths {
			g.add(fmt.Sprintf("%v %d", k, n), attr, nil, shaped([]int{n}, "a", "b", "y"))
		}
		for _, t := range reals {
			for _, stride := range [][]int{{9, 1}, {0, 1}, {1, 0}, {0, 0}, {1, 5}} {
				g.add(fmt.Sprintf("%v %v b%v", k, t, stride), attr, nil, func(d *draft) {
					shaped([]int{5, 9}, "a", "b", "y")(d)
					d.act, d.strides["b"], d.offset = t, stride, 2
				})
			}
			g.add(fmt.Sprintf("%v %v a column, both strided", k, t), attr, nil, func(d *draft) {
				shaped([]int{3, 4, 9}, "a", "b", "y")(d)
				d.act, d.strides["a"], d.strides["b"] = t, []int{1, 3, 0}, []int{9, 27, 1}
			})
			g.add(fmt.Sprintf("%v %v specials", k, t), attr, nil, func(d *draft) {
				n := len(specials)
				shaped([]int{n, n}, "a", "b", "y")(d)
				d.act, d.data["a"], d.data["b"] = t, repeat(n*n, specials...), repeat(n*n, specials...)
				d.strides["a"], d.strides["b"] = []int{0, 1}, []int{1, 0}
				for i := range n * n { // b runs down the rows
					d.data["b"][i] = specials[i/n]
				}
			})
		}
	}
}

func reduceCases(g *gen) {
	reduce := func(name string, attr kernels.Attr, x, y []int, edit func(*draft)) {
		g.add(name, attr, nil, func(d *draft) {
			d.shapes["x"], d.shapes["y"] = x, y
			if edit != nil {
				edit(d)
			}
		})
	}
	for k := range kernels.NumReduce {
		attr := kernels.Attr{Reduce: k}
		for _, n := range append([]int{4096, 20011}, lengths...) {
			reduce(fmt.Sprintf("%v of %d", k, n), attr, []int{n}, []int{1}, nil)
		}
		for _, s := range [][2][]int{
			{{5, 33}, {5, 1}}, {{5, 33}, {1, 33}}, {{65, 3}, {1, 3}}, {{300, 17}, {1, 17}}, {{5, 33}, {5, 33}}, {{3, 5, 7}, {3, 1, 7}},
			{{3, 5, 7}, {1, 5, 1}}, {{2, 3, 4, 5}, {2, 1, 4, 1}}, {{1, 1}, {1, 1}}, {{}, {}}, {{257, 129}, {257, 1}},
		} {
			reduce(fmt.Sprintf("%v %v to %v", k, s[0], s[1]), attr, s[0], s[1], func(d *draft) { d.pad = 3 })
		}
		for _, x := range reals {
			for _, y := range reals {
				reduce(fmt.Sprintf("%v %v to %v", k, x, y), attr, []int{7, 40}, []int{7, 1}, func(d *draft) { d.act, d.types["y"] = x, y })
			}
		}
		reduce(fmt.Sprintf("%v of a transpose", k), attr, []int{17, 9}, []int{17, 1}, func(d *draft) { d.strides["x"] = []int{1, 17} })
		reduce(fmt.Sprintf("%v of repeats", k), attr, []int{17, 9}, []int{1, 9}, func(d *draft) { d.strides["x"] = []int{0, 1} })
		reduce(fmt.Sprintf("%v of NaN and infinities", k), attr, []int{6, 19}, []int{6, 1}, func(d *draft) {
			d.with("x", map[int]float64{3: nan, 19: inf, 38: -inf, 57 + 18: nan, 76: inf, 80: -inf})
		})
		reduce(fmt.Sprintf("%v of -Inf alone and of zeros", k), attr, []int{2, 9}, []int{2, 1}, func(d *draft) {
			d.data["x"] = append(repeat(9, -inf), repeat(9, 0)...)
		})
	}
	for _, y := range reals {
		reduce(fmt.Sprintf("sum, beta, into %v", y), kernels.Attr{Beta: 1}, []int{9, 33}, []int{1, 33}, func(d *draft) { d.types["y"] = y })
	}
	reduce("sum, beta of -0.5", kernels.Attr{Beta: -0.5}, []int{9, 33}, []int{9, 1}, nil)
	reduce("sum that cancels", kernels.Attr{}, []int{1000}, []int{1}, func(d *draft) { d.data["x"] = repeat(1000, 1e5, -1e5, 1e-3) })
}

func gatherCases(g *gen) {
	for _, t := range allTypes {
		for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {9, 33, 20}, {3, 130, 2}} {
			g.add(fmt.Sprintf("%v %v", t, s), kernels.Attr{}, sizes("R", s[0], "C", s[1], "N", s[2]), func(d *draft) {
				d.types["x"], d.types["y"] = t, t
				if !t.Float() {
					d.data["x"] = scattered(s[0]*s[1], 0, 251)
				}
				d.data["ids"] = scattered(s[2], 0, s[0])
			})
		}
	}
	g.add("ids out of range", kernels.Attr{}, sizes("R", 5, "C", 9, "N", 7), func(d *draft) {
		d.data["ids"] = []float64{-1, 0, 4, 5, math.MaxInt32, math.MinInt32, 2}
	})
	g.add("NaN and infinities", kernels.Attr{}, sizes("R", 2, "C", 9, "N", 3), func(d *draft) {
		d.data["ids"] = []float64{1, 0, 7}
		d.with("x", map[int]float64{0: nan, 1: inf, 2: -inf})
	})
}

func putRowsCases(g *gen) {
	for _, t := range allTypes {
		for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {29, 33, 20}, {3, 130, 2}} {
			g.add(fmt.Sprintf("%v %v", t, s), kernels.Attr{}, sizes("R", s[0], "C", s[1], "N", s[2]), func(d *draft) {
				d.types["x"], d.types["y"], d.pad = t, t, 5
				if !t.Float() {
					d.data["x"], d.data["y"] = scattered(s[2]*s[1], 0, 251), scattered(s[0]*s[1], 0, 250)
				}
				d.data["ids"] = count(s[2], float64(s[0]-s[2]))
				slices.Reverse(d.data["ids"])
			})
		}
	}
	g.add("ids out of range", kernels.Attr{}, sizes("R", 5, "C", 9, "N", 5), func(d *draft) {
		d.data["ids"] = []float64{-1, 3, 5, math.MaxInt32, math.MinInt32}
	})
}

// matMulShapes are rows, inner, columns: around the tiles of kernels, and long.
var matMulShapes = [][3]int{
	{1, 1, 1}, {1, 7, 1}, {2, 1, 3}, {5, 3, 15}, {6, 16, 16}, {7, 17, 17}, {8, 64, 32}, {9, 13, 33}, {13, 257, 47},
	{31, 127, 65}, {33, 384, 31}, {17, 385, 18}, {1, 512, 67}, {67, 300, 1}, {2, 4096, 3}, {3, 20011, 1}, {65, 5, 129}, {337, 5, 7}, {3, 5, 1025},
}

func matMulCases(g *gen) {
	// product adds a case; r, if not nil, is the batch.
	product := func(name string, attr kernels.Attr, batch []int, m, k, n int, edit func(*draft)) {
		if attr.Alpha == 0 {
			attr.Alpha = 1
		}
		g.add(name, attr, nil, func(d *draft) {
			a, b := []int{m, k}, []int{k, n}
			if attr.TransA {
				a = []int{k, m}
			}
			if attr.TransB {
				b = []int{n, k}
			}
			d.shapes["a"], d.shapes["b"] = slices.Concat(batch, a), slices.Concat(batch, b)
			d.shapes["c"] = slices.Concat(batch, []int{m, n})
			d.shapes["residual"], d.shapes["bias"] = d.shapes["c"], []int{n}
			if edit != nil {
				edit(d)
			}
		})
	}
	flags := []kernels.Attr{{}, {TransB: true}, {TransA: true}, {TransA: true, TransB: true}}
	transposed := func(a kernels.Attr) string {
		return [4]string{"NN", "NT", "TN", "TT"}[b2i(a.TransA)*2+b2i(a.TransB)]
	}
	for _, f := range flags {
		for _, s := range matMulShapes {
			product(fmt.Sprintf("%s %v", transposed(f), s), f, nil, s[0], s[1], s[2], nil)
		}
		for _, a := range reals {
			for _, b := range reals {
				for _, c := range reals {
					product(fmt.Sprintf("%s %v %v %v", transposed(f), a, b, c), f, nil, 11, 37, 35, func(d *draft) {
						d.types["a"], d.types["b"], d.types["c"] = a, b, c
					})
				}
			}
		}
		product(transposed(f)+" strided", f, nil, 13, 21, 35, func(d *draft) { d.pad, d.offset = 6, 2 })
		product(transposed(f)+" one row, bf16 weights", f, nil, 1, 300, 130, func(d *draft) { d.types["b"] = kernels.BF16 })
		f.Alpha, f.Beta = -0.5, 1
		product(transposed(f)+" alpha, beta", f, nil, 9, 400, 33, nil)
		product(transposed(f)+" batch", f, []int{2, 3}, 5, 9, 17, func(d *draft) { d.pad = 4 })
	}
	for _, t := range reals {
		attr := kernels.Attr{Alpha: 1, Beta: 0.75, TransB: true, Opt: kernels.WithBias | kernels.WithResidual}
		product(fmt.Sprintf("bias, residual, beta %v", t), attr, nil, 9, 70, 35, func(d *draft) {
			d.types["a"], d.types["c"], d.types["residual"], d.types["bias"] = t, t, t, kernels.BF16
		})
		attr.Beta = 0
		product(fmt.Sprintf("bias, residual %v", t), attr, nil, 7, 70, 33, func(d *draft) {
			d.types["a"], d.types["b"], d.types["c"], d.types["residual"], d.types["bias"] = t, t, t, t, t
		})
		attr.Opt = kernels.WithBias
		product(fmt.Sprintf("bias %v, one row", t), attr, nil, 1, 70, 33, func(d *draft) { d.types["bias"] = t })
		attr.Opt = kernels.WithResidual
		product(fmt.Sprintf("residual %v, batch", t), attr, []int{3}, 4, 10, 20, func(d *draft) {
			d.types["c"], d.types["residual"], d.pad = t, t, 2
		})
	}
	product("repeated b", kernels.Attr{}, []int{2, 3}, 5, 9, 17, func(d *draft) { d.strides["b"] = []int{153, 0, 17, 1} })
	product("heads out of columns", kernels.Attr{TransB: true}, []int{2, 3}, 8, 5, 8, func(d *draft) {
		d.strides["a"], d.strides["b"] = []int{8 * 15, 5, 15, 1}, []int{8 * 15, 5, 15, 1}
	})
	for _, scale := range []float64{1e-8, 1e5} {
		product(fmt.Sprintf("bf16 operands of %g", scale), kernels.Attr{TransB: true}, nil, 7, 70, 33, func(d *draft) {
			d.scale, d.types["a"], d.types["b"], d.types["c"] = scale, kernels.BF16, kernels.BF16, kernels.BF16
		})
	}
	product("NaN and infinities", kernels.Attr{}, nil, 9, 20, 35, func(d *draft) {
		d.with("a", map[int]float64{0: nan, 23: inf, 45: 0, 60: -inf})
		d.with("b", map[int]float64{35*3 + 2: 0, 35*5 + 34: inf})
	})
	product("old content NaN, beta 0", kernels.Attr{}, nil, 3, 4, 5, nil)
	product("zeros", kernels.Attr{}, nil, 3, 40, 5, func(d *draft) { d.data["a"] = repeat(120, 0) })
	if g.long {
		product("ffn of a model", kernels.Attr{TransB: true}, nil, 64, 2048, 5632, func(d *draft) {
			d.types["a"], d.types["b"], d.types["c"] = kernels.BF16, kernels.BF16, kernels.BF16
		})
		product("gradient of a weight", kernels.Attr{TransA: true, Beta: 1}, nil, 512, 1024, 1024, nil)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
