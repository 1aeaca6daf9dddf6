package tokenizer

import (
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

// trie finds the longest of many strings that starts at a place.
type trie struct {
	nodes []trieNode
	edges []trieEdge
	root  [256]int32 // node for a first byte, 0 if none
}

type trieNode struct {
	lo, hi int32 // its edges
	token  int32 // index of the string that ends here, or noToken
}

type trieEdge struct {
	b  byte
	to int32
}

// newTrie builds a trie of words; of equal words the first counts, and empty
// ones are left out.
func newTrie(words []string) *trie {
	order := make([]int, 0, len(words))
	for i, w := range words {
		if w != "" {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return words[order[i]] < words[order[j]] })
	t := &trie{nodes: []trieNode{{token: noToken}}}
	t.build(words, order, 0, 0)
	for _, e := range t.edges[t.nodes[0].lo:t.nodes[0].hi] {
		t.root[e.b] = e.to
	}
	return t
}

// build makes the edges of node at depth from sorted words that reach it.
func (t *trie) build(words []string, order []int, at int32, depth int) {
	// A chain of single bytes is walked, not recursed into, so that the depth
	// of recursion is the number of branches.
	for {
		for len(order) > 0 && len(words[order[0]]) == depth {
			if t.nodes[at].token == noToken {
				t.nodes[at].token = int32(order[0])
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
		t.nodes[at].lo = int32(len(t.edges))
		t.nodes[at].hi = int32(len(t.edges) + len(groups))
		first := int32(len(t.nodes))
		for i, g := range groups {
			t.edges = append(t.edges, trieEdge{words[order[g.lo]][depth], first + int32(i)})
			t.nodes = append(t.nodes, trieNode{token: noToken})
		}
		depth++
		for i, g := range groups[1:] {
			t.build(words, order[g.lo:g.hi], first+1+int32(i), depth)
		}
		at, order = first, order[:groups[0].hi]
	}
}

// longest returns the string that starts at text[pos] and its length.
func (t *trie) longest(text string, pos int) (token int32, size int) {
	token = noToken
	at := t.root[text[pos]]
	for i := pos + 1; at != 0; i++ {
		n := t.nodes[at]
		if n.token != noToken {
			token, size = n.token, i-pos
		}
		if i == len(text) {
			break
		}
		at = 0
		edges := t.edges[n.lo:n.hi]
		k := 0
		if len(edges) > 8 {
			k = sort.Search(len(edges), func(k int) bool { return edges[k].b >= text[i] })
		}
		for ; k < len(edges) && edges[k].b <= text[i]; k++ {
			if edges[k].b == text[i] {
				at = edges[k].to
			}
		}
	}
	return token, size
}

// addedSet is the added tokens sought in one form of the text.
type addedSet struct {
	trie   *trie
	tokens []*addedToken
}

func newAddedSet(tokens []*addedToken, contents []string) *addedSet {
	if len(tokens) == 0 {
		return nil
	}
	return &addedSet{newTrie(contents), tokens}
}

// split cuts p at the added tokens: leftmost first, longest at each place.
func (a *addedSet) split(p piece, out []piece) []piece {
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
	for i := 0; i < len(text); {
		if a.trie.root[text[i]] == 0 {
			i++
			continue
		}
		k, size := a.trie.longest(text, i)
		if size == 0 {
			i++
			continue
		}
		t := a.tokens[k]
		lo, hi := i, i+size
		i = hi
		if t.singleWord && (wordEnds(text[:lo]) || wordStarts(text[hi:])) {
			continue
		}
		if t.lstrip {
			lo = max(trimSpaceRight(text, done, lo), done)
		}
		if t.rstrip {
			if hi >= spaceEnd {
				spaceEnd = hi + leadingSpace(text[hi:])
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
