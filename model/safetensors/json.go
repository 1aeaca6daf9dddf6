package safetensors

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// jsonReader walks a JSON document token by token, because encoding/json's
// Unmarshal silently takes the last of two equal keys and replaces invalid
// text: two names could become one.
type jsonReader struct{ dec *json.Decoder }

// newJSONReader checks that doc is one JSON value in valid UTF-8 and returns a
// reader at its beginning. What it reads is copied out of doc.
func newJSONReader(doc []byte) (*jsonReader, error) {
	if i := invalidUTF8(doc); i >= 0 {
		return nil, malformed("byte %d (0x%02x) is not UTF-8", i, doc[i])
	}
	if !json.Valid(doc) {
		var raw json.RawMessage // stays empty: Unmarshal checks first; it knows the reason
		return nil, malformed("not valid JSON: %v", json.Unmarshal(doc, &raw))
	}
	if i := loneSurrogate(doc); i >= 0 {
		return nil, malformed("byte %d: escape %s is half of a surrogate pair", i, doc[i:i+6])
	}
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(doc))}
	r.dec.UseNumber()
	return r, nil
}

// invalidUTF8 returns the place of the first byte that is not UTF-8, or -1.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	i := 0
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		i += n
	}
	return i
}

// loneSurrogate returns the place of the first \uXXXX escape in valid JSON that
// is half of a UTF-16 pair, or -1. The decoder would turn each into U+FFFD.
func loneSurrogate(doc []byte) int {
	unit := func(i int) uint64 { // the value of the escape at i, or 0
		if i+6 > len(doc) || doc[i] != '\\' || doc[i+1] != 'u' {
			return 0
		}
		v, err := strconv.ParseUint(string(doc[i+2:i+6]), 16, 16)
		if err != nil {
			return 0
		}
		return v
	}
	for i := 0; i < len(doc); {
		next := bytes.IndexByte(doc[i:], '\\')
		if next < 0 {
			break
		}
		i += next
		switch v := unit(i); {
		case v>>10 == 0xd800>>10 && unit(i+6)>>10 == 0xdc00>>10:
			i += 12
		case v>>11 == 0xd800>>11:
			return i
		default:
			i += 2 // past the escaped character, which may be a backslash
		}
	}
	return -1
}

func (r *jsonReader) token() (json.Token, error) {
	t, err := r.dec.Token()
	if err != nil {
		return nil, malformed("not valid JSON: %v", err)
	}
	return t, nil
}

// object reads an object, calling value at the value of every key. value reads
// it whole. A key that comes twice is refused; what names the object then.
func (r *jsonReader) object(what string, value func(key string) error) error {
	if err := r.open(what, '{', "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.dec.More() {
		key, err := r.text(what)
		if err != nil {
			return err
		}
		if seen[key] {
			return malformed("%s has the key %s twice", what, quote(key))
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// array reads an array, calling element at every element of it.
func (r *jsonReader) array(what string, element func(i int) error) error {
	if err := r.open(what, '[', "an array"); err != nil {
		return err
	}
	for i := 0; r.dec.More(); i++ {
		if err := element(i); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

func (r *jsonReader) open(what string, delim json.Delim, want string) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t != delim {
		return malformed("%s is %s, want %s", what, describe(t), want)
	}
	return nil
}

// text reads a string.
func (r *jsonReader) text(what string) (string, error) {
	t, err := r.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", malformed("%s is %s, want a string", what, describe(t))
	}
	return s, nil
}

// natural reads a whole number from 0 to limit, written as digits only. what is
// called for the message alone.
func (r *jsonReader) natural(limit int64, what func() string) (int64, error) {
	t, err := r.token()
	if err != nil {
		return 0, err
	}
	number, ok := t.(json.Number)
	if !ok {
		return 0, malformed("%s is %s, want a number", what(), describe(t))
	}
	text := number.String()
	if text[0] == '-' {
		return 0, malformed("%s is %s, want 0 or more", what(), describe(t))
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, malformed("%s is %s, want an integer written in digits", what(), describe(t))
		}
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v > limit {
		return 0, malformed("%s is %s, want at most %d", what(), describe(t), limit)
	}
	return v, nil
}

// skip reads a value of any kind and depth and drops it.
func (r *jsonReader) skip() error {
	depth := 0
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// describe names a token in a message.
func describe(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case string:
		return "the string " + quote(t)
	case bool:
		return strconv.FormatBool(t)
	case json.Number:
		const limit = 40
		if len(t) > limit {
			return string(t[:limit]) + "..."
		}
		return string(t)
	case json.Delim:
		if t == '[' {
			return "an array"
		}
	}
	return "an object"
}
