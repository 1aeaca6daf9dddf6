package tokenizer

import (
	"errors"
	"unicode"
)

// token is one token on its way out: its id, what it reads, and the code
// points of the text it stands for.
type token struct {
	id     int32
	text   string
	lo, hi int
}

// postProcessor adds special tokens around the text's and trims offsets. It
// works on a list of sequences, one at first, since a template leaves several
// behind for whatever follows it.
type postProcessor interface {
	process(seqs [][]token, special bool) ([][]token, error)
}

type postProcessors []postProcessor

func (l postProcessors) process(seqs [][]token, special bool) ([][]token, error) {
	for _, p := range l {
		var err error
		if seqs, err = p.process(seqs, special); err != nil {
			return nil, err
		}
	}
	return seqs, nil
}

// trimOffsets takes white space out of the offsets of byte-level tokens.
type trimOffsets struct{ prefixSpace bool }

func (t trimOffsets) process(seqs [][]token, _ bool) ([][]token, error) {
	for _, seq := range seqs {
		for i := range seq {
			t.trim(&seq[i], i == 0)
		}
	}
	return seqs, nil
}

func (t trimOffsets) trim(tok *token, first bool) {
	isSpace := func(c rune) bool { return c == byteChars[' '] || unicode.IsSpace(c) }
	leading, trailing, inside := 0, 0, false
	for _, c := range tok.text {
		switch {
		case !isSpace(c):
			inside, trailing = true, 0
		case inside:
			trailing++
		default:
			leading++
		}
	}
	if !inside {
		trailing = leading
	}
	if leading > 0 {
		// A single space at the very beginning is the one the pre-tokenizer
		// added; it stands for nothing.
		if t.prefixSpace && leading == 1 && (first || tok.lo == 0) {
			leading = 0
		}
		tok.lo = min(tok.lo+leading, tok.hi)
	}
	if trailing > 0 && tok.hi >= trailing {
		tok.hi = max(tok.hi-trailing, tok.lo)
	}
}

// templatePart is a sequence or the special tokens that stand for one name.
type templatePart struct {
	seq     int // 0 for A, 1 for B, -1 for tokens
	special []token
}

// template is TemplateProcessing.
type template struct{ single, pair []templatePart }

var errTemplate = errors.New("a template cannot follow a processor that adds tokens more than once")

func (t template) process(seqs [][]token, special bool) ([][]token, error) {
	parts := t.single
	switch len(seqs) {
	case 1:
	case 2:
		parts = t.pair
	default:
		return nil, errTemplate
	}
	var out [][]token
	for _, p := range parts {
		switch {
		case p.seq >= len(seqs):
			return nil, errors.New("the single template uses sequence B")
		case p.seq >= 0:
			out = append(out, append([]token(nil), seqs[p.seq]...))
		case special:
			out = append(out, append([]token(nil), p.special...))
		}
	}
	return out, nil
}

// bracket is BertProcessing, and RobertaProcessing, which also trims.
type bracket struct {
	cls, sep token
	roberta  bool
	trim     *trimOffsets
}

func (b bracket) process(seqs [][]token, special bool) ([][]token, error) {
	if b.trim != nil {
		if _, err := b.trim.process(seqs, special); err != nil {
			return nil, err
		}
	}
	if !special {
		return seqs, nil
	}
	for i, seq := range seqs {
		var out []token
		switch {
		case i == 0:
			out = append(out, b.cls)
		case b.roberta:
			out = append(out, b.sep)
		}
		seqs[i] = append(append(out, seq...), b.sep)
	}
	return seqs, nil
}
