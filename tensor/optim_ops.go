package tensor

import "graft/kernels"

// AdamW holds the constants of the optimizer. Learning rate and clipping norm
// are in the hyper block, since they change from step to step.
type AdamW struct {
	Beta1, Beta2 float64 // decay of the first and second moment
	Eps          float64 // added to the root of the second moment
	Decay        float64 // decoupled weight decay
}

// SumSq returns the sum of squares (1) of F32 memory.
func (g *Graph) SumSq(x *Tensor) *Tensor {
	if !g.ready("sum of squares", x) {
		return g.none()
	}
	s := g.temp(kernels.SumSq, kernels.F32, []int{1})
	g.emit(kernels.SumSq, kernels.Attr{}, []*Tensor{g.Reshape(x, x.Len())}, []*Tensor{s}, nil)
	return s
}

// Advance counts a step in the state block, a parameter of kernels.StateLen,
// from the step's loss and the sum of squares of its gradients; hyper has
// kernels.HyperLen elements. It decides whether the step is taken and how its
// gradients are scaled, and must come before the AdamW that reads state.
func (g *Graph) Advance(state, loss, sumsq, hyper *Tensor, a AdamW) {
	if !g.ready("advance", state, loss, sumsq, hyper) {
		return
	}
	at := kernels.Attr{Beta1: a.Beta1, Beta2: a.Beta2}
	g.emit(kernels.Advance, at, []*Tensor{g.Reshape(loss, 1), g.Reshape(sumsq, 1), hyper}, []*Tensor{state}, nil)
}

// AdamW updates weights w with moments m and v, all F32 parameters of equal
// length, by the gradient grad (Loshchilov and Hutter 2019). store, which may
// be nil, receives the weights in its own storage type.
func (g *Graph) AdamW(w, m, v, store, grad, hyper, state *Tensor, a AdamW) {
	in, out := []*Tensor{grad, hyper, state}, []*Tensor{w, m, v}
	at := kernels.Attr{Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Decay: a.Decay}
	if store != nil {
		out, at.Opt = append(out, store), kernels.WithStore
	}
	if g.ready("adamw", append(in, out...)...) {
		g.emit(kernels.AdamW, at, in, out, nil)
	}
}

// Zero fills a parameter with zeros.
func (g *Graph) Zero(x *Tensor) {
	if g.ready("zero", x) {
		g.emit(kernels.Fill, kernels.Attr{}, nil, []*Tensor{x}, nil)
	}
}
