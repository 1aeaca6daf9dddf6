package model

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/model/chat"
	"graft/model/safetensors"
)

// withTemplates gives a file a vocabulary and three chat templates.
func withTemplates(f *ggufFile) {
	smallVocabulary(f)
	f.texts[templateKey] = "{{ bos_token }}{{ messages[0].content }}"
	f.texts[templateKey+".tool_use"] = "tools: {{ messages[0].content }}"
	f.texts[templateKey+".r/../a g"] = "never chosen"
	f.texts[templateKey+"s"] = "another key"
	f.texts[templateKey+"."] = "no name"
	f.texts[templateKey+"."+strings.Repeat("x", 200)] = "no name of a file"
}

const (
	plainChat = `{"messages": [{"role": "user", "content": "Hi"}]}`
	toolsChat = `{"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function"}]}`
)

func render(t *testing.T, tm *chat.Template, doc string) string {
	t.Helper()
	c, err := chat.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	text, err := tm.Render(c, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The templates in a GGUF file are the model's, and those of what is written of it.
func TestGGUFChatTemplates(t *testing.T) {
	f := tinyGGUF()
	withTemplates(f)
	path := filepath.Join(t.TempDir(), "m.gguf")
	f.write(t, path)
	ck, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	out := filepath.Join(t.TempDir(), "out")
	dtype := func(string) safetensors.DType { return safetensors.F32 }
	err = Write(out, WriteOptions{Config: ck.Config, Source: ck.Dir, DType: dtype, Files: ck.Companions()}, func(s safetensors.Spec, w io.Writer) error {
		return ck.Convert(w, s.DType, s.Name)
	})
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(out, templateDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(out, templateDir, "r____a_g.jinja"), filepath.Join(out, templateDir, "tool_use.jinja")}; !slices.Equal(more, want) {
		t.Errorf("further templates: got %v, want %v", more, want)
	}
	for _, model := range []string{path, filepath.Dir(path), out} {
		tm, err := OpenChatTemplate(model, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := render(t, tm, plainChat), "<s>Hi"; got != want {
			t.Errorf("%s: got %q, want %q", model, got, want)
		}
		if got, want := render(t, tm, toolsChat), "tools: Hi"; got != want {
			t.Errorf("%s with tools: got %q, want %q", model, got, want)
		}
	}
	other := filepath.Join(t.TempDir(), "t.jinja")
	writeFile(t, other, "{{ bos_token }}other")
	tm, err := ck.ChatTemplate(other)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := render(t, tm, plainChat), "<s>other"; got != want {
		t.Errorf("a template of its own: got %q, want %q", got, want)
	}
}

// Templates that lie beside a GGUF file are in the place of all that are in it.
func TestGGUFChatTemplatesBeside(t *testing.T) {
	for name, content := range map[string]string{
		templateName:                   "beside",
		"chat_template.json":           `{"chat_template": "beside"}`,
		tokenizerConfigName:            `{"chat_template": "beside"}`,
		templateDir + "/default.jinja": "beside",
	} {
		t.Run(name, func(t *testing.T) {
			f := tinyGGUF()
			withTemplates(f)
			dir := t.TempDir()
			path := filepath.Join(dir, "m.gguf")
			f.write(t, path)
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, name), content)
			tm, err := OpenChatTemplate(path, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := render(t, tm, toolsChat); got != "beside" {
				t.Errorf("got %q, want that beside the file", got)
			}
			ck, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			for file := range maps.Keys(ck.Companions()) {
				if strings.HasSuffix(file, ".jinja") {
					t.Errorf("%s goes with the model though there is %s", file, name)
				}
			}
		})
	}
}

func TestGGUFChatTemplateRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(f *ggufFile)
		want string // DIR and FILE stand for paths
	}{
		{"none", func(f *ggufFile) { delete(f.texts, templateKey) },
			"chat: DIR: no chat template (no chat_template.jinja, and none in tokenizer_config.json), and no tokenizer.chat_template in FILE"},
		{"not a template", func(f *ggufFile) { f.texts[templateKey] = "{% if" }, "chat: jinja: FILE: chat_template.jinja:1: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tinyGGUF()
			smallVocabulary(f)
			tc.edit(f)
			path := filepath.Join(t.TempDir(), "m.gguf")
			f.write(t, path)
			_, err := OpenChatTemplate(path, "")
			want := strings.NewReplacer("DIR", filepath.Dir(path), "FILE", path).Replace(tc.want)
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("\ngot  %v\nwant %s", err, want)
			}
		})
	}
}
