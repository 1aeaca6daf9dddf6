package kerneltest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"graft/kernels"
	"graft/kernels/plan"
)

// BarrierReport says what a proof of barriers had to work with.
type BarrierReport struct {
	Dispatches, Groups int
	Largest            int // dispatches in the largest barrier group
	// Noticed counts the barriers without which the dispatches of the groups,
	// run backwards, gave other bits. The checker notices every one.
	Noticed int
}

// Barriers proves a program's barriers on a backend that runs the dispatches
// of a plan one after another in the order that they are listed, as software
// drivers of GPUs do: by itself such a device is right without any barrier.
//
//   - Backwards and shuffled inside of each barrier group, the dispatches give
//     the same bits, temporaries included.
//   - A dispatch alone, with everything poisoned that it does not declare to
//     read, writes what it writes in the whole program, and nothing else.
//   - A barrier that is left out is missed by package plan's checker. drop also
//     runs the program without each one.
//
// data holds the contents of the slots before the run; nil gives inputs random
// numbers and all else NaN. The backend must run plans of which some dispatches
// were left out, which the CPU's does not.
func Barriers(be kernels.Backend, p *kernels.Program, data [][]byte, drop bool) (r BarrierReport, err error) {
	o := &order{be: be, p: bindable(p), report: &r}
	if o.pl, err = be.Plan(o.p); err != nil {
		return r, fmt.Errorf("plan: %w", err)
	}
	if o.mem, err = newMemory(be, kernels.Device, o.p, o.pl.TempBytes); err != nil {
		return r, fmt.Errorf("alloc: %w", err)
	}
	defer o.mem.buf.Close()
	fillBytes(o.mem.all, 0xff)
	for i, s := range p.Slots {
		switch id := kernels.SlotID(i); {
		case s.Role == kernels.Temp:
		case data != nil:
			copy(o.mem.slot(id), data[i])
		default:
			copy(o.mem.slot(id), contents(p, i))
		}
	}
	o.start = bytes.Clone(o.mem.all)
	r.Dispatches, r.Groups = len(o.pl.Dispatches), len(o.pl.Groups)
	if o.want, err = o.run(o.pl); err != nil {
		return r, err
	}
	for _, prove := range []func() error{o.reordered, o.alone, func() error { return o.dropped(drop) }} {
		if err := prove(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// bindable is the program with its inputs and outputs in memory of the caller.
func bindable(p *kernels.Program) *kernels.Program {
	b := *p
	b.Slots = slices.Clone(p.Slots)
	for i := range b.Slots {
		if b.Slots[i].Role != kernels.Temp {
			b.Slots[i].Role = kernels.Persistent
		}
	}
	return &b
}

// order is a proof under way.
type order struct {
	be     kernels.Backend
	p      *kernels.Program
	pl     kernels.Plan
	mem    *memory
	start  []byte // of mem, before the program
	want   []byte // and after it
	report *BarrierReport
}

// run runs the program by a plan and returns all memory.
func (o *order) run(pl kernels.Plan) ([]byte, error) {
	ex, err := o.be.Compile(o.p, pl, o.mem.bind, o.mem.temp)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	defer ex.Close()
	copy(o.mem.all, o.start)
	if err := o.mem.run(ex, 1); err != nil {
		return nil, err
	}
	return bytes.Clone(o.mem.all), nil
}

// edited is the plan with the dispatches of each of some groups rearranged.
func (o *order) edited(groups []int, rearrange func([]kernels.Dispatch)) kernels.Plan {
	pl := o.pl
	pl.Dispatches, pl.Groups = slices.Clone(pl.Dispatches), groups
	for g, first := range groups {
		end := len(pl.Dispatches)
		if g+1 < len(groups) {
			end = groups[g+1]
		}
		rearrange(pl.Dispatches[first:end])
	}
	return pl
}

func (o *order) reordered() error {
	backwards := func(ds []kernels.Dispatch) {
		slices.Reverse(ds)
		o.report.Largest = max(o.report.Largest, len(ds))
	}
	rnd := rand.New(rand.NewPCG(7, 5))
	shuffled := func(ds []kernels.Dispatch) {
		rnd.Shuffle(len(ds), func(i, j int) { ds[i], ds[j] = ds[j], ds[i] })
	}
	for _, c := range []struct {
		name      string
		rearrange func([]kernels.Dispatch)
	}{{"backwards", backwards}, {"shuffled", shuffled}, {"shuffled again", shuffled}} {
		if o.report.Largest == 1 {
			break // no group has anything to rearrange
		}
		got, err := o.run(o.edited(o.pl.Groups, c.rearrange))
		if err != nil {
			return fmt.Errorf("%s in each barrier group: %w", c.name, err)
		}
		if at := differ(got, o.want); at >= 0 {
			return fmt.Errorf("%s in each barrier group: other bits at %s", c.name, o.mem.where(o.p, int64(at)))
		}
	}
	return nil
}

func differ(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	return slices.IndexFunc(a, func() func(byte) bool {
		i := -1
		return func(x byte) bool { i++; return x != b[i] }
	}())
}

// alone runs the dispatches one at a time, each a second time among poison.
func (o *order) alone() error {
	copy(o.mem.all, o.start)
	for i, d := range o.pl.Dispatches {
		if err := o.lone(i, poisons[i%2*2]); err != nil {
			return fmt.Errorf("dispatch %d, part %d of instruction %d, %s: %w", i, d.Part, d.Instr, d.Kernel, err)
		}
	}
	if at := differ(o.mem.all, o.want); at >= 0 {
		return fmt.Errorf("one dispatch at a time: other bits at %s", o.mem.where(o.p, int64(at)))
	}
	return nil
}

func (o *order) lone(i int, poison byte) error {
	pl, d := o.pl, o.pl.Dispatches[i]
	pl.Dispatches, pl.Groups = []kernels.Dispatch{d}, []int{0}
	ex, err := o.be.Compile(o.p, pl, o.mem.bind, o.mem.temp)
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	defer ex.Close()
	all := o.mem.all
	before := bytes.Clone(all)
	if err := o.mem.run(ex, 1); err != nil {
		return err
	}
	after := bytes.Clone(all)

	fillBytes(all, poison)
	for _, s := range d.Reads {
		copy(o.bytes(all, s), o.bytes(before, s))
	}
	poisoned := bytes.Clone(all)
	if err := o.mem.run(ex, 1); err != nil {
		return err
	}
	for _, s := range d.Writes {
		got, was := o.bytes(all, s), o.bytes(poisoned, s)
		want, had := o.bytes(after, s), o.bytes(before, s)
		for b := range got {
			// Between the rows of a strided view nothing is written, in either run.
			if got[b] != want[b] && (got[b] != was[b] || want[b] != had[b]) {
				return fmt.Errorf("byte %d of %v depends on what it does not declare to read", b, s)
			}
		}
		copy(was, got)
	}
	if at := differ(all, poisoned); at >= 0 {
		return fmt.Errorf("it writes what it does not declare to write: %s", o.mem.where(o.p, int64(at)))
	}
	copy(all, after)
	return nil
}

// bytes is a span in an image of all memory.
func (o *order) bytes(all []byte, s kernels.Span) []byte {
	base := o.mem.temp.Offset
	if s.Slot != kernels.Scratch {
		if o.p.Slots[s.Slot].Role == kernels.Temp {
			base += o.pl.Offsets[s.Slot]
		} else {
			base = o.mem.bind[s.Slot].Offset
		}
	}
	return all[base+s.Lo : base+s.Hi]
}

// dropped leaves out one barrier at a time.
func (o *order) dropped(runs bool) error {
	for g := 1; g < len(o.pl.Groups); g++ {
		fewer := slices.Delete(slices.Clone(o.pl.Groups), g, g+1)
		if plan.Check(o.p, o.pl.Dispatches, fewer, o.pl.Offsets, o.pl.TempBytes) == nil {
			return fmt.Errorf("the barrier before dispatch %d is not needed", o.pl.Groups[g])
		}
		if !runs {
			continue
		}
		got, err := o.run(o.edited(fewer, slices.Reverse))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, o.want) {
			o.report.Noticed++
		}
	}
	return nil
}
