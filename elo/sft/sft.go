// Package sft makes training data of conversations: it renders each with the
// model's chat template, tokenises it, and marks the tokens that the assistant
// said, which alone are learned.
//
//	e := sft.New(tokenizer, template, sft.Options{Positions: 2048})
//	corpus, err := data.Load(ctx, "chats.jsonl", "ko", nil, data.LoadOptions{Read: sft.Read(), Marker: e})
//	fmt.Println(e.Counts())
//
// A conversation that is longer than a row is cut at the row's end, never spread
// over two: its later tokens would not see what they answer. One without a token
// to learn is left out. Both are counted.
package sft

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"graft/elo/data"
	"graft/model/chat"
	"graft/model/tokenizer"
)

// Options say how conversations become tokens.
type Options struct {
	Positions int       // of a row; 0 is no limit
	Now       time.Time // what the template is told; zero makes asking an error
}

// Counts is what became of the conversations.
type Counts struct {
	Conversations int64 // read
	Tokens        int64 // kept
	Trained       int64 // of those
	Cut           int64 // conversations longer than a row
	Silent        int64 // left out: nothing of the assistant in them, or cut off
	// Inside counts the assistant's parts that begin inside a token: when the
	// model is used, the prompt is tokenised otherwise there.
	Inside int64
}

// Encoder is a [data.Marker] for conversations.
type Encoder struct {
	tok      *tokenizer.Tokenizer
	template *chat.Template
	o        Options

	mu     sync.Mutex
	counts Counts
	ends   map[int32]int64 // how often a token was the last of an answer
}

var _ data.Marker = (*Encoder)(nil)

// New returns an encoder.
func New(tok *tokenizer.Tokenizer, template *chat.Template, o Options) *Encoder {
	return &Encoder{tok: tok, template: template, o: o, ends: map[int32]int64{}}
}

// Read says how files of conversations are read.
func Read() data.ReadOptions { return data.ReadOptions{Objects: true} }

// AppendMarked appends the ids of a conversation, a JSON object, and which of
// them are the assistant's.
func (e *Encoder) AppendMarked(ids []int32, marks []bool, text string) ([]int32, []bool, int, error) {
	c, err := chat.Parse([]byte(text))
	if err != nil {
		return ids, marks, 0, err
	}
	o := chat.Options{}
	if !e.o.Now.IsZero() {
		o.Now = func() time.Time { return e.o.Now }
	}
	t, err := e.template.Tokens(e.tok, c, o)
	if err != nil {
		return ids, marks, 0, err
	}
	cut := e.o.Positions > 0 && len(t.IDs) > e.o.Positions+1
	if cut {
		whole := t.Trained
		// The last token of a row is only a target.
		t.IDs, t.Trained = t.IDs[:e.o.Positions+1], t.Trained[:e.o.Positions+1]
		t.Bytes = int(int64(t.Bytes) * count(t.Trained) / max(1, count(whole)))
	}
	e.count(t, cut)
	if !t.Any() {
		return ids, marks, 0, nil
	}
	return append(ids, t.IDs...), append(marks, t.Trained...), t.Bytes, nil
}

func count(marks []bool) int64 {
	n := int64(0)
	for _, m := range marks {
		if m {
			n++
		}
	}
	return n
}

func (e *Encoder) count(t chat.Tokens, cut bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.Conversations++
	e.counts.Inside += int64(t.Inside)
	if cut {
		e.counts.Cut++
	}
	if !t.Any() {
		e.counts.Silent++
		return
	}
	e.counts.Tokens += int64(len(t.IDs))
	e.counts.Trained += count(t.Trained)
	for i, m := range t.Trained {
		if m && i+1 < len(t.Trained) && !t.Trained[i+1] || m && i+1 == len(t.Trained) && !cut {
			e.ends[t.IDs[i]]++
		}
	}
}

// Counts tells what became of the conversations encoded so far.
func (e *Encoder) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts
}

// End is the token that most answers end with; ok is false before any did.
func (e *Encoder) End() (id int32, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	most := int64(0)
	for k, n := range e.ends {
		if n > most || n == most && k < id {
			id, most = k, n
		}
	}
	return id, most > 0
}

// String tells the counts in one line.
func (c Counts) String() string {
	s := fmt.Sprintf("%d conversations, %d tokens, %d of them the assistant's", c.Conversations, c.Tokens, c.Trained)
	if c.Cut > 0 {
		s += fmt.Sprintf("; %d cut at the end of a row", c.Cut)
	}
	if c.Silent > 0 {
		s += fmt.Sprintf("; %d left out, with no answer to learn", c.Silent)
	}
	return s
}

// ErrDate is the cause when a template asks for the date and none was given: the
// result would depend on the day.
var ErrDate = errors.New("the chat template asks for the date")

// ParseDate reads a date written as 2026-12-31; "" is none.
func ParseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, fmt.Errorf("found %.40q, want a date as 2026-12-31", s)
	}
	return t, nil
}
