package tensor

import (
	"slices"

	"graft/kernels"
)

// vjp appends the vector-Jacobian product of a node: given the gradients of
// its outputs (b.of) it adds to those of its inputs (b.add and its kin). It
// must reach tensors through the node, never through a closure, since a
// checkpoint hands it a copy of the node.
type vjp func(b *backward, n *node)

// noGradient marks a function whose derivative is 0 wherever it exists.
func noGradient(*backward, *node) {}

// backward is one walk through the graph from the loss to the parameters.
type backward struct {
	g     *Graph
	needs map[*Tensor]bool
	grads map[*Tensor]*Tensor // of computed tensors, in their own type
	leafs map[*Tensor]*leaf   // of parameters and inputs, in F32
	// early holds gradients of h that LinearCEGrad made in the forward pass.
	early map[*node]*Tensor
	// copies maps tensors of a checkpointed region to their re-computed twins.
	copies map[*region]map[*Tensor]*Tensor
}

// leaf is the gradient of a tensor that no operation made.
type leaf struct {
	sum     *Tensor // F32
	started bool    // sum holds something
	owned   bool    // nobody else reads sum, so that kernels may add into it
}

// writable makes sum safe to add into.
func (l *leaf) writable(g *Graph) *Tensor {
	if !l.owned {
		l.sum, l.owned = g.Cast(l.sum, kernels.F32), true
	}
	return l.sum
}

// Grad appends the gradients of the sum of loss with respect to the given
// tensors and returns them: F32 for parameters and inputs, the tensor's own
// type for computed ones, zeros where the loss does not depend on it.
func (g *Graph) Grad(loss *Tensor, wrt ...*Tensor) []*Tensor {
	return g.GradInto(loss, wrt, make([]*Tensor, len(wrt)))
}

// GradInto is Grad, but adds the gradient of wrt[i] to into[i] where that is
// not nil: F32 memory, by Param or Part, with wrt[i]'s number of elements. Only
// parameters and inputs can be added into.
func (g *Graph) GradInto(loss *Tensor, wrt, into []*Tensor) []*Tensor {
	out := slices.Repeat([]*Tensor{g.none()}, len(wrt))
	if !g.ready("grad", append([]*Tensor{loss}, wrt...)...) {
		return out
	}
	if len(into) != len(wrt) {
		g.fail("grad", "%d tensors into %d", len(wrt), len(into))
		return out
	}
	b := &backward{g: g, needs: map[*Tensor]bool{}, grads: map[*Tensor]*Tensor{}, leafs: map[*Tensor]*leaf{},
		early: map[*node]*Tensor{}, copies: map[*region]map[*Tensor]*Tensor{}}
	for i, t := range wrt {
		b.want(t, into[i])
	}
	if g.err != nil {
		return out
	}
	b.walk(loss)
	for i, t := range wrt {
		out[i] = b.result(t)
	}
	return out
}

// want registers a tensor that a gradient is asked for.
func (b *backward) want(t, into *Tensor) {
	b.needs[t] = true
	if !t.DType().Float() {
		b.g.fail("grad", "with respect to %v", t.DType())
		return
	}
	if into != nil && (t.node != nil || into.node != nil || into.DType() != kernels.F32 || into.Len() != t.Len()) {
		b.g.fail("grad", "cannot add the gradient of shape %v into %v %v", t.view.Shape, into.DType(), into.view.Shape)
		return
	}
	if t.node != nil {
		return
	}
	l := &leaf{}
	if into != nil {
		// The same memory in the parameter's shape.
		l.sum = &Tensor{g: b.g, view: kernels.Dense(into.view.Slot, into.view.Offset, t.view.Shape...)}
		l.started, l.owned = true, true
	}
	b.leafs[t] = l
}

func (b *backward) walk(loss *Tensor) {
	g := b.g
	for _, n := range g.nodes {
		b.mark(n)
	}
	if !b.needs[loss] {
		return
	}
	g.differentiated = true
	g.Scope("grad", func() {
		b.fuseLosses(loss)
		nodes := g.nodes // what is appended from here on is the backward pass
		b.add(loss, g.Full(1, g.dtype(loss), loss.view.Shape...))
		for _, n := range slices.Backward(nodes[:len(nodes):len(nodes)]) {
			if g.err != nil {
				return
			}
			b.visit(n)
		}
	})
}

// mark spreads the need for a gradient from a node's inputs to its outputs.
func (b *backward) mark(n *node) {
	for _, x := range n.in {
		if b.needs[x] {
			for _, y := range n.out {
				b.needs[y] = true
			}
			return
		}
	}
}

func (b *backward) visit(n *node) {
	if n.region != nil {
		if n = b.recomputed(n); n == nil {
			return
		}
	}
	if !slices.ContainsFunc(n.in, func(t *Tensor) bool { return b.needs[t] }) || !b.reached(n) {
		return
	}
	if dh := b.early[n]; dh != nil {
		b.add(n.in[0], dh)
		return
	}
	if n.vjp == nil {
		op := "view"
		if n.instr != nil {
			op = n.instr.Op.String()
		}
		b.g.fail("grad", "%s has no gradient", op)
		return
	}
	n.vjp(b, n)
}

// reached reports whether a gradient has arrived at an output of the node.
func (b *backward) reached(n *node) bool {
	return slices.ContainsFunc(n.out, func(t *Tensor) bool { return b.grads[t] != nil })
}

// of is the gradient that has reached a computed tensor, nil if none has.
func (b *backward) of(t *Tensor) *Tensor { return b.grads[t] }

// add adds a contribution to the gradient of t, if anybody wants it. d has t's
// shape and type.
func (b *backward) add(t, d *Tensor) {
	if !b.needs[t] || d == nil || b.g.err != nil {
		return
	}
	if l := b.leafs[t]; l != nil {
		if d.DType() != kernels.F32 {
			d = b.g.Cast(d, kernels.F32)
		}
		if !l.started {
			l.sum, l.started = d, true
			return
		}
		if l.sum.node == nil {
			// A parameter's own memory: y and a may be the same view.
			b.g.emit(kernels.Binary, kernels.Attr{Binary: kernels.Add}, []*Tensor{l.sum, d}, []*Tensor{l.sum}, nil)
			return
		}
		l.sum, l.owned = b.g.Add(l.sum, d), true
		return
	}
	if old := b.grads[t]; old != nil {
		d = b.g.Add(old, d)
	}
	b.grads[t] = d
}

// zeros is a tensor like t, full of zeros.
func (b *backward) zeros(t *Tensor) *Tensor { return b.g.Full(0, t.DType(), t.view.Shape...) }

// destination is F32 memory that a kernel adds a gradient to.
type destination struct {
	to   *Tensor
	done func()
}

// accumulate gives memory for kernels that can only add: initialised, in t's
// shape. done must be called after the kernel.
func (b *backward) accumulate(t *Tensor) destination {
	if l := b.leafs[t]; l != nil {
		if !l.started {
			l.sum, l.started, l.owned = b.g.Full(0, kernels.F32, t.view.Shape...), true, true
		}
		return destination{l.writable(b.g), func() {}}
	}
	d := b.g.Full(0, kernels.F32, t.view.Shape...)
	return destination{d, func() { b.add(t, b.own(t, d)) }}
}

// own casts an F32 gradient to the type of a computed tensor.
func (b *backward) own(t, d *Tensor) *Tensor {
	if t.DType() == kernels.F32 {
		return d
	}
	return b.g.Cast(d, t.DType())
}

// matmul adds op(x) op(y) to the gradient of t: into the parameter's gradient
// directly, or fused with what has arrived before.
func (b *backward) matmul(t, x, y *Tensor, transX, transY bool) {
	if b.g.err != nil {
		return
	}
	at := kernels.Attr{Alpha: 1, TransA: transX, TransB: transY}
	x, y = b.g.rows(x), b.g.rows(y)
	if l := b.leafs[t]; l != nil {
		if !l.started {
			l.sum, l.started, l.owned = b.g.temp(kernels.MatMul, kernels.F32, t.view.Shape), true, true
		} else {
			l.writable(b.g)
			at.Beta = 1
		}
		b.g.emit(kernels.MatMul, at, []*Tensor{x, y}, []*Tensor{l.sum}, nil)
		return
	}
	in := []*Tensor{x, y}
	if old := b.grads[t]; old != nil {
		in, at.Opt = append(in, old), kernels.WithResidual
	}
	d := b.g.temp(kernels.MatMul, t.DType(), t.view.Shape)
	b.g.emit(kernels.MatMul, at, in, []*Tensor{d}, nil)
	b.grads[t] = d
}

// sum adds the sum of d over all but its last axis to the gradient of t (N).
func (b *backward) sum(t, d *Tensor) {
	d = b.g.Reshape(d, -1, d.Dim(-1))
	dst := b.accumulate(t)
	if b.g.err != nil {
		return
	}
	out := &Tensor{g: b.g, view: kernels.Dense(dst.to.view.Slot, dst.to.view.Offset, 1, t.Len())}
	b.g.emit(kernels.Reduce, kernels.Attr{Reduce: kernels.Sum, Beta: 1}, []*Tensor{d}, []*Tensor{out}, nil)
	dst.done()
}

// result is the finished gradient of a tensor that was asked for.
func (b *backward) result(t *Tensor) *Tensor {
	if b.g.err != nil {
		return b.g.none()
	}
	if l := b.leafs[t]; l != nil {
		if l.started {
			return l.sum
		}
		return b.g.Full(0, kernels.F32, t.view.Shape...)
	}
	if d := b.grads[t]; d != nil {
		return d
	}
	return b.zeros(t)
}
