package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"graft/model/chat"
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
// the chat templates. Those that lie beside the file are left out.
func (ck *Checkpoint) Companions() map[string][]byte {
	w, ok := ck.set.(*ggufWeights)
	if !ok {
		return nil
	}
	files := chatTemplates(w.file, ck.Dir)
	if doc, err := tokenizerOfGGUF(w.file); err == nil {
		files[tokenizerName] = doc
		files[tokenizerConfigName] = tokenizerConfig(w.file)
	}
	for name := range files {
		if _, err := os.Stat(filepath.Join(ck.Dir, name)); err == nil {
			delete(files, name)
		}
	}
	return files
}

// ChatTemplate opens the checkpoint's chat template, or the one in file if that
// is not "".
func (ck *Checkpoint) ChatTemplate(file string) (*chat.Template, error) {
	return OpenChatTemplate(ck.Path, file)
}

// OpenChatTemplate opens the chat template of a model, which path names as for
// Open, or the one in file if that is not "".
func OpenChatTemplate(path, file string) (*chat.Template, error) {
	from := chat.Files{Dir: path}
	name, err := findGGUF(path)
	if err != nil {
		return nil, at(path, err)
	}
	if name != "" {
		f, err := gguf.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only reading was done
		from.Dir, from.Path = filepath.Dir(name), name
		from.Within = chatTemplates(f, from.Dir)
		if _, err := os.Stat(filepath.Join(from.Dir, tokenizerConfigName)); errors.Is(err, fs.ErrNotExist) {
			from.Within[tokenizerConfigName] = tokenizerConfig(f)
		}
	}
	if file != "" {
		return from.OpenFile(file)
	}
	t, err := from.Open()
	if name != "" && errors.Is(err, chat.ErrNoTemplate) {
		err = fmt.Errorf("%w, and no %s in %s", err, templateKey, name)
	}
	return t, err
}

// Names of chat templates in a model directory, and of the metadata that hold
// them in a GGUF file: the default one under the key, others under the key, a
// dot and their name.
const (
	tokenizerConfigName = "tokenizer_config.json"
	templateName        = "chat_template.jinja"
	templateKey         = "tokenizer.chat_template"
)

// chatTemplates are the templates in a GGUF file, by the names of files that hold
// such, none where a template lies beside the file, in dir.
func chatTemplates(f *gguf.File, dir string) map[string][]byte {
	files := map[string][]byte{}
	if templateBeside(dir) {
		return files
	}
	for _, key := range f.Keys() {
		rest, ok := strings.CutPrefix(key, templateKey)
		v, _ := f.Value(key)
		text, isText := v.Text()
		if !ok || !isText {
			continue
		}
		if name := strings.Map(templateLetter, strings.TrimPrefix(rest, ".")); rest == "" {
			files[templateName] = []byte(text)
		} else if rest[0] == '.' && name != "" && len(name) <= maxTemplateName {
			files[templateDir+"/"+name+".jinja"] = []byte(text)
		}
	}
	return files
}

// maxTemplateName keeps names of templates names of files.
const maxTemplateName = 128

// templateLetter keeps the letters, digits and underscores that llama.cpp's
// converter leaves in a name, which becomes one of a file here.
func templateLetter(r rune) rune {
	if r == '_' || r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return r
	}
	return '_'
}

// templateBeside reports whether a directory has a chat template.
func templateBeside(dir string) bool {
	for _, name := range []string{templateName, "chat_template.json", templateDir} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	doc, err := readSmall(filepath.Join(dir, tokenizerConfigName), maxConfigBytes)
	if err != nil {
		return false
	}
	o, err := parseObject(doc)
	_, ok := o.get("chat_template")
	return err == nil && ok
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
