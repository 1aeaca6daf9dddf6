package tensor

import (
	"slices"

	"graft/kernels"
)

// viewNode appends a view of x: another tensor on the same memory.
func (g *Graph) viewNode(x *Tensor, v kernels.View, back vjp) *Tensor {
	y := &Tensor{g: g, view: v}
	n := &node{in: []*Tensor{x}, out: []*Tensor{y}, vjp: back, region: g.region}
	y.node = n
	g.nodes = append(g.nodes, n)
	return y
}

// Dense returns x, or a copy of it when its elements are not contiguous.
func (g *Graph) Dense(x *Tensor) *Tensor {
	if !g.ready("dense", x) || x.view.IsDense() {
		return x
	}
	return g.Cast(x, g.dtype(x))
}

// Reshape gives the elements of x, in order, another shape. One size may be -1.
// A copy is made when x is not dense.
func (g *Graph) Reshape(x *Tensor, shape ...int) *Tensor {
	if !g.ready("reshape", x) {
		return g.none()
	}
	shape, ok := resolve(shape, x.Len())
	if !ok {
		return g.fail("reshape", "%v has %d elements, want shape %v", x.view.Shape, x.Len(), shape)
	}
	if slices.Equal(shape, x.view.Shape) {
		return x
	}
	x = g.Dense(x)
	return g.viewNode(x, kernels.Dense(x.view.Slot, x.view.Offset, shape...), func(b *backward, n *node) {
		b.add(n.in[0], b.g.Reshape(b.of(n.out[0]), n.in[0].view.Shape...))
	})
}

// resolve fills in a size of -1 so that the shape has n elements.
func resolve(shape []int, n int) ([]int, bool) {
	shape, hole, known := slices.Clone(shape), -1, 1
	for i, d := range shape {
		switch {
		case d == -1 && hole < 0:
			hole = i
		case d <= 0:
			return shape, false
		default:
			known *= d
		}
	}
	if hole >= 0 && n%known == 0 {
		shape[hole] = n / known
		known = n
	}
	return shape, known == n
}

// Permute reorders the axes: axis i of the result is axis order[i] of x.
func (g *Graph) Permute(x *Tensor, order ...int) *Tensor {
	if !g.ready("permute", x) {
		return g.none()
	}
	r := len(x.view.Shape)
	v := kernels.View{Slot: x.view.Slot, Offset: x.view.Offset, Shape: make([]int, r), Stride: make([]int, r)}
	back := make([]int, r)
	sorted := slices.Sorted(slices.Values(order))
	for i := range sorted {
		if len(order) != r || sorted[i] != i {
			return g.fail("permute", "order %v for shape %v", order, x.view.Shape)
		}
	}
	if len(order) != r {
		return g.fail("permute", "order %v for shape %v", order, x.view.Shape)
	}
	for i, a := range order {
		v.Shape[i], v.Stride[i], back[a] = x.view.Shape[a], x.view.Stride[a], i
	}
	return g.viewNode(x, v, func(b *backward, n *node) {
		b.add(n.in[0], b.g.Dense(b.g.Permute(b.of(n.out[0]), back...)))
	})
}

// Slice takes indices [lo, hi) of one axis.
func (g *Graph) Slice(x *Tensor, axis, lo, hi int) *Tensor {
	if !g.ready("slice", x) {
		return g.none()
	}
	if axis < 0 || axis >= len(x.view.Shape) || lo < 0 || hi <= lo || hi > x.view.Shape[axis] {
		return g.fail("slice", "[%d, %d) of axis %d of shape %v", lo, hi, axis, x.view.Shape)
	}
	return g.viewNode(x, sliced(x.view, axis, lo, hi), func(b *backward, n *node) {
		x := n.in[0]
		dx := b.zeros(x)
		part := &Tensor{g: b.g, view: sliced(dx.view, axis, lo, hi)}
		b.g.emit(kernels.Copy, kernels.Attr{}, []*Tensor{b.of(n.out[0])}, []*Tensor{part}, nil)
		b.add(x, dx)
	})
}

func sliced(v kernels.View, axis, lo, hi int) kernels.View {
	v.Shape = slices.Clone(v.Shape)
	v.Shape[axis] = hi - lo
	v.Offset += lo * v.Stride[axis]
	return v
}

// Part is a dense array of the given shape inside the flat parameter x,
// starting at element offset. It is a parameter of its own: gradients are
// taken for the part, never for x.
func (g *Graph) Part(x *Tensor, offset int, shape ...int) *Tensor {
	if !g.ready("part", x) {
		return g.none()
	}
	v := kernels.Dense(x.view.Slot, x.view.Offset+offset, shape...)
	if x.node != nil || !x.view.IsDense() || offset < 0 || offset+v.Len() > x.Len() {
		return g.fail("part", "%d elements at %d of a parameter with %d", v.Len(), offset, x.Len())
	}
	return &Tensor{g: g, view: v}
}

// Broadcast repeats x to the given shape: sizes are matched from the last axis
// on, and axes of size 1 and missing ones repeat.
func (g *Graph) Broadcast(x *Tensor, shape ...int) *Tensor {
	if !g.ready("broadcast", x) || slices.Equal(x.view.Shape, shape) {
		return x
	}
	v, ok := broadcast(x.view, shape)
	if !ok {
		return g.fail("broadcast", "%v does not broadcast to %v", x.view.Shape, shape)
	}
	return g.viewNode(x, v, func(b *backward, n *node) {
		b.add(n.in[0], b.g.sumTo(b.of(n.out[0]), n.in[0].view.Shape))
	})
}

func broadcast(v kernels.View, shape []int) (kernels.View, bool) {
	miss := len(shape) - len(v.Shape)
	if miss < 0 {
		return v, false
	}
	w := kernels.View{Slot: v.Slot, Offset: v.Offset, Shape: slices.Clone(shape), Stride: make([]int, len(shape))}
	for i, n := range v.Shape {
		switch n {
		case shape[miss+i]:
			w.Stride[miss+i] = v.Stride[i]
		case 1:
		default:
			return v, false
		}
	}
	return w, true
}

// sumTo sums a broadcast gradient back to the shape it was repeated from.
func (g *Graph) sumTo(x *Tensor, shape []int) *Tensor {
	ones := append(slices.Repeat([]int{1}, len(x.view.Shape)-len(shape)), shape...)
	return g.Reshape(g.reduce(kernels.Sum, x, ones, g.dtype(x)), shape...)
}
