package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// readJSONLines reads an object a line; blank lines are passed over.
func readJSONLines(r io.Reader, name string, o ReadOptions, yield func(Document) bool) error {
	l := newLineReader(r, name, o.MaxBytes)
	for {
		line, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		text, err := o.text(line)
		if err != nil {
			return fmt.Errorf("data: %s:%d: %w", name, l.line, err)
		}
		if !yield(Document{text, name, l.line}) {
			return nil
		}
	}
}

// readJSON reads an array of objects or strings. Anything that does not start
// as an array is read as an object a line, which some tools also call .json.
func readJSON(r io.Reader, name string, o ReadOptions, yield func(Document) bool) error {
	c := &cappedReader{r: r, left: o.MaxBytes + 1<<16}
	br := bufio.NewReaderSize(c, 1<<16)
	head, _ := br.Peek(1 << 10)
	if t := bytes.TrimLeft(withoutBOM(head), " \t\r\n"); len(t) == 0 || t[0] != '[' {
		c.left = -1
		return readJSONLines(br, name, o, yield)
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		br.Discard(3)
	}
	dec := json.NewDecoder(br)
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("data: %s: expected a JSON array: %w", name, unexpected(err))
	}
	n := 0
	for dec.More() {
		n++
		c.left = o.MaxBytes + 1<<16
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			if errors.Is(err, errTooLong) {
				return elementTooLong(name, n, o.MaxBytes)
			}
			return fmt.Errorf("data: %s: element %d: expected a JSON value: %w", name, n, unexpected(err))
		}
		if int64(len(raw)) > o.MaxBytes {
			return elementTooLong(name, n, o.MaxBytes)
		}
		if i := invalidUTF8(raw); i >= 0 {
			return fmt.Errorf("data: %s: element %d: byte offset %d: expected UTF-8, found byte 0x%02x", name, n, dec.InputOffset()-int64(len(raw)-i), raw[i])
		}
		text, err := o.element(raw)
		if err != nil {
			return fmt.Errorf("data: %s: element %d: %w", name, n, err)
		}
		if !yield(Document{text, name, n}) {
			return nil
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("data: %s: behind element %d: expected ] or an element: %w", name, n, unexpected(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("data: %s: byte offset %d: expected the end of the file behind the array, found more", name, dec.InputOffset())
	}
	return nil
}

func elementTooLong(name string, n int, max int64) error {
	return fmt.Errorf("data: %s: element %d: expected at most %d bytes, found more: %w", name, n, max, errTooLong)
}

// cappedReader fails after left bytes; a negative left means no cap. The
// decoder above it buffers one element, so resetting left per element bounds
// that buffer.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errTooLong
	}
	if c.left > 0 && int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	if c.left > 0 {
		c.left -= int64(n)
	}
	return n, err
}

// text returns what a document is of a JSON object: the field, or all of it.
func (o ReadOptions) text(obj []byte) (string, error) {
	if o.Objects {
		if !json.Valid(obj) {
			return field(obj, o.Field) // which says what is wrong
		}
		return string(obj), nil
	}
	return field(obj, o.Field)
}

// element returns the text of an array's element: a string itself, or the
// field of an object.
func (o ReadOptions) element(raw []byte) (string, error) {
	if raw[0] == '"' && !o.Objects {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	return o.text(raw)
}

// field returns the string in the named field of a JSON object. Escaped lone
// surrogates become U+FFFD, as everywhere in Go.
func field(obj []byte, name string) (string, error) {
	if obj[0] != '{' {
		return "", fmt.Errorf("expected a JSON object, found %s", kind(obj))
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(obj, &m); err != nil {
		return "", fmt.Errorf("expected a JSON object: %w", err)
	}
	raw, ok := m[name]
	if !ok {
		return "", fmt.Errorf("field %q: expected a string, found no such field (there are: %s)", name, names(m))
	}
	if raw[0] != '"' {
		return "", fmt.Errorf("field %q: expected a string, found %s", name, kind(raw))
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("field %q: expected a string: %w", name, err)
	}
	return s, nil
}

// names lists an object's fields, at most eight of them.
func names(m map[string]json.RawMessage) string {
	if len(m) == 0 {
		return "none"
	}
	all := slices.Sorted(maps.Keys(m))
	for i, n := range all {
		if len(n) > 40 {
			all[i] = strings.ToValidUTF8(n[:40], "") + "…"
		}
	}
	if len(all) > 8 {
		all = append(all[:8], "…")
	}
	return strings.Join(all, ", ")
}

func kind(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		return "a number"
	}
	return "no JSON"
}
