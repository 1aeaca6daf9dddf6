package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FromJSON reads one JSON value as a template sees it: objects are [*Dict] and
// keep their order.
func FromJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("found more behind the value, at byte %d", d.InputOffset())
	}
	return v, nil
}

func decode(d *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("is nested more than %d deep", maxNesting)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch x := t.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(x.String(), 10, 64); err == nil {
			return i, nil
		}
		if !strings.ContainsAny(x.String(), ".eE") {
			return nil, fmt.Errorf("number %.40s is out of range", x)
		}
		f, err := strconv.ParseFloat(x.String(), 64)
		return f, err
	case json.Delim:
		if x == '[' {
			out := list{}
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				out = append(out, v)
			}
			_, err := d.Token()
			return out, err
		}
		out := NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			out.Set(k, v)
		}
		_, err := d.Token()
		return out, err
	}
	return t, nil
}

// dumper is Python's json.dumps.
type dumper struct {
	r               *renderer
	b               strings.Builder
	item, key       string // separators
	indent          string
	pretty          bool
	sortKeys, ascii bool
}

func (d *dumper) line(depth int) {
	if d.pretty {
		d.b.WriteByte('\n')
		d.b.WriteString(strings.Repeat(d.indent, depth))
	}
}

func (d *dumper) write(v any, depth int) {
	if depth > maxNesting {
		fail("tojson: values are nested more than %d deep", maxNesting)
	}
	d.r.step(1)
	switch x := v.(type) {
	case nil:
		d.b.WriteString("null")
	case bool:
		d.b.WriteString(strconv.FormatBool(x))
	case int64:
		d.b.WriteString(strconv.FormatInt(x, 10))
	case float64:
		d.b.WriteString(jsonFloat(x))
	case string:
		d.quote(x)
	case markup:
		d.quote(string(x))
	case list:
		d.array(x, depth)
	case tuple:
		d.array(x, depth)
	case *Dict:
		d.object(x, depth)
	default:
		fail("tojson: %s is not JSON", typeName(v))
	}
	d.r.charge(0)
}

func jsonFloat(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 0):
		return map[bool]string{true: "Infinity", false: "-Infinity"}[x > 0]
	}
	return formatFloat(x)
}

func (d *dumper) array(items []any, depth int) {
	if len(items) == 0 {
		d.b.WriteString("[]")
		return
	}
	d.b.WriteByte('[')
	for i, x := range items {
		if i > 0 {
			d.b.WriteString(d.item)
		}
		d.line(depth + 1)
		d.write(x, depth+1)
	}
	d.line(depth)
	d.b.WriteByte(']')
}

func (d *dumper) object(x *Dict, depth int) {
	if x.Len() == 0 {
		d.b.WriteString("{}")
		return
	}
	items := x.items()
	if d.sortKeys {
		items = d.r.sorted(items, func(v any) any { return v.(tuple)[0] }, false)
	}
	d.b.WriteByte('{')
	for i, kv := range items {
		if i > 0 {
			d.b.WriteString(d.item)
		}
		d.line(depth + 1)
		switch k := kv.(tuple)[0].(type) {
		case string:
			d.quote(k)
		case nil:
			d.quote("null")
		case bool:
			d.quote(strconv.FormatBool(k))
		case int64:
			d.quote(strconv.FormatInt(k, 10))
		case float64:
			d.quote(jsonFloat(k))
		default:
			fail("tojson: keys must be str, not %s", typeName(k))
		}
		d.b.WriteString(d.key)
		d.write(kv.(tuple)[1], depth+1)
	}
	d.line(depth)
	d.b.WriteByte('}')
}

func (d *dumper) quote(s string) {
	d.r.charge(len(s))
	d.b.WriteByte('"')
	for _, c := range s {
		if i := strings.IndexRune("\"\\\n\r\t\f\b", c); i >= 0 {
			d.b.WriteByte('\\')
			d.b.WriteByte("\"\\nrtfb"[i])
			continue
		}
		switch {
		case c < 0x20 || d.ascii && c >= 0x7f && c < 0x10000 && c != 0x7f:
			d.b.WriteString(`\u` + hex(c, 4))
		case d.ascii && c >= utf8.RuneSelf:
			c -= 0x10000
			d.b.WriteString(`\u` + hex(0xd800+c>>10, 4) + `\u` + hex(0xdc00+c&0x3ff, 4))
		default:
			d.b.WriteRune(c)
		}
	}
	d.b.WriteByte('"')
}

func toJSON(r *renderer, v any, a *args) any {
	d := &dumper{r: r, item: ", ", key: ": "}
	d.ascii = truth(a.take("ensure_ascii", false))
	indent := a.take("indent", nil)
	if indent != nil {
		d.pretty = true
		d.item = ","
		if s, ok := asText(indent); ok {
			d.indent = s
		} else {
			n := wantInt(indent, "tojson: indent")
			if n > maxNesting {
				fail("tojson: indent %d is too wide", n)
			}
			d.indent = strings.Repeat(" ", int(max(0, n)))
		}
	}
	if s := a.take("separators", nil); s != nil {
		pair, ok := sequence(s)
		if !ok || len(pair) != 2 {
			fail("tojson: separators: want two")
		}
		d.item, d.key = wantText(pair[0], "tojson: separators"), wantText(pair[1], "tojson: separators")
	}
	d.sortKeys = truth(a.take("sort_keys", false))
	a.end()
	d.write(v, 0)
	return r.made(d.b.String())
}
