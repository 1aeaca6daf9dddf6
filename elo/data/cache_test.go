package data

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSaveOpen(t *testing.T) {
	wide := NewCorpus("wide", "ko")
	if err := wide.add([]int32{1, 70_000, 1<<31 - 1}, 9); err != nil {
		t.Fatal(err)
	}
	held, _, err := corpus(t, "es", bosEOS, numbered("d", 40, 50)...).Split(HoldOut{Every: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Corpus{wide, held, corpus(t, "en", Policy{}, "a", "", strings.Repeat("long", 1<<19)), NewCorpus("none", "")} {
		path := filepath.Join(t.TempDir(), "a.tokens")
		if err := c.Save(path); err != nil {
			t.Fatal(err)
		}
		got, err := Open(path)
		if err != nil {
			t.Fatalf("%s: %v", c.Path(), err)
		}
		if got.Fingerprint() != c.Fingerprint() || got.Path() != c.Path() || got.Lang() != c.Lang() || got.Len() != c.Len() ||
			got.Tokens() != c.Tokens() || got.Bytes() != c.Bytes() || got.Pairs() != c.Pairs() {
			t.Errorf("%s: got %d documents, %d tokens, want %d, %d", c.Path(), got.Len(), got.Tokens(), c.Len(), c.Tokens())
		}
	}
	if err := wide.Save(filepath.Join(t.TempDir(), "none", "a")); err == nil {
		t.Errorf("got no error for a directory that is not there")
	}
}

// damage returns a token file, changed.
func damage(t testing.TB, change func([]byte) []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a")
	if err := corpus(t, "en", bosEOS, "abc", "de").Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return change(b)
}

func TestOpenRefuses(t *testing.T) {
	body := func(b []byte) []byte { return b[12+binary.LittleEndian.Uint32(b[8:]):] }
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			b = bytes.Replace(b, []byte(old), []byte(new), 1)
			binary.LittleEndian.PutUint32(b[8:], binary.LittleEndian.Uint32(b[8:])+uint32(len(new)-len(old)))
			return b
		}
	}
	for _, tt := range []struct {
		name, want string
		change     func([]byte) []byte
	}{
		{"empty", "unexpected EOF", func(b []byte) []byte { return nil }},
		{"cut in the header", "header", func(b []byte) []byte { return b[:20] }},
		{"cut in the ids", "size", func(b []byte) []byte { return b[:len(b)-1] }},
		{"more behind", "size", func(b []byte) []byte { return append(b, 0) }},
		{"magic", "magic", replace("graft-t1", "graft-t0")},
		{"header length", "header", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[8:], 1<<31); return b }},
		{"header", "header", replace(`{"path"`, `["path"`)},
		{"documents", "size", replace(`"documents":2`, `"documents":9`)},
		{"tokens", "size", replace(`"tokens":9`, `"tokens":8`)},
		{"id bytes", "id_bytes", replace(`"id_bytes":2`, `"id_bytes":3`)},
		{"documents that wrap around", "size", replace(`"documents":2`, `"documents":2305843009213693954`)},
		{"header longer than allowed", "header: expected at most 65536", func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[8:], 66_000)
			return append(b, make([]byte, 70_000)...)
		}},
		{"document longer than all", "document 1", func(b []byte) []byte { body(b)[1] = 1; return b }},
		{"document of negative length", "document 1", func(b []byte) []byte { body(b)[3] = 0xff; return b }},
		{"document shorter", "tokens: expected 9", func(b []byte) []byte { body(b)[0]--; return b }},
		{"an id", "fingerprint", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
		{"a byte count", "fingerprint", func(b []byte) []byte { body(b)[4]++; return b }},
		{"language", "fingerprint", replace(`"lang":"en"`, `"lang":"es"`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tokens")
			if err := os.WriteFile(path, damage(t, tt.change), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "a.tokens") {
				t.Errorf("got %v, want a message with %q and the file", err, tt.want)
			}
		})
	}
}

// FuzzOpen holds that no file makes Open panic or allocate beyond its size.
func FuzzOpen(f *testing.F) {
	f.Add(damage(f, func(b []byte) []byte { return b }))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := readTokens(bytes.NewReader(b), int64(len(b))); err == nil && c.Tokens() > int64(len(b)) {
			t.Errorf("got %d tokens from %d bytes", c.Tokens(), len(b))
		}
	})
}

// counting counts the texts it encodes.
type counting struct{ n *int }

func (e counting) AppendIDs(dst []int32, text string, special bool) ([]int32, error) {
	*e.n++
	return letters{}.AppendIDs(dst, text, special)
}

func TestCache(t *testing.T) {
	path := write(t, "a.txt", "one\n\ntwo")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n := 0
	for _, step := range []struct {
		name      string
		do        func()
		lang, tok string
		o         LoadOptions
		encoded   int // texts
		tokens    int64
	}{
		{"first", nil, "en", "t", LoadOptions{}, 2, 6},
		{"again", nil, "en", "t", LoadOptions{}, 0, 6},
		{"defaults written out", nil, "en", "t", LoadOptions{Read: ReadOptions{Field: "text", Text: Paragraph}}, 0, 6},
		{"policy", nil, "en", "t", LoadOptions{Policy: bosEOS}, 2, 10},
		{"tokenizer", nil, "en", "u", LoadOptions{}, 2, 6},
		{"language", nil, "es", "t", LoadOptions{}, 2, 6},
		{"options", nil, "en", "t", LoadOptions{Read: ReadOptions{Text: File}}, 1, 8},
		{"another text", func() { os.WriteFile(path, []byte("a\n\nb\n\nc"), 0o666) }, "en", "t", LoadOptions{}, 3, 3},
		{"the same length, touched", func() { os.Chtimes(path, old, old.Add(time.Minute)) }, "en", "t", LoadOptions{}, 3, 3},
		{"damaged", func() {
			names, _ := filepath.Glob(filepath.Join(dir, "*.tokens"))
			for _, f := range names {
				os.Truncate(f, 30)
			}
		}, "en", "t", LoadOptions{}, 3, 3},
		{"repaired", nil, "en", "t", LoadOptions{}, 0, 3},
	} {
		if step.do != nil {
			step.do()
		}
		n = 0
		step.o.Workers = 1
		c, err := Cache{dir, step.tok}.Load(t.Context(), path, step.lang, counting{&n}, step.o)
		if err != nil || n != step.encoded || c.Tokens() != step.tokens || c.Lang() != step.lang {
			t.Errorf("%s: got %v, %d texts encoded, want %d, and %d tokens", step.name, err, n, step.encoded, step.tokens)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) != 0 {
		t.Errorf("got %v left behind", left)
	}
	if _, err := (Cache{dir, "t"}).Load(t.Context(), filepath.Join(dir, "none.txt"), "en", letters{}, LoadOptions{}); err == nil {
		t.Errorf("got no error for a missing corpus")
	}
}
