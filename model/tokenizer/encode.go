package tokenizer

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"graft/internal/onig"
)

// Encoding is a text as tokens.
type Encoding struct {
	IDs    []int32
	Tokens []string // as the vocabulary spells them; added tokens as the text does
	// Offsets are the first and one past the last code point of the text that
	// each token stands for, as in the Python library. Tokens that are parts
	// of one character share its offsets; special tokens have (0, 0).
	Offsets [][2]int
}

// Encode turns text into tokens; special asks for the tokens the
// post-processor adds around it. Text that is not UTF-8 is an error that names
// the byte; see Lossy.
func (t *Tokenizer) Encode(text string, special bool) (Encoding, error) {
	s, err := t.begin(text)
	if err != nil {
		return Encoding{}, err
	}
	defer t.scratchs.Put(s)
	pieces, err := t.pieces(s, text, true)
	if err != nil {
		return Encoding{}, err
	}
	toks, err := t.tokens(s, text, pieces)
	if err != nil {
		return Encoding{}, err
	}
	seqs, err := t.post.process([][]token{toks}, special)
	if err != nil {
		return Encoding{}, fmt.Errorf("tokenizer: post_processor: %w", err)
	}
	var e Encoding
	for _, seq := range seqs {
		for _, k := range seq {
			e.IDs = append(e.IDs, k.id)
			e.Tokens = append(e.Tokens, k.text)
			e.Offsets = append(e.Offsets, [2]int{k.lo, k.hi})
		}
	}
	return e, nil
}

// AppendIDs appends the ids of text to dst. It equals Encode without tokens
// and offsets, and is several times as fast.
func (t *Tokenizer) AppendIDs(dst []int32, text string, special bool) ([]int32, error) {
	s, err := t.begin(text)
	if err != nil {
		return dst, err
	}
	defer t.scratchs.Put(s)
	pieces, err := t.pieces(s, text, t.aligned)
	if err != nil {
		return dst, err
	}
	base := len(dst)
	frame := t.frames[0]
	if special {
		frame = t.frames[1]
	}
	lo, hi := -1, -1 // where the text's own ids are, once encoded
	for _, id := range frame {
		switch {
		case id != noToken:
			dst = append(dst, id)
		case lo >= 0: // a template that repeats the text
			dst = append(dst, dst[lo:hi]...)
		default:
			lo = len(dst)
			if dst, err = t.appendPieces(s, dst, pieces); err != nil {
				return dst[:base], err
			}
			hi = len(dst)
		}
	}
	return dst, nil
}

func (t *Tokenizer) appendPieces(s *scratch, dst []int32, pieces []piece) ([]int32, error) {
	for _, p := range pieces {
		if p.token != noToken {
			dst = append(dst, p.token)
			continue
		}
		var err error
		if dst, err = t.appendWord(s, dst, p.text); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// maxText keeps places in a text within 31 bits, with room to grow while it is
// normalized.
const maxText = math.MaxInt32 / 4

// begin checks text and returns working memory for it.
func (t *Tokenizer) begin(text string) (*scratch, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("tokenizer: text has %d bytes: more than %d at once", len(text), maxText)
	}
	if i := invalidAt(text); i >= 0 {
		return nil, fmt.Errorf("tokenizer: text is not UTF-8: byte %d is 0x%02X", i, text[i])
	}
	return t.scratchs.Get().(*scratch), nil
}

// pieces cuts text into added tokens and words.
func (t *Tokenizer) pieces(s *scratch, text string, align bool) ([]piece, error) {
	if text == "" {
		return nil, nil
	}
	cur, next := s.pieces[0][:0], s.pieces[1][:0]
	defer func() { s.pieces[0], s.pieces[1] = cur, next }()
	cur = t.plain.split(s, identity(text, align), cur)
	next, err := each(cur, next, func(p piece, out []piece) ([]piece, error) {
		if err := t.normalizer.normalize(s, &p); err != nil {
			return nil, fmt.Errorf("tokenizer: normalizer: %w", err)
		}
		return t.normal.split(s, p, out), nil
	})
	if err != nil {
		return nil, err
	}
	cur, next = next, cur
	for _, step := range t.steps {
		next, err = each(cur, next[:0], func(p piece, out []piece) ([]piece, error) {
			return step.split(s, p, out)
		})
		if err != nil {
			return nil, fmt.Errorf("tokenizer: pre_tokenizer: %w", err)
		}
		cur, next = next, cur
	}
	return cur, nil
}

// each passes every piece that is still text through f and drops empty ones.
func each(in, out []piece, f func(piece, []piece) ([]piece, error)) ([]piece, error) {
	for _, p := range in {
		if p.token != noToken {
			out = append(out, p)
			continue
		}
		from := len(out)
		var err error
		if out, err = f(p, out); err != nil {
			return nil, err
		}
		kept := out[:from]
		for _, q := range out[from:] {
			if q.text != "" {
				kept = append(kept, q)
			}
		}
		out = kept
	}
	return out, nil
}

// tokens runs the model over pieces that carry offsets.
func (t *Tokenizer) tokens(s *scratch, text string, pieces []piece) ([]token, error) {
	chars := newCharIndex(text)
	var out []token
	for _, p := range pieces {
		if p.token != noToken {
			lo, hi := chars.span(p.span(0, len(p.text)))
			out = append(out, token{p.token, p.text, lo, hi})
			continue
		}
		syms, err := t.model.encode(s, p.text)
		if err != nil {
			return nil, err
		}
		at := 0
		for _, sym := range syms {
			end := at + int(sym.size)
			lo, hi := chars.span(p.span(at, end))
			name, _ := t.modelToken(sym.id)
			out = append(out, token{sym.id, name, lo, hi})
			at = end
		}
	}
	return out, nil
}

// modelToken returns the token of an id in the model's vocabulary.
func (t *Tokenizer) modelToken(id int32) (string, bool) {
	// An added token of the same id has the same content, but may be known by
	// its normalized one.
	if s, ok := t.renamed[id]; ok {
		return s, true
	}
	return t.IDToToken(id)
}

// span returns the bytes of the original that bytes lo to hi stand for. Bytes
// past the end come of byte fallback on a suffix; they stand for themselves.
func (p *piece) span(lo, hi int) (int, int) {
	if lo >= hi || hi > len(p.align) {
		return lo, hi
	}
	return int(p.align[lo].lo), int(p.align[hi-1].hi)
}

// charIndex converts byte offsets of a text to code points.
type charIndex struct {
	size  int
	ascii bool
	marks []int32 // code points before every block of 64 bytes
	text  string
}

const charBlock = 64

func newCharIndex(text string) *charIndex {
	c := &charIndex{size: len(text), text: text, ascii: true}
	n := int32(0)
	for i := 0; i < len(text); i++ {
		if i%charBlock == 0 {
			c.marks = append(c.marks, n)
		}
		if utf8.RuneStart(text[i]) {
			n++
		}
		c.ascii = c.ascii && text[i] < utf8.RuneSelf
	}
	return c
}

// at returns the index of the code point that byte i is part of.
func (c *charIndex) at(i int) int {
	if c.ascii {
		return i
	}
	n := int(c.marks[i/charBlock])
	for k := i / charBlock * charBlock; k <= i; k++ {
		if utf8.RuneStart(c.text[k]) {
			n++
		}
	}
	return n - 1
}

// span converts a range of bytes. One that starts at the end of the text, or
// past it, stays as it is.
func (c *charIndex) span(lo, hi int) (int, int) {
	if lo >= c.size {
		return lo, hi
	}
	if hi < c.size {
		return c.at(lo), c.at(hi)
	}
	if last := hi - 1; last < c.size {
		return c.at(lo), c.at(last) + 1
	}
	return c.at(lo), c.at(lo) + 2
}

// Bounds of the memory of words already encoded. It is dropped whole when
// full, so that its content never changes a result or its cost for long.
const (
	cacheWord  = 64      // bytes of the longest word kept
	cacheWords = 1 << 16 // words
	cacheIDs   = 1 << 18
)

type cached struct{ at, n int32 }

// appendWord appends the ids of one word.
func (t *Tokenizer) appendWord(s *scratch, dst []int32, word string) ([]int32, error) {
	short := len(word) <= cacheWord
	if short {
		if c, ok := s.words[word]; ok {
			return append(dst, s.ids[c.at:c.at+c.n]...), nil
		}
	}
	var syms []symbol
	var err error
	if t.raw {
		syms = t.model.encodeRaw(s, word)
	} else if syms, err = t.model.encode(s, word); err != nil {
		return dst, err
	}
	base := len(dst)
	for _, sym := range syms {
		dst = append(dst, sym.id)
	}
	if short {
		if len(s.words) >= cacheWords || len(s.ids)+len(syms) > cacheIDs {
			clear(s.words)
			s.ids = s.ids[:0]
		}
		s.words[strings.Clone(word)] = cached{int32(len(s.ids)), int32(len(syms))}
		s.ids = append(s.ids, dst[base:]...)
	}
	return dst, nil
}

// scratch is the working memory of one call.
type scratch struct {
	pieces   [2][]piece
	matches  []match
	found    []found
	edits    []edit
	sorted   []edit
	classes  []uint8
	syms     []symbol
	pairs    []pairValue
	queue    queue
	matchers []*onig.Matcher
	words    map[string]cached
	ids      []int32
	// work counts steps in the search for added tokens, in sorting marks and in merging, so
	// that tests can hold it to the size of the text.
	work int64
}

func newScratch(t *Tokenizer) *scratch {
	return &scratch{matchers: make([]*onig.Matcher, t.regexes), words: map[string]cached{}}
}

func (s *scratch) matcher(r *regex) *onig.Matcher {
	if s.matchers[r.id] == nil {
		s.matchers[r.id] = r.re.NewMatcher()
	}
	return s.matchers[r.id]
}
