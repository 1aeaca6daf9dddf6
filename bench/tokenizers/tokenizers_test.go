package main

import (
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
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
