package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"graft/model/tokenizer"
)

// ErrNotPrefix is wrapped when a template writes the beginning of a conversation
// otherwise than the same messages alone, so that the assistant's part cannot be
// told.
var ErrNotPrefix = errors.New("the template breaks the prefix property; one with generation blocks says itself what the assistant says")

// Spans renders a conversation and returns the first and one past the last byte
// of each of the assistant's parts, in order. Without generation blocks these are
// what follows each generation prompt, to the end of the turn.
func (t *Template) Spans(c Conversation, o Options) (text string, spans [][2]int, err error) {
	o.GenerationPrompt = false
	whole, err := t.render(c, o)
	if err != nil {
		return "", nil, err
	}
	n, err := t.pick(c)
	if err != nil || n.Marks() {
		return whole.Text, whole.Generated, err
	}
	for i := range c.messages {
		if c.Role(i) != assistant {
			continue
		}
		prompted := o
		prompted.GenerationPrompt = true
		before, err := t.Render(c.first(i), prompted)
		if err != nil {
			return "", nil, fmt.Errorf("messages before messages[%d]: %w", i, err)
		}
		upTo := whole.Text
		if i+1 < c.Len() {
			if upTo, err = t.Render(c.first(i+1), o); err != nil {
				return "", nil, fmt.Errorf("messages up to messages[%d]: %w", i, err)
			}
		}
		if !strings.HasPrefix(upTo, before) || !strings.HasPrefix(whole.Text, upTo) {
			return "", nil, fmt.Errorf("chat: %s: messages[%d]: %w", n.Name(), i, ErrNotPrefix)
		}
		spans = append(spans, [2]int{len(before), len(upTo)})
	}
	return whole.Text, spans, nil
}

// Tokens are a conversation's ids and which of them the model is to learn to
// say: those of the assistant, the token that ends its turn included.
type Tokens struct {
	IDs     []int32
	Trained []bool
	// Bytes is how much of the text the trained tokens stand for.
	Bytes int
	// Inside counts the beginnings of parts that lie inside a token: the prompt
	// alone is then tokenised otherwise than in the conversation.
	Inside int
}

// Tokens renders and tokenises a conversation. Special tokens in the text become
// their ids, and none are added: the template writes them. A token that lies
// partly in the assistant's part is the assistant's. In a template without
// generation blocks the white space behind the token that ends a turn is not.
func (t *Template) Tokens(tok *tokenizer.Tokenizer, c Conversation, o Options) (Tokens, error) {
	text, spans, err := t.Spans(c, o)
	if err != nil {
		return Tokens{}, err
	}
	e, err := tok.Encode(text, false)
	if err != nil {
		return Tokens{}, err
	}
	n, err := t.pick(c)
	if err != nil {
		return Tokens{}, err
	}
	out := Tokens{IDs: e.IDs, Trained: make([]bool, len(e.IDs))}
	at, rune0 := 0, 0 // a byte of the text and its code point
	place := func(b int) int {
		if b < at {
			at, rune0 = 0, 0
		}
		rune0 += utf8.RuneCountInString(text[at:b])
		at = b
		return rune0
	}
	from := 0
	for _, s := range spans {
		lo, hi := place(s[0]), place(s[1])
		// Offsets never fall, so the search goes on where the last span ended.
		for from < len(e.IDs) && e.Offsets[from][1] <= lo {
			from++
		}
		end := from
		for end < len(e.IDs) && e.Offsets[end][0] < hi {
			end++
		}
		if from < end && e.Offsets[from][0] < lo {
			out.Inside++
		}
		if !n.Marks() {
			end = from + turnEnd(tok, e, from, end)
		}
		for i := from; i < end; i++ {
			out.Trained[i] = true
		}
		if from < end {
			out.Bytes += len(string([]rune(text[s[0]:s[1]])[:min(e.Offsets[end-1][1], hi)-lo]))
		}
	}
	return out, nil
}

// turnEnd returns how many of the tokens from to end are the assistant's: up to
// the last special one, if nothing but white space is behind it.
func turnEnd(tok *tokenizer.Tokenizer, e tokenizer.Encoding, from, end int) int {
	for i := end - 1; i >= from; i-- {
		if tok.IsSpecial(e.IDs[i]) {
			return i + 1 - from
		}
		text := tok.Decode(e.IDs[i:i+1], false)
		if strings.TrimFunc(text, unicode.IsSpace) != "" {
			break
		}
	}
	return end - from
}

// Any reports whether a token is trained that has one before it.
func (t Tokens) Any() bool { return len(t.Trained) > 1 && slices.Contains(t.Trained[1:], true) }
