package data

// NoLang is the language of padding.
const NoLang = 0xff

// Batch is B rows of T positions; N = B*T. Its slices are filled in place by
// [Stream.Next] and have the layout the operations of package kernels take.
type Batch struct {
	B, T int

	IDs       []int32 // (B, T), padding is Options.Pad
	Targets   []int32 // (B, T), the token behind each; -1 in padding and where that token is not marked
	Positions []int32 // (B, T), from 0 in every piece of a document
	Documents []int32 // (2, B, T), first and one past last position of each token's piece within its row
	Order     []int32 // (N), token indices sorted by id, equal ids in order
	Starts    []int32 // (N+1), where in Order each run of equal ids starts; N behind the last run
	Langs     []uint8 // (B, T), index into Stream.Langs; NoLang in padding
	Index     []int32 // (B, T), index of each token's document in its corpus; -1 in padding

	Rows       int     // rows that hold text; the others are padding
	NumTargets int64   // targets that are not -1
	Bytes      int64   // bytes of text those targets stand for
	Pairs      int64   // (query, key) pairs that causal attention sees, padding left out
	LangTokens []int64 // targets by language
	LangBytes  []int64 // bytes by language

	keys []int32 // (N), scratch of sort
}

func newBatch(b, t, langs int) *Batch {
	n := b * t
	ints := make([]int32, 9*n+1)
	cut := func(n int) []int32 {
		s := ints[:n:n]
		ints = ints[n:]
		return s
	}
	return &Batch{
		B: b, T: t,
		IDs: cut(n), Targets: cut(n), Positions: cut(n), Documents: cut(2 * n),
		Order: cut(n), Starts: cut(n + 1), Index: cut(n), keys: cut(n),
		Langs: make([]uint8, n), LangTokens: make([]int64, langs), LangBytes: make([]int64, langs),
	}
}

// unmarked takes back the targets among the n at position t of row r that are
// not marked; marks begins with the first target's.
func (b *Batch) unmarked(r, t int, marks []bool, lang uint8) {
	at := r*b.T + t
	for i, m := range marks {
		if !m {
			b.Targets[at+i] = -1
			b.NumTargets--
			b.LangTokens[lang]--
		}
	}
}

// PairsWithin returns the (query, key) pairs that attention with a sliding
// window sees: the token itself and window-1 before it. A window of 0 is none.
func (b *Batch) PairsWithin(window int) int64 {
	if window <= 0 {
		return b.Pairs
	}
	pairs := int64(0)
	for i, p := range b.Positions {
		if b.Index[i] >= 0 {
			pairs += int64(min(int(p)+1, window))
		}
	}
	return pairs
}

// reset empties the counts; the rows are overwritten one by one.
func (b *Batch) reset() {
	b.Rows, b.NumTargets, b.Bytes, b.Pairs = 0, 0, 0, 0
	clear(b.LangTokens)
	clear(b.LangBytes)
}

// piece writes the inputs ids[:len(ids)-1] with their targets at position t of
// row r.
func (b *Batch) piece(r, t int, ids []int32, lang uint8, index int, bytes int64) {
	n := len(ids) - 1
	at := r*b.T + t
	copy(b.IDs[at:at+n], ids)
	copy(b.Targets[at:at+n], ids[1:])
	b.frame(r, t, n, lang, int32(index))
	b.NumTargets += int64(n)
	b.Bytes += bytes
	b.Pairs += int64(n) * int64(n+1) / 2
	b.LangTokens[lang] += int64(n)
	b.LangBytes[lang] += bytes
}

// pad fills row r from position t on.
func (b *Batch) pad(r, t int, id int32) {
	at, end := r*b.T+t, (r+1)*b.T
	for i := at; i < end; i++ {
		b.IDs[i] = id
		b.Targets[i] = -1
	}
	b.frame(r, t, end-at, NoLang, -1)
}

// frame writes what the n positions of a piece have in common.
func (b *Batch) frame(r, t, n int, lang uint8, index int32) {
	at, half := r*b.T+t, b.B*b.T
	for i := range n {
		b.Positions[at+i] = int32(i)
		b.Documents[at+i] = int32(t)
		b.Documents[half+at+i] = int32(t + n)
		b.Langs[at+i] = lang
		b.Index[at+i] = index
	}
}

// sort sets Order and Starts by a stable radix sort, eight bits a pass, as
// many passes as the largest id needs.
func (b *Batch) sort() {
	n := len(b.IDs)
	top := int32(0)
	for i, id := range b.IDs {
		b.Order[i] = int32(i)
		top = max(top, id)
	}
	from, to := b.Order, b.keys[:n]
	for shift := 0; top>>shift > 0; shift += 8 {
		var count [257]int32
		for _, i := range from {
			count[1+b.IDs[i]>>shift&0xff]++
		}
		for d := range 256 {
			count[d+1] += count[d]
		}
		for _, i := range from {
			d := b.IDs[i] >> shift & 0xff
			to[count[d]] = i
			count[d]++
		}
		from, to = to, from
	}
	if &from[0] != &b.Order[0] {
		copy(b.Order, from)
	}
	runs := 0
	for k, i := range b.Order {
		if k == 0 || b.IDs[i] != b.IDs[b.Order[k-1]] {
			b.Starts[runs] = int32(k)
			runs++
		}
	}
	for ; runs <= n; runs++ {
		b.Starts[runs] = int32(n)
	}
}
