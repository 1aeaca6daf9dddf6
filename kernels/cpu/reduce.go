package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// reduction is a Reduce brought to a shape: for every output position, runs of
// x that are summed. Either the innermost axis is summed (width 1, an output
// is one number) or it is kept (an output is a row of width numbers).
type reduction struct {
	keep   runs // positions of outputs in x, in y's order
	sum    runs // positions that are summed
	width  int  // outputs of a position
	length int  // elements of x in a run
	step   int  // stride of x inside a run
	block  int  // positions of a block; elements where there is one position
	parts  int  // blocks
	work   int  // elements of a block
}

func newReduction(x, y operand) reduction {
	var kept, summed, ks, ss []int // sizes and strides of x
	rows := false                  // the innermost axis is kept
	for i, n := range x.shape {
		switch {
		case n == 1:
		case y.shape[i] == n:
			kept, ks, rows = append(kept, n), append(ks, x.stride[i]), true
		default:
			summed, ss, rows = append(summed, n), append(ss, x.stride[i]), false
		}
	}
	if rows {
		r := reduction{keep: newRuns(kept, ks), sum: newPositions(summed, ss)}
		r.width, r.length, r.step = r.keep.n, r.keep.n, r.keep.inner[0]
		r.block = max(64, grain/r.width)
		r.parts = blocks(r.sum.count, r.block)
		r.work = min(r.block, r.sum.count) * r.width
		return r
	}
	r := reduction{keep: newPositions(kept, ks), sum: newRuns(summed, ss), width: 1}
	r.length, r.step = r.sum.n, r.sum.inner[0]
	if r.sum.count == 1 {
		r.block = 2 * grain
		r.parts = blocks(r.length, r.block)
		r.work = min(r.block, r.length)
		return r
	}
	r.block = max(1, 2*grain/r.length)
	r.parts = blocks(r.sum.count, r.block)
	r.work = min(r.block, r.sum.count) * r.length
	return r
}

// lowerReduce sums blocks of a fixed number of terms, then the blocks in
// order.
func lowerReduce(b *builder, in kernels.Instr, _ kernels.Dims) {
	x, y := b.view(in.In[0]), b.view(in.Out[0])
	r := newReduction(x, y)
	outs := r.keep.count // positions
	isMax, beta, tier := in.Attr.Reduce == kernels.Max, in.Attr.Beta, b.tier
	name := "reduce_" + in.Attr.Reduce.String()
	part := b.temp(r.parts, outs*r.width)
	per := rowsPerTask(r.work)
	b.add(step{
		kernel: name, reads: []operand{x}, writes: []operand{part},
		tasks: blocks(outs, per) * r.parts, local: 2 * piece,
		bind: func(m *memory) task {
			xa, pa := m.array(x), m.array(part).f
			return func(t int, local []float32) {
				p := t % r.parts
				for o := t / r.parts * per; o < min((t/r.parts+1)*per, outs); o++ {
					dst := pa[(p*outs+o)*r.width:][:r.width]
					if r.width == 1 {
						dst[0] = r.scalar(xa, o, p, isMax, local)
					} else {
						r.row(dst, xa, o, p, isMax, local)
					}
				}
			}
		},
	})
	reads := []operand{part}
	if beta != 0 {
		reads = append(reads, y)
	}
	n := outs * r.width
	b.add(step{
		kernel: name + "_finish", reads: reads, writes: []operand{y}, tasks: blocks(n, grain), local: piece,
		bind: func(m *memory) task {
			pa, ya := m.array(part).f, m.array(y)
			return func(t int, local []float32) {
				to := min((t+1)*grain, n)
				for lo := t * grain; lo < to; lo += piece {
					k := min(piece, to-lo)
					acc := local[:k]
					copy(acc, pa[lo:lo+k])
					for p := 1; p < r.parts; p++ {
						combine(tier, acc, pa[p*n+lo:p*n+lo+k], isMax)
					}
					if beta != 0 {
						for i := range acc {
							acc[i] += beta * ya.at(lo+i)
						}
					}
					ya.store(lo, acc)
				}
			}
		},
	})
}

// combine is y = y . x, sum or max.
func combine(t *simd.Tier, y, x []float32, isMax bool) {
	if isMax {
		t.Max(y, y, x)
		return
	}
	t.Add(y, y, x)
}

// row reduces block p of output position o, a row of width numbers.
func (r *reduction) row(dst []float32, x *array, o, p int, isMax bool, local []float32) {
	base := r.keep.offset(0, o)
	for i := p * r.block; i < min((p+1)*r.block, r.sum.count); i++ {
		off := base + r.sum.offset(0, i)
		for lo := 0; lo < r.width; lo += piece {
			n := min(piece, r.width-lo)
			v := x.gather(off+lo*r.step, n, r.step, local)
			if i == p*r.block {
				copy(dst[lo:], v)
			} else {
				combine(x.tier, dst[lo:lo+n], v, isMax)
			}
		}
	}
}

// scalar reduces block p of output position o to one number.
func (r *reduction) scalar(x *array, o, p int, isMax bool, local []float32) float32 {
	base := r.keep.offset(0, o)
	first, end, from, to := p*r.block, min((p+1)*r.block, r.sum.count), 0, r.length
	if r.sum.count == 1 {
		first, end, from, to = 0, 1, p*r.block, min((p+1)*r.block, r.length)
	}
	var sum float64
	largest := negInf
	for i := first; i < end; i++ {
		off := base + r.sum.offset(0, i)
		for lo := from; lo < to; lo += piece {
			v := x.gather(off+lo*r.step, min(piece, to-lo), r.step, local)
			if isMax {
				largest = max(largest, x.tier.MaxOf(v)) // NaN if one is
			} else {
				sum += float64(x.tier.Sum(v))
			}
		}
	}
	if isMax {
		return largest
	}
	return float32(sum)
}
