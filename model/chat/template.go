package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
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

// Files are the files of a model: those of a directory and those within another
// file, as GGUF has them, by the names they would have in it. The latter come
// first.
type Files struct {
	Dir    string
	Path   string // of the file that holds those of Within
	Within map[string][]byte
}

// label is what messages call a file.
func (f Files) label(name string) string {
	if _, ok := f.Within[name]; ok {
		return f.Path + ": " + name
	}
	return filepath.Join(f.Dir, filepath.FromSlash(name))
}

func (f Files) read(name string) (text []byte, ok bool, err error) {
	if text, ok := f.Within[name]; ok {
		return text, true, nil
	}
	return readFile(filepath.Join(f.Dir, filepath.FromSlash(name)))
}

// Open reads the template of a model directory.
func Open(dir string) (*Template, error) { return Files{Dir: dir}.Open() }

// OpenFile reads a template from a file of its own; the special tokens are those
// of the model in dir.
func OpenFile(path, dir string) (*Template, error) { return Files{Dir: dir}.OpenFile(path) }

// Open reads the model's template. Transformers' order holds:
// chat_template.jinja, then chat_template.json, then tokenizer_config.json.
func (f Files) Open() (*Template, error) {
	t, err := f.begin(f.Dir)
	if err != nil {
		return nil, err
	}
	if err := t.addFiles(f); err != nil {
		return nil, err
	}
	for _, name := range []string{templateJSON, configFile} {
		d, err := f.readJSON(name)
		if err != nil {
			return nil, err
		}
		if d != nil && len(t.named) == 0 {
			v, _ := d.Get("chat_template")
			if err := t.addFrom(f.label(name), v); err != nil {
				return nil, err
			}
		}
	}
	if len(t.named) == 0 {
		return nil, fmt.Errorf("chat: %s: %w (no %s, and none in %s)", f.Dir, ErrNoTemplate, templateFile, configFile)
	}
	return t, nil
}

// OpenFile reads a template from a file of its own; the special tokens are the
// model's.
func (f Files) OpenFile(path string) (*Template, error) {
	t, err := f.begin(path)
	if err != nil {
		return nil, err
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

// begin makes a Template that has the special tokens only.
func (f Files) begin(path string) (*Template, error) {
	t := &Template{path: path, named: map[string]*jinja.Template{}, special: map[string]any{}}
	for _, name := range []string{specialsFile, configFile} {
		d, err := f.readJSON(name)
		if err != nil {
			return nil, err
		}
		t.addSpecials(d)
	}
	return t, nil
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

// readJSON reads a file if there is one, nil if there is none.
func (f Files) readJSON(name string) (*jinja.Dict, error) {
	text, ok, err := f.read(name)
	if !ok || err != nil {
		return nil, err
	}
	path := f.label(name)
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
func (t *Template) addSpecials(d *jinja.Dict) {
	if d == nil {
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

func (t *Template) addFiles(f Files) error {
	paths, err := filepath.Glob(filepath.Join(f.Dir, templatesDir, "*.jinja"))
	if err != nil {
		paths = nil // only of a directory whose name is a bad pattern
	}
	names := []string{templateFile}
	for _, p := range paths {
		names = append(names, templatesDir+"/"+filepath.Base(p))
	}
	for name := range f.Within {
		if strings.HasPrefix(name, templatesDir+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the default one is the last
	for _, file := range slices.Compact(names) {
		source, ok, err := f.read(file)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		name := nameDefault
		if file != templateFile {
			name = strings.TrimSuffix(path.Base(file), ".jinja")
		}
		if err := t.add(name, f.label(file), string(source)); err != nil {
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
