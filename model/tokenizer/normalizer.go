package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// normalizer rewrites the text of a piece before it is split.
type normalizer interface {
	normalize(s *scratch, p *piece) error
}

type normalizers []normalizer

func (l normalizers) normalize(s *scratch, p *piece) error {
	for _, n := range l {
		if err := n.normalize(s, p); err != nil {
			return err
		}
	}
	return nil
}

type prepend string

func (n prepend) normalize(_ *scratch, p *piece) error {
	p.prepend(string(n))
	return nil
}

// replaceAll is the Replace normalizer and decoder.
type replaceAll struct {
	pattern pattern
	content string
}

func (n replaceAll) normalize(s *scratch, p *piece) error {
	if p.text == "" {
		return nil
	}
	ms, err := n.pattern.find(s, p.text, s.matches[:0])
	if err != nil {
		return err
	}
	p.replace(ms, n.content)
	s.matches = ms
	return nil
}

// unicodeForm is NFC, NFD, NFKC or NFKD.
type unicodeForm struct{ compose, compatible bool }

func (n unicodeForm) normalize(s *scratch, p *piece) error {
	if n.isNormal(p.text) {
		return nil
	}
	s.edits = decompose(s, s.edits[:0], p.text, n.compatible)
	if n.compose {
		s.edits = compose(s.edits)
	}
	p.rewrite(s.edits, 0)
	return nil
}

type lowercase struct{}

func (lowercase) normalize(s *scratch, p *piece) error {
	s.edits = s.edits[:0]
	for _, c := range p.text {
		if c == 'İ' { // the one character whose small form is two
			s.edits = append(s.edits, edit{'i', 0}, edit{'\u0307', 1})
			continue
		}
		s.edits = append(s.edits, edit{toLower(c), 0})
	}
	p.rewrite(s.edits, 0)
	return nil
}

// filter keeps the characters that keep accepts, mapped by to.
func filter(s *scratch, p *piece, keep func(rune) bool, to func(rune) rune) {
	s.edits = s.edits[:0]
	skipped := 0
	for _, c := range p.text {
		switch {
		case keep(c):
			s.edits = append(s.edits, edit{to(c), 0})
		case len(s.edits) == 0:
			skipped++
		default:
			s.edits[len(s.edits)-1].change--
		}
	}
	p.rewrite(s.edits, skipped)
}

func same(c rune) rune { return c }

type stripAccents struct{}

func (stripAccents) normalize(s *scratch, p *piece) error {
	filter(s, p, func(c rune) bool { return !accentTable.has(c) }, same)
	return nil
}

type stripSpace struct{ left, right bool }

func (n stripSpace) normalize(s *scratch, p *piece) error {
	leading, trailing := 0, 0
	if n.left {
		leading = utf8.RuneCountInString(p.text[:leadingSpace(p.text)])
	}
	if n.right {
		trailing = utf8.RuneCountInString(p.text[trimSpaceRight(p.text, 0, len(p.text)):])
	}
	if leading == 0 && trailing == 0 {
		return nil
	}
	end := utf8.RuneCountInString(p.text) - trailing
	s.edits = s.edits[:0]
	i := 0
	for _, c := range p.text {
		switch {
		case i < leading || i >= end:
		case i == end-1:
			s.edits = append(s.edits, edit{c, -trailing})
		default:
			s.edits = append(s.edits, edit{c, 0})
		}
		i++
	}
	p.rewrite(s.edits, leading)
	return nil
}

// nmt is the clean-up of sentencepiece's nmt rules.
type nmt struct{}

func (nmt) normalize(s *scratch, p *piece) error {
	filter(s, p, func(c rune) bool {
		return !(c >= 0x1 && c <= 0x8 || c == 0xB || c >= 0xE && c <= 0x1F || c == 0x7F || c == 0x8F || c == 0x9F)
	}, func(c rune) rune {
		switch {
		case c == 0x9, c == 0xA, c == 0xC, c == 0xD, c == 0x1680, c >= 0x200B && c <= 0x200F,
			c == 0x2028, c == 0x2029, c == 0x2581, c == 0xFEFF, c == 0xFFFD:
			return ' '
		}
		return c
	})
	return nil
}

type byteChar struct{}

func (byteChar) normalize(_ *scratch, p *piece) error {
	toByteChars(p)
	return nil
}

// bert is the normalizer of BERT.
type bert struct{ clean, chinese, strip, lower bool }

func (n bert) normalize(s *scratch, p *piece) error {
	if n.clean {
		filter(s, p, func(c rune) bool { return !bertControlTable.has(c) },
			func(c rune) rune {
				if unicode.IsSpace(c) {
					return ' '
				}
				return c
			})
	}
	if n.chinese {
		s.edits = s.edits[:0]
		for _, c := range p.text {
			if isChinese(c) {
				s.edits = append(s.edits, edit{' ', 0}, edit{c, 1}, edit{' ', 1})
				continue
			}
			s.edits = append(s.edits, edit{c, 0})
		}
		p.rewrite(s.edits, 0)
	}
	if n.strip {
		if err := (unicodeForm{}).normalize(s, p); err != nil {
			return err
		}
		filter(s, p, func(c rune) bool { return !bertMarkTable.has(c) }, same)
	}
	if n.lower {
		return lowercase{}.normalize(s, p)
	}
	return nil
}

func isChinese(c rune) bool {
	return c >= 0x4E00 && c <= 0x9FFF || c >= 0x3400 && c <= 0x4DBF || c >= 0x20000 && c <= 0x2A6DF ||
		c >= 0x2A700 && c <= 0x2B73F || c >= 0x2B740 && c <= 0x2B81F || c >= 0x2B920 && c <= 0x2CEAF ||
		c >= 0xF900 && c <= 0xFAFF || c >= 0x2F800 && c <= 0x2FA1F
}
