package data

import (
	"cmp"
	"slices"
	"sort"
)

// Spelling says how well a vocabulary spells a corpus.
type Spelling struct {
	Tokens int64     `json:"tokens"` // of the corpus
	Dead   int64     `json:"dead"`   // of those, tokens the model cannot have learned
	Share  float64   `json:"share"`  // Dead / Tokens
	Worst  []IDCount `json:"worst"`  // the most frequent dead ids, at most eight
}

// IDCount is an id and how often it occurs.
type IDCount struct {
	ID    int32 `json:"id"`
	Count int64 `json:"count"`
}

// Spell counts the tokens of a corpus for which dead is true: byte-fallback
// tokens, or ids whose embedding row was never trained. While the embedding is
// frozen such rows are noise that no amount of training removes, so a share of
// more than a few in a hundred means that the target cannot be learned.
func Spell(c *Corpus, dead func(id int32) bool) Spelling {
	counts := map[int32]int64{}
	for i := range c.Len() {
		for _, id := range c.IDs(i) {
			counts[id]++
		}
	}
	s := Spelling{Tokens: c.tokens}
	for id, n := range counts {
		if dead(id) {
			s.Dead += n
			s.Worst = append(s.Worst, IDCount{id, n})
		}
	}
	slices.SortFunc(s.Worst, func(a, b IDCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID))
	})
	s.Worst = s.Worst[:min(len(s.Worst), 8)]
	if s.Tokens > 0 {
		s.Share = float64(s.Dead) / float64(s.Tokens)
	}
	return s
}

// The window around a row's norm in which Untrained looks for its likes, the
// wider one it compares with, how many times as dense the narrow one must be,
// and how many rows it must hold.
const (
	narrowNorms = 1e-4
	wideNorms   = 100 * narrowNorms
	denseNorms  = 10
	fewestNorms = 8
)

// Untrained tells from the Euclidean norms of an embedding's rows (V) which
// rows look as if they had never been trained: those of norm 0, and those that
// share their norm with at least seven others far more closely than the norms
// around are spread, because nothing but the same decay ever happened to them.
// Rows initialised at random and left alone without decay differ in norm and
// are not found; there byte fallback is the sign to look for.
func Untrained(norms []float32) []bool {
	sorted := slices.Clone(norms)
	slices.Sort(sorted)
	within := func(x, rel float64) int {
		lo := sort.Search(len(sorted), func(i int) bool { return float64(sorted[i]) >= x*(1-rel) })
		hi := sort.Search(len(sorted), func(i int) bool { return float64(sorted[i]) > x*(1+rel) })
		return hi - lo
	}
	dead := make([]bool, len(norms))
	for i, n := range norms {
		x := float64(n)
		if x == 0 {
			dead[i] = true
			continue
		}
		near := within(x, narrowNorms)
		smooth := float64(within(x, wideNorms)-near) * narrowNorms / (wideNorms - narrowNorms)
		dead[i] = near >= fewestNorms && float64(near) > denseNorms*smooth
	}
	return dead
}
