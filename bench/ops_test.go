package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/tensor"
)

func openDevice(b *testing.B) kernels.Backend {
	b.Helper()
	device := os.Getenv("GRAFT_DEVICE")
	if device == "" {
		device = "cpu"
	}
	be, err := kernels.Open(device)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := be.Close(); err != nil {
			b.Error(err)
		}
	})
	return be
}

// measure runs the program of a graph again and again. Its inputs are random
// numbers around zero; indices are zeros but for what set writes.
func measure(b *testing.B, g *tensor.Graph, set map[string][]int32) {
	b.Helper()
	be := openDevice(b)
	p, err := g.Compile()
	if err != nil {
		b.Fatal(err)
	}
	s := tensor.NewStore(be)
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := s.Declare(p); err != nil {
		b.Fatal(err)
	}
	if err := s.Alloc(); err != nil {
		b.Fatal(err)
	}
	ex, err := s.Compile(p)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i, slot := range p.Slots {
		if slot.Role != kernels.Input {
			continue
		}
		var v any
		if slot.DType == kernels.I32 {
			x := make([]int32, slot.Len())
			copy(x, set[slot.Name])
			v = x
		} else {
			x := make([]float32, slot.Len())
			for j := range x {
				x[j] = float32(0.2 * r.NormFloat64()) // logits of a model, not of noise: no subnormal numbers
			}
			v = x
		}
		data, err := tensor.Encode(slot, v)
		if err != nil {
			b.Fatal(err)
		}
		copy(ex.Input(kernels.SlotID(i)), data)
	}
	for b.Loop() {
		if err := ex.Run(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(work(b, p))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// work adds up the multiplications and additions of a program.
func work(b *testing.B, p *kernels.Program) (n int64) {
	for _, in := range p.Code {
		d, err := kernels.Check(p, in)
		if err != nil {
			b.Fatal(err)
		}
		n += kernels.CostOf(p, in, d).FLOPs
	}
	return n
}

func BenchmarkMatMul(b *testing.B) {
	for _, c := range []struct {
		name    string
		m, k, n int
	}{
		{"demo up", 512, 64, 172}, {"demo down", 512, 172, 64}, {"demo head", 512, 64, 512},
		{"square", 512, 512, 512}, {"smollm up", 512, 576, 1536}, {"decode", 1, 576, 1536},
	} {
		for _, t := range []struct {
			name  string
			flags []tensor.Flag
			a, b  []int
		}{
			{"nn", nil, []int{c.m, c.k}, []int{c.k, c.n}},
			{"nt", []tensor.Flag{tensor.TransB}, []int{c.m, c.k}, []int{c.n, c.k}},
			{"tn", []tensor.Flag{tensor.TransA}, []int{c.k, c.m}, []int{c.k, c.n}},
		} {
			for _, w := range []kernels.DType{kernels.F32, kernels.BF16} {
				b.Run(fmt.Sprintf("%s %s %v", c.name, t.name, w), func(b *testing.B) {
					g := tensor.New("matmul")
					g.Output("c", g.MatMul(g.Input("a", kernels.F32, t.a...), g.Input("b", w, t.b...), t.flags...))
					measure(b, g, nil)
				})
			}
		}
	}
}

// BenchmarkAttention counts all pairs, also those that the causal mask hides.
func BenchmarkAttention(b *testing.B) {
	for _, c := range []struct {
		name          string
		b, t, h, k, d int
	}{{"demo", 2, 256, 8, 4, 8}, {"smollm", 1, 512, 9, 3, 64}} {
		for _, backward := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s backward %v", c.name, backward), func(b *testing.B) {
				g := tensor.New("attention")
				q := g.Input("q", kernels.F32, c.b, c.t, c.h, c.d)
				k, v := g.Input("k", kernels.F32, c.b, c.t, c.k, c.d), g.Input("v", kernels.F32, c.b, c.t, c.k, c.d)
				o := g.Attention(q, k, v, tensor.Visible{Documents: g.Input("docs", kernels.I32, 2, c.b, c.t)}, 0.3, 0)
				g.Output("o", o)
				if backward {
					for i, d := range g.Grad(g.Sum(g.Mul(o, o)), q, k, v) {
						g.Output(fmt.Sprint("d", i), d)
					}
				}
				docs := make([]int32, 2*c.b*c.t) // one document a row: it begins at 0
				for i := range c.b * c.t {
					docs[c.b*c.t+i] = int32(c.t)
				}
				measure(b, g, map[string][]int32{"docs": docs})
			})
		}
	}
}

func BenchmarkLinearCE(b *testing.B) {
	for _, c := range []struct {
		name    string
		n, c, v int
	}{{"demo", 512, 64, 512}, {"smollm", 256, 576, 8192}} {
		for _, trained := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s head trained %v", c.name, trained), func(b *testing.B) {
				g := tensor.New("loss")
				h, head := g.Input("h", kernels.F32, c.n, c.c), g.Input("head", kernels.F32, c.v, c.c)
				loss := g.Sum(g.LinearCE(h, head, g.Input("targets", kernels.I32, c.n), 1, 0))
				wrt := []*tensor.Tensor{h}
				if trained {
					wrt = append(wrt, head)
				}
				for i, d := range g.Grad(loss, wrt...) {
					g.Output(fmt.Sprint("d", i), d)
				}
				measure(b, g, nil)
			})
		}
	}
}
