package cpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"graft/kernels"
)

var _ kernels.Exec = (*exec)(nil)

// exec is a program bound to memory.
type exec struct {
	be     *Backend
	prog   *kernels.Program
	slots  [][]byte
	steps  []step
	bound  []task
	groups []launch
	locals [][]float32 // per goroutine of the pool
	lone   [][]float32 // per dispatch, for concurrent runs only
	own    []*buffer
	closed bool
}

// Compile binds a program to memory. The plan must be this backend's own for
// the program; its Groups may have been changed.
func (b *Backend) Compile(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	if b.closed {
		return nil, errClosed
	}
	own, bd, layout, err := b.plan(p)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(own.Offsets, pl.Offsets) || own.TempBytes != pl.TempBytes || len(own.Dispatches) != len(pl.Dispatches) {
		return nil, fmt.Errorf("cpu: %s: the plan is another program's or another backend's", p.Name)
	}
	e := &exec{be: b, prog: p, steps: bd.steps}
	tmp, err := bytesOf(temp, own.TempBytes, p.Name+": temporary region")
	if err != nil {
		return nil, err
	}
	if e.slots, err = slotBytes(p, own, bind, tmp); err != nil {
		return nil, err
	}
	m := &memory{slots: e.slots, temp: tmp, scratch: layout.Scratch, tier: b.tier, threads: b.pool.threads()}
	pieces := make([][]extent, len(e.steps))
	for i, s := range e.steps {
		m.instr = s.instr
		e.bound = append(e.bound, s.bind(m))
		for _, o := range s.soon {
			span := o.span()
			pieces[i] = append(pieces[i], extent{address(e.slots[span.Slot]) + int(span.Lo), int(span.Hi - span.Lo)})
		}
	}
	if e.groups, err = launches(e.steps, e.bound, pl.Groups, b.pay); err != nil {
		return nil, fmt.Errorf("cpu: %s: %w", p.Name, err)
	}
	lookAhead(e.groups, pieces)
	if err := e.takeLocals(bd.locals()); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// takeLocals takes a buffer of n elements for each goroutine.
func (e *exec) takeLocals(n int) error {
	take := func(to *[][]float32, n int) error {
		buf, err := alloc(int64(n) * 4)
		if err != nil {
			return err
		}
		e.own, *to = append(e.own, buf), append(*to, cast[float32](buf.mem))
		return nil
	}
	for range e.be.pool.threads() {
		if err := take(&e.locals, n); err != nil {
			return err
		}
	}
	if !e.be.concurrent {
		return nil
	}
	for _, s := range e.steps {
		if err := take(&e.lone, s.local); err != nil {
			return err
		}
	}
	return nil
}

// launches joins the steps of each barrier group.
func launches(steps []step, bound []task, groups []int, pay int) ([]launch, error) {
	var all []launch
	end := len(steps)
	for _, first := range slices.Backward(groups) {
		if first < 0 || first >= end {
			return nil, fmt.Errorf("barrier groups %v of %d dispatches, want them in order", groups, len(steps))
		}
		all = append(all, newLaunch(steps[first:end], bound[first:end], pay))
		end = first
	}
	if end != 0 {
		return nil, fmt.Errorf("barrier groups %v do not start at dispatch 0", groups)
	}
	slices.Reverse(all)
	return all, nil
}

// slotBytes gives every slot its memory.
func slotBytes(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, tmp []byte) ([][]byte, error) {
	slots := make([][]byte, len(p.Slots))
	for i, s := range p.Slots {
		r, ok := bind[kernels.SlotID(i)]
		switch {
		case s.Role == kernels.Temp:
			if o := pl.Offsets[i]; o >= 0 {
				slots[i] = tmp[o : o+s.Bytes() : o+s.Bytes()]
			}
		case ok:
			b, err := bytesOf(r, s.Bytes(), fmt.Sprintf("%s: slot %q", p.Name, s.Name))
			if err != nil {
				return nil, err
			}
			slots[i] = b
		case s.Role == kernels.Persistent:
			return nil, fmt.Errorf("cpu: %s: persistent slot %q is not bound", p.Name, s.Name)
		default:
			// Of the Go heap, since whoever asked for an input may write to it
			// at any time.
			b, err := heap(s.Bytes())
			if err != nil {
				return nil, err
			}
			slots[i] = b
		}
	}
	return slots, nil
}

// Input gives the memory of an input.
func (e *exec) Input(s kernels.SlotID) []byte { return e.bytes(s, kernels.Input) }

// Output gives the memory of an output.
func (e *exec) Output(s kernels.SlotID) []byte { return e.bytes(s, kernels.Output) }

func (e *exec) bytes(s kernels.SlotID, r kernels.Role) []byte {
	if e.closed || s < 0 || int(s) >= len(e.prog.Slots) || e.prog.Slots[s].Role != r {
		return nil
	}
	return e.slots[s]
}

func (e *exec) usable() error {
	if e.closed {
		return fmt.Errorf("cpu: %s: program is closed", e.prog.Name)
	}
	if e.be.closed {
		return errClosed
	}
	return nil
}

// Run replays the program n times.
func (e *exec) Run(ctx context.Context, n int) error {
	if err := e.usable(); err != nil {
		return err
	}
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.be.concurrent {
			e.runGroups()
			continue
		}
		e.be.pool.run(e.groups, e.locals)
	}
	return nil
}

// runGroups runs the dispatches of each barrier group on a goroutine each.
func (e *exec) runGroups() {
	i := 0
	for _, g := range e.groups {
		var wg sync.WaitGroup
		for _, work := range g.work {
			tasks, local := e.steps[i].tasks, e.lone[i]
			wg.Go(func() {
				for t := range tasks {
					work(t, local)
				}
			})
			i++
		}
		wg.Wait()
	}
}

// Profile runs once and times every dispatch.
func (e *exec) Profile(ctx context.Context) ([]kernels.Timing, error) {
	if err := e.usable(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	times := make([]kernels.Timing, len(e.bound))
	for i := range e.bound {
		alone := []launch{newLaunch(e.steps[i:i+1], e.bound[i:i+1], e.be.pay)}
		start := time.Now()
		e.be.pool.run(alone, e.locals)
		times[i] = kernels.Timing{Instr: e.steps[i].instr, Kernel: e.steps[i].kernel, Seconds: time.Since(start).Seconds()}
	}
	return times, nil
}

// Close releases the program's own memory.
func (e *exec) Close() error {
	e.closed = true
	var errs []error
	for _, b := range e.own {
		errs = append(errs, b.Close())
	}
	e.slots, e.bound, e.groups, e.locals, e.lone, e.own = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
