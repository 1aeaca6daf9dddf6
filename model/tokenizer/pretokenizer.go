package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// preTokenizer cuts a piece into the words the model sees one at a time, and
// may rewrite them.
type preTokenizer interface {
	split(s *scratch, p piece, out []piece) ([]piece, error)
}

// cut is the step most pre-tokenizers are: a pattern and what to do with it.
type cut struct {
	pattern  pattern
	behavior behavior
}

func (c cut) split(s *scratch, p piece, out []piece) ([]piece, error) {
	ms, err := c.pattern.find(s, p.text, s.matches[:0])
	if err != nil {
		return nil, err
	}
	s.matches = ms
	for _, m := range c.behavior.apply(ms) {
		if !m.hit && m.lo < m.hi {
			out = append(out, p.slice(m.lo, m.hi))
		}
	}
	return out, nil
}

// byteLevel is the ByteLevel pre-tokenizer.
type byteLevel struct {
	prefixSpace bool
	pattern     pattern // nil without use_regex
	spell       bool    // spell bytes as characters here, not in the model
}

func (b *byteLevel) split(s *scratch, p piece, out []piece) ([]piece, error) {
	if b.prefixSpace && p.text[0] != ' ' {
		p.prepend(" ")
	}
	base := len(out)
	if b.pattern == nil {
		out = append(out, p)
	} else {
		var err error
		if out, err = (cut{b.pattern, isolated}).split(s, p, out); err != nil {
			return nil, err
		}
	}
	if b.spell || p.align != nil {
		for i := base; i < len(out); i++ {
			toByteChars(&out[i])
		}
	}
	return out, nil
}

// metaspace is the Metaspace pre-tokenizer of sentencepiece's families.
type metaspace struct {
	mark   string // the character that stands for a space
	always bool
	first  bool // put a mark before the text's beginning only
	cut    bool // split before each mark
}

func (m *metaspace) split(s *scratch, p piece, out []piece) ([]piece, error) {
	ms, err := literal(" ").find(s, p.text, s.matches[:0])
	if err != nil {
		return nil, err
	}
	s.matches = ms
	p.replace(ms, m.mark)
	marked := len(p.text) >= len(m.mark) && p.text[:len(m.mark)] == m.mark
	if !marked && (m.always || m.first && p.start == 0) {
		p.prepend(m.mark)
	}
	if !m.cut {
		return append(out, p), nil
	}
	return cut{literal(m.mark), mergedWithNext}.split(s, p, out)
}

// chunks cuts after every so many characters.
type chunks int

func (n chunks) split(_ *scratch, p piece, out []piece) ([]piece, error) {
	lo, count := 0, 0
	for i := range p.text {
		if count == int(n) {
			out = append(out, p.slice(lo, i))
			lo, count = i, 0
		}
		count++
	}
	return append(out, p.slice(lo, len(p.text))), nil
}

// wordOrNot gives the classes of \w+|[^\w\s]+ .
func wordOrNot(c rune) int {
	switch {
	case wordChar(c):
		return 1
	case unicode.IsSpace(c):
		return 0
	}
	return 2
}

func isPunctuation(c rune) bool {
	if c < utf8.RuneSelf {
		return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
	}
	return punctuationTable.has(c)
}

func isNumber(c rune) bool {
	if c < utf8.RuneSelf {
		return c >= '0' && c <= '9'
	}
	return numberTable.has(c)
}
