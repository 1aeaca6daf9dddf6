package train

import "graft/kernels"

// Cost counts the multiplications and additions of matrix products, losses and
// attention in an optimizer step, recomputation included; element-wise work is
// left out, as is usual.
type Cost struct {
	Micro float64 // of a micro-batch, without attention
	Pair  float64 // of a (query, key) pair that attention sees, over all layers and heads
}

// FLOPs is the work of a step.
func (c Cost) FLOPs(m *Metrics) float64 { return c.Micro*float64(m.Micro) + c.Pair*float64(m.Pairs) }

// Cost adds up the program of a micro-batch.
func (t *Trainer) Cost() Cost {
	var c Cost
	p := t.micro.prog
	all := float64(t.setup.MicroBatch) * float64(t.setup.SeqLen) * float64(t.setup.SeqLen)
	for _, in := range p.Code {
		switch in.Op {
		case kernels.MatMul, kernels.LinearCE, kernels.LinearCEGrad, kernels.Attention, kernels.AttentionBwd:
		default:
			continue
		}
		d, err := kernels.Check(p, in)
		if err != nil {
			continue // the program was validated when it was compiled
		}
		flops := float64(kernels.CostOf(p, in, d).FLOPs)
		if in.Op == kernels.Attention || in.Op == kernels.AttentionBwd {
			c.Pair += flops / all
		} else {
			c.Micro += flops
		}
	}
	return c
}

// PerToken is the work for one token of full rows of one document each, where
// attention sees (T + 1) / 2 keys on average.
func (t *Trainer) PerToken() float64 {
	c, s := t.Cost(), t.setup
	return c.Micro/float64(s.MicroBatch*s.SeqLen) + c.Pair*float64(s.SeqLen+1)/2
}
