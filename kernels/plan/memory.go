package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"graft/kernels"
)

// Options say how Memory places.
type Options struct {
	// Align is the alignment of every offset in bytes; 0 is 1.
	Align int64
	// Piece is the number of bytes of which no slot and no scratch straddles a
	// multiple, as in kernels.Caps.MaxBuffer; 0 is no limit.
	Piece int64
	// Scratch is the number of bytes that each instruction needs beside its
	// operands, alive during that instruction only. May be nil.
	Scratch []int64
	// Separate keeps every temporary in memory of its own: no in-place results
	// and no reuse. Tests compare against it.
	Separate bool
}

// Layout is a placement in one arena.
type Layout struct {
	Offsets      []int64 // per slot: byte offset, -1 for roles other than Temp and for unused slots
	Scratch      []int64 // per instruction: byte offset of its scratch
	Bytes        int64   // size of the arena
	ScratchBytes int64   // the largest scratch of an instruction
	InPlace      int     // outputs that took over an input's memory
}

// Memory gives every temporary slot and every instruction's scratch an offset.
// Slots that are alive at the same instruction never share bytes, except that
// the output of an instruction takes over an input that dies there when the
// op's row allows it and both views then visit the same bytes.
func Memory(p *kernels.Program, o Options) (Layout, error) {
	if o.Align <= 0 {
		o.Align = 1
	}
	l := Layout{Offsets: make([]int64, len(p.Slots)), Scratch: make([]int64, len(p.Code))}
	if o.Scratch != nil && len(o.Scratch) != len(p.Code) {
		return Layout{}, fmt.Errorf("plan: %s: scratch for %d instructions of %d", p.Name, len(o.Scratch), len(p.Code))
	}
	life := lifetimes(p)
	owner := make([]int, len(p.Slots))
	for s := range owner {
		owner[s] = s
	}
	if !o.Separate {
		l.InPlace = inPlace(p, life, owner)
	}
	blocks := blocksOf(p, life, owner)
	for i, n := range o.Scratch {
		if n < 0 {
			return Layout{}, fmt.Errorf("plan: %s: instruction %d: scratch of %d bytes", p.Name, i, n)
		}
		if n > 0 {
			blocks = append(blocks, block{span: span{i, i}, size: n, scratch: true, id: i})
		}
		l.ScratchBytes = max(l.ScratchBytes, n)
	}
	if o.Separate {
		for i := range blocks {
			blocks[i].span = span{0, math.MaxInt}
		}
	}
	if err := place(p, blocks, o); err != nil {
		return Layout{}, fmt.Errorf("plan: %s: %w", p.Name, err)
	}
	at := make([]int64, len(p.Slots))
	for i := range at {
		at[i] = -1
	}
	for _, b := range blocks {
		l.Bytes = max(l.Bytes, b.offset+b.size)
		if b.scratch {
			l.Scratch[b.id] = b.offset
		} else {
			at[b.id] = b.offset
		}
	}
	for s := range l.Offsets {
		l.Offsets[s] = at[owner[s]]
	}
	return l, nil
}

// span is a closed range of instructions; last < first is never used.
type span struct{ first, last int }

func (a span) meets(b span) bool { return a.first <= b.last && b.first <= a.last }

// lifetimes gives the first and last instruction that names each slot.
func lifetimes(p *kernels.Program) []span {
	life := make([]span, len(p.Slots))
	for s := range life {
		life[s] = span{0, -1}
	}
	for i, in := range p.Code {
		for _, views := range [2][]kernels.View{in.In, in.Out} {
			for _, v := range views {
				if l := &life[v.Slot]; l.last < 0 {
					*l = span{i, i}
				} else {
					l.last = i
				}
			}
		}
	}
	return life
}

// inPlace lets outputs take over inputs that die, and records whose memory
// each slot lives in.
func inPlace(p *kernels.Program, life []span, owner []int) int {
	n := 0
	for i, in := range p.Code {
		taken := make(map[kernels.SlotID]bool)
		for o, v := range in.Out {
			if life[v.Slot].first != i || !temp(p, v.Slot) || kernels.Reads(in, o) || uses(in, v.Slot) != 1 {
				continue
			}
			for k, w := range in.In {
				if taken[w.Slot] || life[w.Slot].last != i || !temp(p, w.Slot) ||
					!kernels.MayAlias(in, o, k) || !sameBytes(p, v, w) || !onlyAs(p, in, o, w.Slot, v) {
					continue
				}
				owner[v.Slot] = owner[w.Slot]
				taken[w.Slot] = true
				n++
				break
			}
		}
	}
	return n
}

func temp(p *kernels.Program, s kernels.SlotID) bool { return p.Slots[s].Role == kernels.Temp }

// uses counts the operands of an instruction that lie in a slot.
func uses(in kernels.Instr, s kernels.SlotID) int {
	n := 0
	for _, views := range [2][]kernels.View{in.In, in.Out} {
		for _, v := range views {
			if v.Slot == s {
				n++
			}
		}
	}
	return n
}

// sameBytes reports whether v and w visit the same bytes once their slots
// start at the same place, and v's slot fits into w's.
func sameBytes(p *kernels.Program, v, w kernels.View) bool {
	w2 := w
	w2.Slot = v.Slot
	return p.DType(v).Size() == p.DType(w).Size() && v.Same(w2) &&
		p.Slots[v.Slot].Bytes() <= p.Slots[w.Slot].Bytes()
}

// onlyAs reports whether output o may replace slot s: every operand of the
// instruction in s is an input that o may alias and visits o's bytes.
func onlyAs(p *kernels.Program, in kernels.Instr, o int, s kernels.SlotID, v kernels.View) bool {
	for k, w := range in.In {
		if w.Slot == s && !(kernels.MayAlias(in, o, k) && sameBytes(p, v, w)) {
			return false
		}
	}
	for _, w := range in.Out {
		if w.Slot == s {
			return false
		}
	}
	return true
}

// block is a piece of the arena during a range of instructions.
type block struct {
	span
	size, offset int64
	scratch      bool
	id           int // slot, or instruction of a scratch
}

// blocksOf makes a block for each memory owner, alive while any of its tenants is.
func blocksOf(p *kernels.Program, life []span, owner []int) []block {
	var blocks []block
	index := make(map[int]int)
	for s := range p.Slots {
		if !temp(p, kernels.SlotID(s)) || life[s].last < 0 {
			continue
		}
		k, ok := index[owner[s]]
		if !ok {
			k = len(blocks)
			index[owner[s]] = k
			blocks = append(blocks, block{span: life[s], id: owner[s]})
		}
		b := &blocks[k]
		b.first, b.last = min(b.first, life[s].first), max(b.last, life[s].last)
		b.size = max(b.size, p.Slots[s].Bytes())
	}
	return blocks
}

// place gives offsets, the largest blocks first, each to the tightest gap
// between the blocks that are alive at the same time.
func place(p *kernels.Program, blocks []block, o Options) error {
	caps := kernels.Caps{Align: o.Align, MaxBuffer: o.Piece}
	order := make([]int, len(blocks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &blocks[a], &blocks[b]
		return cmp.Or(cmp.Compare(y.size, x.size), cmp.Compare(x.first, y.first))
	})
	var live []*block // placed blocks that meet the current one, by offset
	for k, i := range order {
		b := &blocks[i]
		if o.Piece > 0 && b.size > o.Piece {
			return fmt.Errorf("%s takes %d bytes, one piece of a buffer holds %d: %w", b.what(p), b.size, o.Piece, kernels.ErrOutOfMemory)
		}
		live = live[:0]
		for _, j := range order[:k] {
			if blocks[j].meets(b.span) {
				live = append(live, &blocks[j])
			}
		}
		slices.SortFunc(live, func(x, y *block) int { return cmp.Compare(x.offset, y.offset) })
		best, bestGap, end := int64(-1), int64(math.MaxInt64), int64(0)
		for _, x := range live {
			at := caps.Place(end, b.size)
			if gap := x.offset - at; gap >= b.size && gap < bestGap {
				best, bestGap = at, gap
			}
			end = max(end, x.offset+x.size)
		}
		if best < 0 {
			best = caps.Place(end, b.size)
		}
		if best < 0 || best > math.MaxInt64-o.Align-b.size {
			return fmt.Errorf("temporaries exceed %d bytes", int64(math.MaxInt64))
		}
		b.offset = best
	}
	return nil
}

// what names a block in an error.
func (b *block) what(p *kernels.Program) string {
	if b.scratch {
		return fmt.Sprintf("the scratch of instruction %d (%v)", b.id, p.Code[b.id].Op)
	}
	return fmt.Sprintf("temporary %q %v", p.Slots[b.id].Name, p.Slots[b.id].Shape)
}
