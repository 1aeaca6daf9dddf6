package tokenizer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds how deep a tokenizer.json may nest.
const maxNesting = 64

// jsonReader walks JSON text. It is used instead of encoding/json because a
// vocabulary and its merges are most of a file of tens of megabytes and need
// neither reflection nor intermediate maps, and because lone surrogates and
// repeated keys must be seen, not mended.
type jsonReader struct {
	data  string
	pos   int
	depth int
}

// syntaxError is a fault of the text, not of what it says.
type syntaxError struct {
	pos  int
	want string
	got  string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("bad JSON at byte %d: expected %s, found %s", e.pos, e.want, e.got)
}

func (r *jsonReader) fail(want string) error {
	got := "the end of the file"
	if r.pos < len(r.data) {
		c, _ := utf8.DecodeRuneInString(r.data[r.pos:])
		got = strconv.QuoteRune(c)
	}
	return &syntaxError{r.pos, want, got}
}

func (r *jsonReader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not space, 0 at the end.
func (r *jsonReader) peek() byte {
	r.space()
	if r.pos < len(r.data) {
		return r.data[r.pos]
	}
	return 0
}

// kind names the value that comes next, for error messages.
func (r *jsonReader) kind() string {
	switch c := r.peek(); {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return "no value"
}

func (r *jsonReader) eat(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.pos++
	return true
}

// object calls field for each key; field must consume the value.
func (r *jsonReader) object(field func(key string) error) error {
	if !r.eat('{') {
		return r.fail("an object")
	}
	if r.depth++; r.depth > maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	defer func() { r.depth-- }()
	if r.eat('}') {
		return nil
	}
	for {
		r.space()
		key, err := r.str()
		if err != nil {
			return err
		}
		if !r.eat(':') {
			return r.fail("':'")
		}
		if err := field(key); err != nil {
			return err
		}
		if r.eat('}') {
			return nil
		}
		if !r.eat(',') {
			return r.fail("',' or '}'")
		}
	}
}

// array calls elem for each element; elem must consume it.
func (r *jsonReader) array(elem func(i int) error) error {
	if !r.eat('[') {
		return r.fail("an array")
	}
	if r.depth++; r.depth > maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	defer func() { r.depth-- }()
	if r.eat(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := elem(i); err != nil {
			return err
		}
		if r.eat(']') {
			return nil
		}
		if !r.eat(',') {
			return r.fail("',' or ']'")
		}
	}
}

// str reads a string; one without escapes is a slice of the text.
func (r *jsonReader) str() (string, error) {
	if !r.eat('"') {
		return "", r.fail("a string")
	}
	start := r.pos
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			s := r.data[start:r.pos]
			r.pos++
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			return "", r.fail("no control character in a string")
		}
		r.pos++
	}
	return "", r.fail("'\"'")
}

// escaped goes on from the first backslash of a string begun at start.
func (r *jsonReader) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(r.data[start:r.pos])
	for r.pos < len(r.data) {
		c := r.data[r.pos]
		switch {
		case c == '"':
			r.pos++
			return b.String(), nil
		case c < 0x20:
			return "", r.fail("no control character in a string")
		case c != '\\':
			b.WriteByte(c)
			r.pos++
			continue
		}
		r.pos++
		if r.pos == len(r.data) {
			break
		}
		c = r.data[r.pos]
		if c == 'u' {
			r.pos++
			v, err := r.codePoint()
			if err != nil {
				return "", err
			}
			b.WriteRune(v)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			return "", r.fail("a valid escape")
		}
		b.WriteByte("\"\\/\b\f\n\r\t"[i])
		r.pos++
	}
	return "", r.fail("'\"'")
}

func (r *jsonReader) hex4() (rune, error) {
	if len(r.data)-r.pos < 4 {
		return 0, r.fail("four hexadecimal digits")
	}
	v, err := strconv.ParseUint(r.data[r.pos:r.pos+4], 16, 16)
	if err != nil {
		return 0, r.fail("four hexadecimal digits")
	}
	r.pos += 4
	return rune(v), nil
}

func (r *jsonReader) codePoint() (rune, error) {
	c, err := r.hex4()
	if err != nil || !utf16.IsSurrogate(c) {
		return c, err
	}
	if strings.HasPrefix(r.data[r.pos:], `\u`) {
		r.pos += 2
		low, err := r.hex4()
		if err != nil {
			return 0, err
		}
		if full := utf16.DecodeRune(c, low); full != utf8.RuneError {
			return full, nil
		}
	}
	return 0, r.fail("the second half of a surrogate pair")
}

// number reads a number's text.
func (r *jsonReader) number() (string, error) {
	r.space()
	start := r.pos
	for r.pos < len(r.data) && strings.IndexByte("+-0123456789.eE", r.data[r.pos]) >= 0 {
		r.pos++
	}
	s := r.data[start:r.pos]
	if v, err := strconv.ParseFloat(s, 64); err != nil || math.IsInf(v, 0) {
		r.pos = start
		return "", r.fail("a number")
	}
	return s, nil
}

// tokenID reads an id: a whole number from 0 to maxID.
func (r *jsonReader) tokenID() (int32, error) {
	r.space()
	start := r.pos
	v := int64(0)
	for r.pos < len(r.data) && r.data[r.pos] >= '0' && r.data[r.pos] <= '9' && v <= maxID {
		v = v*10 + int64(r.data[r.pos]-'0')
		r.pos++
	}
	if r.pos == start || v > maxID || r.pos < len(r.data) && strings.IndexByte(".eE0123456789", r.data[r.pos]) >= 0 {
		r.pos = start
		got := r.kind()
		if s, err := r.number(); err == nil {
			got = s
		}
		return 0, fmt.Errorf("expected an id from 0 to %d, found %s", maxID, got)
	}
	return int32(v), nil
}

func (r *jsonReader) word(w string) bool {
	r.space()
	if strings.HasPrefix(r.data[r.pos:], w) {
		r.pos += len(w)
		return true
	}
	return false
}

// value reads any value: nil, bool, string, jsonNumber, []any or map[string]any.
func (r *jsonReader) value() (any, error) {
	switch c := r.peek(); {
	case c == '"':
		return r.str()
	case c == '{':
		m := map[string]any{}
		err := r.object(func(key string) error {
			if _, dup := m[key]; dup {
				return fmt.Errorf("key %q is given twice", key)
			}
			v, err := r.value()
			m[key] = v
			return err
		})
		return m, err
	case c == '[':
		var l []any
		err := r.array(func(int) error {
			v, err := r.value()
			l = append(l, v)
			return err
		})
		return l, err
	case r.word("true"):
		return true, nil
	case r.word("false"):
		return false, nil
	case r.word("null"):
		return nil, nil
	}
	s, err := r.number()
	return jsonNumber(s), err
}

// jsonNumber is a number as written.
type jsonNumber string

// skip passes over a value.
func (r *jsonReader) skip() error {
	switch r.peek() {
	case '{':
		return r.object(func(string) error { return r.skip() })
	case '[':
		return r.array(func(int) error { return r.skip() })
	}
	_, err := r.value()
	return err
}
