package tensor

import (
	"slices"

	"graft/kernels"
)

// MatMul returns op(a) op(b) for a (..., M, K) and b (..., K, N) with equal
// leading axes. Sums are f32; the result has a's storage type.
func (g *Graph) MatMul(a, b *Tensor, flags ...Flag) *Tensor {
	return g.Linear(a, b, nil, nil, flags...)
}

// Linear returns op(a) op(b) + bias + residual; bias (N) and residual
// (..., M, N) may be nil. Both are added before the result is rounded.
func (g *Graph) Linear(a, b, bias, residual *Tensor, flags ...Flag) *Tensor {
	in := []*Tensor{a, b}
	at := kernels.Attr{Alpha: 1, TransA: has(flags, TransA), TransB: has(flags, TransB)}
	if bias != nil {
		in, at.Opt = append(in, bias), at.Opt|kernels.WithBias
	}
	if residual != nil {
		in, at.Opt = append(in, residual), at.Opt|kernels.WithResidual
	}
	if !g.ready("matmul", in...) {
		return g.none()
	}
	shape, ok := matmulShape(a.view.Shape, b.view.Shape, at)
	if !ok {
		return g.fail("matmul", "shapes do not fit: %v x %v (TransA %v, TransB %v)", a.view.Shape, b.view.Shape, at.TransA, at.TransB)
	}
	in[0], in[1] = g.rows(a), g.rows(b)
	c := g.temp(kernels.MatMul, g.dtype(a), shape)
	g.emit(kernels.MatMul, at, in, []*Tensor{c}, matmulBack)
	return c
}

// rows makes the last axis dense.
func (g *Graph) rows(x *Tensor) *Tensor {
	if s := x.view.Stride; len(s) > 0 && (s[len(s)-1] == 1 || x.view.Shape[len(s)-1] == 1) {
		return x
	}
	return g.Dense(x)
}

func matmulShape(a, b []int, at kernels.Attr) ([]int, bool) {
	r := len(a) - 2
	if r < 0 || len(b) != len(a) || !slices.Equal(a[:r], b[:r]) {
		return nil, false
	}
	m, ak, bk, n := a[r], a[r+1], b[r], b[r+1]
	if at.TransA {
		m, ak = ak, m
	}
	if at.TransB {
		bk, n = n, bk
	}
	return append(slices.Clone(a[:r]), m, n), ak == bk
}

// matmulBack: dA = dC B^T, dB = A^T dC, each in the storage order of its
// operand, so that no transposed copy is ever made.
func matmulBack(b *backward, n *node) {
	a, w, at, dc := n.in[0], n.in[1], n.instr.Attr, b.of(n.out[0])
	if b.needs[a] {
		if at.TransA {
			b.matmul(a, w, dc, at.TransB, true)
		} else {
			b.matmul(a, dc, w, false, !at.TransB)
		}
	}
	if b.needs[w] {
		if at.TransB {
			b.matmul(w, dc, a, true, at.TransA)
		} else {
			b.matmul(w, a, dc, !at.TransA, false)
		}
	}
	if at.Opt&kernels.WithBias != 0 {
		if bias := n.in[2]; b.needs[bias] {
			b.sum(bias, dc)
		}
	}
	if at.Opt&kernels.WithResidual != 0 {
		b.add(n.in[len(n.in)-1], dc)
	}
}
