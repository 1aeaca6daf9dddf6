package train

import (
	"context"
	"slices"
	"strings"

	"graft/kernels"
)

// Timing is what one instruction of a step took, all its launches together.
type Timing struct {
	Op       kernels.Op
	Kernels  string // names of its kernels, in order, with + between
	Launches int
	Seconds  float64
	FLOPs    float64 // of the definition; of attention, for the pairs that were seen
	Bytes    float64 // every operand once
}

// Profile takes an optimizer step as Step does and times every instruction of its
// programs, in their order. Each launch runs alone, so the sum is more than what
// a step takes.
func (t *Trainer) Profile(ctx context.Context, s Source, lr, maxNorm float64, m *Metrics) ([]Timing, error) {
	var all []Timing
	err := t.step(ctx, s, lr, maxNorm, m, func(ctx context.Context, p *programs) error {
		launches, err := p.exec.Profile(ctx)
		if err == nil {
			all = append(all, t.timings(p.prog, launches, m)...)
		}
		return err
	})
	return all, err
}

// timings adds the launches of each instruction up.
func (t *Trainer) timings(p *kernels.Program, launches []kernels.Timing, m *Metrics) []Timing {
	all := make([]Timing, len(p.Code))
	for i, in := range p.Code {
		all[i].Op = in.Op
		if d, err := kernels.Check(p, in); err == nil { // else it would not have been compiled
			c := kernels.CostOf(p, in, d)
			all[i].FLOPs, all[i].Bytes = float64(c.FLOPs)*t.seen(in, m), float64(c.Bytes)
		}
	}
	for _, l := range launches {
		x := &all[l.Instr]
		x.Launches++
		x.Seconds += l.Seconds
		if !slices.Contains(strings.Split(x.Kernels, "+"), l.Kernel) {
			x.Kernels = strings.TrimPrefix(x.Kernels+"+"+l.Kernel, "+")
		}
	}
	return all
}

// seen is the share of all (query, key) pairs that an instruction of attention
// computes, 1 for other instructions.
func (t *Trainer) seen(in kernels.Instr, m *Metrics) float64 {
	if in.Op != kernels.Attention && in.Op != kernels.AttentionBwd {
		return 1
	}
	w := slices.IndexFunc(t.cost.Attention, func(a AttentionCost) bool { return a.Window == in.Attr.Window })
	return float64(m.Pairs[w]) / (float64(m.Micro*t.setup.MicroBatch) * float64(t.setup.SeqLen) * float64(t.setup.SeqLen))
}
