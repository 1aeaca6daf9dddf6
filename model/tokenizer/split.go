package tokenizer

import (
	"strings"
	"unicode/utf8"

	"graft/internal/onig"
)

// match is a stretch of a text that a pattern matched, or the stretch between
// two matches.
type match struct {
	lo, hi int
	hit    bool
}

// pattern cuts a text into matches and what lies between, covering it all.
type pattern interface {
	find(s *scratch, text string, out []match) ([]match, error)
}

// literal is the pattern of one fixed, non-empty string.
type literal string

func (l literal) find(_ *scratch, text string, out []match) ([]match, error) {
	last := 0
	for {
		i := strings.Index(text[last:], string(l))
		if i < 0 {
			break
		}
		out = gap(out, last, last+i)
		out = append(out, match{last + i, last + i + len(l), true})
		last += i + len(l)
	}
	return gap(out, last, len(text)), nil
}

func gap(out []match, lo, hi int) []match {
	if lo < hi {
		out = append(out, match{lo, hi, false})
	}
	return out
}

// runes is the pattern of single characters of a class.
type runes func(c rune) bool

func (r runes) find(_ *scratch, text string, out []match) ([]match, error) {
	last := 0
	for i, c := range text {
		if r(c) {
			out = gap(out, last, i)
			last = i + utf8.RuneLen(c)
			out = append(out, match{i, last, true})
		}
	}
	return gap(out, last, len(text)), nil
}

// runs is the pattern of the longest runs of characters of one class; class
// 0 separates.
type runs func(c rune) int

func (r runs) find(_ *scratch, text string, out []match) ([]match, error) {
	last, class := 0, 0
	for i, c := range text {
		k := r(c)
		if k != class && i > last {
			out = append(out, match{last, i, class != 0})
			last = i
		}
		class = k
	}
	if last < len(text) {
		out = append(out, match{last, len(text), class != 0})
	}
	return out, nil
}

// regex is the pattern of a regular expression.
type regex struct {
	re *onig.Regexp
	id int // its place among the scratch's matchers
}

func (r *regex) find(s *scratch, text string, out []match) ([]match, error) {
	m := s.matcher(r)
	// An empty match right after a match is passed over, as the library's
	// iterator does.
	last, at, lastMatch := 0, 0, -1
	for at <= len(text) {
		lo, hi, ok, err := m.Find(text, at)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if lo == hi && hi == lastMatch {
			n := 1
			if at < len(text) {
				_, n = utf8.DecodeRuneInString(text[at:])
			}
			at += n
			continue
		}
		at, lastMatch = hi, hi
		out = gap(out, last, lo)
		out = append(out, match{lo, hi, true})
		last = hi
	}
	return gap(out, last, len(text)), nil
}

// inverted swaps a pattern's matches and gaps.
type inverted struct{ pattern }

func (v inverted) find(s *scratch, text string, out []match) ([]match, error) {
	base := len(out)
	out, err := v.pattern.find(s, text, out)
	for i := base; i < len(out); i++ {
		out[i].hit = !out[i].hit
	}
	return out, err
}

// behavior says what becomes of the matches of a split.
type behavior uint8

const (
	removed behavior = iota
	isolated
	mergedWithPrevious
	mergedWithNext
	contiguous
)

var behaviors = map[string]behavior{
	"Removed": removed, "Isolated": isolated, "MergedWithPrevious": mergedWithPrevious,
	"MergedWithNext": mergedWithNext, "Contiguous": contiguous,
}

// apply turns matches into the parts to keep; hit then says "drop this part".
func (b behavior) apply(ms []match) []match {
	switch b {
	case isolated:
		for i := range ms {
			ms[i].hit = false
		}
		return ms
	case removed:
		return ms
	case mergedWithNext:
		return mergeNext(ms)
	}
	out := ms[:0]
	previous := false
	for _, m := range ms {
		hit := m.hit
		joins := hit && !previous
		if b == contiguous {
			joins = hit == previous
		}
		previous = hit
		if joins && len(out) > 0 {
			out[len(out)-1].hi = m.hi
			continue
		}
		m.hit = false
		out = append(out, m)
	}
	return out
}

func mergeNext(ms []match) []match {
	previous := false
	w := len(ms)
	for i := len(ms) - 1; i >= 0; i-- {
		m := ms[i]
		joins := m.hit && !previous && w < len(ms)
		previous = m.hit
		if joins {
			ms[w].lo = m.lo
			continue
		}
		m.hit = false
		w--
		ms[w] = m
	}
	return ms[w:]
}
