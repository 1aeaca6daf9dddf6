package model

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"graft/model/gguf"
	"graft/model/tokenizer"
)

// tokenizerName is the tokenizer of a model directory.
const tokenizerName = "tokenizer.json"

// Tokenizer opens the checkpoint's tokenizer: tokenizer.json, for a GGUF file
// the one beside it, or else what the file itself says.
func (ck *Checkpoint) Tokenizer() (*tokenizer.Tokenizer, error) { return OpenTokenizer(ck.Path) }

// OpenTokenizer opens the tokenizer of a model, which path names as for Open, or
// a tokenizer.json itself.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && !isGGUF(path) {
		return tokenizer.Open(path)
	}
	file, err := findGGUF(path)
	if err != nil {
		return nil, at(path, err)
	}
	if file == "" {
		return tokenizer.Open(path)
	}
	beside := filepath.Join(filepath.Dir(file), tokenizerName)
	if _, err := os.Stat(beside); !errors.Is(err, fs.ErrNotExist) {
		return tokenizer.Open(beside)
	}
	f, err := gguf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only reading was done
	doc, err := tokenizerOfGGUF(f)
	if err != nil {
		return nil, at(file, err)
	}
	return tokenizer.Parse(file, doc)
}

// Companions are files of the model that a GGUF file has within, by the names
// that a model directory has for them: tokenizer.json, if it can be written, and
// the chat template. Those that lie beside the file are left out.
func (ck *Checkpoint) Companions() map[string][]byte {
	w, ok := ck.set.(*ggufWeights)
	if !ok {
		return nil
	}
	files := map[string][]byte{}
	if doc, err := tokenizerOfGGUF(w.file); err == nil {
		files[tokenizerName] = doc
		files["tokenizer_config.json"] = tokenizerConfig(w.file)
	}
	if v, ok := w.file.Value("tokenizer.chat_template"); ok {
		if text, ok := v.Text(); ok {
			files["chat_template.jinja"] = []byte(text)
		}
	}
	for name := range files {
		if _, err := os.Stat(filepath.Join(ck.Dir, name)); err == nil {
			delete(files, name)
		}
	}
	return files
}

// tokenizerConfig names the special tokens for Transformers.
func tokenizerConfig(f *gguf.File) []byte {
	m := &metadata{f: f, arch: "tokenizer.ggml."}
	tokens := m.texts("tokens")
	o := object{}.with("tokenizer_class", `"PreTrainedTokenizerFast"`).with("clean_up_tokenization_spaces", "false")
	for _, t := range []struct{ field, key string }{{"bos_token", "bos_token_id"}, {"eos_token", "eos_token_id"}, {"unk_token", "unknown_token_id"}, {"pad_token", "padding_token_id"}} {
		if id, ok := m.value(m.arch + t.key).Int(); ok && id >= 0 && id < int64(len(tokens)) {
			o = o.with(t.field, string(jsonText(tokens[id])))
		}
	}
	return o.encode()
}
