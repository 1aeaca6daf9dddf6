package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"graft/model/tokenizer"
)

func TestPieces(t *testing.T) {
	for name, text := range map[string]string{
		"short": "one\n", "lines": strings.Repeat("some words\n", 3000), "one line": strings.Repeat("안녕", 5000), "empty": "",
	} {
		got := pieces(text)
		if strings.Join(got, "") != text {
			t.Errorf("%s: the pieces are not the text", name)
		}
		for _, p := range got {
			if len(p) > page || !utf8.ValidString(p) {
				t.Errorf("%s: a piece of %d bytes, valid %v", name, len(p), utf8.ValidString(p))
			}
		}
	}
}

// TestDocuments wants the corpora in turn, and an error when they are too short.
func TestDocuments(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z := gzip.NewWriter(f)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("a.jsonl.gz", `{"ko": "둘", "en": "one", "n": 3}`+"\n"+`{"en": "three"}`+"\n")
	write("b.txt.gz", "text\n")
	got, err := documents(dir, 16)
	if want := []string{"one", "text\n", "둘", "three"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := documents(dir, 17); err == nil {
		t.Error("17 bytes out of 16")
	}
}

func TestSame(t *testing.T) {
	ids, ends := []int32{7, 8, 9}, []int{1, 1, 3}
	file := func(xs ...int32) (b []byte) {
		for _, x := range xs {
			b = binary.LittleEndian.AppendUint32(b, uint32(x))
		}
		return b
	}
	if err := same(ids, ends, file(1, 7, 0, 2, 8, 9)); err != nil {
		t.Error(err)
	}
	for name, want := range map[string][]byte{
		"another id": file(1, 7, 0, 2, 8, 1), "fewer": file(1, 7, 0, 2, 8), "more": file(1, 7, 0, 2, 8, 9, 0), "other bounds": file(2, 7, 8, 0, 1, 9),
	} {
		if same(ids, ends, want) == nil {
			t.Errorf("%s: no difference noticed", name)
		}
	}
}

func TestEncoded(t *testing.T) {
	for _, ends := range [][]int{{1, 1, 3}, {3}, {0, 3}} {
		ids := []int32{7, 8, 1 << 30}
		if err := same(ids, ends, encoded(ids, ends)); err != nil {
			t.Errorf("%v: %v", ends, err)
		}
	}
}

// TestHardTexts wants each text as long as asked for, the same every time, and one of them
// not to be UTF-8.
func TestHardTexts(t *testing.T) {
	tok, err := tokenizer.Open(filepath.Join("..", "..", "model", "tokenizer", "testdata", "gpt2.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := specials(tok), []string{"<|endoftext|>"}; !slices.Equal(got, want) {
		t.Fatalf("got special tokens %q, want %q", got, want)
	}
	for _, h := range hard {
		text := h.make(tok, 1000)
		if len(text) < 900 || len(text) > 1010 {
			t.Errorf("%s: got %d bytes, want 1000 or so", h.name, len(text))
		}
		if !bytes.Equal(text, h.make(tok, 1000)) {
			t.Errorf("%s: another text the second time", h.name)
		}
		if got, want := utf8.Valid(text), h.name != "invalid UTF-8"; got != want {
			t.Errorf("%s: got valid %v, want %v", h.name, got, want)
		}
		ids, err := tok.AppendIDs(nil, tokenizer.Lossy(string(text)), true)
		if special := slices.Contains(ids, 50256); err != nil || special != (h.name == "added tokens") {
			t.Errorf("%s: got a special token: %v, %v", h.name, special, err)
		}
	}
}

func TestTable(t *testing.T) {
	rep := report{versions: map[string]string{"tokenizers": "1.2"}, device: "a processor", documents: 3, size: 4e6,
		rows:     []mixedRow{{name: "one", tokens: 5, fresh: 1.5, ours: []float64{1, 2, 4}, theirs: []float64{4, 4, 4}, ratios: []float64{4, 2, 1}}},
		hardRows: []hardRow{{name: "one", text: "spaces", tokens: 7, ours: [2]float64{1, 4}, theirs: [2]float64{2, 32}}, {name: "two", text: "marks", ours: [2]float64{1, 5}, refused: "why"}}}
	got := rep.table()
	for _, want := range []string{
		"a processor, one thread each. Peer: tokenizers 1.2.",
		"| one | 5 | 2.0 | 1.0 | 2.00 (1.00 to 4.00) | 1.50 |",
		"| one | spaces | 7 | 4.00 | 32.00 | 8.00 | 4.0 | 16.0 |",
		"| two | marks | 0 | 5.00 | why | | 5.0 |  |",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}
