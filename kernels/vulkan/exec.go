package vulkan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// exec is a recorded program.
type exec struct {
	b      *Backend
	prog   *kernels.Program
	groups []int
	steps  []step
	bases  []uint64 // per slot: device address
	temp   *Buffer  // holds the temporary region
	tempAt int64    // where it starts there
	host   [][]byte // per slot: what the host sees of inputs and outputs

	io      *Buffer // inputs and outputs that the exec owns
	mirror  *Buffer // their host side, where device memory is not visible
	ins     []moved // where the inputs lie, copied from the mirror before the program
	outs    []moved // where the outputs lie, copied back after it
	rec     *recording
	segs    []segment // one for each part of rec
	times   []float64 // per dispatch: seconds, by estimate or measured
	limit   time.Duration
	cold    bool // the times are estimates and matter
	runErr  error
	pushBuf []byte
}

// moved is a range of io.
type moved struct{ offset, size int64 }

// Compile makes the pipelines and records the program. Regions bound to slots that the
// program writes must not overlap other slots' regions.
func (b *Backend) Compile(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	if b.closed() {
		return nil, errClosed
	}
	e := &exec{b: b, prog: p, groups: pl.Groups, bases: make([]uint64, len(p.Slots)), host: make([][]byte, len(p.Slots))}
	if err := e.init(pl, bind, temp); err != nil {
		e.free()
		return nil, fmt.Errorf("vulkan: compile %s: %w", p.Name, typed(err))
	}
	b.execs[e] = struct{}{}
	return e, nil
}

func (e *exec) init(pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (err error) {
	if e.steps, err = steps(e.b.target(), e.prog, pl); err != nil {
		return err
	}
	if len(pl.Offsets) != len(e.prog.Slots) {
		return fmt.Errorf("the plan is of a program with %d slots, this has %d", len(pl.Offsets), len(e.prog.Slots))
	}
	if err := e.bindTemp(pl, temp); err != nil {
		return err
	}
	for i, s := range e.prog.Slots {
		id := kernels.SlotID(i)
		if s.Role == kernels.Temp {
			e.bases[i] = e.tempAddr(max(pl.Offsets[i], 0))
			continue
		}
		r, ok := bind[id]
		if !ok {
			if s.Role == kernels.Persistent {
				return fmt.Errorf("persistent slot %q is not bound", s.Name)
			}
			continue
		}
		u, err := e.b.region(fmt.Sprintf("slot %q", s.Name), r, s.Bytes())
		if err != nil {
			return err
		}
		if u.straddles(r.Offset, s.Bytes()) {
			return fmt.Errorf("slot %q: region [%d, %d) straddles a multiple of %d, the size of a piece of its buffer",
				s.Name, r.Offset, r.Offset+s.Bytes(), u.step)
		}
		e.bases[i] = u.addr(r.Offset)
		if s.Role != kernels.Persistent {
			e.host[i] = u.host(r.Offset, s.Bytes())
		}
	}
	if err := e.disjoint(bind, temp, pl.TempBytes); err != nil {
		return err
	}
	if err := e.ownIO(bind); err != nil {
		return err
	}
	if err := e.compile(); err != nil {
		return err
	}
	e.times = e.estimate()
	segs := cut(e.times, e.b.segmentTime.Seconds())
	if e.rec, err = e.recordSegments(segs); err != nil {
		return err
	}
	e.segs, e.limit, e.cold = segs, patience(total(segs)), len(segs) > 1
	return nil
}

// compile makes the pipelines of all dispatches.
func (e *exec) compile() error {
	variants := make([]variant, len(e.steps))
	for i, s := range e.steps {
		variants[i] = variant{s.kernel, s.spec, s.subgroup}
	}
	return e.b.pipelines.prepare(variants)
}

// recordSegments records the program, one part for each segment.
func (e *exec) recordSegments(segs []segment) (*recording, error) {
	rec, err := e.b.record()
	if err != nil {
		return nil, err
	}
	for _, s := range segs {
		if err := rec.add(func(c *vk.CommandBuffer) error { return e.emit(c, s.first, s.end, nil) }); err != nil {
			rec.close()
			return nil, err
		}
	}
	return rec, nil
}

// emit records the dispatches from first to end with the plan's barriers; the upload comes
// before the first of all and the download after the last. With q every dispatch stands
// alone, between two timestamps.
func (e *exec) emit(c *vk.CommandBuffer, first, end int, q *vk.Queries) error {
	if q != nil {
		c.ResetQueries(q)
	}
	if first == 0 && e.mirror != nil && len(e.ins) > 0 {
		for _, m := range e.ins {
			e.mirror.copyTo(c, e.io, m.offset, m.size)
		}
		c.Barrier()
	}
	group, _ := slices.BinarySearch(e.groups, first)
	for i := first; i < end; i++ {
		if group < len(e.groups) && e.groups[group] == i {
			// The part before ends in a barrier.
			if group++; i > first && q == nil {
				c.Barrier()
			}
		}
		if q != nil {
			c.Barrier()
			c.Timestamp(q, 2*(i-first))
		}
		if err := e.dispatch(c, e.steps[i]); err != nil {
			return err
		}
		if q != nil {
			c.Timestamp(q, 2*(i-first)+1)
		}
	}
	// Parts and replays follow one another on the queue: the next must see what this one
	// wrote.
	c.Barrier()
	if end == len(e.steps) {
		if e.mirror != nil && len(e.outs) > 0 {
			for _, m := range e.outs {
				e.io.copyTo(c, e.mirror, m.offset, m.size)
			}
			c.Barrier()
		}
		c.HostBarrier()
	}
	return nil
}

func (e *exec) dispatch(c *vk.CommandBuffer, s step) error {
	p, err := e.b.pipelines.get(variant{s.kernel, s.spec, s.subgroup})
	if err != nil {
		return err
	}
	e.pushBuf = s.push(e.pushBuf[:0], func(id kernels.SlotID) uint64 {
		if id == kernels.Scratch {
			return e.tempAddr(s.scratch)
		}
		return e.bases[id]
	})
	c.Bind(p)
	c.Push(e.b.layout, e.pushBuf)
	c.Dispatch(s.groups[0], s.groups[1], s.groups[2])
	return nil
}

// Input returns the host's side of an input, nil for another slot and for an input
// bound to memory that the host cannot see.
func (e *exec) Input(id kernels.SlotID) []byte { return e.side(id, kernels.Input) }

// Output is Input for outputs.
func (e *exec) Output(id kernels.SlotID) []byte { return e.side(id, kernels.Output) }

func (e *exec) side(id kernels.SlotID, role kernels.Role) []byte {
	if id < 0 || int(id) >= len(e.prog.Slots) || e.prog.Slots[id].Role != role {
		return nil
	}
	return e.host[id]
}

// Run submits the recording n times, waiting each time. After an error of the driver
// the program cannot run any more. It allocates nothing, but in the first run of a program
// of several segments.
func (e *exec) Run(ctx context.Context, n int) error {
	for range n {
		if err := e.usable(ctx); err != nil {
			return err
		}
		var err error
		if e.cold {
			err = e.measure()
		} else {
			err = e.rec.run(e.limit)
		}
		if err != nil {
			e.runErr = e.failed(err)
		}
	}
	return e.runErr
}

func (e *exec) usable(ctx context.Context) error {
	if e.rec == nil {
		return errClosed
	}
	if e.runErr != nil {
		return e.runErr
	}
	return ctx.Err()
}

// failed says how far a run came.
func (e *exec) failed(err error) error {
	where := ""
	if done, ok := e.rec.finished(); ok && done > 0 && done <= len(e.segs) && len(e.steps) > 0 {
		last := e.segs[done-1].end - 1
		instr := e.steps[last].instr
		where = fmt.Sprintf("after segment %d of %d (dispatch %d, instruction %d %v): ", done, len(e.segs), last, instr, e.prog.Code[instr].Op)
	} else if ok {
		where = fmt.Sprintf("in the first of %d segments: ", len(e.segs))
	}
	return fmt.Errorf("vulkan: run %s: %s%w", e.prog.Name, where, typed(err))
}

// Close frees the recording and the memory that the exec owns.
func (e *exec) Close() error {
	delete(e.b.execs, e)
	e.free()
	return nil
}

func (e *exec) free() {
	idle := e.rec == nil || e.rec.close()
	for _, u := range []*Buffer{e.io, e.mirror} {
		if u != nil && idle {
			u.Close()
		}
	}
	e.rec = nil
	e.io, e.mirror, e.host = nil, nil, make([][]byte, len(e.prog.Slots))
}
