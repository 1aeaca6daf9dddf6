package kerneltest

import (
	"fmt"

	"graft/kernels"
)

// documents gives (2, B, T) of sequences cut into documents of the given
// lengths, repeated; sequence b starts the list at its b-th length.
func documents(nb, nt int, lengths ...int) []float64 {
	x := make([]float64, 2*nb*nt)
	for b := range nb {
		for t, i := 0, b; t < nt; i++ {
			end := min(nt, t+lengths[i%len(lengths)])
			for first := t; t < end; t++ {
				x[b*nt+t], x[nb*nt+b*nt+t] = float64(first), float64(end)
			}
		}
	}
	return x
}

// attentionShape is one set of sizes; cuts are the lengths of documents, none
// for one document.
type attentionShape struct {
	nb, nt, nh, nk, nd int
	cuts               []int
}

func (s attentionShape) String() string {
	return fmt.Sprintf("B%d T%d H%d K%d D%d cuts%v", s.nb, s.nt, s.nh, s.nk, s.nd, s.cuts)
}

func (s attentionShape) dims() map[byte]int {
	return sizes("B", s.nb, "T", s.nt, "S", s.nt, "H", s.nh, "K", s.nk, "D", s.nd)
}

func (s attentionShape) documents() []float64 {
	if len(s.cuts) == 0 {
		return documents(s.nb, s.nt, s.nt)
	}
	return documents(s.nb, s.nt, s.cuts...)
}

func (s attentionShape) set(d *draft) { d.data["documents"] = s.documents() }

var attentionShapes = []attentionShape{
	{1, 1, 1, 1, 1, nil}, {1, 2, 1, 1, 3, nil}, {2, 7, 2, 2, 4, nil}, {1, 15, 4, 2, 8, nil}, {1, 17, 3, 1, 5, []int{5, 1, 9}},
	{2, 16, 4, 4, 16, []int{16, 3}}, {1, 31, 2, 1, 33, nil}, {1, 33, 2, 1, 32, []int{20, 2}}, {2, 65, 2, 1, 8, []int{1, 30, 64}}, {1, 63, 6, 2, 16, []int{13}},
	{1, 129, 2, 2, 7, nil}, {1, 37, 2, 2, 80, []int{30, 7}}, {1, 24, 2, 1, 128, nil}, {3, 5, 2, 1, 64, []int{2}}, {1, 257, 1, 1, 4, []int{255}},
}

// modes are the ways of scoring.
var modes = []kernels.Attr{{}, {Window: 1}, {Window: 4}, {Window: 16}, {SoftCap: 2}, {SoftCap: 30, Window: 7}}

func mode(a kernels.Attr) string { return fmt.Sprintf("window %d cap %v", a.Window, a.SoftCap) }

func attentionCases(g *gen) {
	full := kernels.Attr{Scale: 0.5}
	for _, s := range attentionShapes {
		g.add(s.String(), full, s.dims(), s.set)
	}
	s := attentionShape{2, 19, 4, 2, 9, []int{7, 12, 3}}
	for _, at := range modes {
		at.Scale = 0.7
		g.add(mode(at), at, s.dims(), s.set)
	}
	g.eachType("types", full, s.dims(), s.set)
	g.eachType("strided", full, s.dims(), func(d *draft) {
		s.set(d)
		d.pad, d.offset = 30, 6
	})
	g.add("sharp scores", kernels.Attr{Scale: 40}, s.dims(), s.set)
	g.add("bf16 operands of 1e-8", full, s.dims(), func(d *draft) {
		s.set(d)
		d.act, d.scale = kernels.BF16, 1e-8
	})
	g.add("bf16 values of 1e5", full, s.dims(), func(d *draft) {
		s.set(d)
		d.act = kernels.BF16
		v := d.random("v", 2*19*2*9)
		for i := range v {
			v[i] *= 1e5
		}
		d.data["v"] = v
	})
	g.add("NaN stays in its query", full, s.dims(), func(d *draft) {
		s.set(d)
		d.with("q", map[int]float64{4*9 + 3: nan})
	})
	decodeCases(g)
	if g.long {
		s := attentionShape{1, 1024, 4, 2, 128, []int{700, 324}}
		g.add("a model", kernels.Attr{Scale: 0.088}, s.dims(), func(d *draft) {
			s.set(d)
			d.act = kernels.BF16
		})
	}
}

// decodeCases have fewer queries than keys: chunks of a prefill and single
// tokens over a cache whose unwritten rows are NaN.
func decodeCases(g *gen) {
	for _, c := range []struct {
		name           string
		nb, nt, ns     int
		rows           []float64
		first          []float64 // of each query's document
		window, nh, nk int
	}{
		{"decode, empty cache", 1, 1, 8, []float64{0}, []float64{0}, 0, 2, 2},
		{"decode", 1, 1, 40, []float64{32}, []float64{0}, 0, 4, 2},
		{"decode, full cache", 1, 1, 33, []float64{32}, []float64{0}, 0, 4, 1},
		{"decode, batch", 3, 1, 70, []float64{2, 69, 31}, []float64{0, 5, 31}, 0, 2, 1},
		{"decode, window", 2, 1, 70, []float64{2, 68}, []float64{0, 0}, 16, 2, 1},
		{"prefill of a chunk", 1, 7, 40, count(7, 20), repeat(7, 0), 0, 2, 1},
		{"prefill, window, document", 1, 5, 40, count(5, 30), repeat(5, 29), 4, 2, 1},
		{"nothing visible", 1, 3, 9, []float64{2, 3, 8}, []float64{4, 4, 4}, 0, 2, 1},
		{"row before the first", 1, 2, 9, []float64{-1, 0}, []float64{0, 0}, 0, 2, 1},
		{"row behind the last", 1, 2, 9, []float64{9, 20}, []float64{0, 4}, 0, 2, 1},
	} {
		at := kernels.Attr{Scale: 0.3, Window: c.window, Opt: kernels.WithRows}
		dims := sizes("B", c.nb, "T", c.nt, "S", c.ns, "H", c.nh, "K", c.nk, "D", 16)
		g.eachType(c.name, at, dims, func(d *draft) {
			d.data["rows"] = c.rows
			d.data["documents"] = append(append([]float64{}, c.first...), repeat(len(c.first), float64(c.ns))...)
			for _, port := range []string{"k", "v"} {
				d.data[port] = unwritten(d.random(port, c.nb*c.ns*c.nk*16), c.rows, c.nb, c.ns)
			}
		})
	}
}

// unwritten makes the rows of a cache (B, S, ...) past the last query NaN.
func unwritten(cache, rows []float64, nb, ns int) []float64 {
	row, nt := len(cache)/(nb*ns), len(rows)/nb
	for b := range nb {
		last := -1.0
		for _, r := range rows[b*nt : (b+1)*nt] {
			last = max(last, r)
		}
		for j := int(last) + 1; j < ns; j++ {
			copy(cache[(b*ns+j)*row:(b*ns+j+1)*row], repeat(row, nan))
		}
	}
	return cache
}

func attentionBwdCases(g *gen) {
	forward := func(s attentionShape) func(*draft) {
		return func(d *draft) {
			s.set(d)
			f := newDraft(kernels.Attention, d.attr, d.dims)
			f.name, f.act, f.scale = d.name, d.act, d.scale
			s.set(f)
			for _, port := range []string{"q", "k", "v"} {
				n := s.nb * s.nt * s.nk * s.nd
				if port == "q" {
					n = s.nb * s.nt * s.nh * s.nd
				}
				d.data[port] = d.random(port, n)
				f.data[port] = d.data[port]
			}
			r := f.results()
			d.data["o"], d.data["lse"] = r["o"], r["lse"]
		}
	}
	full := kernels.Attr{Scale: 0.5}
	for _, s := range attentionShapes {
		g.add(s.String(), full, s.dims(), forward(s))
	}
	s := attentionShape{2, 19, 4, 2, 9, []int{7, 12, 3}}
	for _, at := range modes {
		at.Scale = 0.7
		g.add(mode(at), at, s.dims(), forward(s))
	}
	g.eachType("types", full, s.dims(), forward(s))
	g.eachType("strided", full, s.dims(), func(d *draft) {
		forward(s)(d)
		d.pad, d.offset = 30, 6
	})
	g.add("bf16 operands of 1e-8", full, s.dims(), func(d *draft) {
		d.act, d.scale = kernels.BF16, 1e-8
		forward(s)(d)
	})
	g.add("bf16 gradients of 1e5", full, s.dims(), func(d *draft) {
		d.act = kernels.BF16
		forward(s)(d)
		d.data["do"] = d.random("do", 2*19*4*9)
		for i := range d.data["do"] {
			d.data["do"][i] *= 1e5
		}
	})
	g.add("NaN stays in its document", full, s.dims(), func(d *draft) {
		forward(s)(d)
		d.with("do", map[int]float64{4*9 + 3: nan})
	})
}

func softmaxCases(g *gen) {
	plain := kernels.Attr{Scale: 1}
	dims := func(b, h, t, s int) map[byte]int { return sizes("B", b, "H", h, "T", t, "S", s) }
	for _, n := range lengths {
		g.add(fmt.Sprintf("%d keys", n), plain, dims(1, 2, 3, n), nil)
	}
	g.eachType("types", kernels.Attr{Scale: 0.7, SoftCap: 3}, dims(2, 3, 5, 37), nil)
	s := attentionShape{2, 19, 3, 3, 1, []int{7, 12, 3}}
	for _, at := range modes {
		at.Scale, at.Opt = 0.7, kernels.WithDocuments
		g.add("documents, "+mode(at), at, dims(2, 3, 19, 19), s.set)
	}
	g.add("rows", kernels.Attr{Scale: 2, Opt: kernels.WithDocuments | kernels.WithRows}, dims(2, 2, 3, 33), func(d *draft) {
		d.data["documents"] = append([]float64{0, 0, 0, 10, 10, 10}, repeat(6, 33)...)
		d.data["rows"] = []float64{20, 21, 22, 9, 10, 32}
	})
	g.add("nothing visible", kernels.Attr{Scale: 2, Opt: kernels.WithDocuments | kernels.WithRows}, dims(1, 2, 2, 9), func(d *draft) {
		d.data["documents"], d.data["rows"] = []float64{4, 4, 9, 9}, []float64{-1, 3}
	})
	g.add("large and small scores", plain, dims(1, 1, 4, 17), func(d *draft) {
		d.data["x"] = append(append(repeat(17, 1e5, -1e5, 3), repeat(17, 1e-8)...), append(repeat(17, -1e5), repeat(17, 88, 89, -104)...)...)
	})
	g.add("-Inf and NaN", plain, dims(1, 1, 3, 17), func(d *draft) {
		d.with("x", map[int]float64{0: -inf, 3: -inf, 20: nan})
	})
	g.extremes(plain, dims(1, 2, 3, 33), func(d *draft) {
		if d.scale > 1 {
			d.scale = 1e2
		}
	})
}

func softmaxBwdCases(g *gen) {
	dims := func(b, h, t, s int) map[byte]int { return sizes("B", b, "H", h, "T", t, "S", s) }
	forward := func(d *draft) {
		f := newDraft(kernels.Softmax, d.attr, d.dims)
		f.act = d.act
		f.data["x"] = d.random("x", d.dims['B']*d.dims['H']*d.dims['T']*d.dims['S'])
		d.data["x"], d.data["p"] = f.data["x"], f.results()["p"]
	}
	for _, n := range lengths {
		g.add(fmt.Sprintf("%d keys", n), kernels.Attr{Scale: 1}, dims(1, 2, 3, n), forward)
	}
	g.eachType("types", kernels.Attr{Scale: 0.7}, dims(2, 3, 5, 37), forward)
	g.eachType("types, cap", kernels.Attr{Scale: 0.7, SoftCap: 3}, dims(2, 3, 5, 37), forward)
	g.extremes(kernels.Attr{Scale: 1}, dims(1, 2, 3, 33), func(d *draft) {
		scale := d.scale
		d.scale = 1
		forward(d)
		d.scale = scale
	})
	g.add("NaN stays in its row", kernels.Attr{Scale: 1}, dims(1, 1, 3, 17), func(d *draft) {
		forward(d)
		d.with("dp", map[int]float64{20: nan})
	})
}
