package data

import (
	"cmp"
	"slices"
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
