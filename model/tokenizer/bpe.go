package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// bpe is byte pair encoding: a word starts as its characters, and the pair of
// neighbours merged earliest in training is merged first, until none is left.
// Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with
// Subword Units", 2016.
type bpe struct {
	vocab  map[string]int32
	merges *pairTable

	unk          string
	unkID        int32 // noToken if unk is not in the vocabulary
	hasUnk       bool
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool
	prefix       string // before every character of a word but the first
	suffix       string // after the last

	low [0x300]int32 // ids of single characters, noToken if none
	// fallback are the ids of <0x00> to <0xFF>, noToken if absent.
	fallback [256]int32
	// raw are the ids of byte-level characters by byte; words then need not be
	// spelled out before they are encoded. rawReady says all are there.
	raw      [256]int32
	rawReady bool
	rawVocab map[string]int32 // tokens by the bytes they spell, for ignoreMerges
	// joins holds the pairs of initial symbols some merge joins. No merge ever
	// crosses another pair, so a long text falls into independent words there.
	joins *pairTable
}

// index fills the tables derived from the vocabulary.
func (m *bpe) index() {
	for c := range m.low {
		m.low[c] = m.id(string(rune(c)))
	}
	m.rawReady = m.prefix == "" && m.suffix == ""
	for b := range m.fallback {
		m.fallback[b] = m.id(fmt.Sprintf("<0x%02X>", b))
		m.raw[b] = m.id(string(byteChars[b]))
		// The bytes that no UTF-8 holds may be missing.
		never := b == 0xC0 || b == 0xC1 || b >= 0xF5
		m.rawReady = m.rawReady && (m.raw[b] != noToken || never)
	}
	m.unkID = m.id(m.unk)
	if m.ignoreMerges && m.rawReady {
		m.rawVocab = make(map[string]int32, len(m.vocab))
		var buf []byte
		for token, id := range m.vocab {
			var ok bool
			if buf, ok = appendRaw(buf[:0], token); ok {
				m.rawVocab[string(buf)] = id
			}
		}
	}
}

func (m *bpe) id(token string) int32 {
	if id, ok := m.vocab[token]; ok {
		return id
	}
	return noToken
}

// initial returns the id of one character at its place in a word.
func (m *bpe) initial(c string, first, last bool) (int32, string) {
	if (first || m.prefix == "") && (!last || m.suffix == "") {
		if r, n := utf8.DecodeRuneInString(c); n == len(c) && int(r) < len(m.low) {
			return m.low[r], c
		}
		return m.id(c), c
	}
	if !first {
		c = m.prefix + c
	}
	if last {
		c += m.suffix
	}
	return m.id(c), c
}

// symbols spells word as initial symbols.
func (m *bpe) symbols(s *scratch, word string) ([]symbol, error) {
	syms := s.syms[:0]
	unkSize := int32(0)
	for i := 0; i < len(word); {
		_, n := utf8.DecodeRuneInString(word[i:])
		id, spelled := m.initial(word[i:i+n], i == 0, i+n == len(word))
		i += n
		if id != noToken {
			if unkSize > 0 {
				syms = append(syms, symbol{id: m.unkID, size: unkSize})
				unkSize = 0
			}
			syms = append(syms, symbol{id: id, size: int32(n)})
			continue
		}
		// The library leaves a pending unknown where it is, so that it comes
		// out after the bytes; tokenizers in use depend on nothing else.
		if m.byteFallback && m.hasBytes(spelled) {
			for k := 0; k < len(spelled); k++ {
				syms = append(syms, symbol{id: m.fallback[spelled[k]], size: 1})
			}
			continue
		}
		if !m.hasUnk {
			continue
		}
		if m.unkID == noToken {
			s.syms = syms
			return nil, fmt.Errorf("tokenizer: text holds %q, which the vocabulary cannot spell, and unk_token %q is not in the vocabulary", spelled, m.unk)
		}
		if unkSize > 0 && !m.fuseUnk {
			syms = append(syms, symbol{id: m.unkID, size: unkSize})
			unkSize = 0
		}
		unkSize += int32(n)
	}
	if unkSize > 0 {
		syms = append(syms, symbol{id: m.unkID, size: unkSize})
	}
	s.syms = syms
	return syms, nil
}

func (m *bpe) hasBytes(s string) bool {
	for i := 0; i < len(s); i++ {
		if m.fallback[s[i]] == noToken {
			return false
		}
	}
	return true
}

// encode returns the tokens of one word, good until the next call with s.
func (m *bpe) encode(s *scratch, word string) ([]symbol, error) {
	if m.ignoreMerges {
		if id, ok := m.vocab[word]; ok {
			s.syms = append(s.syms[:0], symbol{id: id, size: int32(len(word))})
			return s.syms, nil
		}
	}
	syms, err := m.symbols(s, word)
	if err != nil {
		return nil, err
	}
	return m.mergeWords(s, syms), nil
}

// encodeRaw works like encode on a word not yet spelled in byte characters.
// Sizes count bytes of word.
func (m *bpe) encodeRaw(s *scratch, word string) []symbol {
	if m.ignoreMerges {
		if id, ok := m.rawVocab[word]; ok {
			s.syms = append(s.syms[:0], symbol{id: id, size: int32(len(word))})
			return s.syms
		}
	}
	syms := s.syms[:0]
	for i := 0; i < len(word); i++ {
		syms = append(syms, symbol{id: m.raw[word[i]], size: 1})
	}
	s.syms = syms
	return m.merges.merge(s, syms)
}

// mergeWords merges each stretch of symbols that merges cannot leave.
func (m *bpe) mergeWords(s *scratch, syms []symbol) []symbol {
	if m.joins == nil || len(syms) <= shortWord {
		return m.merges.merge(s, syms)
	}
	out := 0
	for lo := 0; lo < len(syms); {
		hi := lo + 1
		for hi < len(syms) {
			if _, ok := m.joins.get(syms[hi-1].id, syms[hi].id); !ok {
				break
			}
			hi++
		}
		// What is written never passes what is still to be read.
		out += copy(syms[out:], m.merges.merge(s, syms[lo:hi:hi]))
		lo = hi
	}
	return syms[:out]
}

// findJoins fills joins from the merges. Each token has a first and a last
// initial symbol, those of the tokens it was merged from.
func (m *bpe) findJoins(list []mergeRule, size int) {
	if m.prefix != "" || m.suffix != "" {
		return
	}
	first, last := make([]int32, size), make([]int32, size)
	for i := range first {
		first[i], last[i] = int32(i), int32(i)
	}
	for _, r := range list {
		first[r.into], last[r.into] = noToken, noToken
	}
	pending, ok := list, true
	for range 2 {
		if pending, ok = spread(pending, first, last); !ok || len(pending) == 0 {
			break
		}
		// A file may list a merge before those that make its parts, which are shorter.
		sizes := make([]int, size)
		for token, id := range m.vocab {
			sizes[id] = len(token)
		}
		slices.SortStableFunc(pending, func(a, b mergeRule) int { return cmp.Compare(sizes[a.into], sizes[b.into]) })
	}
	if !ok || len(pending) > 0 {
		return
	}
	joins := newPairTable(len(list))
	for _, r := range list {
		joins.set(last[r.a], first[r.b], pairValue{})
	}
	m.joins = joins
}

// spread gives each merged token the first and last symbol of its parts, and returns the
// rules whose parts had none yet. One token spelled in two ways, ok false, leaves no safe cuts.
func spread(list []mergeRule, first, last []int32) (later []mergeRule, ok bool) {
	for _, r := range list {
		f, l := first[r.a], last[r.b]
		switch {
		case f == noToken || l == noToken:
			later = append(later, r)
		case first[r.into] == noToken:
			first[r.into], last[r.into] = f, l
		case first[r.into] != f || last[r.into] != l:
			return nil, false
		}
	}
	return later, true
}

// mergeRule says that tokens a and b merge into one.
type mergeRule struct{ a, b, into int32 }
