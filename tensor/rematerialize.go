package tensor

import (
	"slices"

	"graft/kernels"
)

const (
	// dearest is how many bytes may be moved to compute a value again for each
	// byte that is then not kept: a GLU moves three, a norm and the rotation of
	// what it gives four.
	dearest = 5
	// smallest is the part of a program's memory below which a value is not
	// worth an instruction.
	smallest = 1. / 4096
)

// rematerialize computes values a second time instead of keeping them for the
// backward pass (Chen et al. 2016, by lifetimes instead of by regions). A value
// qualifies when a light operation, or two in a row, makes it of what is in
// memory anyway where it is read next: the output of a GLU, of which the
// gradient keeps gate and up; that of a norm, of which it keeps the input. The
// same instruction on the same operands gives the same bits.
//
// Only the peak counts, the instruction at which most memory is in use. While
// there are values that qualify and are kept across it, the largest is dropped,
// so that nothing is done twice for memory that would lie idle. A backend's
// scratch is not known here: the peak is an estimate.
func rematerialize(p *kernels.Program) {
	r := &remat{p: p, tried: map[kernels.SlotID]bool{}}
	for {
		r.measure()
		i := r.best()
		if i < 0 {
			return
		}
		r.remake(i)
	}
}

// remat is a program on its way, and what measure says of it.
type remat struct {
	p     *kernels.Program
	tried map[kernels.SlotID]bool // first results of what was done again, and of its twin
	slots []usage
	used  []int64 // bytes of temporaries, by instruction
	peak  int     // the instruction that uses most
}

// usage says which instructions have a slot as an operand, by number.
type usage struct {
	first, last int
	before      int // the last one up to the peak
	after       int // the first one after it
	writers     []int
}

const nowhere = -1

func (r *remat) measure() {
	r.slots = slices.Grow(r.slots, len(r.p.Slots)-len(r.slots))[:len(r.p.Slots)]
	for s := range r.slots {
		r.slots[s] = usage{nowhere, nowhere, nowhere, nowhere, r.slots[s].writers[:0]}
	}
	r.operands(func(u *usage, i int) {
		if u.first == nowhere {
			u.first = i
		}
		u.last = i
	})
	for i, in := range r.p.Code {
		for _, v := range in.Out {
			r.slots[v.Slot].writers = append(r.slots[v.Slot].writers, i)
		}
	}
	r.used = make([]int64, len(r.p.Code)+1)
	for s, u := range r.slots {
		if r.temp(kernels.SlotID(s)) && u.first != nowhere {
			r.used[u.first] += r.p.Slots[s].Bytes()
			r.used[u.last+1] -= r.p.Slots[s].Bytes()
		}
	}
	r.peak = 0
	most, sum := int64(0), int64(0)
	for i := range r.p.Code {
		sum += r.used[i]
		r.used[i] = sum - r.inPlace(i)
		if r.used[i] > most {
			r.peak, most = i, r.used[i]
		}
	}
	r.operands(func(u *usage, i int) {
		if i <= r.peak {
			u.before = i
		} else if u.after == nowhere {
			u.after = i
		}
	})
}

// operands visits all operands in the order of the instructions.
func (r *remat) operands(visit func(u *usage, i int)) {
	for i, in := range r.p.Code {
		for _, v := range in.In {
			visit(&r.slots[v.Slot], i)
		}
		for _, v := range in.Out {
			visit(&r.slots[v.Slot], i)
		}
	}
}

func (r *remat) temp(s kernels.SlotID) bool { return r.p.Slots[s].Role == kernels.Temp }

// inPlace is how many bytes of results an instruction can put where operands
// are that nobody reads after it.
func (r *remat) inPlace(i int) (n int64) {
	in := r.p.Code[i]
	var taken []kernels.SlotID
	for o, v := range in.Out {
		if !r.temp(v.Slot) || r.slots[v.Slot].first != i {
			continue
		}
		size := r.p.Slots[v.Slot].Bytes()
		for k, w := range in.In {
			if r.temp(w.Slot) && r.slots[w.Slot].last == i && r.p.Slots[w.Slot].Bytes() == size &&
				!slices.Contains(taken, w.Slot) && kernels.MayAlias(in, o, k) {
				taken = append(taken, w.Slot)
				n += size
				break
			}
		}
	}
	return n
}

// best is the instruction in front of the peak whose results, kept across it,
// take most of all that can be computed again; -1 if there is none.
func (r *remat) best() int {
	best, most := nowhere, int64(float64(r.used[r.peak])*smallest)
	for i, in := range r.p.Code[:r.peak] {
		if r.tried[in.Out[0].Slot] {
			continue
		}
		at, saved := r.resumed(i)
		if saved <= most {
			continue
		}
		if moved, ok := r.cost(i, at, true); ok && moved <= dearest*saved {
			best, most = i, saved
		}
	}
	return best
}

// resumed is the first instruction after the peak that reads a result of
// instruction i, and the bytes that are kept across the peak for it and those
// that follow: 0 when a result is read at the peak or never after it.
func (r *remat) resumed(i int) (at int, saved int64) {
	at = len(r.p.Code)
	for _, v := range r.p.Code[i].Out {
		u := r.slots[v.Slot]
		if u.before == r.peak {
			return at, 0
		}
		if u.after != nowhere {
			at = min(at, u.after)
			saved += r.p.Slots[v.Slot].Bytes()
		}
	}
	return at, saved
}

// cost is how many bytes are moved to do instruction i again in front of
// instruction at. ok is false where that cannot be: it is not light, or an
// operand is gone. With chain, operands may be computed again too.
func (r *remat) cost(i, at int, chain bool) (moved int64, ok bool) {
	in := r.p.Code[i]
	if !kernels.Table[in.Op].Light {
		return 0, false
	}
	for o, v := range in.Out {
		if !r.temp(v.Slot) || len(r.slots[v.Slot].writers) != 1 || kernels.Reads(in, o) {
			return 0, false
		}
	}
	d, err := kernels.Check(r.p, in)
	if err != nil {
		return 0, false // the program has been validated
	}
	moved = kernels.CostOf(r.p, in, d).Bytes
	for _, w := range r.makers(i, at) {
		more, ok := int64(0), false
		if chain {
			more, ok = r.cost(w, at, false)
		}
		if !ok {
			return 0, false
		}
		moved += more
	}
	return moved, true
}

// makers lists the instructions, ascending, that wrote those operands of
// instruction i which are not in memory any more in front of instruction at.
func (r *remat) makers(i, at int) []int {
	var all []int
	for _, v := range r.p.Code[i].In {
		u := r.slots[v.Slot]
		overwritten := slices.ContainsFunc(u.writers, func(w int) bool { return i < w && w < at })
		if !overwritten && (!r.temp(v.Slot) || u.last >= at) {
			continue
		}
		all = append(all, u.writers[0]) // cost refuses a slot with several
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// remake does instruction i again where a result of it is first read after the
// peak, for all readers from there on. It moves there if it has no others.
func (r *remat) remake(i int) {
	at, _ := r.resumed(i)
	var code []kernels.Instr
	slots := map[kernels.SlotID]kernels.SlotID{}
	for _, k := range append(r.makers(i, at), i) {
		in := r.p.Code[k]
		in.In, in.Out = slices.Clone(in.In), slices.Clone(in.Out)
		in.Note = "again " + in.Note
		for _, v := range in.Out {
			s := r.p.Slots[v.Slot]
			s.Name += ".again"
			slots[v.Slot] = r.p.AddSlot(s)
		}
		code = append(code, in)
	}
	first := r.p.Code[i].Out[0].Slot
	r.tried[first], r.tried[slots[first]] = true, true
	r.p.Code = slices.Insert(r.p.Code, at, code...)
	for _, in := range r.p.Code[at:] {
		rename(in.In, slots)
		rename(in.Out, slots)
	}
	if !slices.ContainsFunc(r.p.Code[i].Out, func(v kernels.View) bool { return r.slots[v.Slot].before != i }) {
		r.p.Code = slices.Delete(r.p.Code, i, i+1)
	}
}

func rename(views []kernels.View, slots map[kernels.SlotID]kernels.SlotID) {
	for i, v := range views {
		if s, ok := slots[v.Slot]; ok {
			views[i].Slot = s
		}
	}
}
