package tokenizer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxID is the highest id a token may have.
const maxID = math.MaxInt32 - 1

// parser reads a tokenizer.json. The model comes in its own fields, read as
// they pass, since they are nearly all of the file; the other components are
// read as trees and built once everything is there.
type parser struct {
	r     *jsonReader
	f     *file
	trees map[string]any
	model map[string]any

	vocab  map[string]int32
	byID   map[int32]string
	top    int32 // the highest id of the vocabulary
	merges [][2]string
	added  []*addedToken
}

func (p *parser) at(path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*syntaxError); ok {
		return err
	}
	if _, ok := err.(*fieldError); ok {
		return err
	}
	return &fieldError{fmt.Errorf("%s: %w", path, err)}
}

// fieldError already names its field.
type fieldError struct{ error }

func (p *parser) read() error {
	seen := map[string]bool{}
	err := p.r.object(func(key string) error {
		if seen[key] {
			return p.at(key, fmt.Errorf("is given twice"))
		}
		seen[key] = true
		switch key {
		case "model":
			return p.at(key, p.readModel())
		case "added_tokens":
			return p.at(key, p.readAdded())
		case "version", "normalizer", "pre_tokenizer", "post_processor", "decoder":
			v, err := p.r.value()
			p.trees[key] = v
			return p.at(key, err)
		}
		// Truncation and padding are the caller's business: a corpus is not
		// to be cut short because a file says so.
		return p.at(key, p.r.skip())
	})
	if err != nil {
		return err
	}
	if c := p.r.peek(); c != 0 || p.r.pos < len(p.r.data) {
		return p.r.fail("the end of the file")
	}
	if v, ok := p.trees["version"]; ok && v != "1.0" {
		return fmt.Errorf(`version: expected "1.0", found %s`, describe(v))
	}
	if !seen["model"] {
		return fmt.Errorf("model: expected an object, found nothing")
	}
	return nil
}

func (p *parser) readModel() error {
	p.model = map[string]any{}
	// A model of another kind may have a vocabulary of another form. Its type
	// comes first in every file the library writes.
	return p.r.object(func(key string) error {
		if _, dup := p.model[key]; dup {
			return p.at("model."+key, fmt.Errorf("is given twice"))
		}
		p.model[key] = true
		bpe := p.model["type"] == nil || p.model["type"] == "BPE"
		switch {
		case key == "vocab" && bpe && p.r.peek() == '{':
			return p.at("model.vocab", p.readVocab())
		case key == "merges" && bpe:
			return p.at("model.merges", p.readMerges())
		case key == "vocab":
			return p.r.skip()
		}
		v, err := p.r.value()
		p.model[key] = v
		return p.at("model."+key, err)
	})
}

func (p *parser) readVocab() error {
	p.vocab = map[string]int32{}
	p.byID = map[int32]string{}
	return p.r.object(func(token string) error {
		id, err := p.r.tokenID()
		if err != nil {
			return p.at("model.vocab["+strconv.Quote(token)+"]", err)
		}
		if _, dup := p.vocab[token]; dup {
			return fmt.Errorf("token %q is given twice", token)
		}
		if other, dup := p.byID[id]; dup {
			return fmt.Errorf("tokens %q and %q have the same id %d", other, token, id)
		}
		p.vocab[token] = id
		p.byID[id] = token
		p.top = max(p.top, id)
		return nil
	})
}

// readMerges reads pairs, or the strings "a b" of older files.
func (p *parser) readMerges() error {
	pairs := 0
	return p.r.array(func(i int) error {
		path := func() string { return fmt.Sprintf("model.merges[%d]", i) }
		if p.r.peek() == '"' {
			s, err := p.r.str()
			if err != nil {
				return err
			}
			if strings.HasPrefix(s, "#version") {
				return nil
			}
			a, b, ok := strings.Cut(s, " ")
			if !ok || strings.Contains(b, " ") {
				return p.at(path(), fmt.Errorf("expected two tokens with a space between, found %q", s))
			}
			if pairs > 0 {
				return p.at(path(), fmt.Errorf("expected a pair as before, found %q", s))
			}
			p.merges = append(p.merges, [2]string{a, b})
			return nil
		}
		if p.r.peek() != '[' {
			return p.at(path(), fmt.Errorf("expected two tokens, found %s", p.r.kind()))
		}
		pairs++
		if len(p.merges) >= pairs {
			return p.at(path(), fmt.Errorf("expected a string as before, found an array"))
		}
		var pair [2]string
		n := 0
		err := p.r.array(func(k int) error {
			if p.r.peek() != '"' || k > 1 {
				return p.at(path(), fmt.Errorf("expected two tokens, found %s at place %d", p.r.kind(), k+1))
			}
			var err error
			pair[k], err = p.r.str()
			n++
			return err
		})
		if err == nil && n != 2 {
			err = p.at(path(), fmt.Errorf("expected two tokens, found %d", n))
		}
		p.merges = append(p.merges, pair)
		return err
	})
}

func (p *parser) readAdded() error {
	if p.r.word("null") {
		return nil
	}
	return p.r.array(func(i int) error {
		path := fmt.Sprintf("added_tokens[%d]", i)
		v, err := p.r.value()
		if err != nil {
			return p.at(path, err)
		}
		m, ok := v.(map[string]any)
		if !ok {
			return p.at(path, fmt.Errorf("expected an object, found %s", describe(v)))
		}
		n := node{&file{}, path, m}
		n.f.tokenID(n.at("id"), m["id"])
		t := &addedToken{
			content: n.str("content"), singleWord: n.flag("single_word", false),
			lstrip: n.flag("lstrip", false), rstrip: n.flag("rstrip", false),
			special: n.flag("special", false),
		}
		t.normalized = n.flag("normalized", !t.special)
		if n.f.err != nil {
			return &fieldError{n.f.err}
		}
		p.added = append(p.added, t)
		return nil
	})
}

// tree returns a component's object, ok false if there is none.
func (p *parser) tree(key string) (node, bool) {
	v := p.trees[key]
	if v == nil {
		return node{}, false
	}
	m, ok := v.(map[string]any)
	if !ok {
		p.f.failf(key, "expected an object or null, found %s", describe(v))
	}
	return node{p.f, key, m}, p.f.err == nil
}

// buildModel makes the model from its fields.
func (p *parser) buildModel() (*bpe, error) {
	n := node{p.f, "model", p.model}
	if v, ok := p.model["type"]; ok && v != "BPE" {
		if s, ok := v.(string); ok {
			return nil, fmt.Errorf("model.type %q is not supported", s)
		}
		return nil, fmt.Errorf("model.type: expected a string, found %s", describe(v))
	}
	if p.vocab == nil {
		return nil, fmt.Errorf("model.vocab: expected an object of tokens and ids, found nothing")
	}
	if _, ok := p.model["merges"]; !ok {
		return nil, fmt.Errorf("model.merges: expected an array, found nothing")
	}
	m := &bpe{
		vocab: p.vocab, fuseUnk: n.flag("fuse_unk", false), byteFallback: n.flag("byte_fallback", false),
		ignoreMerges: n.flag("ignore_merges", false), hasUnk: n.given("unk_token"),
	}
	for field, to := range map[string]*string{
		"unk_token": &m.unk, "continuing_subword_prefix": &m.prefix, "end_of_word_suffix": &m.suffix,
	} {
		if n.given(field) {
			*to = n.str(field)
		}
	}
	if n.given("dropout") {
		s, _ := p.model["dropout"].(jsonNumber)
		if v, err := strconv.ParseFloat(string(s), 64); err != nil || v != 0 {
			n.bad("dropout", "null or 0")
		}
	}
	if p.f.err != nil {
		return nil, p.f.err
	}
	rules, err := p.rules(m.prefix)
	if err != nil {
		return nil, err
	}
	m.merges = newPairTable(len(rules))
	for rank, r := range rules {
		m.merges.set(r.a, r.b, pairValue{int32(rank), r.into})
	}
	m.index()
	if !m.rawReady && int64(p.top) < 4*int64(len(p.vocab))+1<<16 {
		m.findJoins(rules, int(p.top)+1)
	}
	return m, nil
}

// rules resolves the merges' tokens.
func (p *parser) rules(prefix string) ([]mergeRule, error) {
	rules := make([]mergeRule, 0, len(p.merges))
	var buf []byte
	for i, pair := range p.merges {
		fail := func(token string) error {
			return fmt.Errorf("model.merges[%d]: %q and %q need the token %q, which is not in the vocabulary", i, pair[0], pair[1], token)
		}
		a, ok := p.vocab[pair[0]]
		if !ok {
			return nil, fail(pair[0])
		}
		b, ok := p.vocab[pair[1]]
		if !ok {
			return nil, fail(pair[1])
		}
		if len(pair[1]) < len(prefix) {
			return nil, fmt.Errorf("model.merges[%d]: %q is shorter than continuing_subword_prefix %q", i, pair[1], prefix)
		}
		buf = append(append(buf[:0], pair[0]...), pair[1][len(prefix):]...)
		into, ok := p.vocab[string(buf)]
		if !ok {
			return nil, fail(string(buf))
		}
		rules = append(rules, mergeRule{a, b, into})
	}
	return rules, nil
}
