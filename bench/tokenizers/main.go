package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"graft/bench/versus"
	"graft/model/tokenizer"
)

func main() {
	var o options
	flag.StringVar(&o.data, "data", os.Getenv("GRAFT_DATA"), "`folder` with tokenizers and corpora")
	flag.StringVar(&o.python, "python", "python3", "`interpreter` with the package tokenizers")
	flag.StringVar(&o.script, "script", "bench/tokenizers/peer.py", "the peer's `script`")
	flag.IntVar(&o.bytes, "bytes", 5<<20, "`bytes` of text")
	flag.IntVar(&o.rounds, "rounds", 5, "turns of each side")
	flag.Parse()
	if flag.NArg() > 0 || o.data == "" || o.bytes < 1 || o.bytes > 1<<28 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tokenizers:", err)
		os.Exit(1)
	}
}

type options struct {
	data, python, script string
	bytes, rounds        int
}

type request struct {
	Tokenizer string `json:"tokenizer,omitempty"`
	Documents string `json:"documents,omitempty"`
	IDs       string `json:"ids,omitempty"`
}

type answer struct {
	Seconds float64 `json:"seconds"`
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	docs, err := documents(filepath.Join(o.data, "corpora"), o.bytes)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(o.data, "tokenizers", "*", "tokenizer.json.gz"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("%s has no tokenizers", o.data))
	}
	tmp, err := os.MkdirTemp("", "graft-tokenizers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	peer, err := versus.Start(nil, o.python, o.script)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	s := session{options: o, docs: docs, peer: peer, tmp: tmp}
	for _, d := range docs {
		s.size += len(d)
	}
	if err := s.send(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d documents, %d bytes; one thread each, %d rounds in turns; peer: tokenizers %s\n\n", len(docs), s.size, o.rounds, peer.Hello.Versions["tokenizers"])
	fmt.Fprintf(out, "| tokenizer | tokens | Graft MB/s | peer MB/s | Graft / peer |\n| --- | --- | --- | --- | --- |\n")
	for _, file := range files {
		if err := s.compare(ctx, file, out); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(filepath.Dir(file)), err)
		}
	}
	return nil
}

type session struct {
	options
	docs []string
	size int // bytes
	peer *versus.Process
	tmp  string
}

// send gives the documents to the peer.
func (s *session) send(ctx context.Context) error {
	text, err := json.Marshal(s.docs)
	if err != nil {
		return err
	}
	path := filepath.Join(s.tmp, "documents.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	return s.peer.Ask(ctx, request{Documents: path}, new(answer))
}

// compare holds one tokenizer to its peer and prints a row of the table.
func (s *session) compare(ctx context.Context, file string, out io.Writer) error {
	tok, err := tokenizer.Open(file)
	if err != nil {
		return err
	}
	if err := s.peer.Ask(ctx, request{Tokenizer: file}, new(answer)); err != nil {
		return err
	}
	path := filepath.Join(s.tmp, "ids")
	if err := s.peer.Ask(ctx, request{IDs: path}, new(answer)); err != nil {
		return err
	}
	ids, ends, err := encode(tok, s.docs)
	if err != nil {
		return err
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := same(ids, ends, want); err != nil {
		return err
	}
	var ours, theirs, ratios []float64
	for range s.rounds {
		began := time.Now()
		if _, _, err := encode(tok, s.docs); err != nil {
			return err
		}
		mine := time.Since(began).Seconds()
		var a answer
		if err := s.peer.Ask(ctx, request{}, &a); err != nil {
			return err
		}
		ours, theirs, ratios = append(ours, mine), append(theirs, a.Seconds), append(ratios, a.Seconds/mine)
	}
	rate := func(seconds []float64) float64 { return float64(s.size) / 1e6 / versus.Median(seconds) }
	_, err = fmt.Fprintf(out, "| %s | %d | %.1f | %.1f | %.2f |\n", filepath.Base(filepath.Dir(file)), len(ids), rate(ours), rate(theirs), versus.Median(ratios))
	return err
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
