package tensor

import (
	"slices"

	"graft/kernels"
)

// region is a part of the graph whose values are computed again in the
// backward walk instead of being kept.
type region struct{ nodes []*node }

// Checkpoint runs fn, which adds operations, and marks them: a gradient that
// needs their intermediate values computes these again instead of keeping them
// (Chen et al. 2016). The gradient is the same to the bit. fn may not write
// parameters or outputs; regions do not nest.
func (g *Graph) Checkpoint(fn func()) {
	if g.err != nil {
		return
	}
	if g.region != nil {
		g.fail("checkpoint", "inside another")
		return
	}
	start := len(g.nodes)
	r := &region{}
	g.region = r
	fn()
	g.region = nil
	r.nodes = slices.Clone(g.nodes[start:])
	for _, n := range r.nodes {
		if n.instr == nil {
			continue
		}
		for _, v := range n.instr.Out {
			if s := g.prog.Slots[v.Slot]; s.Role != kernels.Temp {
				g.fail("checkpoint", "%v writes %v %q inside the region", n.instr.Op, s.Role, s.Name)
				return
			}
		}
	}
}

// recomputed returns the twin of a node in a checkpointed region, emitting the
// whole region again when the walk first meets it: by then every use outside
// has been visited, so the twins take over the gradients that have arrived.
// Twins that no gradient reads are dropped by Compile. It returns nil when no
// gradient has reached the region.
func (b *backward) recomputed(n *node) *node {
	twin := b.copies[n.region]
	if twin == nil {
		if !slices.ContainsFunc(n.region.nodes, b.reached) {
			return nil
		}
		twin = map[*Tensor]*Tensor{}
		b.copies[n.region] = twin
		for _, old := range n.region.nodes {
			b.emitAgain(old, twin)
		}
		for old, t := range twin {
			b.needs[t], b.grads[t] = b.needs[old], b.grads[old]
		}
	}
	return &node{instr: n.instr, vjp: n.vjp, in: mapped(n.in, twin), out: mapped(n.out, twin)}
}

func mapped(ts []*Tensor, twin map[*Tensor]*Tensor) []*Tensor {
	out := slices.Clone(ts)
	for i, t := range out {
		if c := twin[t]; c != nil {
			out[i] = c
		}
	}
	return out
}

func (b *backward) emitAgain(n *node, twin map[*Tensor]*Tensor) {
	in := mapped(n.in, twin)
	if n.instr == nil {
		old, base := n.out[0].view, n.in[0].view
		v := old
		v.Slot, v.Offset = in[0].view.Slot, old.Offset-base.Offset+in[0].view.Offset
		twin[n.out[0]] = &Tensor{g: b.g, view: v, node: n}
		return
	}
	out := make([]*Tensor, len(n.out))
	for i, t := range n.out {
		out[i] = b.g.temp(n.instr.Op, t.DType(), t.view.Shape)
		twin[t] = out[i]
	}
	b.g.emit(n.instr.Op, n.instr.Attr, in, out, nil)
}
