package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"graft/bench/versus"
	"graft/model/tokenizer"
)

func main() {
	var o options
	flag.StringVar(&o.data, "data", os.Getenv("GRAFT_DATA"), "`folder` with tokenizers and corpora")
	flag.StringVar(&o.python, "python", "python3", "`interpreter` with the package tokenizers")
	flag.StringVar(&o.script, "script", "bench/tokenizers/peer.py", "the peer's `script`")
	flag.StringVar(&o.out, "o", "", "`file` for the tables; none prints them")
	flag.StringVar(&o.only, "only", "", "`pattern` of the names of tokenizers, all by default")
	flag.IntVar(&o.bytes, "bytes", 5<<20, "`bytes` of text")
	flag.IntVar(&o.hard, "hard", 10<<20, "`bytes` of each hard text; 0 leaves them out")
	flag.IntVar(&o.rounds, "rounds", 5, "turns of each side on the documents; 0 leaves them out")
	flag.Parse()
	if flag.NArg() > 0 || o.data == "" || o.bytes < 1 || o.bytes > 1<<28 || o.hard < 0 || o.hard > 1<<28 || o.rounds < 0 || o.rounds+o.hard == 0 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	rep, err := run(context.Background(), o)
	if err == nil && o.out != "" {
		err = os.WriteFile(o.out, []byte(rep.table()), 0o644)
	} else if err == nil {
		fmt.Print(rep.table())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tokenizers:", err)
		os.Exit(1)
	}
}

type options struct {
	data, python, script, out, only string
	bytes, hard, rounds             int
}

type request struct {
	Tokenizer string `json:"tokenizer,omitempty"`
	Documents string `json:"documents,omitempty"`
	Bytes     string `json:"bytes,omitempty"`
	IDs       string `json:"ids,omitempty"`
	Decode    string `json:"decode,omitempty"`
	Text      string `json:"text,omitempty"`
}

type answer struct {
	Seconds float64 `json:"seconds"`
	Refused string  `json:"refused"`
}

func run(ctx context.Context, o options) (rep *report, err error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	docs, err := documents(filepath.Join(o.data, "corpora"), o.bytes)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(o.data, "tokenizers", "*", "tokenizer.json.gz"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s has no tokenizers", o.data))
	}
	tmp, err := os.MkdirTemp("", "graft-tokenizers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	peer, err := versus.Start(nil, o.python, o.script)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	rep = &report{options: o, versions: peer.Hello.Versions, device: processor(), documents: len(docs)}
	for _, d := range docs {
		rep.size += len(d)
	}
	s := session{report: rep, docs: docs, peer: peer, ids: filepath.Join(tmp, "ids"), text: filepath.Join(tmp, "text")}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		if !only.MatchString(name) {
			continue
		}
		fmt.Fprintln(os.Stderr, name)
		tok, err := tokenizer.Open(file)
		if err != nil {
			return nil, err
		}
		if _, err := s.ask(ctx, request{Tokenizer: file}); err != nil {
			return nil, err
		}
		if o.rounds > 0 {
			err = s.mixed(ctx, name, tok)
		}
		if err == nil && o.hard > 0 {
			err = s.hardTexts(ctx, name, tok)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return rep, nil
}

type session struct {
	*report
	docs      []string
	peer      *versus.Process
	ids, text string // files to exchange
}

// ask gives the seconds of what the peer did.
func (s *session) ask(ctx context.Context, r request) (float64, error) {
	var a answer
	if err := s.peer.Ask(ctx, r, &a); err != nil {
		return 0, err
	}
	if a.Refused != "" {
		return 0, fmt.Errorf("the peer refuses: %s", versus.OneLine(a.Refused))
	}
	return a.Seconds, nil
}

// mixed holds a tokenizer to its peer on the documents: ids, decoded text and time.
func (s *session) mixed(ctx context.Context, name string, tok *tokenizer.Tokenizer) error {
	list, err := json.Marshal(s.docs)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.text, list, 0o600); err != nil {
		return err
	}
	if _, err := s.ask(ctx, request{Documents: s.text}); err != nil {
		return err
	}
	r := mixedRow{name: name}
	theirs, err := s.ask(ctx, request{IDs: s.ids})
	if err != nil {
		return err
	}
	began := processorTime()
	ids, ends, err := encode(tok, s.docs)
	if err != nil {
		return err
	}
	r.fresh, r.tokens = theirs/(processorTime()-began), len(ids)
	if err := s.same(ids, ends); err != nil {
		return err
	}
	if err := s.sameText(ctx, tok, ids, ends); err != nil {
		return err
	}
	for range s.rounds {
		began := processorTime()
		if _, _, err := encode(tok, s.docs); err != nil {
			return err
		}
		mine := processorTime() - began
		theirs, err := s.ask(ctx, request{})
		if err != nil {
			return err
		}
		r.ours, r.theirs, r.ratios = append(r.ours, mine), append(r.theirs, theirs), append(r.ratios, theirs/mine)
	}
	s.rows = append(s.rows, r)
	return nil
}

// encode gives the ids of all documents, and where each document's end.
func encode(tok *tokenizer.Tokenizer, docs []string) (ids []int32, ends []int, err error) {
	for _, d := range docs {
		if ids, err = tok.AppendIDs(ids, d, true); err != nil {
			return nil, nil, err
		}
		ends = append(ends, len(ids))
	}
	return ids, ends, nil
}

// same compares with the ids in the peer's file.
func (s *session) same(ids []int32, ends []int) error {
	want, err := os.ReadFile(s.ids)
	if err != nil {
		return err
	}
	return same(ids, ends, want)
}

// sameText compares what ids decode to on both sides, special tokens and all.
func (s *session) sameText(ctx context.Context, tok *tokenizer.Tokenizer, ids []int32, ends []int) error {
	if err := os.WriteFile(s.ids, encoded(ids, ends), 0o600); err != nil {
		return err
	}
	if _, err := s.ask(ctx, request{Decode: s.ids, Text: s.text}); err != nil {
		return err
	}
	data, err := os.ReadFile(s.text)
	if err != nil {
		return err
	}
	var want []string
	if err := json.Unmarshal(data, &want); err != nil {
		return err
	}
	if len(want) != len(ends) {
		return fmt.Errorf("the peer decodes %d documents, want %d", len(want), len(ends))
	}
	from := 0
	for doc, end := range ends {
		if got := tok.Decode(ids[from:end], false); got != want[doc] {
			return fmt.Errorf("document %d: decoded text differs: got %d bytes, want %d", doc, len(got), len(want[doc]))
		}
		from = end
	}
	return nil
}

// encoded is the file that same reads.
func encoded(ids []int32, ends []int) (file []byte) {
	from := 0
	for _, end := range ends {
		file = binary.LittleEndian.AppendUint32(file, uint32(end-from))
		for _, id := range ids[from:end] {
			file = binary.LittleEndian.AppendUint32(file, uint32(id))
		}
		from = end
	}
	return file
}

// same compares with the peer's file.
func same(ids []int32, ends []int, want []byte) error {
	next := func() (int32, bool) {
		if len(want) < 4 {
			return 0, false
		}
		x := int32(binary.LittleEndian.Uint32(want))
		want = want[4:]
		return x, true
	}
	from := 0
	for doc, end := range ends {
		n, ok := next()
		if !ok || int(n) != end-from {
			return fmt.Errorf("document %d: got %d ids, want %d", doc, end-from, n)
		}
		for i, got := range ids[from:end] {
			if id, ok := next(); !ok || id != got {
				return fmt.Errorf("document %d, token %d: got id %d, want %d", doc, i, got, id)
			}
		}
		from = end
	}
	if len(want) > 0 {
		return fmt.Errorf("the peer has %d more bytes of ids", len(want))
	}
	return nil
}
