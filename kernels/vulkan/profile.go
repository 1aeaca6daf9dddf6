package vulkan

import (
	"context"
	"errors"
	"fmt"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// profileDispatches is how many dispatches are timed in one submission: two timestamps
// each, of which some drivers have no more than 4096 in a pool.
const profileDispatches = 2048

// Profile runs once with a timestamp before and after every dispatch, each alone on the
// device.
func (e *exec) Profile(ctx context.Context) ([]kernels.Timing, error) {
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	if e.b.tickBits == 0 {
		return nil, fmt.Errorf("vulkan: profile %s: %s has no timestamps: %w", e.prog.Name, e.b.info.Name, errors.ErrUnsupported)
	}
	var out []kernels.Timing
	for _, s := range divide(e.segs, profileDispatches) {
		ts, err := e.profile(s)
		if err != nil {
			return nil, err
		}
		out = append(out, ts...)
	}
	return out, nil
}

// divide divides segments further, so that none has more than most dispatches.
func divide(segs []segment, most int) (out []segment) {
	for _, s := range segs {
		for ; s.end-s.first > most; s.first += most {
			out = append(out, segment{s.first, s.first + most, s.seconds})
		}
		out = append(out, s)
	}
	return out
}

// profile runs and times the dispatches of one segment.
func (e *exec) profile(s segment) (out []kernels.Timing, err error) {
	ticks, err := e.ticks(s)
	if err != nil {
		return nil, fmt.Errorf("vulkan: profile %s: dispatches %d to %d: %w", e.prog.Name, s.first, s.end-1, typed(err))
	}
	for i := range ticks[:len(ticks)/2] {
		step := e.steps[s.first+i]
		n := elapsed(ticks[2*i], ticks[2*i+1], e.b.tickBits)
		out = append(out, kernels.Timing{Instr: step.instr, Kernel: step.kernel, Seconds: float64(n) * e.b.props.TimestampPeriod * 1e-9})
	}
	return out, nil
}

// ticks runs one segment and returns two timestamps for each dispatch.
func (e *exec) ticks(s segment) ([]uint64, error) {
	if s.first == s.end {
		return nil, nil
	}
	rec, err := e.b.record()
	if err != nil {
		return nil, err
	}
	defer rec.close()
	if rec.queries, err = e.b.dev.CreateQueries(2 * (s.end - s.first)); err != nil {
		return nil, err
	}
	if err := rec.add(func(c *vk.CommandBuffer) error { return e.emit(c, s.first, s.end, rec.queries) }); err != nil {
		return nil, err
	}
	if err := rec.run(patience(s.seconds)); err != nil {
		return nil, err
	}
	return rec.queries.Results()
}

// elapsed is the number of ticks between two timestamps, of which only the low bits count.
func elapsed(from, to uint64, bits int) uint64 {
	return (to - from) & (^uint64(0) >> (64 - bits))
}
