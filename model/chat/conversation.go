package chat

import (
	"errors"
	"fmt"
	"strings"

	"graft/internal/jinja"
)

// Conversation is messages, and the tools that the model may call.
type Conversation struct {
	messages []any // of *jinja.Dict
	tools    any   // a list, or nil
}

const assistant = "assistant"

// Len is the number of messages.
func (c Conversation) Len() int { return len(c.messages) }

// Role is who said message i.
func (c Conversation) Role(i int) string {
	role, _ := c.messages[i].(*jinja.Dict).Get("role")
	s, _ := role.(string)
	return s
}

// first is the conversation of the first n messages.
func (c Conversation) first(n int) Conversation {
	c.messages = c.messages[:n:n]
	return c
}

// Parse reads a conversation: an object with messages, each with role and
// content, and maybe tools; or an array of such messages; or the older form of
// an object with conversations, each with from and value. A content is a text,
// or a list of parts of type text, which are joined. What else a message or its
// object has, such as tool_calls, the template sees.
func Parse(text []byte) (Conversation, error) {
	v, err := jinja.FromJSON(text)
	if err != nil {
		return Conversation{}, err
	}
	var c Conversation
	messages := v
	if d, ok := v.(*jinja.Dict); ok {
		key := "messages"
		if messages, ok = d.Get(key); !ok {
			key = "conversations"
			if messages, ok = d.Get(key); !ok {
				return c, fmt.Errorf("found no field %q (there are: %s)", "messages", keysOf(d))
			}
			if messages, err = older(messages); err != nil {
				return c, err
			}
		}
		if c.tools, err = toolsOf(d); err != nil {
			return c, err
		}
	}
	list := jinja.Elements(messages)
	if len(list) == 0 {
		return c, errors.New("messages: expected a list with a message, found none")
	}
	for i, m := range list {
		d, ok := m.(*jinja.Dict)
		if !ok {
			return c, fmt.Errorf("messages[%d]: expected an object with role and content", i)
		}
		if d, err = message(d); err != nil {
			return c, fmt.Errorf("messages[%d]: %w", i, err)
		}
		c.messages = append(c.messages, d)
	}
	return c, nil
}

func keysOf(d *jinja.Dict) string {
	var names []string
	for _, k := range d.Keys() {
		names = append(names, fmt.Sprintf("%.40s", k))
		if len(names) == 8 {
			break
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

func toolsOf(d *jinja.Dict) (any, error) {
	v, _ := d.Get("tools")
	if s, ok := v.(string); ok { // columns of types are often flattened to texts
		parsed, err := jinja.FromJSON([]byte(s))
		if err != nil {
			return nil, fmt.Errorf("tools: %w", err)
		}
		v = parsed
	}
	if v == nil {
		return nil, nil
	}
	if !jinja.IsList(v) {
		return nil, errors.New("tools: expected a list")
	}
	return v, nil
}

// roles are the names that the older form has for who speaks.
var roles = map[string]string{"human": "user", "gpt": assistant, "user": "user", assistant: assistant, "system": "system", "tool": "tool"}

func older(v any) (any, error) {
	var out []any
	for i, e := range jinja.Elements(v) {
		d, ok := e.(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("conversations[%d]: expected an object with from and value", i)
		}
		from, _ := d.Get("from")
		name, _ := from.(string)
		role := roles[name]
		value, ok := d.Get("value")
		if role == "" || !ok {
			return nil, fmt.Errorf("conversations[%d]: expected from human, gpt, system or tool, and a value; found from %.40q", i, name)
		}
		m := jinja.NewDict()
		m.Set("role", role)
		m.Set("content", value)
		out = append(out, m)
	}
	return out, nil
}

// reasoning are the names of what the assistant thought, the usual one first.
var reasoning = []string{"reasoning_content", "thinking", "reasoning"}

// present leaves out the keys whose value is null, as Transformers does: templates
// handle a missing key and would write None.
func present(d *jinja.Dict) *jinja.Dict {
	out := jinja.NewDict()
	for _, k := range d.Keys() {
		if v, _ := d.Get(k); v != nil {
			out.Set(k, v)
		}
	}
	return out
}

// message checks a message and brings it into the form that templates expect.
func message(d *jinja.Dict) (*jinja.Dict, error) {
	d = present(d)
	role, _ := d.Get("role")
	if s, ok := role.(string); !ok || s == "" {
		return nil, errors.New("role: expected a text")
	}
	content, has := d.Get("content")
	_, isText := content.(string)
	switch {
	case isText:
	case jinja.IsList(content):
		s, err := joinParts(content)
		if err != nil {
			return nil, err
		}
		d = d.Clone()
		d.Set("content", s)
	case !has:
		if calls, _ := d.Get("tool_calls"); calls == nil {
			return nil, errors.New("content: expected a text or a list of parts, found none")
		}
	default:
		return nil, errors.New("content: expected a text or a list of parts")
	}
	for _, key := range reasoning {
		thought, _ := d.Get(key)
		if thought == nil {
			continue
		}
		// As Transformers does: templates read one of two names.
		out := jinja.NewDict()
		out.Set("thinking", thought)
		for _, k := range d.Keys() {
			v, _ := d.Get(k)
			out.Set(k, v)
		}
		out.Set("reasoning_content", thought)
		return out, nil
	}
	return d, nil
}

func joinParts(v any) (string, error) {
	var b strings.Builder
	for i, p := range jinja.Elements(v) {
		d, ok := p.(*jinja.Dict)
		if !ok {
			return "", fmt.Errorf("content[%d]: expected a part {\"type\": \"text\", \"text\": ...}", i)
		}
		kind, _ := d.Get("type")
		text, _ := d.Get("text")
		s, ok := text.(string)
		if kind != "text" || !ok {
			return "", fmt.Errorf("content[%d]: found a part of type %.40q, want text", i, fmt.Sprint(kind))
		}
		b.WriteString(s)
	}
	return b.String(), nil
}
