package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// lossBlock is the number of scores of a row that are worked on at once: they stay in
// the first cache, and a row comes from memory once.
const lossBlock = 2048

// lossRow is a row of logits x, of which the scores cap(scale x) are softmax's.
type lossRow struct {
	tier           *simd.Tier
	x              []float32
	scale, softCap float32
}

// score is the score of logit i. buf is for one.
func (r lossRow) score(i int, buf []float32) float32 {
	return scores(r.tier, buf[:1], r.x[i:i+1], r.scale, r.softCap)
}

// exponentials goes through the row block by block and returns the largest score, NaN
// if any is, and sum exp(score - largest), which says nothing where the largest is
// infinite. e is for a block.
//
// If most is not nil, e keeps the exponentials of the whole row, those of block b as
// exp(score - most[b]), the largest up to that block. e may be x where there is no cap.
func (r lossRow) exponentials(e, most []float32) (largest float32, sum float64) {
	largest = negInf
	for b, at := 0, 0; at < len(r.x); b, at = b+1, at+lossBlock {
		end := min(at+lossBlock, len(r.x))
		z := e[:end-at]
		if most != nil {
			z = e[at:end]
		}
		s, a, m := scored(r.tier, z, r.x[at:end], r.scale, r.softCap)
		if m = max(m, largest); m != largest {
			sum *= math.Exp(float64(largest) - float64(m))
			largest = m
		}
		part := float32(0)
		if most != nil {
			most[b] = largest
			part = r.tier.ExpSum(z, s, a, largest)
		} else {
			part = r.tier.SumExp(s, a, largest)
		}
		if !math.IsInf(float64(largest), 0) {
			sum += float64(part)
		}
	}
	return largest, sum
}

// loss returns log sum exp of the scores and the loss, which is 0 for a target outside
// of the vocabulary. buf is for lossBlock elements.
func (r lossRow) loss(buf []float32, target int32) (loss, lse float32) {
	largest, sum := r.exponentials(buf, nil)
	tail := tailOf(largest, sum)
	if inRange(target, len(r.x)) {
		loss = lossOf(largest, tail, r.score(int(target), buf))
	}
	return loss, float32(float64(largest) + tail)
}

// tailOf is log sum exp less the largest score.
func tailOf(largest float32, sum float64) float64 {
	if math.IsInf(float64(largest), 0) {
		return 0
	}
	return math.Log(sum)
}

// lossOf takes the difference before rounding: it may be much smaller than its parts.
func lossOf(largest float32, tail float64, at float32) float32 {
	return float32(tail + (float64(largest) - float64(at)))
}

func lowerCrossEntropy(b *builder, in kernels.Instr, _ kernels.Dims) {
	b.crossEntropy("cross_entropy", b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0]), b.view(in.Out[1]), in.Attr)
}

// crossEntropy adds the step from logits to loss and lse.
func (b *builder) crossEntropy(name string, logits, targets, loss, lse operand, a kernels.Attr) {
	n, v := logits.dim(0), logits.dim(1)
	per := rowsPerTask(4 * v)
	b.add(step{
		kernel: name, reads: []operand{logits, targets}, writes: []operand{loss, lse}, tasks: blocks(n, per), local: v + lossBlock,
		bind: func(m *memory) task {
			xa, ta, la, sa := m.array(logits), m.array(targets).i, m.array(loss).f, m.array(lse).f
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					x := xa.load(i*v, v, local)
					r := lossRow{b.tier, x, a.Scale, a.SoftCap}
					la[i], sa[i] = r.loss(local[v:], ta[i])
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
		tasks: blocks(n, per), local: 2*v + lossBlock,
		bind: func(m *memory) task {
			xa, ta, la, da, dxa := m.array(x), m.array(targets).i, m.array(lse).f, m.array(dloss).f, m.array(dx)
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					row := xa.load(i*v, v, local)
					dst := dxa.dst(i*v, v, local[v:2*v])
					lossRow{b.tier, row, scale, softCap}.gradient(dst, local[2*v:], ta[i], la[i], da[i*dloss.stride[0]])
					dxa.store(i*v, dst)
				}
			}
		},
	})
}

// gradient sets dx to g scale cap' (exp(score - lse) - onehot(target)); zeros for an
// ignored target. dx may be x; buf is for lossBlock elements.
func (r lossRow) gradient(dx, buf []float32, target int32, lse, g float32) {
	if !inRange(target, len(r.x)) {
		clear(dx)
		return
	}
	for at := 0; at < len(r.x); at += lossBlock {
		end := min(at+lossBlock, len(r.x))
		x, p := r.x[at:end], buf[:end-at]
		if r.softCap == 0 {
			r.tier.ExpSum(p, x, r.scale, lse)
		} else {
			scores(r.tier, p, x, r.scale, r.softCap)
			r.tier.ExpSum(p, p, 1, lse)
		}
		if i := int(target) - at; i >= 0 && i < len(p) {
			p[i]--
		}
		r.slope(dx[at:end], x, p, g*r.scale)
	}
}

// slope sets dx to f p cap'(scale x). dx may be x or p.
func (r lossRow) slope(dx, x, p []float32, f float32) {
	if r.softCap != 0 {
		r.tier.CapSlope(p, x, r.scale/r.softCap)
	}
	r.tier.Scale(dx, p, f)
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
		tasks: blocks(n, per), local: v + blocks(v, lossBlock) + 1,
		bind: func(m *memory) task {
			za, ta, sa, la := m.array(z).f, m.array(targets).i, m.array(scale).f, m.array(loss).f
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					row := za[i*v : (i+1)*v]
					r := lossRow{b.tier, row, a.Scale, a.SoftCap}
					la[i] = r.gradientInPlace(local[:v], local[v:], ta[i], sa[i*scale.stride[0]])
				}
			}
		},
	})
}

// gradientInPlace turns the logits into their gradient, as gradient does, and returns
// the loss. Each exponential is computed once. buf is as long as the row, and most has an
// element for each of its blocks and another.
func (r lossRow) gradientInPlace(buf, most []float32, target int32, g float32) (loss float32) {
	if !inRange(target, len(r.x)) {
		clear(r.x)
		return 0
	}
	e := r.x
	if r.softCap != 0 { // the slope of the cap takes the logits
		e = buf
	}
	at := r.score(int(target), buf)
	largest, sum := r.exponentials(e, most)
	if math.IsInf(float64(largest), 0) {
		sum = 1
	}
	f := float64(g*r.scale) / sum
	// exp(z) - sum onehot, over sum: the difference is taken once, where both are
	// known best.
	t := int(target)
	own := most[len(most)-1:]
	for b, i := 0, 0; i < len(r.x); b, i = b+1, i+lossBlock {
		x, p := r.x[i:min(i+lossBlock, len(r.x))], e[i:min(i+lossBlock, len(r.x))]
		if most[b] == negInf && largest != negInf {
			clear(p) // of what is 0, exp(-Inf + Inf) was kept
		}
		s := share(most[b], largest)
		if b == t/lossBlock {
			own[0] = float32(float64(p[t-i])*s - sum)
			r.slope(own, r.x[t:t+1], own, float32(f))
		}
		r.slope(x, x, p, float32(f*s))
	}
	r.x[t] = own[0]
	return lossOf(largest, tailOf(largest, sum), at)
}

// share is exp(most - largest), 1 where both are the same infinity.
func share(most, largest float32) float64 {
	if most == largest {
		return 1
	}
	return math.Exp(float64(most) - float64(largest))
}
