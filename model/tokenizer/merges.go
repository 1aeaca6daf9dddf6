package tokenizer

import "math/bits"

// pairTable maps pairs of ids to what they merge into: a hash table with open
// addressing, since a Go map costs more than the rest of encoding.
type pairTable struct {
	keys  []uint64 // pair+1, 0 when free
	vals  []pairValue
	shift uint8
	ranks int // all ranks are below
}

type pairValue struct{ rank, id int32 }

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) + 1 }

func newPairTable(n int) *pairTable {
	size := bits.Len(uint(n + n/2 + 8))
	return &pairTable{
		keys:  make([]uint64, 1<<size),
		vals:  make([]pairValue, 1<<size),
		shift: uint8(64 - size),
	}
}

func (t *pairTable) slot(k uint64) int {
	mask := len(t.keys) - 1
	i := int((k * 0x9E3779B97F4A7C15) >> t.shift)
	for t.keys[i] != 0 && t.keys[i] != k {
		i = (i + 1) & mask
	}
	return i
}

// set maps the pair to v; the last of equal pairs counts.
func (t *pairTable) set(a, b int32, v pairValue) {
	k := pairKey(a, b)
	i := t.slot(k)
	t.keys[i], t.vals[i] = k, v
	t.ranks = max(t.ranks, int(v.rank)+1)
}

func (t *pairTable) get(a, b int32) (pairValue, bool) {
	i := t.slot(pairKey(a, b))
	return t.vals[i], t.keys[i] != 0
}

// symbol is a token in the making: a node of a list over the word.
type symbol struct {
	id         int32
	size       int32 // bytes of the word it covers; 0 once merged into another
	prev, next int32 // -1 at the ends
}

// shortWord is the number of symbols up to which scanning for the best merge
// beats keeping a heap.
const shortWord = 40

// merge applies the merges to syms, lowest rank first, leftmost among equals,
// and returns what is left of it.
func (t *pairTable) merge(s *scratch, syms []symbol) []symbol {
	if len(syms) < 2 {
		return syms
	}
	if len(syms) <= shortWord {
		return t.mergeShort(s, syms)
	}
	return t.mergeLong(s, syms)
}

// noRank is the rank of a pair that does not merge.
const noRank = int32(1<<31 - 1)

// mergeShort works like mergeLong.
func (t *pairTable) mergeShort(s *scratch, syms []symbol) []symbol {
	pairs := s.pairs[:0]
	rank := func(i int) pairValue {
		if i+1 < len(syms) {
			if v, ok := t.get(syms[i].id, syms[i+1].id); ok {
				return v
			}
		}
		return pairValue{rank: noRank}
	}
	for i := range syms {
		pairs = append(pairs, rank(i))
	}
	s.pairs = pairs
	for {
		s.work += int64(len(pairs))
		best, at := noRank, -1
		for i, p := range pairs {
			if p.rank < best {
				best, at = p.rank, i
			}
		}
		if at < 0 {
			return syms
		}
		syms[at].id = pairs[at].id
		syms[at].size += syms[at+1].size
		syms = append(syms[:at+1], syms[at+2:]...)
		pairs = append(pairs[:at+1], pairs[at+2:]...)
		pairs[at] = rank(at)
		if at > 0 {
			pairs[at-1] = rank(at - 1)
		}
	}
}

func (t *pairTable) mergeLong(s *scratch, syms []symbol) []symbol {
	q := &s.queue
	q.begin(len(syms), t.ranks)
	offer := func(left, right int32) {
		if left < 0 || right < 0 {
			return
		}
		if v, ok := t.get(syms[left].id, syms[right].id); ok {
			q.push(candidate{v.rank, left})
		}
	}
	for i := range syms {
		syms[i].prev, syms[i].next = int32(i-1), int32(i+1)
	}
	syms[len(syms)-1].next = -1
	for i := range syms[1:] {
		offer(int32(i), int32(i+1))
	}
	for {
		top, ok := q.pop()
		if !ok {
			break
		}
		left := &syms[top.pos]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &syms[left.next]
		// The pair may have changed since it was queued.
		v, ok := t.get(left.id, right.id)
		if !ok || v.rank != top.rank {
			continue
		}
		left.id = v.id
		left.size += right.size
		right.size = 0
		left.next = right.next
		if left.next >= 0 {
			syms[left.next].prev = top.pos
		}
		offer(left.prev, top.pos)
		offer(top.pos, left.next)
	}
	s.work += q.work
	out := syms[:0]
	for _, sym := range syms {
		if sym.size > 0 {
			out = append(out, sym)
		}
	}
	return out
}
