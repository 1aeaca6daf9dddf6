package vulkan

import "graft/kernels"

// lossCut says how the operands of LinearCE and LinearCEGrad are cut.
type lossCut struct {
	rows  int // tokens whose logits exist at once
	vocab int // rows of head that a product's signed indices count
}

// lossCutOf cuts by the shape alone. Every cut of tokens reads head again, and reads and
// writes dhead: fewer than 256 tokens would keep a fast device waiting for memory, more
// than a thousand gain nothing. 2^26 logits are 256 MiB.
func lossCutOf(c, v int) lossCut {
	rows := max(1, (1<<26)/v)
	for _, tile := range []int{128, 16} {
		if rows >= tile {
			rows = rows / tile * tile
			break
		}
	}
	return lossCut{rows: min(rows, 1024), vocab: max(1, maxPiece/c)}
}

func expandLinearCE(x *expansion) error {
	return x.linearCE(lossCutOf(x.dims.Get('C'), x.dims.Get('V')))
}

// linearLoss is a LinearCE or LinearCEGrad on its way to launches: the logits of some
// tokens, their losses and gradients, what follows from those, then the next tokens in the
// same scratch (Hsu et al. 2024, Liger Kernel). The sums of dhead go over the tokens in
// order. Logits and their gradient are f32: rounding them to an activation's type would
// break the bound of the operation. On matrix cores, dz would have to go in two or three
// parts of 8 bits of mantissa each.
type linearLoss struct {
	x      *expansion
	cut    lossCut
	c, v   int
	logits place // (rows, V), f32
	parts  place // of dh, one (rows, C) for each cut of head; unused with one cut
	mark   int64 // scratch from here on is free for each product
	peak   int64
}

func (x *expansion) linearCE(cut lossCut) error {
	n := x.dims.Get('N')
	l := &linearLoss{x: x, cut: cut, c: x.dims.Get('C'), v: x.dims.Get('V')}
	if err := x.narrow(max(l.c, l.v)); err != nil {
		return err
	}
	if scale, ok := kernels.In(x.in, "scale"); ok {
		if err := x.strided(scale); err != nil {
			return err
		}
	}
	l.cut.rows = min(cut.rows, n)
	l.logits = x.take(int64(4*l.cut.rows) * int64(l.v))
	if _, grad := kernels.Out(x.in, "dh"); grad && l.cuts() > 1 {
		l.parts = x.take(int64(4*l.cuts()*l.cut.rows) * int64(l.c))
	}
	l.mark, l.peak = x.scratch, x.scratch
	for at := 0; at < n; at += l.cut.rows {
		l.tokens(at, min(l.cut.rows, n-at))
	}
	x.scratch = l.peak
	return nil
}

// cuts is the number of cuts of head.
func (l *linearLoss) cuts() int { return (l.v + l.cut.vocab - 1) / l.cut.vocab }

// eachCut calls f for the rows of head in each cut.
func (l *linearLoss) eachCut(f func(i, at, k int)) {
	for i := range l.cuts() {
		f(i, i*l.cut.vocab, min(l.cut.vocab, l.v-i*l.cut.vocab))
	}
}

// product appends a gemm. Its scratch lies where that of the others does.
func (l *linearLoss) product(g gemm) {
	l.x.scratch = l.mark
	l.x.gemm(g)
	l.peak = max(l.peak, l.x.scratch)
}

// part is the rows from at on of an operand of the instruction.
func part(v kernels.View, at, k int) kernels.View {
	v.Offset += at * v.Stride[0]
	v.Shape = append([]int{k}, v.Shape[1:]...)
	return v
}

// tokens launches for k tokens from at on.
func (l *linearLoss) tokens(at, k int) {
	x := l.x
	h, head := x.matrix(part(x.in.In[0], at, k)), x.in.In[1]
	z := func(v int) operand { // from column v on
		return operand{at: place{l.logits.slot, l.logits.offset + int64(4*v)}, typ: kernels.F32, ld: l.v}
	}
	l.eachCut(func(_, v, n int) {
		l.product(gemm{m: k, n: n, k: l.c, a: h, b: x.matrix(part(head, v, n)), c: z(v), transB: true, alpha: 1})
	})
	l.losses(at, k)

	if dh, grad := kernels.Out(x.in, "dh"); grad {
		l.inputs(x.matrix(part(dh, at, k)), k, z)
	}
	if dhead, ok := kernels.Out(x.in, "dhead"); ok {
		beta := float32(1)
		if at == 0 {
			beta = x.in.Attr.Beta
		}
		l.eachCut(func(_, v, n int) {
			l.product(gemm{m: n, n: l.c, k: k, a: z(v), b: h, c: x.matrix(part(dhead, v, n)), transA: true, alpha: 1, beta: beta})
		})
	}
}

// inputs launches dh = dz head, where dz has taken the place of the logits.
func (l *linearLoss) inputs(dh operand, k int, z func(v int) operand) {
	x, head := l.x, l.x.in.In[1]
	l.eachCut(func(i, v, n int) {
		to := dh
		if l.cuts() > 1 {
			to = operand{at: place{l.parts.slot, l.parts.offset + int64(4*i*k)*int64(l.c)}, typ: kernels.F32, ld: l.c}
		}
		l.product(gemm{m: k, n: l.c, k: n, a: z(v), b: x.matrix(part(head, v, n)), c: to, alpha: 1})
	})
	if l.cuts() > 1 {
		x.sumParts(partSums{at: l.parts, parts: l.cuts(), n: k * l.c, y: dh.at, typ: dh.typ})
	}
}

// losses launches the kernel that makes losses of k rows of logits, and of the logits
// their gradients.
func (l *linearLoss) losses(at, k int) {
	x := l.x
	targets, loss := part(x.in.In[2], at, k), part(x.in.Out[0], at, k)
	lse, hasLSE := kernels.Out(x.in, "lse")
	scale, grad := kernels.In(x.in, "scale")
	dz := l.logits.bytes(4 * k * l.v)
	reads, writes := []kernels.Span{dz, x.span(targets)}, []kernels.Span{x.span(loss)}
	atLSE, atScale, step := l.logits, l.logits, 0
	if hasLSE {
		lse = part(lse, at, k)
		atLSE = x.at(lse, 0)
		writes = append(writes, x.span(lse))
	}
	if grad {
		scale = part(scale, at, k)
		atScale, step = x.at(scale, 0), scale.Stride[0]
		reads, writes = append(reads, x.span(scale)), append(writes, dz)
	}
	group := rowsOf(l.v).again()
	score, hasCap := scores(x.in.Attr)
	x.add(launch{kernel: "cross_entropy",
		spec:   append(group.spec(l.v), hasCap, uint32(kernels.F32), flag(hasLSE), flag(grad)),
		addrs:  []place{l.logits, x.at(targets, 0), x.at(loss, 0), atLSE, atScale, l.logits},
		words:  append([]uint32{uint32(k), uint32(l.v), uint32(step)}, score...),
		groups: linear(group.groups(k), 1),
		reads:  reads, writes: writes})
}
