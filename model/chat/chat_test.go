package chat

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"graft/model/tokenizer"
)

func at() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) }

type golden struct {
	Template, Tokenizer string
	Conversation        int
	Text, Prompt        string
	Error, Unmasked     string
	IDs                 []int32
	Trained             [][2]int
}

func goldens(t *testing.T) (conversations []json.RawMessage, gs []golden) {
	t.Helper()
	doc, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Conversations []json.RawMessage
		Goldens       []golden
	}
	if err := json.Unmarshal(doc, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Conversations) < 30 || len(all.Goldens) < 500 {
		t.Fatalf("got %d conversations, %d goldens", len(all.Conversations), len(all.Goldens))
	}
	return all.Conversations, all.Goldens
}

// modelOf makes a directory of a golden's tokenizer and template; ok is false
// when it needs GRAFT_DATA and that is not set.
func modelOf(t *testing.T, g golden) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	from, suffix := filepath.Join("testdata", g.Tokenizer), ""
	if g.Template == g.Tokenizer {
		data := os.Getenv("GRAFT_DATA")
		if data == "" {
			return "", false
		}
		from, suffix = filepath.Join(data, "tokenizers", g.Tokenizer), ".gz"
	} else {
		copyFile(t, filepath.Join("testdata", "templates", g.Template+".jinja"), filepath.Join(dir, templateFile))
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		copyFile(t, filepath.Join(from, name+suffix), filepath.Join(dir, name))
	}
	return dir, true
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(from, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(r)
	if err == nil {
		err = os.WriteFile(to, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestGoldens holds text, ids and trained tokens of every template and
// conversation to Transformers.
func TestGoldens(t *testing.T) {
	conversations, gs := goldens(t)
	for start := 0; start < len(gs); start += len(conversations) {
		group := gs[start : start+len(conversations)]
		t.Run(group[0].Template+"/"+group[0].Tokenizer, func(t *testing.T) {
			dir, ok := modelOf(t, group[0])
			if !ok {
				t.Skip("GRAFT_DATA is not set")
			}
			tm, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range group {
				c, err := Parse(conversations[g.Conversation])
				if err != nil {
					t.Errorf("conversation %d: %v", g.Conversation, err)
					continue
				}
				compare(t, tm, tok, c, g)
			}
		})
	}
}

func compare(t *testing.T, tm *Template, tok *tokenizer.Tokenizer, c Conversation, g golden) {
	t.Helper()
	text, err := tm.Render(c, Options{Now: at})
	if (err != nil) != (g.Error != "") || text != g.Text {
		t.Errorf("conversation %d:\n got %q, %v\nwant %q, %s", g.Conversation, text, err, g.Text, g.Error)
	}
	if g.Error != "" {
		return
	}
	if text, err = tm.Render(c, Options{Now: at, GenerationPrompt: true}); err != nil || text != g.Prompt {
		t.Errorf("conversation %d, generation prompt:\n got %q, %v\nwant %q", g.Conversation, text, err, g.Prompt)
	}
	got, err := tm.Tokens(tok, c, Options{Now: at})
	if g.Unmasked != "" {
		// Transformers renders no empty conversation, so it cannot say what comes
		// before an answer that comes first.
		if err == nil || g.Unmasked == "prefix" && !errors.Is(err, ErrNotPrefix) {
			t.Errorf("conversation %d: got %v, want an error (%s)", g.Conversation, err, g.Unmasked)
		}
		return
	}
	var runs [][2]int
	for i, x := range got.Trained {
		if x && (i == 0 || !got.Trained[i-1]) {
			runs = append(runs, [2]int{i, i + 1})
		} else if x {
			runs[len(runs)-1][1] = i + 1
		}
	}
	if tm.Marked() {
		g.Trained = wholeCharacters(t, tok, g)
	}
	if err != nil || !slices.Equal(got.IDs, g.IDs) || !slices.Equal(runs, g.Trained) {
		t.Errorf("conversation %d:\n got %v trained %v, %v\nwant %v trained %v", g.Conversation, got.IDs, runs, err, g.IDs, g.Trained)
	}
}

// wholeCharacters moves the ends of a golden's runs behind a character's last
// token: Transformers ends at the first token of the last character, so that it
// trains the first byte of a spelt-out character and not the others.
func wholeCharacters(t *testing.T, tok *tokenizer.Tokenizer, g golden) [][2]int {
	t.Helper()
	e, err := tok.Encode(g.Text, false)
	if err != nil {
		t.Fatal(err)
	}
	var runs [][2]int
	for _, run := range g.Trained {
		for run[1] < len(e.IDs) && e.Offsets[run[1]] == e.Offsets[run[1]-1] {
			run[1]++
		}
		if n := len(runs); n > 0 && runs[n-1][1] == run[0] {
			runs[n-1][1] = run[1]
			continue
		}
		runs = append(runs, run)
	}
	return runs
}

// TestTrainedText looks at what is trained as text: the answers and what ends
// them, nothing of the prompt.
func TestTrainedText(t *testing.T) {
	dir, _ := modelOf(t, golden{Template: "chatml", Tokenizer: "bytelevel"})
	tm, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]byte(`{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"},
		{"role": "assistant", "content": [{"type": "text", "text": "Ja "}, {"type": "text", "text": "é"}]}, {"role": "user", "content": "R"}, {"role": "assistant", "content": ""}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tm.Tokens(tok, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var trained []int32
	for i, id := range got.IDs {
		if got.Trained[i] {
			trained = append(trained, id)
		}
	}
	const want = "Ja é<|im_end|><|im_end|>"
	if s := tok.Decode(trained, false); s != want {
		t.Errorf("got %q trained, want %q", s, want)
	}
	if got.Bytes != len(want) {
		t.Errorf("got %d bytes, want %d", got.Bytes, len(want))
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"messages": []}`, "messages: expected a list with a message, found none"},
		{`{"text": "x", "id": 1}`, `found no field "messages" (there are: text, id)`},
		{`{"messages": [{"content": "x"}]}`, "messages[0]: role: expected a text"},
		{`{"messages": [{"role": "user"}]}`, "messages[0]: content: expected a text or a list of parts, found none"},
		{`{"messages": [{"role": "user", "content": 5}]}`, "messages[0]: content: expected a text or a list of parts"},
		{`{"messages": [{"role": "user", "content": [{"type": "image"}]}]}`, `messages[0]: content[0]: found a part of type "image", want text`},
		{`{"messages": ["x"]}`, "messages[0]: expected an object with role and content"},
		{`{"conversations": [{"from": "alien", "value": "x"}]}`, `conversations[0]: expected from human, gpt, system or tool, and a value; found from "alien"`},
		{`{"messages": [`, "unexpected EOF"},
		{`{"messages": [{"role": "user", "content": "x"}], "tools": {}}`, "tools: expected a list"},
	} {
		_, err := Parse([]byte(c.doc))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.doc, err, c.want)
		}
	}
	for _, doc := range []string{
		`{"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]}`,
		`[{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]`,
	} {
		c, err := Parse([]byte(doc))
		if err != nil || c.Len() != 2 || c.Role(0) != "user" || c.Role(1) != "assistant" {
			t.Errorf("%s: got %v, %v", doc, c, err)
		}
	}
}

func TestOpen(t *testing.T) {
	write := func(t *testing.T, files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	const plain = `{"messages": [{"role": "user", "content": "x"}]}`
	const tools = `{"messages": [{"role": "user", "content": "x"}], "tools": [{"a": 1}]}`
	for name, c := range map[string]struct {
		files map[string]string
		doc   string
		want  string
	}{
		"jinja file first": {map[string]string{"chat_template.jinja": "J{{ bos_token }}", "tokenizer_config.json": `{"chat_template": "C", "bos_token": "<s>", "model_max_length": 1000000000000000019884624838656}`}, plain, "J<s>"},
		"json file":        {map[string]string{"chat_template.json": `{"chat_template": "F"}`, "tokenizer_config.json": `{"chat_template": "C"}`}, plain, "F"},
		"config":           {map[string]string{"tokenizer_config.json": `{"chat_template": "C{{ eos_token }}", "eos_token": {"content": "</s>"}}`}, plain, "C</s>"},
		"no token":         {map[string]string{"tokenizer_config.json": `{"chat_template": "C{{ bos_token is defined }}", "bos_token": null}`}, plain, "CFalse"},
		"named, default":   {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]}`}, plain, "D"},
		"named, tools":     {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]}`}, tools, "T"},
		"further file":     {map[string]string{"chat_template.jinja": "D", "additional_chat_templates/tool_use.jinja": "U{{ tools[0].a }}"}, tools, "U1"},
		"special map":      {map[string]string{"chat_template.jinja": "{{ bos_token }}", "special_tokens_map.json": `{"bos_token": "<b>"}`}, plain, "<b>"},
	} {
		t.Run(name, func(t *testing.T) {
			tm, err := Open(write(t, c.files))
			if err != nil {
				t.Fatal(err)
			}
			conv, err := Parse([]byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tm.Render(conv, Options{}); err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	if _, err := Open(write(t, map[string]string{"tokenizer_config.json": "{}"})); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("got %v, want ErrNoTemplate", err)
	}
	if _, err := Open(write(t, map[string]string{"chat_template.jinja": "{% if"})); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a bad template: got %v, want one line", err)
	}
}
