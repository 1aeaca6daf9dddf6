package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// lowerSumSq sums blocks, then the blocks in order.
func lowerSumSq(b *builder, in kernels.Instr, d kernels.Dims) {
	x, s := b.view(in.In[0]), b.view(in.Out[0])
	n, beta := d.Get('M'), in.Attr.Beta
	const block = 2 * grain
	parts := blocks(n, block)
	part, tier := b.temp(parts), b.tier
	b.add(step{
		kernel: "sum_sq", reads: []operand{x}, writes: []operand{part}, tasks: parts,
		bind: func(m *memory) task {
			xf, pf := m.array(x).f, m.array(part).f
			return func(t int, _ []float32) {
				row := xf[t*block : min((t+1)*block, n)]
				pf[t] = tier.SumSq(row)
			}
		},
	})
	reads := []operand{part}
	if beta != 0 {
		reads = append(reads, s)
	}
	b.add(step{
		kernel: "sum_sq_finish", reads: reads, writes: []operand{s}, tasks: 1,
		bind: func(m *memory) task {
			pf, sf := m.array(part).f[:parts], m.array(s).f
			return func(int, []float32) {
				var sum float64
				for _, p := range pf {
					sum += float64(p)
				}
				if beta != 0 {
					sum += float64(beta) * float64(sf[0])
				}
				sf[0] = float32(sum)
			}
		},
	})
}

func lowerAdvance(b *builder, in kernels.Instr, _ kernels.Dims) {
	loss, sumsq, hyper, state := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0])
	beta1, beta2 := in.Attr.Beta1, in.Attr.Beta2
	b.add(step{
		kernel: "advance", reads: []operand{loss, sumsq, hyper, state}, writes: []operand{state}, tasks: 1,
		bind: func(m *memory) task {
			lf, sf, hf, st := m.array(loss).f, m.array(sumsq).f, m.array(hyper).f, m.array(state).f
			return func(int, []float32) {
				norm := math.Sqrt(float64(sf[0]))
				st[kernels.StateNorm], st[kernels.StateLoss] = float32(norm), lf[0]
				if !finite(norm) || !finite(float64(lf[0])) {
					st[kernels.StateSkipped]++
					st[kernels.StateApply] = 0
					return
				}
				st[kernels.StateStep]++
				st[kernels.StateBC1] = float32(beta1*float64(st[kernels.StateBC1]) + (1 - beta1))
				st[kernels.StateBC2] = float32(beta2*float64(st[kernels.StateBC2]) + (1 - beta2))
				clip := 1.0
				if most := float64(hf[kernels.HyperMaxNorm]); most != 0 {
					clip = min(1, most/(norm+1e-6))
				}
				st[kernels.StateClip] = float32(clip)
				st[kernels.StateApply] = 1
			}
		},
	})
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func lowerAdamW(b *builder, in kernels.Instr, d kernels.Dims) {
	grad, hyper, state := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2])
	w, mo, ve := b.view(in.Out[0]), b.view(in.Out[1]), b.view(in.Out[2])
	store, hasStore := b.out(in, "store")
	n, a := d.Get('M'), in.Attr
	s := step{
		kernel: "adamw", reads: []operand{grad, hyper, state, w, mo, ve}, writes: []operand{w, mo, ve}, tasks: blocks(n, grain),
	}
	if hasStore {
		s.reads, s.writes = append(s.reads, store), append(s.writes, store)
	}
	s.bind = func(m *memory) task {
		gf, hf, st := m.array(grad).f, m.array(hyper).f, m.array(state).f
		wf, mf, vf := m.array(w).f, m.array(mo).f, m.array(ve).f
		var sa *array
		if hasStore {
			sa = m.array(store)
		}
		return func(t int, _ []float32) {
			if st[kernels.StateApply] == 0 {
				return
			}
			lo, hi := t*grain, min((t+1)*grain, n)
			adamW(b.tier, wf[lo:hi], mf[lo:hi], vf[lo:hi], gf[lo:hi], hf, st, a)
			if hasStore {
				sa.store(lo, wf[lo:hi])
			}
		}
	}
	b.add(s)
}

// adamW updates a piece of the weights and moments.
func adamW(t *simd.Tier, w, m, v, g, hyper, state []float32, a kernels.Attr) {
	lr := float64(hyper[kernels.HyperLR])
	t.AdamW(w, m, v, g, state[kernels.StateClip],
		float32(a.Beta1), float32(1-a.Beta1), float32(a.Beta2), float32(1-a.Beta2),
		float32(1-lr*a.Decay), float32(lr/float64(state[kernels.StateBC1])),
		float32(1/float64(state[kernels.StateBC2])), float32(a.Eps))
}
