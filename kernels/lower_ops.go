package kernels

import "math"

// normWeight is w in F32, or 1 + w.
func (b *Lowering) normWeight(in Instr) View {
	w := b.f32(in.In[1])
	if in.Attr.PlusOne {
		w = b.affine(w, 1, 1)
	}
	return w
}

func plainRMSNorm(b *Lowering, in Instr, d Dims) {
	n, c := d.Get('N'), d.Get('C')
	x := b.f32(in.In[0])
	if r, ok := In(in, "residual"); ok {
		x = b.add(x, b.f32(r))
	}
	ms := b.rowSum(b.mul(x, x))
	rstd := b.unary(Recip, b.unary(Sqrt, b.affine(ms, 1/float32(c), float32(in.Attr.Eps))))
	y := b.mul(b.mul(x, perRow(rstd, n, c)), perColumn(b.normWeight(in), n, c))
	// Outputs last: they may be the same memory as the inputs.
	if s, ok := Out(in, "sum"); ok {
		b.store(s, x)
	}
	b.store(in.Out[0], y)
	b.store(in.Out[1], reshaped(rstd, n))
}

func plainRMSNormBwd(b *Lowering, in Instr, d Dims) {
	n, c := d.Get('N'), d.Get('C')
	x, dy := b.f32(in.In[0]), b.f32(in.In[3])
	rstd := perRow(in.In[2], n, c)
	xhat := b.mul(x, rstd)
	g := b.mul(dy, perColumn(b.normWeight(in), n, c))
	mean := b.affine(b.rowSum(b.mul(g, xhat)), 1/float32(c), 0)
	dx := b.mul(b.binary(Sub, g, b.mul(xhat, perRow(mean, n, c))), rstd)
	if s, ok := In(in, "dsum"); ok {
		dx = b.add(dx, b.f32(s))
	}
	if dw, ok := Out(in, "dw"); ok {
		b.emit(Reduce, Attr{Reduce: Sum, Beta: in.Attr.Beta}, []View{reshaped(dw, 1, c)}, b.mul(dy, xhat))
	}
	b.store(in.Out[0], dx)
}

// activation gives act(g) and its derivative.
func (b *Lowering) activation(k Activation, g View) (act, der View) {
	if k == SiLU {
		s := b.unary(Sigmoid, g)
		der = b.mul(s, b.affine(b.mul(g, b.affine(s, -1, 1)), 1, 1)) // s (1 + g (1 - s))
		return b.mul(g, s), der
	}
	const a = 0.044715
	k0 := float32(math.Sqrt(2 / math.Pi))
	g2 := b.mul(g, g)
	t := b.unary(Tanh, b.mul(g, b.affine(g2, k0*a, k0)))
	half := b.affine(t, 0.5, 0.5)                                              // (1 + t) / 2
	slope := b.mul(b.affine(b.mul(t, t), -0.5, 0.5), b.affine(g2, 3*k0*a, k0)) // (1 - t^2) / 2 * inner'
	return b.mul(g, half), b.add(half, b.mul(g, slope))
}

func plainGLU(b *Lowering, in Instr, _ Dims) {
	gate, up := b.f32(in.In[0]), b.f32(in.In[1])
	act, _ := b.activation(in.Attr.Act, gate)
	b.store(in.Out[0], b.mul(act, up))
}

func plainGLUBwd(b *Lowering, in Instr, _ Dims) {
	gate, up, dy := b.f32(in.In[0]), b.f32(in.In[1]), b.f32(in.In[2])
	act, der := b.activation(in.Attr.Act, gate)
	dgate, dup := b.mul(b.mul(dy, up), der), b.mul(dy, act)
	b.store(in.Out[0], dgate)
	b.store(in.Out[1], dup)
}

// byHead turns (B, T, K*G, D) into (B, K, G, T, D); group < 0 keeps all G, else
// only that one, as (B, K, T, D).
func byHead(v View, kv, group int) View {
	g := v.Shape[2] / kv
	w := View{Slot: v.Slot, Offset: v.Offset,
		Shape:  []int{v.Shape[0], kv, g, v.Shape[1], v.Shape[3]},
		Stride: []int{v.Stride[0], v.Stride[2] * g, v.Stride[2], v.Stride[1], v.Stride[3]}}
	return pick(w, group)
}

// pick drops axis 2, choosing index group; group < 0 keeps the axis.
func pick(v View, group int) View {
	if group < 0 {
		return v
	}
	return View{Slot: v.Slot, Offset: v.Offset + group*v.Stride[2],
		Shape:  append(append([]int{}, v.Shape[:2]...), v.Shape[3:]...),
		Stride: append(append([]int{}, v.Stride[:2]...), v.Stride[3:]...)}
}

// repeated gives axis 2 of size g and stride 0 to a view (B, K, 1, S, D).
func repeated(v View, g int) View {
	v.Shape = append([]int{}, v.Shape...)
	v.Stride = append([]int{}, v.Stride...)
	v.Shape[2], v.Stride[2] = g, 0
	return v
}

// scores emits s = q k^T as (B, K, G, T, S), and p and lse from it.
func (b *Lowering) scores(in Instr, d Dims, lse View) (s, p View) {
	nb, nk, ng, nt, ns := d.Get('B'), d.Get('K'), d.Get('H')/d.Get('K'), d.Get('T'), d.Get('S')
	s = b.temp(nb, nk, ng, nt, ns)
	b.emit(MatMul, Attr{Alpha: 1, TransB: true}, []View{s},
		byHead(in.In[0], nk, -1), repeated(byHead(in.In[1], nk, -1), ng))
	p = b.temp(nb, nk, ng, nt, ns)
	a := Attr{Scale: in.Attr.Scale, Window: in.Attr.Window, SoftCap: in.Attr.SoftCap, Opt: WithDocuments | in.Attr.Opt&WithRows}
	rows := []View{reshaped(s, nb, nk*ng, nt, ns), in.In[3]}
	if r, ok := In(in, "rows"); ok {
		rows = append(rows, r)
	}
	b.emit(Softmax, a, []View{reshaped(p, nb, nk*ng, nt, ns), lse}, rows...)
	return s, p
}

func plainAttention(b *Lowering, in Instr, d Dims) {
	_, p := b.scores(in, d, in.Out[1])
	nk, ng := d.Get('K'), d.Get('H')/d.Get('K')
	b.emit(MatMul, Attr{Alpha: 1}, []View{byHead(in.Out[0], nk, -1)}, p, repeated(byHead(in.In[2], nk, -1), ng))
}

func plainAttentionBwd(b *Lowering, in Instr, d Dims) {
	nb, nk, ng, nt, ns := d.Get('B'), d.Get('K'), d.Get('H')/d.Get('K'), d.Get('T'), d.Get('S')
	s, p := b.scores(in, d, b.temp(nb, nk*ng, nt))
	q, do := in.In[0], in.In[6]
	dp := b.temp(nb, nk, ng, nt, ns)
	b.emit(MatMul, Attr{Alpha: 1, TransB: true}, []View{dp},
		byHead(do, nk, -1), repeated(byHead(in.In[2], nk, -1), ng))
	ds := b.temp(nb, nk, ng, nt, ns)
	flat := func(v View) View { return reshaped(v, nb, nk*ng, nt, ns) }
	b.emit(SoftmaxBwd, Attr{Scale: in.Attr.Scale, SoftCap: in.Attr.SoftCap}, []View{flat(ds)}, flat(s), flat(p), flat(dp))
	b.emit(MatMul, Attr{Alpha: 1}, []View{byHead(in.Out[0], nk, -1)}, ds, repeated(byHead(in.In[1], nk, -1), ng))
	dk, dv := b.temp(in.Out[1].Shape...), b.temp(in.Out[2].Shape...)
	for g := range ng {
		a := Attr{Alpha: 1, TransA: true}
		if g > 0 {
			a.Beta = 1
		}
		b.emit(MatMul, a, []View{byHead(dk, nk, 0)}, pick(ds, g), byHead(q, nk, g))
		b.emit(MatMul, a, []View{byHead(dv, nk, 0)}, pick(p, g), byHead(do, nk, g))
	}
	b.store(in.Out[1], dk)
	b.store(in.Out[2], dv)
}

// logits emits h head^T as (N, V).
func (b *Lowering) logits(in Instr, d Dims) View {
	z := b.temp(d.Get('N'), d.Get('V'))
	b.emit(MatMul, Attr{Alpha: 1, TransB: true}, []View{z}, in.In[0], in.In[1])
	return z
}

func plainLinearCE(b *Lowering, in Instr, d Dims) {
	a := Attr{Scale: in.Attr.Scale, SoftCap: in.Attr.SoftCap}
	b.emit(CrossEntropy, a, []View{in.Out[0], in.Out[1]}, b.logits(in, d), in.In[2])
}

func plainLinearCEGrad(b *Lowering, in Instr, d Dims) {
	a := Attr{Scale: in.Attr.Scale, SoftCap: in.Attr.SoftCap}
	z, lse := b.logits(in, d), b.temp(d.Get('N'))
	b.emit(CrossEntropy, a, []View{in.Out[0], lse}, z, in.In[2])
	dz := b.temp(z.Shape...)
	b.emit(CrossEntropyBwd, a, []View{dz}, z, in.In[2], lse, in.In[3])
	b.emit(MatMul, Attr{Alpha: 1}, []View{in.Out[1]}, dz, in.In[1])
	if dw, ok := Out(in, "dhead"); ok {
		b.emit(MatMul, Attr{Alpha: 1, TransA: true, Beta: in.Attr.Beta}, []View{dw}, dz, in.In[0])
	}
}
