package vulkan

import "graft/kernels"

// lossRows is the number of tokens whose logits exist at once, by the shape alone. Each
// time head is read again, and dhead read and written: fewer than 256 tokens would keep a
// fast device waiting for memory, more than a thousand gain nothing. 2^26 logits are
// 256 MiB.
func lossRows(v int) int {
	rows := max(1, (1<<26)/v)
	for _, tile := range []int{128, 16} {
		if rows >= tile {
			rows = rows / tile * tile
			break
		}
	}
	return min(rows, 1024)
}

// expandLinearCE goes through the tokens of a LinearCE or LinearCEGrad in pieces: logits,
// losses and gradients of some tokens, what follows from those, then the next tokens in
// the same scratch (Hsu et al. 2024, Liger Kernel). The sums of dhead go over the tokens
// in order.
//
// Logits and their gradient dz are F32: rounding them to an activation's type would break
// the bound of the operation. On bf16 matrix cores dz has to go in two or three parts of 8
// bits of mantissa each.
func expandLinearCE(x *expansion) error {
	n, c, v := x.dims.Get('N'), x.dims.Get('C'), x.dims.Get('V')
	if err := x.narrow(max(c, v)); err != nil {
		return err
	}
	if scale, ok := kernels.In(x.in, "scale"); ok {
		if err := x.strided(scale); err != nil {
			return err
		}
	}
	h, head := x.in.In[0], x.in.In[1]
	dh, hasGrad := kernels.Out(x.in, "dh")
	dhead, hasDW := kernels.Out(x.in, "dhead")
	rows := min(lossRows(v), n)
	z := operand{at: x.take(int64(4*rows) * int64(v)), typ: kernels.F32, ld: v} // (rows, V)
	beta := x.in.Attr.Beta
	for at := 0; at < n; at += rows {
		k := min(rows, n-at)
		hk := x.matrix(part(h, at, k))
		x.gemm(gemm{m: k, n: v, k: c, a: hk, b: x.matrix(head), c: z, transB: true, alpha: 1})
		x.losses(z.at, at, k)
		if hasGrad {
			x.gemm(gemm{m: k, n: c, k: v, a: z, b: x.matrix(head), c: x.matrix(part(dh, at, k)), alpha: 1})
		}
		if hasDW {
			x.gemm(gemm{m: v, n: c, k: k, a: z, b: hk, c: x.matrix(dhead), transA: true, alpha: 1, beta: beta})
			beta = 1
		}
	}
	return nil
}

// part is the rows from at on of an operand of the instruction.
func part(v kernels.View, at, k int) kernels.View {
	v.Offset += at * v.Stride[0]
	v.Shape = append([]int{k}, v.Shape[1:]...)
	return v
}

// losses launches the kernel that makes losses of k rows of logits, those of the tokens
// from at on, and of the logits their gradients.
func (x *expansion) losses(logits place, at, k int) {
	v := x.dims.Get('V')
	targets, loss := part(x.in.In[2], at, k), part(x.in.Out[0], at, k)
	lse, hasLSE := kernels.Out(x.in, "lse")
	scale, grad := kernels.In(x.in, "scale")
	dz := logits.bytes(4 * k * v)
	reads, writes := []kernels.Span{dz, x.span(targets)}, []kernels.Span{x.span(loss)}
	atLSE, atScale, step := logits, logits, 0
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
	group := rowsOf(v).again()
	score, hasCap := scores(x.in.Attr)
	x.add(launch{kernel: "cross_entropy",
		spec:   append(group.spec(v), hasCap, uint32(kernels.F32), flag(hasLSE), flag(grad)),
		addrs:  []place{logits, x.at(targets, 0), x.at(loss, 0), atLSE, atScale, logits},
		words:  append([]uint32{uint32(k), uint32(v), uint32(step)}, score...),
		groups: linear(group.groups(k), 1),
		reads:  reads, writes: writes})
}
