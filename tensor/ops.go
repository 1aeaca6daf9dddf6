package tensor

import (
	"slices"

	"graft/kernels"
)

// Flag modifies an operation.
type Flag uint8

// Flags of MatMul (TransA: a is stored as (K, M); TransB: b is stored as
// (N, K), as the weight of a linear layer is) and RMSNorm (PlusOne: multiply by
// 1 + w).
const (
	TransA Flag = 1 << iota
	TransB
	PlusOne
)

func has(flags []Flag, f Flag) bool { return slices.Contains(flags, f) }

// Full returns a constant tensor.
func (g *Graph) Full(value float32, dt kernels.DType, shape ...int) *Tensor {
	if !g.ready("full") {
		return g.none()
	}
	y := g.temp(kernels.Fill, dt, shape)
	g.emit(kernels.Fill, kernels.Attr{Alpha: value}, nil, []*Tensor{y}, nil)
	return y
}

// Cast returns a dense copy of x in another storage type.
func (g *Graph) Cast(x *Tensor, dt kernels.DType) *Tensor {
	if !g.ready("cast", x) {
		return g.none()
	}
	y := g.temp(kernels.Copy, dt, x.view.Shape)
	g.emit(kernels.Copy, kernels.Attr{}, []*Tensor{x}, []*Tensor{y}, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Cast(b.of(n.out[0]), n.in[0].DType()))
	})
	return y
}

// Write copies x into memory declared by Param or Part, casting.
func (g *Graph) Write(dst, x *Tensor) {
	if !g.ready("write", dst, x) {
		return
	}
	if dst.node != nil || !slices.Equal(dst.view.Shape, x.view.Shape) {
		g.fail("write", "%v into %v, want a parameter of equal shape", x.view.Shape, dst.view.Shape)
		return
	}
	g.emit(kernels.Copy, kernels.Attr{}, []*Tensor{x}, []*Tensor{dst}, nil)
}

func (g *Graph) unary(a kernels.Attr, x *Tensor, back vjp) *Tensor {
	if !g.ready(a.Unary.String(), x) {
		return g.none()
	}
	x = g.Dense(x)
	y := g.temp(kernels.Unary, g.dtype(x), x.view.Shape)
	g.emit(kernels.Unary, a, []*Tensor{x}, []*Tensor{y}, back)
	return y
}

// Affine returns alpha x + beta.
func (g *Graph) Affine(x *Tensor, alpha, beta float32) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Affine, Alpha: alpha, Beta: beta}, x, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Affine(b.of(n.out[0]), n.instr.Attr.Alpha, 0))
	})
}

// Exp returns e^x.
func (g *Graph) Exp(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Exp}, x, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Mul(b.of(n.out[0]), n.out[0]))
	})
}

// Log returns the natural logarithm.
func (g *Graph) Log(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Log}, x, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Div(b.of(n.out[0]), n.in[0]))
	})
}

// Sqrt returns the square root.
func (g *Graph) Sqrt(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Sqrt}, x, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Div(b.g.Affine(b.of(n.out[0]), 0.5, 0), n.out[0]))
	})
}

// Recip returns 1 / x.
func (g *Graph) Recip(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Recip}, x, func(b *backward, n *node) {
		y := n.out[0]
		b.add(n.in[0], b.g.Affine(b.g.Mul(b.of(y), b.g.Mul(y, y)), -1, 0))
	})
}

// Tanh returns the hyperbolic tangent.
func (g *Graph) Tanh(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Tanh}, x, func(b *backward, n *node) {
		y := n.out[0]
		b.add(n.in[0], b.g.Mul(b.of(y), b.g.Affine(b.g.Mul(y, y), -1, 1)))
	})
}

// Sigmoid returns 1 / (1 + e^-x).
func (g *Graph) Sigmoid(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Sigmoid}, x, func(b *backward, n *node) {
		y := n.out[0]
		b.add(n.in[0], b.g.Mul(b.of(y), b.g.Mul(y, b.g.Affine(y, -1, 1))))
	})
}

// ReLU returns max(x, 0); its gradient at 0 is 0.
func (g *Graph) ReLU(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.ReLU}, x, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Mul(b.of(n.out[0]), b.g.Step(n.in[0])))
	})
}

// Step returns 1 where x > 0 and else 0. Its gradient is 0.
func (g *Graph) Step(x *Tensor) *Tensor {
	return g.unary(kernels.Attr{Unary: kernels.Step}, x, noGradient)
}

func (g *Graph) binary(k kernels.BinaryKind, x, y *Tensor, back vjp) *Tensor {
	if !g.ready(k.String(), x, y) {
		return g.none()
	}
	shape, ok := commonShape(x.view.Shape, y.view.Shape)
	if !ok {
		return g.fail(k.String(), "shapes do not broadcast: %v and %v", x.view.Shape, y.view.Shape)
	}
	x, y = g.Broadcast(x, shape...), g.Broadcast(y, shape...)
	z := g.temp(kernels.Binary, g.dtype(x), shape)
	g.emit(kernels.Binary, kernels.Attr{Binary: k}, []*Tensor{x, y}, []*Tensor{z}, back)
	return z
}

// commonShape is the shape that both broadcast to.
func commonShape(a, b []int) ([]int, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, n := range b {
		j := len(a) - len(b) + i
		switch {
		case n == out[j] || n == 1:
		case out[j] == 1:
			out[j] = n
		default:
			return nil, false
		}
	}
	return out, true
}

// Add returns x + y, broadcast.
func (g *Graph) Add(x, y *Tensor) *Tensor {
	return g.binary(kernels.Add, x, y, func(b *backward, n *node) {
		b.add(n.in[0], b.of(n.out[0]))
		b.add(n.in[1], b.of(n.out[0]))
	})
}

// Sub returns x - y, broadcast.
func (g *Graph) Sub(x, y *Tensor) *Tensor {
	return g.binary(kernels.Sub, x, y, func(b *backward, n *node) {
		b.add(n.in[0], b.of(n.out[0]))
		if b.needs[n.in[1]] {
			b.add(n.in[1], b.g.Affine(b.of(n.out[0]), -1, 0))
		}
	})
}

// Mul returns x * y, element by element, broadcast.
func (g *Graph) Mul(x, y *Tensor) *Tensor {
	return g.binary(kernels.Mul, x, y, func(b *backward, n *node) {
		for i := range 2 {
			if b.needs[n.in[i]] {
				b.add(n.in[i], b.g.Mul(b.of(n.out[0]), n.in[1-i]))
			}
		}
	})
}

// Div returns x / y, element by element, broadcast.
func (g *Graph) Div(x, y *Tensor) *Tensor {
	return g.binary(kernels.Div, x, y, func(b *backward, n *node) {
		dx := b.g.Div(b.of(n.out[0]), n.in[1])
		b.add(n.in[0], dx)
		if b.needs[n.in[1]] {
			b.add(n.in[1], b.g.Affine(b.g.Mul(dx, n.out[0]), -1, 0))
		}
	})
}

// Equal returns 1 where x == y and else 0. Its gradient is 0.
func (g *Graph) Equal(x, y *Tensor) *Tensor { return g.binary(kernels.Equal, x, y, noGradient) }

func (g *Graph) reduce(k kernels.ReduceKind, x *Tensor, shape []int, dt kernels.DType) *Tensor {
	y := g.temp(kernels.Reduce, dt, shape)
	back := func(b *backward, n *node) {
		x, y := n.in[0], n.out[0]
		d := b.g.Broadcast(b.g.Cast(b.of(y), x.DType()), x.view.Shape...)
		if n.instr.Attr.Reduce == kernels.Max {
			// Elements that tie share the gradient, as in PyTorch's amax.
			hit := b.g.Equal(x, b.g.Cast(y, x.DType()))
			ties := b.g.reduce(kernels.Sum, hit, y.view.Shape, x.DType())
			d = b.g.Div(b.g.Mul(d, hit), ties)
		}
		b.add(x, b.g.Dense(d))
	}
	g.emit(kernels.Reduce, kernels.Attr{Reduce: k}, []*Tensor{x}, []*Tensor{y}, back)
	return y
}

// reduced gives x's shape with size 1 on the given axes, on all without any.
func (g *Graph) reduced(op string, x *Tensor, axes []int) ([]int, bool) {
	shape := slices.Clone(x.view.Shape)
	for i := range shape {
		if len(axes) == 0 {
			shape[i] = 1
		}
	}
	for _, a := range axes {
		if a < 0 {
			a += len(shape)
		}
		if a < 0 || a >= len(shape) {
			g.fail(op, "axes %v of shape %v", axes, x.view.Shape)
			return nil, false
		}
		shape[a] = 1
	}
	return shape, true
}

// Sum adds over the given axes, over all without any; they keep size 1. The
// sum is stored as F32.
func (g *Graph) Sum(x *Tensor, axes ...int) *Tensor {
	if !g.ready("sum", x) {
		return g.none()
	}
	shape, ok := g.reduced("sum", x, axes)
	if !ok {
		return g.none()
	}
	return g.reduce(kernels.Sum, x, shape, kernels.F32)
}

// Mean is Sum divided by the number of elements summed.
func (g *Graph) Mean(x *Tensor, axes ...int) *Tensor {
	s := g.Sum(x, axes...)
	if g.err != nil {
		return s
	}
	return g.Affine(s, float32(s.Len())/float32(x.Len()), 0)
}

// Max takes the largest over the given axes, over all without any; they keep
// size 1.
func (g *Graph) Max(x *Tensor, axes ...int) *Tensor {
	if !g.ready("max", x) {
		return g.none()
	}
	shape, ok := g.reduced("max", x, axes)
	if !ok {
		return g.none()
	}
	return g.reduce(kernels.Max, x, shape, g.dtype(x))
}

// AddSum adds the sum of x to the one element of dst, a parameter.
func (g *Graph) AddSum(dst, x *Tensor) {
	if !g.ready("add sum", dst, x) {
		return
	}
	ones := slices.Repeat([]int{1}, len(x.view.Shape))
	if dst.node != nil || dst.Len() != 1 {
		g.fail("add sum", "into shape %v, want a parameter with one element", dst.view.Shape)
		return
	}
	out := &Tensor{g: g, view: kernels.Dense(dst.view.Slot, dst.view.Offset, ones...)}
	g.emit(kernels.Reduce, kernels.Attr{Reduce: kernels.Sum, Beta: 1}, []*Tensor{x}, []*Tensor{out}, nil)
}

// Gather returns rows of x (R, C): y[n] = x[ids[n]], zeros where ids[n] is not
// a row. It has no gradient; Embed has.
func (g *Graph) Gather(x, ids *Tensor) *Tensor {
	if !g.ready("gather", x, ids) {
		return g.none()
	}
	y := g.temp(kernels.Gather, g.dtype(x), []int{ids.Len(), x.Dim(-1)})
	g.emit(kernels.Gather, kernels.Attr{}, []*Tensor{x, ids}, []*Tensor{y}, nil)
	return y
}

// PutRows writes x (N, C) into rows ids of dst (R, C), a parameter. Ids that
// are no rows are ignored.
func (g *Graph) PutRows(dst, x, ids *Tensor) {
	if !g.ready("put rows", dst, x, ids) {
		return
	}
	if dst.node != nil {
		g.fail("put rows", "destination is not a parameter")
		return
	}
	g.emit(kernels.PutRows, kernels.Attr{}, []*Tensor{x, ids}, []*Tensor{dst}, nil)
}
