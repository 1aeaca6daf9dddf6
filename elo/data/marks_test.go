package data

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vowels is a marker: an id a byte of the value of "t", vowels to be learned.
type vowels struct{}

func (vowels) AppendMarked(ids []int32, marks []bool, text string) ([]int32, []bool, int, error) {
	s, err := field([]byte(text), "t")
	if err != nil {
		return ids, marks, 0, err
	}
	if s == "bad" {
		return ids, marks, 0, errors.New("bad")
	}
	n := 0
	for _, c := range []byte(s) {
		v := strings.IndexByte("aeiou", c) >= 0
		if v {
			n++
		}
		ids, marks = append(ids, int32(c)), append(marks, v)
	}
	return ids, marks, n, nil
}

func loadMarked(t *testing.T, doc string) (*Corpus, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.jsonl")
	if err := os.WriteFile(path, []byte(doc), 0o666); err != nil {
		t.Fatal(err)
	}
	return Load(context.Background(), path, "en", nil, LoadOptions{Read: ReadOptions{Objects: true}, Marker: vowels{}, Workers: 3})
}

// TestMarks packs marked documents: targets that are not marked are -1 and not
// counted, and everything attends as without marks.
func TestMarks(t *testing.T) {
	c, err := loadMarked(t, `{"t": "banana"}`+"\n"+`{"t": ""}`+"\n"+`{"t": "xao"}`+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Len() != 2 || c.Bytes() != 5 {
		t.Fatalf("got %d documents, %d bytes, want 2 and 5", c.Len(), c.Bytes())
	}
	s, err := NewStream([]Part{{Corpus: c}}, Options{SeqLen: 8, InOrder: true, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch(2)
	if err := s.Next(b); err != nil {
		t.Fatal(err)
	}
	want := []int32{'a', -1, 'a', -1, 'a', 'a', 'o', -1, -1, -1, -1, -1, -1, -1, -1, -1}
	if !slices.Equal(b.Targets, want) {
		t.Errorf("targets: got %v, want %v", b.Targets, want)
	}
	if b.NumTargets != 5 || b.LangTokens[0] != 5 || b.Bytes != 5 {
		t.Errorf("got %d targets, %v by language, %d bytes, want 5 of each", b.NumTargets, b.LangTokens, b.Bytes)
	}
	if b.Pairs != 15+3 || b.PairsWithin(2) != 9+3 {
		t.Errorf("got %d pairs, %d in a window of 2, want 18 and 12", b.Pairs, b.PairsWithin(2))
	}
	if err := s.Next(b); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
}

// TestMarksInPieces cuts a marked document over rows.
func TestMarksInPieces(t *testing.T) {
	c, err := loadMarked(t, `{"t": "bababa"}`)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStream([]Part{{Corpus: c}}, Options{SeqLen: 3, InOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch(2)
	if err := s.Next(b); err != nil {
		t.Fatal(err)
	}
	if want := []int32{'a', -1, 'a', -1, 'a', -1}; !slices.Equal(b.Targets, want) || b.NumTargets != 3 {
		t.Errorf("got %v, %d targets, want %v", b.Targets, b.NumTargets, want)
	}
}

// TestMarksFingerprint tells corpora apart that differ in marks alone.
func TestMarksFingerprint(t *testing.T) {
	with, without := NewCorpus("x", "en"), NewCorpus("x", "en")
	with.marked, without.marked = true, true
	for i, c := range []*Corpus{with, without} {
		if err := c.add([]int32{1, 2, 3}, []bool{false, true, i == 0}, 2); err != nil {
			t.Fatal(err)
		}
	}
	if with.Fingerprint() == without.Fingerprint() {
		t.Error("got equal fingerprints")
	}
}

func TestMarksErrors(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"t": "a"}` + "\n\n" + `{"t": "bad"}`, "c.jsonl:3: bad"},
		{`{"t": "a"}` + "\n{", "c.jsonl:2: expected a JSON object"},
		{`"t"`, "c.jsonl:1: expected a JSON object"},
	} {
		if _, err := loadMarked(t, c.doc); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.doc, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "c.txt")
	if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(context.Background(), path, "", nil, LoadOptions{Read: ReadOptions{Objects: true}, Marker: vowels{}}); err == nil || !strings.Contains(err.Error(), "found text") {
		t.Errorf("a .txt file: got %v, want an error", err)
	}
}
