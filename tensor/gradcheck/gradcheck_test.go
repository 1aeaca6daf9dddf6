package gradcheck

import (
	"errors"
	"testing"

	"graft/kernels"
	"graft/kernels/ref"
	"graft/tensor"
)

// swiglu is a gated linear unit of two parameters.
func swiglu(g *tensor.Graph) (*tensor.Tensor, map[string]*tensor.Tensor) {
	p := map[string]*tensor.Tensor{"gate": g.Param("gate", kernels.F32, 2, 3), "up": g.Param("up", kernels.F32, 2, 3)}
	return g.GLU(p["gate"], p["up"], kernels.SiLU), p
}

var values = tensor.Values{"gate": []float32{-1, 0.5, 2, -0.3, 1.1, 0.2}, "up": []float32{0.7, -1.2, 0.4, 1.5, -0.6, 0.9}}

// TestNotices breaks the gradient of one operation in the oracle: the check must
// accept the whole one and refuse each broken one.
func TestNotices(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(dgate, dup []float64)
		ok    bool
	}{
		{"whole", func(dgate, dup []float64) {}, true},
		{"one gradient 1 % too large", func(dgate, dup []float64) { scale(dgate, 1.01) }, false},
		{"sign", func(dgate, dup []float64) { scale(dup, -1) }, false},
		{"lost", func(dgate, dup []float64) { scale(dup, 0) }, false},
		{"one element", func(dgate, dup []float64) { dup[4] += 0.05 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			be := ref.New(ref.Options{Eval: func(p *kernels.Program, in kernels.Instr, read func(kernels.View) []float64) ([]ref.Result, error) {
				out, err := ref.Eval(p, in, read)
				if err == nil && in.Op == kernels.GLUBwd {
					c.spoil(out[0].Exact, out[1].Exact)
				}
				return out, err
			}})
			defer be.Close()
			err := Check(be, swiglu, values, Options{})
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMismatch) {
				t.Errorf("got %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestMissingValues(t *testing.T) {
	be := ref.New(ref.Options{})
	defer be.Close()
	if err := Check(be, swiglu, tensor.Values{"gate": values["gate"]}, Options{}); err == nil {
		t.Error("a parameter without values was accepted")
	}
}

func scale(x []float64, by float64) {
	for i := range x {
		x[i] *= by
	}
}
