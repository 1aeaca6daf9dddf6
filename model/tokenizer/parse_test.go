package tokenizer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"graft/model/tokenizer"
)

// tiny is a tokenizer.json with a place for more fields of the file and one
// for the model.
func tiny(model, rest string) string {
	if model == "" {
		model = `"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`
	}
	if rest != "" {
		rest = "," + rest
	}
	return `{"version":"1.0","model":{` + model + `}` + rest + `}`
}

func TestParseErrors(t *testing.T) {
	bpe := func(s string) string { return tiny(`"type":"BPE",`+s, "") }
	for _, c := range []struct{ name, json, want string }{
		{"empty", ``, "bad JSON at byte 0: expected an object, found the end of the file"},
		{"not an object", `[]`, "expected an object, found '['"},
		{"cut short", `{"model":{"vocab":{"a"`, "expected ':', found the end of the file"},
		{"trailing text", tiny("", "") + "x", "expected the end of the file, found 'x'"},
		{"bad escape", `{"a":"\q"}`, "expected a valid escape, found 'q'"},
		{"lone surrogate", `{"a":"\ud800"}`, "surrogate pair"},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", "invalid UTF-8 at byte 6"},
		{"deep", strings.Repeat(`{"a":`, 100), "nested deeper than 64"},
		{"field twice", `{"version":"1.0","version":"1.0"}`, "version: is given twice"},
		{"version", `{"version":"2.0","model":{}}`, `version: expected "1.0", found "2.0"`},
		{"no model", `{"version":"1.0"}`, "model: expected an object, found nothing"},
		{"model null", `{"model":null}`, "expected an object, found 'n'"},
		{"unigram", tiny(`"type":"Unigram","vocab":[["a",-1.5]]`, ""), `model.type "Unigram" is not supported`},
		{"wordpiece", tiny(`"type":"WordPiece","vocab":{"a":0}`, ""), `model.type "WordPiece" is not supported`},
		{"no vocab", bpe(`"merges":[]`), "model.vocab: expected an object of tokens and ids, found nothing"},
		{"no merges", bpe(`"vocab":{}`), "model.merges: expected an array, found nothing"},
		{"vocab null", bpe(`"vocab":null,"merges":[]`), "model.vocab: expected an object"},
		{"id negative", bpe(`"vocab":{"a":-1},"merges":[]`), `model.vocab["a"]: expected an id from 0 to 2147483646, found -1`},
		{"id fraction", bpe(`"vocab":{"a":1.5},"merges":[]`), `model.vocab["a"]: expected an id from 0 to 2147483646, found 1.5`},
		{"id huge", bpe(`"vocab":{"a":99999999999999999999},"merges":[]`), `expected an id from 0 to 2147483646, found 99999999999999999999`},
		{"id string", bpe(`"vocab":{"a":"1"},"merges":[]`), `model.vocab["a"]: expected an id from 0 to 2147483646, found a string`},
		{"token twice", bpe(`"vocab":{"a":0,"a":1},"merges":[]`), `model.vocab: token "a" is given twice`},
		{"id twice", bpe(`"vocab":{"a":0,"b":0},"merges":[]`), `model.vocab: tokens "a" and "b" have the same id 0`},
		{"merge unknown", bpe(`"vocab":{"a":0},"merges":["a b"]`), `model.merges[0]: "a" and "b" need the token "b", which is not in the vocabulary`},
		{"merge result unknown", bpe(`"vocab":{"a":0,"b":1},"merges":[["a","b"]]`), `model.merges[0]: "a" and "b" need the token "ab", which is not in the vocabulary`},
		{"merge of one", bpe(`"vocab":{"a":0},"merges":["a"]`), `model.merges[0]: expected two tokens with a space between, found "a"`},
		{"merge of three", bpe(`"vocab":{"a":0},"merges":[["a","a","a"]]`), `model.merges[0]: expected two tokens, found a string at place 3`},
		{"merge number", bpe(`"vocab":{"a":0},"merges":[1]`), `model.merges[0]: expected two tokens, found a number`},
		{"merges mixed", bpe(`"vocab":{"a":0,"b":1,"ab":2},"merges":["a b",["a","b"]]`), `model.merges[1]: expected a string as before`},
		{"dropout", bpe(`"dropout":0.1,"vocab":{},"merges":[]`), "model.dropout: expected null or 0, found 0.1"},
		{"flag", bpe(`"fuse_unk":1,"vocab":{},"merges":[]`), "model.fuse_unk: expected true or false, found 1"},
		{"normalizer unknown", tiny("", `"normalizer":{"type":"Precompiled","precompiled_charsmap":""}`), `normalizer.type: "Precompiled" is not supported`},
		{"normalizer nested", tiny("", `"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nope"}]}`), `normalizer.normalizers[1].type: "Nope" is not supported`},
		{"normalizer kind", tiny("", `"normalizer":"NFC"`), `normalizer: expected an object or null, found "NFC"`},
		{"no type", tiny("", `"normalizer":{}`), "normalizer.type: expected a string, found nothing"},
		{"pre-tokenizer unknown", tiny("", `"pre_tokenizer":{"type":"UnicodeScripts"}`), `pre_tokenizer.type: "UnicodeScripts" is not supported`},
		{"regex", tiny("", `"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated","invert":false}`), `pre_tokenizer.pattern.Regex: pattern "(a": a group is not closed`},
		{"behavior", tiny("", `"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Both"}`), `pre_tokenizer.behavior: expected one of Contiguous, Isolated, MergedWithNext, MergedWithPrevious, Removed, found "Both"`},
		{"replacement", tiny("", `"pre_tokenizer":{"type":"Metaspace","replacement":"ab"}`), `pre_tokenizer.replacement: expected a string of one character, found "ab"`},
		{"scheme", tiny("", `"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"last"}`), `prepend_scheme: expected always, first or never, found "last"`},
		{"post-processor unknown", tiny("", `"post_processor":{"type":"Nope"}`), `post_processor.type: "Nope" is not supported`},
		{"template token", tiny("", `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}],"pair":[],"special_tokens":{}}`), `post_processor.special_tokens.<s>: expected an object, found nothing`},
		{"template id", tiny("", `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[-1],"tokens":["<s>"]}}}`), `special_tokens.<s>.ids[0]: expected an id`},
		{"template pair", tiny("", `"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}}`), "post_processor: the single template uses sequence B"},
		{"decoder unknown", tiny("", `"decoder":{"type":"Nope"}`), `decoder.type: "Nope" is not supported`},
		{"decoder count", tiny("", `"decoder":{"type":"Strip","content":" ","start":-1,"stop":0}`), `decoder.start: expected a whole number, found -1`},
		{"added not an object", tiny("", `"added_tokens":[1]`), "added_tokens[0]: expected an object, found 1"},
		{"added without id", tiny("", `"added_tokens":[{"content":"x"}]`), "added_tokens[0].id: expected an id from 0 to 2147483646, found null"},
		{"added without content", tiny("", `"added_tokens":[{"id":1}]`), "added_tokens[0].content: expected a string, found nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tokenizer.Parse("dir/tokenizer.json", []byte(c.json))
			if err == nil {
				t.Fatal("got no error")
			}
			if s := err.Error(); !strings.HasPrefix(s, "tokenizer: dir/tokenizer.json: ") || !strings.Contains(s, c.want) || strings.Contains(s, "\n") {
				t.Errorf("got %q, want it to say %q", s, c.want)
			}
		})
	}
}

func parse(t testing.TB, json string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Parse("test", []byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTolerated(t *testing.T) {
	for name, json := range map[string]string{
		"unknown fields":        tiny("", `"more":{"x":[1,{"y":null}]},"truncation":{"max_length":1},"padding":null`),
		"model without a type":  tiny(`"dropout":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["#version: 0.2","a b"]`, ""),
		"old template":          tiny("", `"post_processor":null,"added_tokens":null`),
		"dropout of nothing":    tiny(`"type":"BPE","dropout":0.0,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, ""),
		"merges before a vocab": tiny(`"type":"BPE","merges":[["a","b"]],"vocab":{"a":0,"b":1,"ab":2}`, ""),
	} {
		t.Run(name, func(t *testing.T) {
			ids, err := parse(t, json).AppendIDs(nil, "abb", false)
			if err != nil {
				t.Fatal(err)
			}
			check(t, "abb", "ids", ids, []int32{2, 1})
		})
	}
}

// TestSparseIDs wants ids near the limit to cost what tokens cost, not what
// ids would.
func TestSparseIDs(t *testing.T) {
	tok := parse(t, tiny(`"type":"BPE","vocab":{"a":0,"b":2147483646,"ab":7},"merges":["a b"]`,
		`"added_tokens":[{"id":9,"content":"<x>","special":true}]`))
	if got, want := tok.VocabSize(), 1<<31-1; got != want {
		t.Errorf("VocabSize: got %d, want %d", got, want)
	}
	if got, want := tok.Count(), 4; got != want {
		t.Errorf("Count: got %d, want %d", got, want)
	}
	ids, err := tok.AppendIDs(nil, "abb<x>", false)
	if err != nil {
		t.Fatal(err)
	}
	// The library numbers added tokens from the size of the vocabulary.
	check(t, "abb<x>", "ids", ids, []int32{7, 2147483646, 3})
	if got, want := tok.Decode(ids, true), "ab b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, id := range []int32{-1, 1, 8} {
		if s, ok := tok.IDToToken(id); ok {
			t.Errorf("IDToToken(%d): got %q, want none", id, s)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/stories260K.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	tok := open(t, dir)
	ids, err := tok.AppendIDs(nil, "Once upon a time", true)
	if err != nil {
		t.Fatal(err)
	}
	// From llama2.c's tokenizer, which these ids were trained with.
	check(t, "Once upon a time", "ids", ids, []int32{1, 403, 407, 261, 378})
	if _, err := tokenizer.Open(filepath.Join(dir, "nothing")); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.json.gz"), []byte{0x1F, 0x8B, 8, 0, 0}, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tokenizer.Open(filepath.Join(dir, "bad.json.gz")); err == nil || !strings.Contains(err.Error(), "bad.json.gz") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestLookups(t *testing.T) {
	stories, gpt2 := open(t, "testdata/stories260K.json"), open(t, "testdata/gpt2.json.gz")
	prefix, suffix := stories.Specials()
	check(t, "stories260K", "prefix", prefix, []int32{1})
	check(t, "stories260K", "suffix", suffix, []int32(nil))
	if got, want := stories.VocabSize(), 512; got != want {
		t.Errorf("VocabSize: got %d, want %d", got, want)
	}
	if got, want := gpt2.VocabSize(), 50257; got != want || gpt2.Count() != want {
		t.Errorf("VocabSize, Count: got %d, %d, want %d", got, gpt2.Count(), want)
	}
	for _, c := range []struct {
		tok     *tokenizer.Tokenizer
		token   string
		id      int32
		isByte  bool
		special bool
	}{
		{stories, "<0xE3>", 3 + 0xE3, true, false},
		{stories, "</s>", 2, false, true},
		{stories, "▁t", 259, false, false},
		{gpt2, "!", 0, false, false},
		{gpt2, "Ġ", 220, false, false},
		{gpt2, "ã", 159, true, false},
		{gpt2, "<|endoftext|>", 50256, false, true},
	} {
		id, ok := c.tok.TokenToID(c.token)
		if !ok || id != c.id {
			t.Errorf("TokenToID(%q): got %d, %v, want %d", c.token, id, ok, c.id)
		}
		if s, ok := c.tok.IDToToken(c.id); !ok || s != c.token {
			t.Errorf("IDToToken(%d): got %q, %v, want %q", c.id, s, ok, c.token)
		}
		if got := c.tok.IsByte(c.id); got != c.isByte {
			t.Errorf("IsByte(%q): got %v, want %v", c.token, got, c.isByte)
		}
		if got := c.tok.IsSpecial(c.id); got != c.special {
			t.Errorf("IsSpecial(%q): got %v, want %v", c.token, got, c.special)
		}
	}
}

// FuzzParse looks for panics and for files that cost more than they weigh.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/stories260K.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(tiny("", `"normalizer":{"type":"Replace","pattern":{"Regex":"a+(?!b)"},"content":"x"}`)))
	f.Add([]byte(tiny("", `"pre_tokenizer":{"type":"ByteLevel"},"post_processor":{"type":"RobertaProcessing","sep":["a",0],"cls":["b",1]},"decoder":{"type":"Strip","content":"a","start":1,"stop":1}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := tokenizer.Parse("fuzz", data)
		if err != nil {
			return
		}
		e, err := tok.Encode("ab <s> é\n", true)
		if err != nil {
			return
		}
		ids, err := tok.AppendIDs(nil, "ab <s> é\n", true)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "ab", "ids", ids, e.IDs)
		tok.Decode(e.IDs, true)
	})
}
