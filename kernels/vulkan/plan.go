package vulkan

import (
	"fmt"
	"slices"

	"graft/kernels"
	"graft/kernels/plan"
)

// Plan expands the program into dispatches and places its temporaries.
func (b *Backend) Plan(p *kernels.Program) (kernels.Plan, error) {
	if err := p.Validate(); err != nil {
		return kernels.Plan{}, fmt.Errorf("vulkan: %w", err)
	}
	caps := b.Caps()
	if err := caps.Fits(p); err != nil {
		return kernels.Plan{}, err
	}
	expansions, scratch, err := expand(b.target(), p)
	if err != nil {
		return kernels.Plan{}, err
	}
	mem, err := plan.Memory(p, plan.Options{Align: caps.Align, Piece: caps.MaxBuffer, Scratch: scratch})
	if err != nil {
		return kernels.Plan{}, fmt.Errorf("vulkan: %w", err)
	}
	pl := kernels.Plan{Offsets: mem.Offsets, TempBytes: mem.Bytes, Scratch: mem.ScratchBytes}
	for i, x := range expansions {
		for part, l := range x.launches {
			pl.Dispatches = append(pl.Dispatches, kernels.Dispatch{Instr: i, Part: part, Kernel: l.kernel,
				Reads: shifted(l.reads, mem.Scratch[i]), Writes: shifted(l.writes, mem.Scratch[i])})
		}
	}
	pl.Groups = plan.Barriers(p, pl.Dispatches, pl.Offsets)
	if _, n := placeIO(p, caps, func(kernels.SlotID) bool { return false }); n > 0 {
		pl.IOBytes = caps.BufferBytes(n)
	}
	if !b.unified {
		pl.HostBytes = pl.IOBytes // their mirror
	}
	return pl, nil
}

// expand turns every instruction into launches and lists their scratch.
func expand(t target, p *kernels.Program) (xs []*expansion, scratch []int64, err error) {
	for i, in := range p.Code {
		x, err := expandInstr(t, p, i, in)
		if err != nil {
			return nil, nil, fmt.Errorf("%w (%s, instruction %d)", err, p.Name, i)
		}
		xs = append(xs, x)
		scratch = append(scratch, x.scratch)
	}
	return xs, scratch, nil
}

// shifted moves the spans in scratch to where the instruction's scratch lies.
func shifted(spans []kernels.Span, by int64) []kernels.Span {
	out := slices.Clone(spans)
	for i := range out {
		if out[i].Slot == kernels.Scratch {
			out[i].Lo += by
			out[i].Hi += by
		}
	}
	return out
}

// step is a launch of a plan, with the offset of its scratch in the temporary region and
// an estimate of its time.
type step struct {
	*launch
	scratch int64
	seconds float64
}

// steps finds the launch of every dispatch of a plan. The order is the plan's: a test
// may shuffle the dispatches of a group or keep only some.
func steps(t target, p *kernels.Program, pl kernels.Plan) ([]step, error) {
	xs, _, err := expand(t, p)
	if err != nil {
		return nil, err
	}
	out := make([]step, len(pl.Dispatches))
	for i, d := range pl.Dispatches {
		if d.Instr < 0 || d.Instr >= len(xs) || d.Part < 0 || d.Part >= len(xs[d.Instr].launches) {
			return nil, fmt.Errorf("vulkan: %s: dispatch %d is part %d of instruction %d, which the program has not", p.Name, i, d.Part, d.Instr)
		}
		l := &xs[d.Instr].launches[d.Part]
		by := scratchOf(d.Reads, d.Writes) - scratchOf(l.reads, l.writes)
		if l.kernel != d.Kernel || !slices.Equal(shifted(l.reads, by), d.Reads) || !slices.Equal(shifted(l.writes, by), d.Writes) {
			return nil, fmt.Errorf("vulkan: %s: dispatch %d (%s) is another program's", p.Name, i, d.Kernel)
		}
		x := xs[d.Instr]
		out[i] = step{l, by, seconds(kernels.CostOf(p, x.in, x.dims), len(x.launches))}
	}
	return out, nil
}

// scratchOf gives the lowest byte of scratch among spans, 0 for none.
func scratchOf(reads, writes []kernels.Span) int64 {
	lo := int64(-1)
	for _, s := range slices.Concat(reads, writes) {
		if s.Slot == kernels.Scratch && (lo < 0 || s.Lo < lo) {
			lo = s.Lo
		}
	}
	return max(lo, 0)
}

func roundUp(n, align int64) int64 { return (n + align - 1) / align * align }
