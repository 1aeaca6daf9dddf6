package model

import (
	"bufio"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/model/tokenizer"
)

// withSentencePiece gives a file what llama.cpp's converter takes from the
// tokenizer.model that a tokenizer.json was made from: pieces are in the order of
// their merges, runs of spaces have the least score, and tokens that were added
// lose theirs, and their marks for spaces.
func (f *ggufFile) withSentencePiece(t *testing.T, doc tokenizerFile, rows int) {
	t.Helper()
	tokens := make([]string, rows)
	f.kinds, f.scores = make([]int32, rows), make([]float32, rows)
	for i := range tokens {
		tokens[i], f.kinds[i], f.scores[i] = "[PAD"+string(rune('a'+i%26))+"]", ggufUnused, -10000
	}
	for token, id := range doc.Model.Vocab {
		tokens[id], f.kinds[id], f.scores[id] = token, ggufNormal, -float32(id)
		if strings.Trim(token, spacePiece) == "" {
			f.scores[id] = -1e9
		}
		if len(token) == 6 && strings.HasPrefix(token, "<0x") {
			f.kinds[id], f.scores[id] = ggufByte, 0
		}
	}
	for _, a := range doc.Added {
		f.kinds[a.ID], f.scores[a.ID] = ggufControl, -1000
		tokens[a.ID] = a.Content
		switch {
		case a.Content == "<unk>":
			f.kinds[a.ID], f.scores[a.ID] = ggufUnknown, 0
		case !a.Special:
			tokens[a.ID], f.kinds[a.ID] = strings.ReplaceAll(a.Content, spacePiece, " "), ggufUserDefined
		}
	}
	f.lists = map[string][]string{"tokenizer.ggml.tokens": tokens}
	f.texts["tokenizer.ggml.model"], f.texts["tokenizer.ggml.pre"] = "llama", "default"
}

// TestGGUFSentencePiece reads vocabularies as they are published, against the
// tokenizer.json of each.
func TestGGUFSentencePiece(t *testing.T) {
	data := os.Getenv("GRAFT_DATA")
	if data == "" {
		t.Skip("GRAFT_DATA is not set: these tokenizers are not here")
	}
	for _, tc := range []struct {
		name   string
		rows   int
		bos    uint32
		prefix bool
	}{
		{"llama2", 32000, 1, true},
		{"mistral_v3", 32768, 1, true},
		{"gemma3", 262208, 2, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(data, "tokenizers", tc.name, "tokenizer.json.gz")
			f := tinyGGUF()
			f.withSentencePiece(t, readTokenizer(t, path), tc.rows)
			f.ints["tokenizer.ggml.bos_token_id"] = tc.bos
			f.bools = map[string]bool{"tokenizer.ggml.add_space_prefix": tc.prefix}
			tok := f.tokenizer(t)
			want, err := tokenizer.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if tok.Count() != want.Count() || tok.VocabSize() != want.VocabSize() {
				t.Errorf("got %d tokens to %d, want %d to %d", tok.Count(), tok.VocabSize(), want.Count(), want.VocabSize())
			}
			checkTokenizer(t, tok, filepath.Join(data, "tokenizers", "golden", tc.name+".json"))
			for _, corpus := range []string{"react_docs_en_ko_ja.jsonl.gz", "bible_es.jsonl.gz", "nsmc_reviews_ko_sample.txt.gz"} {
				sameLines(t, tok, want, filepath.Join(data, "corpora", corpus))
			}
		})
	}
}

// tokenizer opens the tokenizer of the file.
func (f *ggufFile) tokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m.gguf")
	f.write(t, file)
	tok, err := OpenTokenizer(file)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// sameLines compares the tokens of the first lines of a file.
func sameLines(t *testing.T, got, want *tokenizer.Tokenizer, path string) {
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
	lines, bytes := bufio.NewScanner(z), 0
	lines.Buffer(nil, 1<<24)
	for bytes < 1<<20 && lines.Scan() {
		bytes += len(lines.Bytes())
		g, err := got.AppendIDs(nil, lines.Text(), true)
		w, err2 := want.AppendIDs(nil, lines.Text(), true)
		if err != nil || err2 != nil || !slices.Equal(g, w) {
			t.Fatalf("%.80q: got %v (%v), want %v (%v)", lines.Text(), g, err, w, err2)
		}
	}
	if err := lines.Err(); err != nil || bytes < 1<<18 {
		t.Fatalf("%s: %d bytes read, %v", path, bytes, err)
	}
}

// spm is testdata/spm.json.
type spm struct {
	Tokens []string
	Scores []float32
	Kinds  []int32
	Texts  []struct {
		Text          string
		IDs, Prefixed []int32
	}
}

// file gives a GGUF file the vocabulary, as llama.cpp's converter does.
func (s *spm) file() *ggufFile {
	f := tinyGGUF()
	f.texts["tokenizer.ggml.model"] = "llama"
	tokens := slices.Clone(s.Tokens)
	f.kinds, f.scores = slices.Clone(s.Kinds), slices.Clone(s.Scores)
	for i, k := range f.kinds {
		if k == ggufUserDefined {
			tokens[i], f.scores[i] = strings.ReplaceAll(tokens[i], spacePiece, " "), -1000
		}
	}
	f.lists = map[string][]string{"tokenizer.ggml.tokens": tokens}
	f.ints["tokenizer.ggml.bos_token_id"], f.ints["tokenizer.ggml.eos_token_id"] = 1, 2
	f.bools = map[string]bool{}
	return f
}

// smallPieces is a vocabulary of a few pieces of every kind.
func smallPieces(f *ggufFile) {
	f.texts["tokenizer.ggml.model"] = "llama"
	f.lists = map[string][]string{"tokenizer.ggml.tokens": {"<unk>", "<s>", "<0x61>", "a", "b", "ab", "  ", spacePiece, spacePiece + "a", "[PAD]"}}
	f.kinds = []int32{ggufUnknown, ggufControl, ggufByte, ggufNormal, ggufNormal, ggufNormal, ggufUserDefined, ggufNormal, ggufNormal, ggufUnused}
	f.scores = []float32{0, 0, 0, -3, -4, -1, -1000, -5, -2, -10000}
	f.ints["tokenizer.ggml.bos_token_id"] = 1
}

func readSPM(t *testing.T) *spm {
	t.Helper()
	var s spm
	readJSON(t, filepath.Join("testdata", "spm.json"), &s)
	if len(s.Texts) < 10 {
		t.Fatalf("%d texts", len(s.Texts))
	}
	return &s
}

// A vocabulary makes the tokens that SentencePiece makes of it, and the same text
// of them.
func TestGGUFSentencePieceTokens(t *testing.T) {
	s := readSPM(t)
	for _, prefix := range []bool{false, true} {
		f := s.file()
		f.bools["tokenizer.ggml.add_space_prefix"] = prefix
		tok := f.tokenizer(t)
		for _, c := range s.Texts {
			want := c.IDs
			if prefix {
				want = c.Prefixed
			}
			if want == nil {
				continue
			}
			got, err := tok.AppendIDs(nil, c.Text, false)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%.60q, prefix %v: got %v (%v), want %v", c.Text, prefix, got, err, want)
			}
			if text := tok.Decode(got, false); text != strings.ReplaceAll(c.Text, spacePiece, " ") {
				t.Errorf("%.60q, prefix %v: decoded %q", c.Text, prefix, text)
			}
		}
	}
}

// What the user defined is made before pieces of any score, with marks for spaces
// that the converter took.
func TestGGUFUserDefinedPieces(t *testing.T) {
	f := tinyGGUF()
	smallPieces(f)
	f.bools = map[string]bool{"tokenizer.ggml.add_space_prefix": false}
	tok := f.tokenizer(t)
	for text, want := range map[string][]int32{"  a": {6, 3}, " a": {8}, "   a": {6, 8}, "ab a": {5, 8}, "\u2581\u2581": {6}} {
		if got, err := tok.AppendIDs(nil, text, false); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v (%v), want %v", text, got, err, want)
		}
	}
}

// Options of the file decide what is put around texts, and around two of them.
func TestGGUFSentencePieceOptions(t *testing.T) {
	s := readSPM(t)
	body := func(f *ggufFile, text string) []int32 {
		ids, err := f.tokenizer(t).AppendIDs(nil, text, false)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	for _, tc := range []struct {
		name          string
		bools         map[string]bool
		before, after []int32
	}{
		{"by default", nil, []int32{1}, nil},
		{"nothing", map[string]bool{"add_bos_token": false}, nil, nil},
		{"both", map[string]bool{"add_bos_token": true, "add_eos_token": true}, []int32{1}, []int32{2}},
		{"the end", map[string]bool{"add_bos_token": false, "add_eos_token": true}, nil, []int32{2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := s.file()
			for k, v := range tc.bools {
				f.bools["tokenizer.ggml."+k] = v
			}
			plain := body(f, "the text")
			if want := body(s.file(), "the text"); !slices.Equal(plain, want) {
				t.Errorf("without special tokens: got %v, want %v", plain, want)
			}
			got, err := f.tokenizer(t).AppendIDs(nil, "the text", true)
			if want := slices.Concat(tc.before, plain, tc.after); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %v (%v), want %v", got, err, want)
			}
		})
	}
}

func TestGGUFSentencePieceRefuses(t *testing.T) {
	s := readSPM(t)
	for _, tc := range []struct {
		name string
		edit func(f *ggufFile)
		want string
	}{
		{"as it should be", func(*ggufFile) {}, ""},
		{"no scores", func(f *ggufFile) { f.scores = nil }, "tokenizer.ggml.scores: expected a list of finite numbers, found nothing"},
		{"too few scores", func(f *ggufFile) { f.scores = f.scores[1:] }, "tokenizer.ggml.scores: expected one for each of 640 tokens, found 639"},
		{"a score that is no number", func(f *ggufFile) { f.scores[300] = float32(math.NaN()) }, "tokenizer.ggml.scores: expected a list of finite numbers, found an array of 640 float32"},
		{"scores that say nothing", func(f *ggufFile) {
			for i := range f.scores {
				f.scores[i] = -1000
			}
		}, "tokenizer.ggml.scores: expected scores that order the pieces, found -1000 for all"},
		{"a long piece", func(f *ggufFile) { f.lists["tokenizer.ggml.tokens"][600] = strings.Repeat("ab", 300) },
			"tokenizer.ggml.tokens: expected pieces of at most 512 bytes, found one of 600 as 600"},
		{"a token twice", func(f *ggufFile) { f.lists["tokenizer.ggml.tokens"][600] = f.lists["tokenizer.ggml.tokens"][601] },
			"tokenizer.ggml.tokens: expected each token once, found " + quote(s.Tokens[601]) + " as 600 and 601"},
		{"unknown outside", func(f *ggufFile) { f.ints["tokenizer.ggml.unknown_token_id"] = 640 },
			"tokenizer.ggml.unknown_token_id: expected one of 640 tokens, found uint32 640"},
		{"an end that is not there", func(f *ggufFile) {
			f.bools["tokenizer.ggml.add_eos_token"] = true
			delete(f.ints, "tokenizer.ggml.eos_token_id")
		}, "tokenizer.ggml.eos_token_id: expected one of 640 tokens, which texts end with, found nothing"},
		{"rules of normalising", func(f *ggufFile) { f.texts["tokenizer.ggml.precompiled_charsmap"] = "x" },
			`tokenizer.ggml.precompiled_charsmap: expected none: rules that normalise texts are not supported, found "x"`},
		{"spaces taken away", func(f *ggufFile) { f.bools["tokenizer.ggml.remove_extra_whitespaces"] = true },
			"tokenizer.ggml.remove_extra_whitespaces: expected false, found true"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := s.file()
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
