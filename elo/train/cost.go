package train

import (
	"slices"

	"graft/kernels"
)

// Cost counts the multiplications and additions of matrix products, losses and
// attention in an optimizer step, recomputation included; element-wise work is
// left out, as is usual.
type Cost struct {
	Micro     float64 // of a micro-batch, without attention
	Attention []AttentionCost
}

// AttentionCost is that of the layers with one window.
type AttentionCost struct {
	Window int     // keys a query sees; 0 is all
	Pair   float64 // of a (query, key) pair that attention sees, over all those layers and heads
}

// FLOPs is the work of a step.
func (c Cost) FLOPs(m *Metrics) float64 {
	n := c.Micro * float64(m.Micro)
	for i, a := range c.Attention {
		n += a.Pair * float64(m.Pairs[i])
	}
	return n
}

// Cost is that of the trainer's steps.
func (t *Trainer) Cost() Cost { return t.cost }

// count adds up the program of a micro-batch.
func (t *Trainer) count() Cost {
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
			c.attention(in.Attr.Window, flops/all)
		} else {
			c.Micro += flops
		}
	}
	return c
}

func (c *Cost) attention(window int, pair float64) {
	i := slices.IndexFunc(c.Attention, func(a AttentionCost) bool { return a.Window == window })
	if i < 0 {
		i = len(c.Attention)
		c.Attention = append(c.Attention, AttentionCost{Window: window})
	}
	c.Attention[i].Pair += pair
}

// PerToken is the work for one token of full rows of one document each, where
// attention without a window sees (T + 1) / 2 keys on average.
func (t *Trainer) PerToken() float64 {
	c, T := t.cost, t.setup.SeqLen
	n := c.Micro / float64(t.setup.MicroBatch*T)
	for _, a := range c.Attention {
		n += a.Pair * meanKeys(T, a.Window)
	}
	return n
}

// meanKeys is what a query of a row of T sees on average: the first ones see
// their row, the others the window.
func meanKeys(T, window int) float64 {
	w := float64(T)
	if window > 0 {
		w = min(w, float64(window))
	}
	return w - w*(w-1)/2/float64(T)
}
