package plan

import (
	"cmp"
	"fmt"
	"slices"

	"graft/kernels"
)

// arena is the space of temporaries and scratch; other slots are a space each.
const arena kernels.SlotID = -1

// piece is a span after placement.
type piece struct {
	space  kernels.SlotID
	lo, hi int64
}

func (a piece) meets(b piece) bool { return a.space == b.space && a.lo < b.hi && b.lo < a.hi }

// resolve places a span: temporaries of one arena are compared by address, so
// that reuse of their memory is seen.
func resolve(p *kernels.Program, offsets []int64, s kernels.Span) piece {
	if s.Slot == kernels.Scratch {
		return piece{arena, s.Lo, s.Hi}
	}
	if p.Slots[s.Slot].Role == kernels.Temp {
		return piece{arena, offsets[s.Slot] + s.Lo, offsets[s.Slot] + s.Hi}
	}
	return piece{s.Slot, s.Lo, s.Hi}
}

// Barriers returns the index of the first dispatch of each group. A dispatch
// starts a new group when it touches bytes written since the last barrier or
// writes bytes read since it. The dispatches of a group may run at once, in
// any order.
func Barriers(p *kernels.Program, ds []kernels.Dispatch, offsets []int64) []int {
	var groups []int
	var read, written []piece
	for i, d := range ds {
		r, w := pieces(p, offsets, d.Reads), pieces(p, offsets, d.Writes)
		if i == 0 || meet(written, r) || meet(written, w) || meet(read, w) {
			groups = append(groups, i)
			read, written = read[:0], written[:0]
		}
		read, written = append(read, r...), append(written, w...)
	}
	return groups
}

func pieces(p *kernels.Program, offsets []int64, spans []kernels.Span) []piece {
	out := make([]piece, 0, len(spans))
	for _, s := range spans {
		if s.Lo < s.Hi {
			out = append(out, resolve(p, offsets, s))
		}
	}
	return out
}

func meet(a, b []piece) bool {
	for _, x := range a {
		for _, y := range b {
			if x.meets(y) {
				return true
			}
		}
	}
	return false
}

// Check proves a grouping: dispatches are covered in order, every span lies
// inside its slot or, for the arena, inside size bytes, and no bytes that one
// dispatch of a group writes are read or written by another of the same group.
// The error names the two. size < 0 leaves the arena's size unchecked.
func Check(p *kernels.Program, ds []kernels.Dispatch, groups []int, offsets []int64, size int64) error {
	if err := checkGroups(len(ds), groups); err != nil {
		return fmt.Errorf("plan: %s: %w", p.Name, err)
	}
	for i, d := range ds {
		for _, s := range slices.Concat(d.Reads, d.Writes) {
			if err := inside(p, offsets, s, size); err != nil {
				return fmt.Errorf("plan: %s: dispatch %d %s (instruction %d): %w", p.Name, i, d.Kernel, d.Instr, err)
			}
		}
	}
	for g, first := range groups {
		end := len(ds)
		if g+1 < len(groups) {
			end = groups[g+1]
		}
		if err := checkGroup(p, ds, first, end, offsets); err != nil {
			return fmt.Errorf("plan: %s: barrier group %d: %w", p.Name, g, err)
		}
	}
	return nil
}

func checkGroups(dispatches int, groups []int) error {
	if dispatches > 0 && (len(groups) == 0 || groups[0] != 0) {
		return fmt.Errorf("groups %v do not start at dispatch 0", groups)
	}
	for g, first := range groups {
		if first >= dispatches || g > 0 && first <= groups[g-1] {
			return fmt.Errorf("group %d starts at dispatch %d of %d, out of order", g, first, dispatches)
		}
	}
	return nil
}

func inside(p *kernels.Program, offsets []int64, s kernels.Span, size int64) error {
	if s.Slot < kernels.Scratch || int(s.Slot) >= len(p.Slots) {
		return fmt.Errorf("span in slot %d of %d", s.Slot, len(p.Slots))
	}
	name, end := "the arena", size
	if s.Slot != kernels.Scratch {
		name, end = fmt.Sprintf("%q", p.Slots[s.Slot].Name), p.Slots[s.Slot].Bytes()
	}
	if s.Lo < 0 || s.Hi < s.Lo || end >= 0 && s.Hi > end {
		return fmt.Errorf("span [%d, %d) of %d bytes in %s", s.Lo, s.Hi, end, name)
	}
	if s.Slot == kernels.Scratch || p.Slots[s.Slot].Role != kernels.Temp {
		return nil
	}
	if o := offsets[s.Slot]; o < 0 || size >= 0 && o+s.Hi > size {
		return fmt.Errorf("%s lies at %d, [%d, %d) in an arena of %d bytes", name, o, s.Lo, s.Hi, size)
	}
	return nil
}

// use is one span of one dispatch.
type use struct {
	piece
	dispatch int
	write    bool
	slot     kernels.SlotID
}

// checkGroup sweeps over the spans of a group by address: a span meets only
// those before it that reach past its start.
func checkGroup(p *kernels.Program, ds []kernels.Dispatch, first, end int, offsets []int64) error {
	var uses []use
	for i := first; i < end; i++ {
		for k, spans := range [2][]kernels.Span{ds[i].Reads, ds[i].Writes} {
			for _, s := range spans {
				if s.Lo < s.Hi {
					uses = append(uses, use{resolve(p, offsets, s), i, k == 1, s.Slot})
				}
			}
		}
	}
	slices.SortFunc(uses, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.space, b.space), cmp.Compare(a.lo, b.lo))
	})
	var open []use
	for _, u := range uses {
		open = slices.DeleteFunc(open, func(v use) bool { return v.space != u.space || v.hi <= u.lo })
		for _, v := range open {
			if v.dispatch != u.dispatch && (v.write || u.write) {
				a, b := v, u
				if a.dispatch > b.dispatch {
					a, b = b, a
				}
				return fmt.Errorf("dispatch %d %s (instruction %d) %s %s [%d, %d) that dispatch %d %s (instruction %d) %s as %s [%d, %d)",
					b.dispatch, ds[b.dispatch].Kernel, ds[b.dispatch].Instr, verb(b.write), slotName(p, b.slot), b.lo, b.hi,
					a.dispatch, ds[a.dispatch].Kernel, ds[a.dispatch].Instr, verb(a.write), slotName(p, a.slot), a.lo, a.hi)
			}
		}
		open = append(open, u)
	}
	return nil
}

func verb(write bool) string {
	if write {
		return "writes"
	}
	return "reads"
}

func slotName(p *kernels.Program, s kernels.SlotID) string {
	if s == kernels.Scratch {
		return "scratch"
	}
	return fmt.Sprintf("%q", p.Slots[s].Name)
}
