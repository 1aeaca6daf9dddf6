package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"graft/model/tokenizer"
)

// hardText is a text that is hard for some part of a tokenizer.
type hardText struct {
	name string
	make func(tok *tokenizer.Tokenizer, n int) []byte // about n bytes, which need not be UTF-8
}

var hard = []hardText{
	{"one letter", func(_ *tokenizer.Tokenizer, n int) []byte { return fill("a", n) }},
	{"random letters", func(_ *tokenizer.Tokenizer, n int) []byte { return random('a', 'z'+1, n) }},
	{"spaces", func(_ *tokenizer.Tokenizer, n int) []byte { return fill(" ", n) }},
	{"marks out of order", func(_ *tokenizer.Tokenizer, n int) []byte { return fill("\u0301\u0323\u0300\u0327", n) }},
	{"one emoji and ZWJ", func(_ *tokenizer.Tokenizer, n int) []byte { return fill("👨\u200D", n) }},
	{"Hangul without a break", func(_ *tokenizer.Tokenizer, n int) []byte { return random('가', '힣'+1, n) }},
	{"added tokens", func(tok *tokenizer.Tokenizer, n int) []byte { return fill(strings.Join(specials(tok), ""), n) }},
	{"cut added tokens", func(tok *tokenizer.Tokenizer, n int) []byte {
		var cut strings.Builder
		for _, s := range specials(tok) {
			cut.WriteString(s[:len(s)-1])
		}
		return fill(cut.String(), n)
	}},
	{"invalid UTF-8", func(_ *tokenizer.Tokenizer, n int) []byte {
		r, b := rand.New(rand.NewPCG(1, 1)), make([]byte, n)
		for i := range b {
			b[i] = byte(0x80 + r.IntN(0x80))
		}
		return b
	}},
}

func fill(s string, n int) []byte { return []byte(strings.Repeat(s, max(1, n/len(s)))) }

func random(from, to rune, n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n+4)
	for len(b) < n {
		b = append(b, string(from+r.Int32N(to-from))...)
	}
	return b
}

// specials are the texts of the special tokens in order.
func specials(tok *tokenizer.Tokenizer) (list []string) {
	for id := range int32(tok.VocabSize()) {
		if s, ok := tok.IDToToken(id); ok && tok.IsSpecial(id) {
			list = append(list, s)
		}
	}
	return list
}

// hardTexts holds a tokenizer to its peer on every hard text and on a quarter of it.
func (s *session) hardTexts(ctx context.Context, name string, tok *tokenizer.Tokenizer) error {
	for _, h := range hard {
		r := hardRow{name: name, text: h.name}
		for i, n := range []int{s.hard / 4, s.hard} {
			text := h.make(tok, n)
			if err := os.WriteFile(s.text, text, 0o600); err != nil {
				return err
			}
			if _, err := s.ask(ctx, request{Bytes: s.text}); err != nil {
				return err
			}
			began := processorTime()
			ids, err := tok.AppendIDs(nil, tokenizer.Lossy(string(text)), true)
			if err != nil {
				return err
			}
			r.ours[i], r.tokens = processorTime()-began, len(ids)
			if r.theirs[i], err = s.ask(ctx, request{IDs: s.ids}); err != nil {
				r.refused = err.Error()
				continue
			}
			if err := s.same(ids, []int{len(ids)}); err != nil {
				return err
			}
			if i > 0 {
				continue
			}
			// Backwards, the bytes of characters are in no order.
			slices.Reverse(ids)
			if err := s.sameText(ctx, tok, ids, []int{len(ids)}); err != nil {
				return err
			}
		}
		s.hardRows = append(s.hardRows, r)
		fmt.Fprintf(os.Stderr, "%s, %s: %.2f s, peer %.2f s\n", name, h.name, r.ours[1], r.theirs[1])
	}
	return nil
}
