package tokenizer_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"graft/model/tokenizer"
)

// goldenCase is one string with what the library made of it.
type goldenCase struct {
	Text        string   `json:"text"`
	IDs         []int32  `json:"ids"`
	IDsSpecial  []int32  `json:"ids_special"`
	Tokens      []string `json:"tokens"`
	Offsets     [][2]int `json:"offsets"`
	Decoded     string   `json:"decoded"`
	DecodedSkip string   `json:"decoded_skip"`
}

func dataDir(t testing.TB) string {
	dir := os.Getenv("GRAFT_DATA")
	if dir == "" {
		t.Skip("GRAFT_DATA is not set: the tokenizers of six families are not here")
	}
	return dir
}

func open(t testing.TB, path string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestGoldens compares with the official library on 32 hard strings.
func TestGoldens(t *testing.T) {
	dir := filepath.Join(dataDir(t), "tokenizers")
	for _, name := range []string{"gemma3", "gpt2", "llama2", "llama3_1", "mistral_v3", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			tok := open(t, filepath.Join(dir, name, "tokenizer.json.gz"))
			var cases []goldenCase
			readJSON(t, filepath.Join(dir, "golden", name+".json"), &cases)
			checkGoldens(t, tok, cases)
		})
	}
}

// TestGoldenLlama3 uses the file of Llama 3.1, which differs from that of
// Llama 3 in its post-processor alone: Llama 3's adds no BOS.
func TestGoldenLlama3(t *testing.T) {
	dir := filepath.Join(dataDir(t), "tokenizers")
	f, err := os.Open(filepath.Join(dir, "llama3_1", "tokenizer.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(z).Decode(&fields); err != nil {
		t.Fatal(err)
	}
	fields["post_processor"] = json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}`)
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse("llama3", data)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	readJSON(t, filepath.Join(dir, "golden", "llama3.json"), &cases)
	checkGoldens(t, tok, cases)
}

// TestGPT2 needs nothing but the repository.
func TestGPT2(t *testing.T) {
	tok := open(t, "testdata/gpt2.json.gz")
	var cases []goldenCase
	readJSON(t, "testdata/gpt2.golden.json", &cases)
	checkGoldens(t, tok, cases)
}

func checkGoldens(t *testing.T, tok *tokenizer.Tokenizer, cases []goldenCase) {
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		e, err := tok.Encode(c.Text, false)
		if err != nil {
			t.Fatal(err)
		}
		check(t, c.Text, "ids", e.IDs, c.IDs)
		check(t, c.Text, "tokens", e.Tokens, c.Tokens)
		check(t, c.Text, "offsets", e.Offsets, c.Offsets)
		for special, want := range map[bool][]int32{false: c.IDs, true: c.IDsSpecial} {
			e, err := tok.Encode(c.Text, special)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c.Text, "ids of Encode", e.IDs, want)
			ids, err := tok.AppendIDs([]int32{7}, c.Text, special)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c.Text, "ids of AppendIDs", ids[1:], want)
		}
		check(t, c.Text, "decoded", tok.Decode(c.IDs, false), c.Decoded)
		check(t, c.Text, "decoded without special tokens", tok.Decode(c.IDs, true), c.DecodedSkip)
	}
}

func check(t *testing.T, text, what string, got, want any) {
	t.Helper()
	if g := reflect.ValueOf(got); g.Kind() == reflect.Slice && g.Len() == 0 && reflect.ValueOf(want).Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%.60q: %s: got %v, want %v", text, what, got, want)
	}
}
