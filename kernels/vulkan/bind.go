package vulkan

import (
	"cmp"
	"fmt"
	"slices"

	"graft/kernels"
)

// region checks a region and returns its buffer.
func (b *Backend) region(what string, r kernels.Region, need int64) (*Buffer, error) {
	u, ok := r.Buffer.(*Buffer)
	if !ok || u.b != b {
		return nil, fmt.Errorf("%s: the buffer is not of this device", what)
	}
	if r.Offset < 0 || r.Size < need || r.Offset > u.size-r.Size {
		return nil, fmt.Errorf("%s: region [%d, %d) of a buffer of %d bytes, needs %d", what, r.Offset, r.Offset+r.Size, u.size, need)
	}
	if align := b.Caps().Align; r.Offset%align != 0 {
		return nil, fmt.Errorf("%s: offset %d is not a multiple of %d", what, r.Offset, align)
	}
	return u, nil
}

// bindTemp finds the temporary region. The plan placed temporaries and scratch as if the
// region started where a piece does, so none may straddle one where it really lies.
func (e *exec) bindTemp(pl kernels.Plan, r kernels.Region) (err error) {
	if pl.TempBytes == 0 {
		return nil
	}
	const what = "the temporary region"
	if e.temp, err = e.b.region(what, r, pl.TempBytes); err != nil {
		return err
	}
	e.tempAt = r.Offset
	check := func(name string, off, size int64) error {
		if off > pl.TempBytes-size || e.temp.straddles(r.Offset+off, size) {
			return fmt.Errorf("%s at offset %d: %s at %d, of %d bytes, lies in two pieces of its buffer or past its end", what, r.Offset, name, off, size)
		}
		return nil
	}
	for i, s := range e.prog.Slots {
		if o := pl.Offsets[i]; s.Role == kernels.Temp && o >= 0 {
			if err := check(fmt.Sprintf("slot %q", s.Name), o, s.Bytes()); err != nil {
				return err
			}
		}
	}
	for _, s := range e.steps {
		for _, x := range slices.Concat(s.reads, s.writes) {
			if x.Slot != kernels.Scratch {
				continue
			}
			if err := check("scratch of "+s.kernel, s.scratch, x.Hi); err != nil {
				return err
			}
		}
	}
	return nil
}

// tempAddr is the device address of a byte of the temporary region.
func (e *exec) tempAddr(offset int64) uint64 {
	if e.temp == nil {
		return 0
	}
	return e.temp.addr(e.tempAt + offset)
}

// disjoint refuses bindings that the plan's barriers cannot know of: barriers are placed
// by slot, before slots have memory.
func (e *exec) disjoint(bind map[kernels.SlotID]kernels.Region, temp kernels.Region, tempBytes int64) error {
	written := make([]bool, len(e.prog.Slots))
	for _, in := range e.prog.Code {
		for _, v := range in.Out {
			written[v.Slot] = true
		}
	}
	type use struct {
		name    string
		lo, hi  int64
		written bool
	}
	uses := map[kernels.Buffer][]use{}
	if tempBytes > 0 {
		uses[temp.Buffer] = append(uses[temp.Buffer], use{"(temporaries)", temp.Offset, temp.Offset + tempBytes, true})
	}
	for i, s := range e.prog.Slots {
		if r, ok := bind[kernels.SlotID(i)]; ok && s.Role != kernels.Temp {
			uses[r.Buffer] = append(uses[r.Buffer], use{s.Name, r.Offset, r.Offset + s.Bytes(), written[i]})
		}
	}
	for _, us := range uses {
		slices.SortFunc(us, func(a, b use) int { return cmp.Compare(a.lo, b.lo) })
		var last, lastWritten use // those that reach furthest
		for _, u := range us {
			with := lastWritten
			if u.written {
				with = last
			}
			if u.lo < with.hi {
				return fmt.Errorf("slots %q and %q overlap and one is written", with.name, u.name)
			}
			if u.hi > last.hi {
				last = u
			}
			if u.written && u.hi > lastWritten.hi {
				lastWritten = u
			}
		}
	}
	return nil
}

// ownIO allocates the inputs and outputs that are not bound.
func (e *exec) ownIO(bind map[kernels.SlotID]kernels.Region) (err error) {
	offsets, total := placeIO(e.prog, e.b.Caps(), func(id kernels.SlotID) bool { _, ok := bind[id]; return ok })
	if total == 0 {
		return nil
	}
	where := kernels.Host
	if !e.b.unified {
		where = kernels.Device
	}
	if e.io, err = e.b.alloc(total, where); err != nil {
		return err
	}
	side := e.io
	if !e.b.unified {
		if e.mirror, err = e.b.alloc(total, kernels.Host); err != nil {
			return err
		}
		side = e.mirror
	}
	for i, s := range e.prog.Slots {
		o := offsets[i]
		if o < 0 {
			continue
		}
		e.bases[i], e.host[i] = e.io.addr(o), side.host(o, s.Bytes())
		if m := (moved{o, s.Bytes()}); s.Role == kernels.Input {
			e.ins = merge(e.ins, m, e.io.step)
		} else {
			e.outs = merge(e.outs, m, e.io.step)
		}
	}
	return nil
}

// placeIO lays out the inputs and outputs for which bound is false in one buffer: per slot
// its offset, -1 for others, and the size of the buffer. Inputs come first, so that one
// copy moves them all and one all outputs.
func placeIO(p *kernels.Program, c kernels.Caps, bound func(kernels.SlotID) bool) (offsets []int64, total int64) {
	offsets = slices.Repeat([]int64{-1}, len(p.Slots))
	for _, role := range []kernels.Role{kernels.Input, kernels.Output} {
		for i, s := range p.Slots {
			if s.Role == role && !bound(kernels.SlotID(i)) {
				offsets[i] = c.Place(total, s.Bytes())
				total = offsets[i] + s.Bytes()
			}
		}
	}
	return offsets, total
}

// merge appends a range that lies behind all others to the last one, gap included, or as
// one of its own where they lie in different pieces of a buffer.
func merge(ms []moved, m moved, step int64) []moved {
	end := m.offset + m.size
	if n := len(ms) - 1; n >= 0 && ms[n].offset/step == (end-1)/step {
		ms[n].size = end - ms[n].offset
		return ms
	}
	return append(ms, m)
}
