package cpu

import "slices"

// cut is the part [lo, hi) of an axis.
func (o operand) cut(axis, lo, hi int) operand {
	o.shape = slices.Clone(o.shape)
	o.off += lo * o.stride[axis]
	o.shape[axis] = hi - lo
	return o
}

// part is the part [lo, hi) of the product along an axis of c that is not its
// last.
func (p product) part(axis, lo, hi int) product {
	rows := axis == len(p.c.shape)-2
	p.c = p.c.cut(axis, lo, hi)
	if p.residual != nil {
		r := p.residual.cut(axis, lo, hi)
		p.residual = &r
	}
	if !rows {
		p.b = p.b.cut(axis, lo, hi)
	}
	if rows && p.transA {
		axis++
	}
	p.a = p.a.cut(axis, lo, hi)
	return p
}

// partOfK is the product of [lo, hi) of k.
func (p product) partOfK(lo, hi int) product {
	r := len(p.c.shape) - 2
	ka, kb := r+1, r
	if p.transA {
		ka = r
	}
	if p.transB {
		kb = r + 1
	}
	p.a, p.b = p.a.cut(ka, lo, hi), p.b.cut(kb, lo, hi)
	return p
}

// packed adds the step that packs operands for all tiles, into scratch that
// the products of an instruction share: for each block of k panel by panel.
func (b *builder) packed(p product, g gemmShape) (pa, pb operand) {
	s := step{kernel: p.name + "_pack"}
	t := b.tier
	var sides []packing
	if g.packA {
		x := newPacking(g, g.m, t.MR, p.transA)
		pa = b.panels(0, x.padded*g.k)
		s.reads, s.writes = append(s.reads, p.a), append(s.writes, pa)
		sides = append(sides, x)
	}
	if g.packB {
		x := newPacking(g, g.n, t.NR, !p.transB)
		pb = b.panels(1, x.padded*g.k)
		s.reads, s.writes = append(s.reads, p.b), append(s.writes, pb)
		s.soon = b.early(p.b)
		sides = append(sides, x)
	}
	if sides == nil {
		return pa, pb
	}
	for _, x := range sides {
		s.tasks += x.groups * blocks(g.k, g.kc)
		s.local = max(s.local, 16*g.kc, 8*x.group)
	}
	s.bind = func(m *memory) task {
		x := bindGemm(m, p, g, t)
		x.bindPacked(m, pa, pb)
		return func(t int, local []float32) {
			i := 0
			if n := sides[0].groups * blocks(g.k, g.kc); t >= n {
				i, t = 1, t-n
			}
			x.pack(sides[i], i == 0 && g.packA, t, local)
		}
	}
	b.add(s)
	return pa, pb
}

// packing is how an operand is cut into tasks.
type packing struct {
	n, padded     int // rows of A or columns of B, and with those past the edge
	group, groups int // of a task, and tasks for each block of k
}

func newPacking(g gemmShape, n, w int, columns bool) packing {
	group := 96 // rows of memory, with a block of k in each
	if columns {
		group = 512 // elements of each row of memory
	}
	x := packing{n: n, padded: blocks(n, w) * w, group: blocks(group, w) * w}
	x.groups = blocks(n, x.group)
	return x
}

// panels is scratch for packed operand i of the instruction.
func (b *builder) panels(i, n int) operand {
	if o := &b.packs[i]; o.shape == nil || o.shape[0] < n {
		*o = b.temp(n)
	}
	return b.packs[i].cut(0, 0, n)
}

// pack packs a group of one block of k.
func (x *gemm) pack(s packing, isA bool, t int, local []float32) {
	k0, i0 := t/s.groups*x.kc, t%s.groups*s.group
	kc, n := min(x.kc, x.k-k0), min(s.group, s.n-i0)
	if isA {
		x.packA(x.pa[k0*s.padded+i0*kc:], 0, i0, n, k0, kc, local)
	} else {
		x.packB(x.pb[k0*s.padded+i0*kc:], 0, i0, n, k0, kc, local)
	}
}
