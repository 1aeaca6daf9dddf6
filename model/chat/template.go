package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"graft/internal/jinja"
)

// Files of a model directory that hold templates.
const (
	templateFile = "chat_template.jinja"
	templateJSON = "chat_template.json"
	templatesDir = "additional_chat_templates"
	configFile   = "tokenizer_config.json"
	specialsFile = "special_tokens_map.json"
)

// Names of templates that a model may have several of.
const (
	nameDefault = "default"
	nameTools   = "tool_use"
)

// maxFile bounds a file with templates.
const maxFile = 64 << 20

// ErrNoTemplate is wrapped when a model has no chat template.
var ErrNoTemplate = errors.New("no chat template")

// Template is a model's chat template, or several by name. It is safe for
// concurrent use.
type Template struct {
	path    string
	named   map[string]*jinja.Template
	special map[string]any // bos_token and others, for the template
}

// Options say how a conversation is rendered.
type Options struct {
	// GenerationPrompt adds what comes before the assistant's next turn.
	GenerationPrompt bool
	// Now is the time that strftime_now tells; nil makes its use an error.
	Now func() time.Time
}

// Open reads the template of a model directory. Transformers' order holds:
// chat_template.jinja, then chat_template.json, then tokenizer_config.json.
func Open(dir string) (*Template, error) {
	files := map[string]any{}
	for _, name := range []string{configFile, specialsFile, templateJSON} {
		v, err := readJSON(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files[name] = v
	}
	t := &Template{path: dir, named: map[string]*jinja.Template{}, special: map[string]any{}}
	for _, name := range []string{specialsFile, configFile} {
		t.addSpecials(files[name])
	}
	if err := t.addFiles(dir); err != nil {
		return nil, err
	}
	for _, name := range []string{templateJSON, configFile} {
		if d, ok := files[name].(*jinja.Dict); ok && len(t.named) == 0 {
			v, _ := d.Get("chat_template")
			if err := t.addFrom(filepath.Join(dir, name), v); err != nil {
				return nil, err
			}
		}
	}
	if len(t.named) == 0 {
		return nil, fmt.Errorf("chat: %s: %w (no %s, and none in %s)", dir, ErrNoTemplate, templateFile, configFile)
	}
	return t, nil
}

// OpenFile reads a template from a file of its own; the special tokens are those
// of the model in dir.
func OpenFile(path, dir string) (*Template, error) {
	t := &Template{path: path, named: map[string]*jinja.Template{}, special: map[string]any{}}
	for _, name := range []string{specialsFile, configFile} {
		v, err := readJSON(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		t.addSpecials(v)
	}
	source, ok, err := readFile(path)
	if err == nil && !ok {
		err = fmt.Errorf("chat: %s: %w", path, fs.ErrNotExist)
	}
	if err == nil {
		err = t.add(nameDefault, path, string(source))
	}
	return t, err
}

func readFile(path string) (text []byte, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("chat: %w", err)
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, false, fmt.Errorf("chat: %w", err)
	}
	if len(text) > maxFile {
		return nil, false, fmt.Errorf("chat: %s has more than %d bytes", path, maxFile)
	}
	return text, true, nil
}

// readJSON reads a file if there is one.
func readJSON(path string) (any, error) {
	text, ok, err := readFile(path)
	if !ok || err != nil {
		return nil, err
	}
	// A tokenizer_config.json has numbers beyond any integer; none is needed.
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("chat: %s: %w", path, err)
	}
	d := jinja.NewDict()
	for k, v := range raw {
		if k != "chat_template" && !strings.HasSuffix(k, "_token") {
			continue
		}
		x, err := jinja.FromJSON(v)
		if err != nil {
			return nil, fmt.Errorf("chat: %s: %s: %w", path, k, err)
		}
		d.Set(k, x)
	}
	return d, nil
}

// addSpecials takes the keys that end in _token, given as a text or as an object
// with its content.
func (t *Template) addSpecials(v any) {
	d, ok := v.(*jinja.Dict)
	if !ok {
		return
	}
	for _, k := range d.Keys() {
		x, _ := d.Get(k)
		if o, ok := x.(*jinja.Dict); ok {
			x, _ = o.Get("content")
		}
		if s, ok := x.(string); ok {
			t.special[k.(string)] = s
		}
	}
}

func (t *Template) addFiles(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, templatesDir, "*.jinja"))
	if err != nil {
		paths = nil // only of a directory whose name is a bad pattern
	}
	for _, p := range append(paths, filepath.Join(dir, templateFile)) {
		source, ok, err := readFile(p)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(p), ".jinja")
		if filepath.Dir(p) == filepath.Clean(dir) {
			name = nameDefault
		}
		if err := t.add(name, p, string(source)); err != nil {
			return err
		}
	}
	return nil
}

// addFrom takes a template, or a list of objects with name and template.
func (t *Template) addFrom(path string, v any) error {
	if s, ok := v.(string); ok {
		return t.add(nameDefault, path, s)
	}
	for _, e := range jinja.Elements(v) {
		d, ok := e.(*jinja.Dict)
		if !ok {
			continue
		}
		name, _ := d.Get("name")
		source, _ := d.Get("template")
		n, ok1 := name.(string)
		s, ok2 := source.(string)
		if !ok1 || !ok2 {
			return fmt.Errorf("chat: %s: chat_template: found an element without name and template", path)
		}
		if err := t.add(n, path, s); err != nil {
			return err
		}
	}
	return nil
}

func (t *Template) add(name, path, source string) error {
	label := path
	if name != nameDefault {
		label += " (" + name + ")"
	}
	p, err := jinja.Parse(label, source)
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	t.named[name] = p
	return nil
}

// Path is the file or directory that the template was read from.
func (t *Template) Path() string { return t.path }

// Marked reports whether the template says itself, by generation blocks, what
// the assistant says.
func (t *Template) Marked() bool {
	d, err := t.pick(Conversation{})
	return err == nil && d.Marks()
}

// AsksDate reports whether the template asks for the date.
func (t *Template) AsksDate() bool {
	for _, n := range t.named {
		if n.Mentions("strftime_now") {
			return true
		}
	}
	return false
}

// pick chooses among several templates as Transformers does.
func (t *Template) pick(c Conversation) (*jinja.Template, error) {
	if n := t.named[nameTools]; n != nil && c.tools != nil {
		return n, nil
	}
	if n := t.named[nameDefault]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("chat: %s: has several templates and none is called %s", t.path, nameDefault)
}

// Render makes the text of a conversation.
func (t *Template) Render(c Conversation, o Options) (string, error) {
	out, err := t.render(c, o)
	return out.Text, err
}

func (t *Template) render(c Conversation, o Options) (jinja.Output, error) {
	n, err := t.pick(c)
	if err != nil {
		return jinja.Output{}, err
	}
	vars := map[string]any{"messages": c.messages, "tools": c.tools, "documents": nil, "add_generation_prompt": o.GenerationPrompt}
	for k, v := range t.special {
		vars[k] = v
	}
	out, err := n.Render(vars, jinja.Options{Now: o.Now})
	if err != nil {
		err = fmt.Errorf("chat: %w", err)
	}
	return out, err
}
