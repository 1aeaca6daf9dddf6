package tokenizer

import (
	"math"
	"math/bits"
	"slices"
)

// candidate is a merge waiting its turn: by rank, then by place.
type candidate struct{ rank, pos int32 }

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.pos < d.pos
}

// queue gives candidates out in order. Those of a long word wait in a list for each rank,
// since merging a pair seldom makes one that comes before it: the lists are taken rank by
// rank, and only what comes too late for its list goes through a heap. A heap of all of
// them would be as large as the word, and every step down it a miss of the cache.
type queue struct {
	heap candidates
	work int64 // since begin

	rank   int32   // the list being given out; later candidates up to it go to the heap
	places []int32 // the list, ascending
	given  int     // of places
	heads  []int32 // by rank, the entry put in last
	// entries are the lists; free is one no longer in use. The first is none.
	entries []entry
	free    int32
	// some has a bit for each rank with a list, groups one for each word of some.
	some, groups []uint64
}

type entry struct{ pos, next int32 }

// longWord is the number of symbols from which lists are worth the memory they take.
const longWord = 1 << 11

// begin prepares for a word of n symbols and ranks below ranks.
func (q *queue) begin(n, ranks int) {
	q.work, q.heap = 0, q.heap[:0]
	q.places, q.given = q.places[:0], 0
	if n < longWord {
		q.rank = math.MaxInt32
		return
	}
	q.rank = -1
	q.entries, q.free = append(q.entries[:0], entry{}), 0
	if len(q.heads) < ranks {
		q.heads = make([]int32, ranks)
		q.some = make([]uint64, (ranks+63)/64)
		q.groups = make([]uint64, (len(q.some)+63)/64)
	}
}

func (q *queue) push(c candidate) {
	if c.rank <= q.rank {
		q.heap.push(c)
		q.work += int64(bits.Len(uint(len(q.heap))))
		return
	}
	q.work++
	at := q.free
	if at == 0 {
		at = int32(len(q.entries))
		q.entries = append(q.entries, entry{})
	} else {
		q.free = q.entries[at].next
	}
	q.entries[at] = entry{c.pos, q.heads[c.rank]}
	q.heads[c.rank] = at
	q.some[c.rank/64] |= 1 << (c.rank % 64)
	q.groups[c.rank/4096] |= 1 << (c.rank / 64 % 64)
}

func (q *queue) pop() (c candidate, ok bool) {
	if q.given == len(q.places) && len(q.heap) == 0 && !q.take() {
		return candidate{}, false
	}
	if q.given < len(q.places) {
		c = candidate{q.rank, q.places[q.given]}
		if len(q.heap) == 0 || c.before(q.heap[0]) {
			q.given++
			q.work++
			return c, true
		}
	}
	q.work += int64(bits.Len(uint(len(q.heap))))
	return q.heap.pop(), true
}

// take turns to the next rank that has a list.
func (q *queue) take() bool {
	if q.rank == math.MaxInt32 {
		return false
	}
	for g, group := range q.groups[(q.rank+1)/4096:] {
		if group == 0 {
			continue
		}
		g += int(q.rank+1) / 4096
		word := g*64 + bits.TrailingZeros64(group)
		q.rank = int32(word*64 + bits.TrailingZeros64(q.some[word]))
		if q.some[word] &= q.some[word] - 1; q.some[word] == 0 {
			q.groups[g] &= group - 1
		}
		q.gather()
		return true
	}
	return false
}

// gather moves the list of q.rank to places, in order.
func (q *queue) gather() {
	q.places, q.given = q.places[:0], 0
	at := q.heads[q.rank]
	q.heads[q.rank] = 0
	for at != 0 {
		next := q.entries[at].next
		q.places = append(q.places, q.entries[at].pos)
		q.entries[at].next, q.free = q.free, at
		at = next
	}
	slices.Reverse(q.places)
	n := int64(len(q.places))
	if !slices.IsSorted(q.places) {
		slices.Sort(q.places)
		n *= int64(bits.Len64(uint64(n)))
	}
	q.work += n
}

// candidates is a heap, the first in order on top.
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
	for i := 0; ; {
		k := 2*i + 1
		if k >= len(s) {
			return top
		}
		if k+1 < len(s) && s[k+1].before(s[k]) {
			k++
		}
		if !s[k].before(s[i]) {
			return top
		}
		s[i], s[k] = s[k], s[i]
		i = k
	}
}
