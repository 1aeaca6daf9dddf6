package tokenizer_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"graft/model/tokenizer"
)

func TestInvalidUTF8(t *testing.T) {
	tok := open(t, "testdata/gpt2.json.gz")
	_, err := tok.Encode("ab\xE3\x81c", true)
	if err == nil || !strings.Contains(err.Error(), "byte 2 is 0xE3") {
		t.Errorf("got %v, want an error that names byte 2", err)
	}
	if ids, err := tok.AppendIDs([]int32{5}, "\xff", true); err == nil || len(ids) != 1 {
		t.Errorf("AppendIDs: got %v, %v, want dst as it was and an error", ids, err)
	}
	// Table 3-8 of the Unicode Standard.
	for text, want := range map[string]string{
		"ab\xE3\x81c": "ab\uFFFDc", "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41": strings.Repeat("\uFFFD", 8) + "A",
		"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41": strings.Repeat("\uFFFD", 8) + "A",
		"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42": strings.Repeat("\uFFFD", 5) + "A\uFFFD\uFFFDB",
		"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41": strings.Repeat("\uFFFD", 4) + "A",
		"\uFFFD é":                             "\uFFFD é",
	} {
		if got := tokenizer.Lossy(text); got != want {
			t.Errorf("Lossy(%q): got %q, want %q", text, got, want)
		}
	}
}

// TestStream decodes id by id what Decode decodes at once, in pieces of valid
// UTF-8.
func TestStream(t *testing.T) {
	text := "Hello, 안녕하세요 👨‍👩‍👧‍👦! Once upon a time,\n  there was…"
	for _, path := range []string{"testdata/gpt2.json.gz", "testdata/stories260K.json"} {
		tok := open(t, path)
		ids, err := tok.AppendIDs(nil, text, true)
		if err != nil {
			t.Fatal(err)
		}
		// Generated ids need not be text: cut characters, repeat bytes.
		broken := append(append(append([]int32(nil), ids[:12]...), ids[5:]...), ids[len(ids)-7:]...)
		for name, ids := range map[string][]int32{"text": ids, "broken": broken} {
			s := tok.NewStream(true)
			var got strings.Builder
			for _, id := range ids {
				part := s.Next(id)
				if !utf8.ValidString(part) {
					t.Errorf("%s, %s: part %q is not UTF-8", path, name, part)
				}
				if name == "text" && strings.Contains(part, "\uFFFD") {
					t.Errorf("%s: a character was cut: %q", path, part)
				}
				got.WriteString(part)
			}
			got.WriteString(s.Flush())
			if want := tok.Decode(ids, true); got.String() != want {
				t.Errorf("%s, %s: got %q, want %q", path, name, got.String(), want)
			}
		}
	}
}

// TestStreamIllFormed wants a run of bytes that goes wrong late to cost no
// more than itself.
func TestStreamIllFormed(t *testing.T) {
	tok := open(t, "testdata/stories260K.json")
	ids := []int32{403, 3 + '}', 3 + 0xE3, 3 + 0xE3, 407, 261, 378}
	if got, want := tok.Decode(ids, true), "Once\uFFFD\uFFFD\uFFFD upon a time"; got != want {
		t.Fatalf("Decode: got %q, want %q", got, want)
	}
	s := tok.NewStream(true)
	var got strings.Builder
	for _, id := range ids {
		got.WriteString(s.Next(id))
	}
	got.WriteString(s.Flush())
	if want := "Once}\uFFFD\uFFFD upon a time"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

// TestConcurrent runs under the race detector.
func TestConcurrent(t *testing.T) {
	tok := open(t, "testdata/gpt2.json.gz")
	want, err := tok.AppendIDs(nil, "the same text, 안녕 again", false)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				got, err := tok.AppendIDs(nil, "the same text, 안녕 again", false)
				if err != nil {
					t.Error(err)
					return
				}
				check(t, "", "ids", got, want)
			}
		})
	}
	wg.Wait()
}

// TestManyWords overflows the memory of words, comes back to those that were
// in it, and wants no difference.
func TestManyWords(t *testing.T) {
	tok := open(t, "testdata/gpt2.json.gz")
	var text strings.Builder
	for i := range 90_000 {
		text.WriteByte(' ')
		for n := i; n > 0; n /= 16 {
			text.WriteByte(byte('a' + n%16))
		}
	}
	twice := text.String() + text.String()
	e, err := tok.Encode(twice, false)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.AppendIDs(nil, twice, false)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "many words", "ids", ids, e.IDs)
}

func corpus(t testing.TB, names ...string) string {
	var out strings.Builder
	for _, name := range names {
		f, err := os.Open(filepath.Join(dataDir(t), "corpora", name))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := io.CopyN(&buf, z, 1<<20); err != nil {
			t.Fatal(err)
		}
		f.Close()
		out.WriteString(tokenizer.Lossy(buf.String()))
	}
	return out.String()
}

// TestCorpora compares the two ways to encode on real text in three scripts,
// and that decoding gives the text back.
func TestCorpora(t *testing.T) {
	dir := dataDir(t)
	var text string
	for _, name := range []string{"war_and_peace_en.txt.gz", "debian_docs_ko.txt.gz", "debian_docs_ja.txt.gz"} {
		text += tokenizer.Lossy(corpus(t, name)[:128<<10])
	}
	for _, name := range []string{"gpt2", "llama3_1", "qwen3", "llama2", "mistral_v3", "gemma3"} {
		tok := open(t, filepath.Join(dir, "tokenizers", name, "tokenizer.json.gz"))
		e, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := tok.AppendIDs(nil, text, false)
		if err != nil {
			t.Fatal(err)
		}
		check(t, name, "ids", ids, e.IDs)
		if got := tok.Decode(ids, false); got != text {
			t.Errorf("%s: the text does not come back", name)
		}
	}
}

func BenchmarkAppendIDs(b *testing.B) {
	dir := dataDir(b)
	texts := map[string]string{"en": corpus(b, "war_and_peace_en.txt.gz"), "ko": corpus(b, "debian_docs_ko.txt.gz"), "ja": corpus(b, "debian_docs_ja.txt.gz")}
	for _, name := range []string{"gpt2", "llama3_1", "qwen3", "llama2", "mistral_v3", "gemma3"} {
		tok := open(b, filepath.Join(dir, "tokenizers", name, "tokenizer.json.gz"))
		for _, lang := range []string{"en", "ko", "ja"} {
			b.Run(name+"/"+lang, func(b *testing.B) {
				b.SetBytes(int64(len(texts[lang])))
				var ids []int32
				for b.Loop() {
					var err error
					if ids, err = tok.AppendIDs(ids[:0], texts[lang], false); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, name := range []string{"gpt2", "llama3_1", "gemma3"} {
		path := filepath.Join(dataDir(b), "tokenizers", name, "tokenizer.json.gz")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				open(b, path)
			}
		})
	}
}

// FuzzEncode wants every text back from byte-level tokenizers, the two ways to
// encode to agree, and offsets to stay inside the text.
func FuzzEncode(f *testing.F) {
	gpt2, stories := open(f, "testdata/gpt2.json.gz"), open(f, "testdata/stories260K.json")
	for _, s := range []string{"", " ", "Hello, it's 2024!", "안녕 <|endoftext|>  \n\n", "e\u0301 \u00a0 <s> <0x0A>▁"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		valid := utf8.ValidString(text)
		for _, tok := range []*tokenizer.Tokenizer{gpt2, stories} {
			e, err := tok.Encode(text, true)
			if valid != (err == nil) {
				t.Fatalf("%q: got error %v", text, err)
			}
			if !valid {
				continue
			}
			ids, err := tok.AppendIDs(nil, text, true)
			if err != nil {
				t.Fatal(err)
			}
			check(t, text, "ids", ids, e.IDs)
			n := utf8.RuneCountInString(text)
			for i, o := range e.Offsets {
				if o[0] < 0 || o[1] < o[0] || o[1] > n {
					t.Errorf("%q: token %d has offsets %v of %d", text, i, o, n)
				}
			}
			tok.Decode(ids, true)
		}
		if !valid {
			return
		}
		ids, err := gpt2.AppendIDs(nil, text, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := gpt2.Decode(ids, false); got != text {
			t.Errorf("got %q back, want %q", got, text)
		}
	})
}
