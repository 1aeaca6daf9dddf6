package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// crossEntropyRow consumes a row of scores z = cap(Scale logits); it returns
// log sum exp and the loss, which is 0 for a target outside of the vocabulary.
func crossEntropyRow(t *simd.Tier, z []float32, largest float32, target int32) (loss, lse float32) {
	at := float32(0)
	if inRange(target, len(z)) {
		at = z[target]
	}
	tail := math.Log(float64(t.ExpSum(z, z, largest)))
	if math.IsInf(float64(largest), 0) {
		tail = 0
	}
	if inRange(target, len(z)) {
		// The difference is taken before rounding: it may be much smaller
		// than its parts.
		loss = float32(tail + (float64(largest) - float64(at)))
	}
	return loss, float32(float64(largest) + tail)
}

func lowerCrossEntropy(b *builder, in kernels.Instr, _ kernels.Dims) {
	b.crossEntropy("cross_entropy", b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0]), b.view(in.Out[1]), in.Attr)
}

// crossEntropy adds the step from logits to loss and lse.
func (b *builder) crossEntropy(name string, logits, targets, loss, lse operand, a kernels.Attr) {
	n, v := logits.dim(0), logits.dim(1)
	per := rowsPerTask(4 * v)
	b.add(step{
		kernel: name, reads: []operand{logits, targets}, writes: []operand{loss, lse}, tasks: blocks(n, per), local: 2 * v,
		bind: func(m *memory) task {
			xa, ta, la, sa := m.array(logits), m.array(targets).i, m.array(loss).f, m.array(lse).f
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					x := xa.load(i*v, v, local)
					z := local[v : 2*v]
					largest := scores(b.tier, z, x, a.Scale, a.SoftCap)
					la[i], sa[i] = crossEntropyRow(b.tier, z, largest, ta[i])
				}
			}
		},
	})
}

func lowerCrossEntropyBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	x, targets, lse, dloss := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.In[3])
	dx := b.view(in.Out[0])
	n, v := d.Get('N'), d.Get('V')
	per := rowsPerTask(4 * v)
	scale, softCap := in.Attr.Scale, in.Attr.SoftCap
	b.add(step{
		kernel: "cross_entropy_bwd", reads: []operand{x, targets, lse, dloss}, writes: []operand{dx},
		tasks: blocks(n, per), local: 3 * v,
		bind: func(m *memory) task {
			xa, ta, la, da, dxa := m.array(x), m.array(targets).i, m.array(lse).f, m.array(dloss).f, m.array(dx)
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					row := xa.load(i*v, v, local)
					dst, buf := dxa.dst(i*v, v, local[v:2*v]), local[2*v:3*v]
					lossGradRow(b.tier, dst, row, buf, ta[i], la[i], da[i*dloss.stride[0]], scale, softCap)
					dxa.store(i*v, dst)
				}
			}
		},
	})
}

// lossGradRow sets dx to g scale cap' (exp(z - lse) - onehot(target)), z =
// cap(scale x); zeros for an ignored target. dx may be x, but not buf, which
// is for as many scores.
func lossGradRow(t *simd.Tier, dx, x, buf []float32, target int32, lse, g, scale, softCap float32) {
	if !inRange(target, len(x)) {
		clear(dx)
		return
	}
	scores(t, buf, x, scale, softCap)
	t.ExpSum(buf, buf, lse)
	buf[target]--
	gradOfScores(t, dx, x, buf, g*scale, scale, softCap)
}

// gradOfScores sets dx to f p cap'(scale x). dx may be x.
func gradOfScores(t *simd.Tier, dx, x, p []float32, f, scale, softCap float32) {
	if softCap != 0 {
		t.CapSlope(p, x, scale/softCap)
	}
	t.Scale(dx, p, f)
}

// lossRows is the number of tokens whose logits are held at once.
func lossRows(n, v int) int {
	const most = 256
	const elements = 1 << 24 // 64 MiB
	return min(n, max(16, min(most, elements/v/16*16)))
}

// lowerLinearCE computes the logits of some tokens at a time.
func lowerLinearCE(b *builder, in kernels.Instr, d kernels.Dims) {
	h, head, targets := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2])
	loss, lse := b.view(in.Out[0]), b.view(in.Out[1])
	n, v := d.Get('N'), d.Get('V')
	rows := lossRows(n, v)
	z := b.temp(rows, v)
	for lo := 0; lo < n; lo += rows {
		hi := min(lo+rows, n)
		zc := z.rows(0, hi-lo)
		b.product(product{name: "linear_ce_logits", a: h.rows(lo, hi), b: head, c: zc, transB: true, alpha: 1})
		b.crossEntropy("linear_ce_loss", zc, targets.rows(lo, hi), loss.rows(lo, hi), lse.rows(lo, hi), in.Attr)
	}
}

// lowerLinearCEGrad does the same and turns the logits into their gradient
// before they are forgotten. dhead adds up over the chunks in order.
func lowerLinearCEGrad(b *builder, in kernels.Instr, d kernels.Dims) {
	h, head, targets, scale := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.In[3])
	loss, dh := b.view(in.Out[0]), b.view(in.Out[1])
	dhead, hasDW := b.out(in, "dhead")
	n, v := d.Get('N'), d.Get('V')
	rows := lossRows(n, v)
	z := b.temp(rows, v)
	beta := in.Attr.Beta
	for lo := 0; lo < n; lo += rows {
		hi := min(lo+rows, n)
		zc, hc := z.rows(0, hi-lo), h.rows(lo, hi)
		b.product(product{name: "linear_ce_logits", a: hc, b: head, c: zc, transB: true, alpha: 1})
		b.lossGrad(zc, targets.rows(lo, hi), scale.rows(lo, hi), loss.rows(lo, hi), in.Attr)
		b.product(product{name: "linear_ce_dh", a: zc, b: head, c: dh.rows(lo, hi), alpha: 1})
		if hasDW {
			b.product(product{name: "linear_ce_dhead", a: zc, b: hc, c: dhead, transA: true, alpha: 1, beta: beta})
			beta = 1
		}
	}
}

// lossGrad replaces logits by their gradient and gives the loss.
func (b *builder) lossGrad(z, targets, scale, loss operand, a kernels.Attr) {
	n, v := z.dim(0), z.dim(1)
	per := rowsPerTask(4 * v)
	b.add(step{
		kernel: "linear_ce_grad", reads: []operand{z, targets, scale}, writes: []operand{z, loss},
		tasks: blocks(n, per), local: v,
		bind: func(m *memory) task {
			za, ta, sa, la := m.array(z).f, m.array(targets).i, m.array(scale).f, m.array(loss).f
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					row := za[i*v : (i+1)*v]
					la[i] = lossGradInPlace(b.tier, row, local[:v], ta[i], sa[i*scale.stride[0]], a.Scale, a.SoftCap)
				}
			}
		},
	})
}

// lossGradInPlace turns logits x into their gradient, as lossGradRow does, and
// returns the loss. buf keeps the scores' exponentials, so that each is
// computed once.
func lossGradInPlace(t *simd.Tier, x, buf []float32, target int32, g, scale, softCap float32) (loss float32) {
	if !inRange(target, len(x)) {
		clear(x)
		return 0
	}
	largest := scores(t, buf, x, scale, softCap)
	at := buf[target]
	sum := t.ExpSum(buf, buf, largest)
	if math.IsInf(float64(largest), 0) {
		sum = 1
	}
	// exp(z) - sum onehot, over sum: the difference is taken once, where both
	// are known best.
	buf[target] -= sum
	gradOfScores(t, x, x, buf, g*scale/sum, scale, softCap)
	return float32(math.Log(float64(sum)) + (float64(largest) - float64(at)))
}
