package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// maxConfigBytes is far above any real config.json.
const maxConfigBytes = 16 << 20

// object is a JSON object that remembers the order of its fields and the text
// of their values, so that a changed copy can be written without losing or
// reordering anything.
type object []field

type field struct {
	key   string
	value json.RawMessage
}

// parseObject reads one JSON object and nothing after it.
func parseObject(doc []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	tok, err := d.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	if tok != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	var o object
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		f := field{key: tok.(string)} // the decoder accepts nothing else here
		if seen[f.key] {
			return nil, fmt.Errorf("%s is given twice", quote(f.key))
		}
		seen[f.key] = true
		if err := d.Decode(&f.value); err != nil {
			return nil, jsonError(err)
		}
		o = append(o, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has something after the JSON object")
	}
	return o, nil
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is cut off: the JSON object does not end")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not JSON: %v at byte %d", syntax, syntax.Offset)
	}
	return fmt.Errorf("is not JSON: %v", err)
}

// get returns the text of a value. A null counts as absent, as it does for
// nearly every field of Transformers; has tells them apart.
func (o object) get(key string) (json.RawMessage, bool) {
	for _, f := range o {
		if f.key == key {
			return f.value, string(f.value) != "null"
		}
	}
	return nil, false
}

func (o object) has(key string) bool {
	return slices.ContainsFunc(o, func(f field) bool { return f.key == key })
}

// with returns a copy in which a field has another value, at its old place or
// at the end.
func (o object) with(key, value string) object {
	o = slices.Clone(o)
	for i := range o {
		if o[i].key == key {
			o[i].value = json.RawMessage(value)
			return o
		}
	}
	return append(o, field{key, json.RawMessage(value)})
}

// encode writes the object as Transformers does: indented by two, with a
// newline at the end.
func (o object) encode() []byte {
	var flat bytes.Buffer
	flat.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			flat.WriteByte(',')
		}
		flat.Write(jsonText(f.key))
		flat.WriteByte(':')
		flat.Write(f.value)
	}
	flat.WriteByte('}')
	var out bytes.Buffer
	if err := json.Indent(&out, flat.Bytes(), "", "  "); err != nil {
		return append(flat.Bytes(), '\n') // cannot happen: every value was parsed
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// jsonText encodes a string without escaping <, > and &.
func jsonText(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return []byte(`""`) // cannot happen for a string
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// reader takes typed fields out of an object and keeps the first error.
type reader struct {
	o    object
	path string // where the object lies in the file, "" or "rope_scaling."
	err  error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s%s %s", r.path, key, fmt.Sprintf(format, args...))
	}
}

// integer reads a whole number between lo and hi. Without the field it is
// def, or an error if def is below lo.
func (r *reader) integer(key string, def, lo, hi int) int {
	raw, ok := r.o.get(key)
	if !ok {
		if def < lo {
			r.fail(key, "is missing, want an integer from %d to %d", lo, hi)
		}
		return def
	}
	// 1e3 and 2.0 are integers to Python's writers now and then.
	x, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || x != math.Trunc(x) || x < float64(lo) || x > float64(hi) {
		r.fail(key, "is %s, want an integer from %d to %d", clip(raw), lo, hi)
		return max(def, lo)
	}
	return int(x)
}

// number reads a finite number above lo (or equal to it, with orEqual).
func (r *reader) number(key string, def, lo float64, orEqual bool) float64 {
	raw, ok := r.o.get(key)
	if !ok {
		if math.IsNaN(def) {
			r.fail(key, "is missing, want a number")
		}
		return def
	}
	x, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(x, 0) || x < lo || x == lo && !orEqual {
		bound := "above"
		if orEqual {
			bound = "from"
		}
		r.fail(key, "is %s, want a number %s %v", clip(raw), bound, lo)
		return def
	}
	return x
}

func (r *reader) boolean(key string, def bool) bool {
	raw, ok := r.o.get(key)
	if !ok {
		return def
	}
	switch string(raw) {
	case "true":
		return true
	case "false":
		return false
	}
	r.fail(key, "is %s, want true or false", clip(raw))
	return def
}

func (r *reader) text(key, def string) string {
	raw, ok := r.o.get(key)
	if !ok {
		return def
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		r.fail(key, "is %s, want a text", clip(raw))
		return def
	}
	return s
}

func (r *reader) texts(key string) []string {
	raw, ok := r.o.get(key)
	if !ok {
		return nil
	}
	var s []string
	if err := json.Unmarshal(raw, &s); err != nil {
		r.fail(key, "is %s, want a list of texts", clip(raw))
	}
	return s
}

// tokens reads one token id or a list of them.
func (r *reader) tokens(key string, vocab int) []int {
	raw, ok := r.o.get(key)
	if !ok {
		return nil
	}
	var ids []int
	if len(raw) > 0 && raw[0] == '[' {
		if err := json.Unmarshal(raw, &ids); err != nil {
			r.fail(key, "is %s, want a token id or a list of them", clip(raw))
			return nil
		}
	} else {
		var id int
		if err := json.Unmarshal(raw, &id); err != nil {
			r.fail(key, "is %s, want a token id or a list of them", clip(raw))
			return nil
		}
		ids = []int{id}
	}
	for _, id := range ids {
		if id < 0 || id >= vocab {
			r.fail(key, "has %d, want ids from 0 to vocab_size - 1 = %d", id, vocab-1)
			return nil
		}
	}
	return ids
}

// object reads a nested object, nil if it is absent.
func (r *reader) object(key string) *reader {
	raw, ok := r.o.get(key)
	if !ok {
		return nil
	}
	o, err := parseObject(raw)
	if err != nil {
		r.fail(key, "is %s, want a JSON object", clip(raw))
		return nil
	}
	return &reader{o: o, path: r.path + key + "."}
}

// clip shortens a value from a file for a message of one line.
func clip(raw []byte) string {
	var flat bytes.Buffer
	if json.Compact(&flat, raw) != nil {
		flat.Reset()
		flat.Write(raw)
	}
	const limit = 80
	if flat.Len() > limit {
		return string(bytes.ToValidUTF8(flat.Bytes()[:limit], nil)) + "..."
	}
	return flat.String()
}

func quote(s string) string {
	const limit = 120
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
