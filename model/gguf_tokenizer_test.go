package model

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/model/tokenizer"
)

// tokenizerFile is what is read of a tokenizer.json.gz.
type tokenizerFile struct {
	Added []struct {
		ID      int
		Content string
		Special bool
	} `json:"added_tokens"`
	Model struct {
		Vocab  map[string]int
		Merges []mergeEntry
	}
}

// mergeEntry is "a b" or ["a", "b"].
type mergeEntry [2]string

func (m *mergeEntry) UnmarshalJSON(raw []byte) error {
	var one string
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[2]string)(m))
	}
	err := json.Unmarshal(raw, &one)
	m[0], m[1], _ = strings.Cut(one, " ")
	return err
}

func readTokenizer(t testing.TB, path string) tokenizerFile {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	var doc tokenizerFile
	if err := json.NewDecoder(z).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// withTokenizer gives a file what llama.cpp's converter takes from a
// tokenizer.json.
func (f *ggufFile) withTokenizer(t *testing.T, path, pre string, rows int) {
	t.Helper()
	doc := readTokenizer(t, path)
	tokens := make([]string, rows)
	f.kinds = make([]int32, rows)
	for i := range tokens {
		tokens[i], f.kinds[i] = "[PAD"+string(rune('a'+i%26))+"]", ggufUnused // the same ones again and again
	}
	for token, id := range doc.Model.Vocab {
		tokens[id], f.kinds[id] = token, 1
	}
	for _, a := range doc.Added {
		tokens[a.ID], f.kinds[a.ID] = a.Content, ggufUserDefined
		if a.Special {
			f.kinds[a.ID] = ggufControl
		}
	}
	var merges []string
	for _, m := range doc.Model.Merges {
		merges = append(merges, m[0]+" "+m[1])
	}
	f.lists = map[string][]string{"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": merges}
	f.texts["tokenizer.ggml.model"], f.texts["tokenizer.ggml.pre"] = "gpt2", pre
}

// What a GGUF file says of a tokenizer makes the tokens that the original makes,
// on strings that are hard. The one of GPT-2 is in the repository.
func TestGGUFTokenizer(t *testing.T) {
	for _, tc := range []struct {
		name, pre string
		rows      int
		bos       uint32
	}{
		{"gpt2", "gpt-2", 50257, 0},
		{"qwen3", "qwen2", 151936, 0},
		{"llama3_1", "llama-bpe", 128256, 128000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, golden := filepath.Join("tokenizer", "testdata", "gpt2.json.gz"), filepath.Join("tokenizer", "testdata", "gpt2.golden.json")
			if tc.name != "gpt2" {
				dir := os.Getenv("GRAFT_DATA")
				if dir == "" {
					t.Skip("GRAFT_DATA is not set: this tokenizer is not here")
				}
				path, golden = filepath.Join(dir, "tokenizers", tc.name, "tokenizer.json.gz"), filepath.Join(dir, "tokenizers", "golden", tc.name+".json")
			}
			f := tinyGGUF()
			f.withTokenizer(t, path, tc.pre, tc.rows)
			f.ints["tokenizer.ggml.bos_token_id"] = tc.bos
			file := filepath.Join(t.TempDir(), "m.gguf")
			f.write(t, file)
			tok, err := OpenTokenizer(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := tokenizer.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if tok.Count() != want.Count() || tok.VocabSize() != want.VocabSize() {
				t.Errorf("got %d tokens to %d, want %d to %d", tok.Count(), tok.VocabSize(), want.Count(), want.VocabSize())
			}
			checkTokenizer(t, tok, golden)
		})
	}
}

func checkTokenizer(t *testing.T, tok *tokenizer.Tokenizer, golden string) {
	t.Helper()
	doc, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text    string
		IDs     []int32
		Special []int32 `json:"ids_special"`
		Decoded string
		Skipped string `json:"decoded_skip"`
	}
	if err := json.Unmarshal(doc, &cases); err != nil || len(cases) < 20 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		for special, want := range map[bool][]int32{false: c.IDs, true: c.Special} {
			if got, err := tok.AppendIDs(nil, c.Text, special); err != nil || !slices.Equal(got, want) {
				t.Errorf("%.60q, special %v: got %v (%v), want %v", c.Text, special, got, err, want)
			}
		}
		if got := tok.Decode(c.IDs, false); got != c.Decoded {
			t.Errorf("decoded: got %q, want %q", got, c.Decoded)
		}
		if got := tok.Decode(c.IDs, true); got != c.Skipped {
			t.Errorf("decoded without special tokens: got %q, want %q", got, c.Skipped)
		}
	}
}

// smallVocabulary is one of bytes and two words, with a special token.
func smallVocabulary(f *ggufFile) {
	f.lists = map[string][]string{"tokenizer.ggml.tokens": {"a", "b", "ab", "<s>", "1"}, "tokenizer.ggml.merges": {"a b"}}
	f.kinds = []int32{1, 1, 1, ggufControl, 1}
	f.texts["tokenizer.ggml.model"], f.texts["tokenizer.ggml.pre"] = "gpt2", "smollm"
	f.texts["tokenizer.chat_template"] = "{{ messages }}"
	f.ints["tokenizer.ggml.bos_token_id"] = 3
}

func TestGGUFTokenizerRefuses(t *testing.T) {
	const beside = "; expected the tokenizer.json of the original model beside the file then, found none"
	for _, tc := range []struct {
		name string
		edit func(f *ggufFile)
		want string
	}{
		{"as it should be", func(*ggufFile) {}, ""},
		{"no tokenizer", func(f *ggufFile) { delete(f.texts, "tokenizer.ggml.model") },
			`tokenizer.ggml.model: expected "gpt2", byte-level BPE, or "llama", SentencePiece, found nothing` + beside},
		{"another kind", func(f *ggufFile) { f.texts["tokenizer.ggml.model"] = "t5" },
			`tokenizer.ggml.model: expected "gpt2", byte-level BPE, or "llama", SentencePiece, found "t5"` + beside},
		{"a merge of one", func(f *ggufFile) { f.lists["tokenizer.ggml.merges"][0] = "ab" },
			`tokenizer.ggml.merges: expected two tokens with a space between them, found "ab"`},
		{"another splitter", func(f *ggufFile) { f.texts["tokenizer.ggml.pre"] = "tekken" },
			`tokenizer.ggml.pre: expected one of gpt-2, smollm, qwen2, llama-bpe, found "tekken"` + beside},
		{"no tokens", func(f *ggufFile) { delete(f.lists, "tokenizer.ggml.tokens") }, `tokenizer.ggml.tokens: expected a list of texts in UTF-8, found nothing`},
		{"not UTF-8", func(f *ggufFile) { f.lists["tokenizer.ggml.tokens"][1] = "\xff" }, `tokenizer.ggml.tokens: expected a list of texts in UTF-8, found an array of 5 string`},
		{"kinds of other tokens", func(f *ggufFile) { f.kinds = f.kinds[1:] }, `tokenizer.ggml.token_type: expected one for each of 5 tokens, found 4`},
		{"a token twice", func(f *ggufFile) { f.lists["tokenizer.ggml.tokens"][1] = "a" }, `tokenizer.ggml.tokens: expected each token once, found "a" as 0 and 1`},
		{"a beginning that is not there", func(f *ggufFile) {
			f.texts["tokenizer.ggml.pre"] = "llama-bpe"
			f.ints["tokenizer.ggml.bos_token_id"] = 5
		},
			`tokenizer.ggml.bos_token_id: expected one of 5 tokens, which texts begin with, found uint32 5`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tinyGGUF()
			smallVocabulary(f)
			tc.edit(f)
			path := filepath.Join(t.TempDir(), "m.gguf")
			f.write(t, path)
			_, err := OpenTokenizer(path)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != "model: "+path+": "+tc.want) {
				t.Errorf("\ngot  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// Tokenizer and chat template go with a model that is made of a GGUF file, but
// those beside the file come first.
func TestGGUFCompanions(t *testing.T) {
	f := tinyGGUF()
	smallVocabulary(f)
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	f.write(t, path)
	ck, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	files := ck.Companions()
	tok, err := tokenizer.Parse("companion", files[tokenizerName])
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := tok.AppendIDs(nil, "ab11<s>", true); err != nil || !slices.Equal(ids, []int32{2, 4, 4, 3}) {
		t.Errorf("got %v (%v), want [2 4 4 3]", ids, err)
	}
	if got := string(files["chat_template.jinja"]); got != "{{ messages }}" {
		t.Errorf("chat template: got %q", got)
	}
	if got := string(files["tokenizer_config.json"]); !strings.Contains(got, `"bos_token": "<s>"`) || !strings.Contains(got, `"eos_token": "ab"`) {
		t.Errorf("tokenizer_config.json: got %s", got)
	}
	writeFile(t, filepath.Join(dir, tokenizerName), "{}")
	if _, ok := ck.Companions()[tokenizerName]; ok {
		t.Error("the tokenizer beside the file is overwritten")
	}
}
