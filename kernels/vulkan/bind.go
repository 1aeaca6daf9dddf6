package vulkan

import (
	"cmp"
	"fmt"
	"slices"

	"graft/kernels"
)

// region checks a region and returns its device address and what the host sees of it.
func (b *Backend) region(what string, r kernels.Region, need int64) (uint64, []byte, error) {
	u, ok := r.Buffer.(*Buffer)
	if !ok || u.b != b {
		return 0, nil, fmt.Errorf("%s: the buffer is not of this device", what)
	}
	if r.Offset < 0 || r.Size < need || r.Offset > u.size-r.Size {
		return 0, nil, fmt.Errorf("%s: region [%d, %d) of a buffer of %d bytes, needs %d", what, r.Offset, r.Offset+r.Size, u.size, need)
	}
	if align := b.Caps().Align; r.Offset%align != 0 {
		return 0, nil, fmt.Errorf("%s: offset %d is not a multiple of %d", what, r.Offset, align)
	}
	var data []byte
	if u.data != nil {
		data = u.data[r.Offset : r.Offset+r.Size]
	}
	return u.addr + uint64(r.Offset), data, nil
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
	align := e.b.Caps().Align
	offsets := make([]int64, len(e.prog.Slots))
	var total int64
	for i, s := range e.prog.Slots {
		_, bound := bind[kernels.SlotID(i)]
		if offsets[i] = -1; bound || s.Role != kernels.Input && s.Role != kernels.Output {
			continue
		}
		offsets[i] = total
		if m := (moved{total, s.Bytes()}); s.Role == kernels.Input {
			e.ins = append(e.ins, m)
		} else {
			e.outs = append(e.outs, m)
		}
		total += roundUp(s.Bytes(), align)
	}
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
		if o := offsets[i]; o >= 0 {
			e.bases[i] = e.io.addr + uint64(o)
			e.host[i] = side.data[o : o+s.Bytes() : o+s.Bytes()]
		}
	}
	return nil
}
