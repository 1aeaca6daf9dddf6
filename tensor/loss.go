package tensor

import (
	"slices"

	"graft/kernels"
)

// linearCEBack recomputes the logits. It is emitted only where fuseLosses could
// not make the gradient in the forward pass.
func linearCEBack(b *backward, n *node) {
	b.linearCEGrad(n, b.g.temp(kernels.LinearCE, kernels.F32, n.out[0].view.Shape), b.of(n.out[0]), func(dh *Tensor) {
		b.add(n.in[0], dh)
	})
}

// linearCEGrad emits loss and gradients of a LinearCE node, times scale (N). The
// walk passes over what it emits: the node itself hands dh on.
func (b *backward) linearCEGrad(n *node, loss, scale *Tensor, use func(dh *Tensor)) {
	h, head, at := n.in[0], n.in[1], n.instr.Attr
	dh := b.g.temp(kernels.LinearCEGrad, h.DType(), h.view.Shape)
	in, out := []*Tensor{h, head, n.in[2], scale}, []*Tensor{loss, dh}
	if !b.needs[head] {
		b.g.emit(kernels.LinearCEGrad, at, in, out, noGradient)
		use(dh)
		return
	}
	dst := b.accumulate(head)
	at.Opt, at.Beta = kernels.WithDW, 1
	b.g.emit(kernels.LinearCEGrad, at, in, append(out, dst.to), noGradient)
	use(dh)
	dst.done()
}

// fuseLosses replaces LinearCE by LinearCEGrad, which makes the gradient while
// the logits are at hand, wherever the factor between the losses and the root
// is known before the LinearCE runs.
func (b *backward) fuseLosses(root *Tensor) {
	users := b.usersTowards(root)
	for i := 0; i < len(b.g.nodes); i++ {
		n := b.g.nodes[i]
		if n.instr == nil || n.instr.Op != kernels.LinearCE || n.replaced || n.region != nil || !b.needs[n.in[0]] || b.needs[n.in[1]] && b.leafs[n.in[1]] == nil {
			continue
		}
		f, ok := b.factor(i, n.out[0], root, users)
		if !ok {
			continue
		}
		i += b.fuseLoss(i, n, f)
	}
}

// factors are what a loss is multiplied by on its way to the root.
type factors struct {
	alpha float32
	by    []*Tensor
}

// fuseLoss swaps node i for its fused form and returns how many nodes that
// added.
func (b *backward) fuseLoss(i int, n *node, f factors) int {
	g := b.g
	tail := g.nodes[i+1:]
	g.nodes = slices.Clone(g.nodes[:i])
	before := len(g.nodes)
	N := n.out[0].Len()
	var scale *Tensor
	for _, t := range f.by {
		if t = g.cast32(t); t.Len() == 1 {
			t = g.Reshape(t, 1)
		} else {
			t = g.Reshape(t, N)
		}
		if scale == nil {
			scale = t
		} else {
			scale = g.Mul(scale, t)
		}
	}
	switch {
	case scale == nil:
		scale = g.Full(f.alpha, kernels.F32, 1)
	case f.alpha != 1:
		scale = g.Affine(scale, f.alpha, 0)
	}
	scale = g.Broadcast(scale, N)
	loss := n.out[0]
	b.linearCEGrad(n, loss, scale, func(dh *Tensor) { b.early[n] = dh })
	// n stays as the place in the walk where dh is handed on.
	n.replaced = true
	g.nodes = append(g.nodes, n)
	added := len(g.nodes) - before - 1
	g.nodes = append(g.nodes, tail...)
	return added
}

// cast32 is x as F32, x itself if it is.
func (g *Graph) cast32(x *Tensor) *Tensor {
	if !g.ready("cast", x) || g.dtype(x) == kernels.F32 {
		return x
	}
	return g.Cast(x, kernels.F32)
}

// usersTowards lists, for each tensor, the nodes that use it on a way to root.
func (b *backward) usersTowards(root *Tensor) map[*Tensor][]*node {
	reaches := map[*Tensor]bool{root: true}
	users := map[*Tensor][]*node{}
	for _, n := range slices.Backward(b.g.nodes) {
		if !slices.ContainsFunc(n.out, func(t *Tensor) bool { return reaches[t] }) {
			continue
		}
		for _, x := range n.in {
			reaches[x] = true
			users[x] = append(users[x], n)
		}
	}
	return users
}

// factor follows the losses t of node i to the root through sums and factors
// that are known before node i.
func (b *backward) factor(i int, t, root *Tensor, users map[*Tensor][]*node) (factors, bool) {
	f := factors{alpha: 1}
	for t != root {
		if len(users[t]) != 1 {
			return f, false
		}
		n := users[t][0]
		if n.region != nil || len(n.out) != 1 {
			return f, false
		}
		if n.instr == nil { // a view: only those that keep the order and number
			if n.out[0].Len() != t.Len() || !n.out[0].view.IsDense() {
				return f, false
			}
		} else if !b.linear(i, n, t, &f) {
			return f, false
		}
		t = n.out[0]
	}
	return f, root.Len() == 1
}

// linear takes one instruction on the way: a sum to one element, an affine map,
// a product with something known, or an addition of something else.
func (b *backward) linear(i int, n *node, t *Tensor, f *factors) bool {
	at, y := n.instr.Attr, n.out[0]
	switch n.instr.Op {
	case kernels.Reduce:
		return at.Reduce == kernels.Sum && y.Len() == 1
	case kernels.Unary:
		f.alpha *= at.Alpha
		return at.Unary == kernels.Affine
	case kernels.Binary:
		other := 0
		if n.in[0] == t {
			other = 1
		}
		if n.in[0] == n.in[1] || n.in[1-other] != t {
			return false
		}
		switch at.Binary {
		case kernels.Add:
			return true
		case kernels.Sub:
			if other == 0 {
				f.alpha = -f.alpha
			}
			return true
		case kernels.Mul:
			x := n.in[other]
			if known := !b.needs[x] && b.knownBefore(i, x); !known {
				return false
			}
			if repeated(x.view) {
				x = &Tensor{g: b.g, view: kernels.Dense(x.view.Slot, x.view.Offset, 1)}
			}
			f.by = append(f.by, x)
			return x.view.IsDense()
		}
	}
	return false
}

// repeated reports whether a view shows one element again and again.
func repeated(v kernels.View) bool {
	_, hi := v.Extent()
	return hi == v.Offset+1
}

// knownBefore reports whether a tensor has its value before node i runs.
func (b *backward) knownBefore(i int, t *Tensor) bool {
	role := b.g.prog.Slots[t.view.Slot].Role
	if role == kernels.Input {
		return true
	}
	for j, n := range b.g.nodes {
		if n.instr == nil || !slices.ContainsFunc(n.instr.Out, func(v kernels.View) bool { return v.Slot == t.view.Slot }) {
			continue
		}
		if j >= i {
			return false
		}
	}
	return true
}
