package tokenizer

import "math/bits"

// pairTable maps pairs of ids to what they merge into: a hash table with open
// addressing, since a Go map costs more than the rest of encoding.
type pairTable struct {
	keys  []uint64 // pair+1, 0 when free
	vals  []pairValue
	shift uint8
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

// candidate is a merge waiting in the heap, best first: by rank, then by place.
type candidate struct{ rank, pos, id int32 }

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.pos < d.pos
}

type candidates []candidate

func (h *candidates) push(c candidate) {
	*h = append(*h, c)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !s[i].before(s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *candidates) pop() candidate {
	s := *h
	top := s[0]
	s[0] = s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	s.sink(0)
	return top
}

func (s candidates) sink(i int) {
	for {
		k := 2*i + 1
		if k >= len(s) {
			return
		}
		if k+1 < len(s) && s[k+1].before(s[k]) {
			k++
		}
		if !s[k].before(s[i]) {
			return
		}
		s[i], s[k] = s[k], s[i]
		i = k
	}
}

// shortWord is the number of symbols up to which scanning for the best merge
// beats keeping a heap.
const shortWord = 40

// merge applies the merges to syms, lowest rank first, leftmost among equals,
// and returns what is left of it. Long words cost n log n.
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
	heap := s.heap[:0]
	for i := range syms {
		syms[i].prev, syms[i].next = int32(i-1), int32(i+1)
		if i+1 == len(syms) {
			syms[i].next = -1
			break
		}
		if v, ok := t.get(syms[i].id, syms[i+1].id); ok {
			heap = append(heap, candidate{v.rank, int32(i), v.id})
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		heap.sink(i)
	}
	offer := func(left, right int32) {
		if left < 0 || right < 0 {
			return
		}
		if v, ok := t.get(syms[left].id, syms[right].id); ok {
			heap.push(candidate{v.rank, left, v.id})
		}
	}
	for len(heap) > 0 {
		top := heap.pop()
		left := &syms[top.pos]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &syms[left.next]
		// The pair may have changed since it was queued.
		if v, ok := t.get(left.id, right.id); !ok || v.id != top.id {
			continue
		}
		left.id = top.id
		left.size += right.size
		right.size = 0
		left.next = right.next
		if left.next >= 0 {
			syms[left.next].prev = top.pos
		}
		offer(left.prev, top.pos)
		offer(top.pos, left.next)
	}
	s.heap = heap
	out := syms[:0]
	for _, sym := range syms {
		if sym.size > 0 {
			out = append(out, sym)
		}
	}
	return out
}
