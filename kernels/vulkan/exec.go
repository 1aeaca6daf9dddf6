package vulkan

import (
	"context"
	"errors"
	"fmt"

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
	ins     []moved // parts of io copied from mirror before the program
	outs    []moved // and back after it
	rec     *recording
	runErr  error
	pushBuf []byte
}

// moved is a range of io.
type moved struct{ offset, size int64 }

// Compile builds the pipelines and records the program. Regions bound to slots that the
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
	variants := make([]variant, len(e.steps))
	for i, s := range e.steps {
		variants[i] = variant{s.kernel, s.spec, s.subgroup}
	}
	if err := e.b.pipelines.prepare(variants); err != nil {
		return err
	}
	e.rec, err = e.b.record(func(c *vk.CommandBuffer) error { return e.emit(c, nil) })
	return err
}

// emit records uploads, dispatches with the plan's barriers, and downloads. With q
// every dispatch stands between two timestamps and alone.
func (e *exec) emit(c *vk.CommandBuffer, q *vk.Queries) error {
	if q != nil {
		c.ResetQueries(q)
	}
	if e.mirror != nil && len(e.ins) > 0 {
		for _, m := range e.ins {
			e.mirror.copyTo(c, e.io, m.offset, m.size)
		}
		c.Barrier()
	}
	next := 0
	for i, s := range e.steps {
		if next < len(e.groups) && e.groups[next] == i {
			if next++; i > 0 && q == nil {
				c.Barrier()
			}
		}
		if q != nil {
			c.Barrier()
			c.Timestamp(q, 2*i)
		}
		if err := e.dispatch(c, s); err != nil {
			return err
		}
		if q != nil {
			c.Timestamp(q, 2*i+1)
		}
	}
	if e.mirror != nil && len(e.outs) > 0 {
		c.Barrier()
		for _, m := range e.outs {
			e.io.copyTo(c, e.mirror, m.offset, m.size)
		}
	}
	// Replays follow one another on the queue: the next must see what this one wrote.
	c.Barrier()
	c.HostBarrier()
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
	if len(e.pushBuf) > pushBytes {
		return fmt.Errorf("kernel %s: %d bytes of push constants, at most %d", s.kernel, len(e.pushBuf), pushBytes)
	}
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
// the program cannot run any more.
func (e *exec) Run(ctx context.Context, n int) error {
	for range n {
		if e.rec == nil {
			return errClosed
		}
		if e.runErr != nil {
			return e.runErr
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.rec.run(); err != nil {
			e.runErr = fmt.Errorf("vulkan: run %s: %w", e.prog.Name, typed(err))
		}
	}
	return e.runErr
}

// Profile runs once with a timestamp before and after every dispatch.
func (e *exec) Profile(ctx context.Context) ([]kernels.Timing, error) {
	if e.rec == nil {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.b.tickBits == 0 {
		return nil, fmt.Errorf("vulkan: profile %s: %s has no timestamps: %w", e.prog.Name, e.b.info.Name, errors.ErrUnsupported)
	}
	ts, err := e.profile()
	if err != nil {
		return nil, fmt.Errorf("vulkan: profile %s: %w", e.prog.Name, typed(err))
	}
	return ts, nil
}

func (e *exec) profile() ([]kernels.Timing, error) {
	q, err := e.b.dev.CreateQueries(max(1, 2*len(e.steps)))
	if err != nil {
		return nil, err
	}
	defer q.Destroy()
	rec, err := e.b.record(func(c *vk.CommandBuffer) error { return e.emit(c, q) })
	if err != nil {
		return nil, err
	}
	defer rec.close()
	if err := rec.run(); err != nil || len(e.steps) == 0 {
		return nil, err
	}
	ticks, err := q.Results()
	if err != nil {
		return nil, err
	}
	out := make([]kernels.Timing, len(e.steps))
	mask := ^uint64(0) >> (64 - e.b.tickBits)
	for i, s := range e.steps {
		n := (ticks[2*i+1] - ticks[2*i]) & mask
		out[i] = kernels.Timing{Instr: s.instr, Kernel: s.kernel, Seconds: float64(n) * e.b.props.TimestampPeriod * 1e-9}
	}
	return out, nil
}

// Close frees the recording and the memory that the exec owns.
func (e *exec) Close() error {
	delete(e.b.execs, e)
	e.free()
	return nil
}

func (e *exec) free() {
	if e.rec != nil {
		e.rec.close()
		e.rec = nil
	}
	for _, u := range []*Buffer{e.io, e.mirror} {
		if u != nil {
			u.Close()
		}
	}
	e.io, e.mirror, e.host = nil, nil, make([][]byte, len(e.prog.Slots))
}
