package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
)

// Tokenizer turns text into token ids and back. It does not change once made
// and is safe for concurrent use.
type Tokenizer struct {
	model      *bpe
	normalizer normalizers
	steps      []preTokenizer
	post       postProcessors
	decoder    decoders
	joined     bool // there is a decoder; without one, tokens are joined by spaces

	plain, normal *addedSet // tokens sought in the text as it is, and normalized

	toToken  []string         // by id; "" where there is none
	sparse   map[int32]string // instead of toToken when ids are far apart
	renamed  map[int32]string // the vocabulary's name where an added token has another
	toID     map[string]int32
	special  map[string]bool // contents of special tokens
	count    int
	top      int32
	raw      bool       // the model takes words as bytes, when no offsets are asked for
	aligned  bool       // offsets are needed to encode at all
	frames   [2][]int32 // what the post-processors make of a text, which is noToken
	regexes  int
	scratchs sync.Pool
}

// maxFrame bounds the tokens put around a text.
const maxFrame = 1 << 12

// maxFile bounds a tokenizer.json, unpacked. The largest in use has 34 MB.
const maxFile = 1 << 30

// Open reads a tokenizer.json, plain or compressed with gzip, or the one in a
// model directory.
func Open(path string) (*Tokenizer, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, "tokenizer.json")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if bytes.HasPrefix(data, []byte{0x1F, 0x8B}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(z, maxFile+1))
		}
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
		}
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("tokenizer: %s: larger than %d bytes", path, maxFile)
	}
	return Parse(path, data)
}

// Parse reads the text of a tokenizer.json. Errors name the file as name.
func Parse(name string, data []byte) (*Tokenizer, error) {
	t, err := parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", name, err)
	}
	return t, nil
}

func parse(data string) (*Tokenizer, error) {
	if i := invalidAt(data); i >= 0 {
		return nil, fmt.Errorf("invalid UTF-8 at byte %d", i)
	}
	f := &file{}
	p := &parser{r: &jsonReader{data: data}, f: f, trees: map[string]any{}}
	if err := p.read(); err != nil {
		return nil, err
	}
	m, err := p.buildModel()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{model: m}
	if n, ok := p.tree("normalizer"); ok {
		t.normalizer = n.normalizers()
	}
	if n, ok := p.tree("pre_tokenizer"); ok {
		t.steps = n.preTokenizers()
	}
	if n, ok := p.tree("decoder"); ok {
		t.decoder, t.joined = n.decoders(), true
	}
	if n, ok := p.tree("post_processor"); ok {
		t.post = n.postProcessors()
	}
	if f.err != nil {
		return nil, f.err
	}
	t.regexes = f.regexes
	t.aligned = f.atStart && (len(t.normalizer) > 0 || f.steps > 1)
	t.scratchs.New = func() any { return newScratch(t) }
	t.planBytes()
	if err := t.addTokens(p.added); err != nil {
		return nil, err
	}
	t.indexTokens(p)
	return t, t.findFrames()
}

// planBytes lets the model spell the bytes when ByteLevel is the last step.
func (t *Tokenizer) planBytes() {
	if len(t.steps) == 0 || t.aligned {
		return
	}
	if b, ok := t.steps[len(t.steps)-1].(*byteLevel); ok && t.model.rawReady {
		b.spell = false
		t.raw = true
	}
}

// addTokens gives the added tokens their ids as the library does: a token of
// the vocabulary keeps its id, the others follow the vocabulary in order. The
// ids in the file are not used.
func (t *Tokenizer) addTokens(list []*addedToken) error {
	byContent := map[string]*addedToken{}
	byID := map[int32]*addedToken{}
	var order []*addedToken
	t.special = map[string]bool{}
	next := int64(len(t.model.vocab))
	for _, a := range list {
		if a.content == "" {
			continue
		}
		if a.special {
			t.special[a.content] = true
		}
		if old := byContent[a.content]; old != nil {
			a.id = old.id
			*old = *a
			continue
		}
		id, ok := t.model.vocab[a.content]
		if !ok {
			if next > maxID {
				return errors.New("added_tokens: too many")
			}
			id = int32(next)
			next++
		}
		a.id = id
		byContent[a.content] = a
		if old := byID[id]; old != nil {
			*old = *a
			continue
		}
		byID[id] = a
		order = append(order, a)
	}
	var sets [2]struct {
		tokens   []*addedToken
		contents []string
	}
	s := newScratch(t)
	for _, a := range order {
		k, content := 0, a.content
		if a.normalized {
			p := identity(content, t.aligned)
			if err := t.normalizer.normalize(s, &p); err != nil {
				return fmt.Errorf("added_tokens: %q: %w", content, err)
			}
			k, content = 1, p.text
		}
		sets[k].tokens = append(sets[k].tokens, a)
		sets[k].contents = append(sets[k].contents, content)
	}
	t.plain = newAddedSet(sets[0].tokens, sets[0].contents)
	t.normal = newAddedSet(sets[1].tokens, sets[1].contents)
	t.toID = make(map[string]int32, len(order))
	t.sparse = make(map[int32]string, len(order))
	for i, a := range sets[0].tokens {
		t.toID[a.content], t.sparse[a.id] = a.id, sets[0].contents[i]
	}
	// Normalized tokens read as what was sought, also when decoding.
	for i, a := range sets[1].tokens {
		t.toID[a.content], t.sparse[a.id] = a.id, sets[1].contents[i]
	}
	return nil
}

// indexTokens fills the table from ids to tokens: a slice, unless the ids are
// so far apart that it would mostly be holes.
func (t *Tokenizer) indexTokens(p *parser) {
	t.top = p.top
	if len(p.vocab) == 0 {
		t.top = -1
	}
	t.count = len(p.byID)
	t.renamed = map[int32]string{}
	for id, name := range t.sparse {
		t.top = max(t.top, id)
		if token, ok := p.byID[id]; !ok {
			t.count++
		} else if token != name {
			t.renamed[id] = token
		}
	}
	if int64(t.top) < 4*int64(t.count)+1<<16 {
		t.toToken = make([]string, t.top+1)
		for id, token := range p.byID {
			t.toToken[id] = token
		}
		for id, token := range t.sparse {
			t.toToken[id] = token
		}
		t.sparse = nil
		return
	}
	for id, token := range p.byID {
		if _, ok := t.sparse[id]; !ok {
			t.sparse[id] = token
		}
	}
}

// findFrames asks the post-processors what they put around a text, without
// and with special tokens. It also refuses, before any text is lost to it, a
// chain that cannot work.
func (t *Tokenizer) findFrames() error {
	for i, special := range []bool{false, true} {
		seqs, err := t.post.process([][]token{{{id: noToken, text: "x"}}}, special)
		if err != nil {
			return fmt.Errorf("post_processor: %w", err)
		}
		for _, seq := range seqs {
			for _, tok := range seq {
				t.frames[i] = append(t.frames[i], tok.id)
			}
		}
		if len(t.frames[i]) > maxFrame {
			return fmt.Errorf("post_processor: adds more than %d tokens", maxFrame)
		}
	}
	return nil
}

// VocabSize returns the rows an embedding needs: the highest id plus one.
func (t *Tokenizer) VocabSize() int { return int(t.top) + 1 }

// Count returns the number of tokens. It is less than VocabSize when ids have
// holes.
func (t *Tokenizer) Count() int { return t.count }

// Specials returns the ids that Encode puts before and after a text when asked
// to add special tokens: often one BOS and nothing.
func (t *Tokenizer) Specials() (prefix, suffix []int32) {
	frame := t.frames[1]
	first := slices.Index(frame, noToken)
	if first < 0 {
		return slices.Clone(frame), nil
	}
	last := len(frame) - 1
	for frame[last] != noToken {
		last--
	}
	return slices.Clone(frame[:first]), slices.Clone(frame[last+1:])
}

// TokenToID returns the id of a token, added ones first.
func (t *Tokenizer) TokenToID(token string) (int32, bool) {
	if id, ok := t.toID[token]; ok {
		return id, true
	}
	id, ok := t.model.vocab[token]
	return id, ok
}

// IDToToken returns the token of an id, as the file spells it.
func (t *Tokenizer) IDToToken(id int32) (string, bool) {
	if t.sparse != nil {
		s, ok := t.sparse[id]
		return s, ok
	}
	if id < 0 || int(id) >= len(t.toToken) || t.toToken[id] == "" && !t.hasEmpty(id) {
		return "", false
	}
	return t.toToken[id], true
}

// hasEmpty tells the empty token, if the vocabulary has one, from a hole.
func (t *Tokenizer) hasEmpty(id int32) bool {
	e, ok := t.model.vocab[""]
	return ok && e == id
}

// IsSpecial reports whether Decode leaves the id out on request.
func (t *Tokenizer) IsSpecial(id int32) bool {
	s, ok := t.IDToToken(id)
	return ok && t.special[s]
}

// IsByte reports whether the id stands for one byte that is not a character
// by itself: a byte-fallback token such as <0xE3>, or a byte-level token of a
// byte above 0x7F. Many of them in a text mean that the vocabulary cannot
// spell its script.
func (t *Tokenizer) IsByte(id int32) bool {
	s, ok := t.IDToToken(id)
	if !ok {
		return false
	}
	if t.model.byteFallback {
		_, ok = fallbackByte(s)
		return ok
	}
	if !t.byteLevel() {
		return false
	}
	c, n := utf8.DecodeRuneInString(s)
	b, ok := charByte(c)
	return ok && n == len(s) && b >= utf8.RuneSelf
}

// byteLevel reports whether tokens spell bytes as characters.
func (t *Tokenizer) byteLevel() bool {
	for _, d := range t.decoder {
		if _, ok := d.(byteLevelDecoder); ok {
			return true
		}
	}
	return false
}

// invalidAt returns where text stops being UTF-8, -1 if it never does.
func invalidAt(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for i, c := range text {
		if c == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return -1
}
