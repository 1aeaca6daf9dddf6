package tokenizer

import (
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token recognised in the text before the model sees it.
type addedToken struct {
	id         int32
	content    string
	singleWord bool // only where no word character touches it
	lstrip     bool // takes the white space before it
	rstrip     bool // takes the white space after it
	normalized bool // sought in the normalized text
	special    bool // left out of decoded text on request
}

// finder finds the longest of many strings that starts at each place of a text, in time that
// does not depend on how long they are: an automaton of the strings read backwards, which walks
// the text from its end. Aho and Corasick, "Efficient String Matching: An Aid to Bibliographic
// Search", 1975.
type finder struct {
	states []state
	edges  []edge
	root   [256]int32 // state for a last byte, 0 if none
}

// state is the beginning of some string read backwards.
type state struct {
	lo, hi int32 // its edges
	// fail is the state of its longest proper ending that has one.
	fail int32
	// word is the longest string that it ends in, noToken if none; its own, if it is one.
	word int32
}

type edge struct {
	b  byte
	to int32
}

// newFinder builds a finder of words; of equal words the first counts, and empty
// ones are left out.
func newFinder(words []string) *finder {
	order := make([]int, 0, len(words))
	backwards := make([]string, len(words))
	for i, w := range words {
		if w != "" {
			order = append(order, i)
			backwards[i] = reversed(w)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return backwards[order[i]] < backwards[order[j]] })
	f := &finder{states: []state{{word: noToken}}}
	f.build(backwards, order, 0, 0)
	for _, e := range f.edges[f.states[0].lo:f.states[0].hi] {
		f.root[e.b] = e.to
	}
	f.link()
	return f
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// build makes the edges of a state at depth from sorted words that reach it.
func (f *finder) build(words []string, order []int, at int32, depth int) {
	// A chain of single bytes is walked, not recursed into, so that the depth
	// of recursion is the number of branches.
	for {
		for len(order) > 0 && len(words[order[0]]) == depth {
			if f.states[at].word == noToken {
				f.states[at].word = int32(order[0])
			}
			order = order[1:]
		}
		if len(order) == 0 {
			return
		}
		type group struct{ lo, hi int }
		var groups []group
		for i := 0; i < len(order); {
			k := i
			for k < len(order) && words[order[k]][depth] == words[order[i]][depth] {
				k++
			}
			groups = append(groups, group{i, k})
			i = k
		}
		f.states[at].lo = int32(len(f.edges))
		f.states[at].hi = int32(len(f.edges) + len(groups))
		first := int32(len(f.states))
		for i, g := range groups {
			f.edges = append(f.edges, edge{words[order[g.lo]][depth], first + int32(i)})
			f.states = append(f.states, state{word: noToken})
		}
		depth++
		for i, g := range groups[1:] {
			f.build(words, order[g.lo:g.hi], first+1+int32(i), depth)
		}
		at, order = first, order[:groups[0].hi]
	}
}

// link finds every state's longest ending, from the shortest to the longest.
func (f *finder) link() {
	queue := make([]int32, 1, len(f.states))
	for k := 0; k < len(queue); k++ {
		at := queue[k]
		for _, e := range f.edges[f.states[at].lo:f.states[at].hi] {
			queue = append(queue, e.to)
			if at == 0 {
				continue
			}
			n := &f.states[e.to]
			n.fail, _ = f.next(f.states[at].fail, e.b)
			if n.word == noToken {
				n.word = f.states[n.fail].word
			}
		}
	}
}

// next returns the state that byte b leads to, and how many were tried.
func (f *finder) next(at int32, b byte) (to int32, tries int) {
	for tries = 1; at != 0; tries++ {
		n := &f.states[at]
		edges := f.edges[n.lo:n.hi]
		k := 0
		if len(edges) > 8 {
			k = sort.Search(len(edges), func(k int) bool { return edges[k].b >= b })
		}
		for ; k < len(edges) && edges[k].b <= b; k++ {
			if edges[k].b == b {
				return edges[k].to, tries
			}
		}
		at = n.fail
	}
	return f.root[b], tries
}

// found is the longest string at a place of a text.
type found struct{ at, word int32 }

// find appends what is found in text, from its end to its beginning.
func (f *finder) find(s *scratch, text string, out []found) []found {
	at := int32(0)
	for i := len(text) - 1; i >= 0; i-- {
		if at == 0 {
			at = f.root[text[i]]
		} else {
			var tries int
			at, tries = f.next(at, text[i])
			s.work += int64(tries)
		}
		if at != 0 && f.states[at].word != noToken {
			out = append(out, found{int32(i), f.states[at].word})
		}
	}
	s.work += int64(len(text))
	return out
}

// addedSet is the added tokens sought in one form of the text.
type addedSet struct {
	*finder
	tokens   []*addedToken
	contents []string
}

func newAddedSet(tokens []*addedToken, contents []string) *addedSet {
	if len(tokens) == 0 {
		return nil
	}
	return &addedSet{newFinder(contents), tokens, contents}
}

// split cuts p at the added tokens: leftmost first, longest at each place.
func (a *addedSet) split(s *scratch, p piece, out []piece) []piece {
	if a == nil {
		// Slicing moves the piece's start to where its first character came
		// from, which a normalizer may have changed.
		if p.text != "" {
			out = append(out, p.slice(0, len(p.text)))
		}
		return out
	}
	text := p.text
	done := 0 // where the part not yet given away begins
	keep := func(lo, hi int, token int32) {
		if lo < hi {
			q := p.slice(lo, hi)
			q.token = token
			out = append(out, q)
		}
	}
	spaceEnd := 0 // a stretch of white space already walked ends here
	next := 0     // where the next token may begin
	s.found = a.find(s, text, s.found[:0])
	for _, f := range slices.Backward(s.found) {
		lo := int(f.at)
		if lo < next {
			continue
		}
		hi := lo + len(a.contents[f.word])
		next = hi
		t := a.tokens[f.word]
		if t.singleWord && (wordEnds(text[:lo]) || wordStarts(text[hi:])) {
			continue
		}
		if t.lstrip {
			from := trimSpaceRight(text, done, lo)
			s.work += int64(lo - from)
			lo = max(from, done)
		}
		if t.rstrip {
			if hi >= spaceEnd {
				spaceEnd = hi + leadingSpace(text[hi:])
				s.work += int64(spaceEnd - hi)
			}
			hi = max(hi, spaceEnd)
		}
		keep(done, lo, noToken)
		keep(lo, hi, t.id)
		done = hi
	}
	keep(done, len(text), noToken)
	return out
}

// wordChar is \w of Rust's regex crate.
func wordChar(c rune) bool {
	if c < utf8.RuneSelf {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	return wordTable.has(c)
}

func wordEnds(s string) bool {
	c, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && wordChar(c)
}

func wordStarts(s string) bool {
	c, n := utf8.DecodeRuneInString(s)
	return n > 0 && wordChar(c)
}

// trimSpaceRight returns where the white space that ends at hi begins, not
// looking before lo.
func trimSpaceRight(s string, lo, hi int) int {
	for hi > lo {
		c, n := utf8.DecodeLastRuneInString(s[lo:hi])
		if !unicode.IsSpace(c) {
			break
		}
		hi -= n
	}
	return hi
}

func leadingSpace(s string) int {
	for i, c := range s {
		if !unicode.IsSpace(c) {
			return i
		}
	}
	return len(s)
}
