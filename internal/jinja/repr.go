package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str().
func (r *renderer) str(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case markup:
		return string(x)
	case undefined:
		return ""
	}
	var b strings.Builder
	r.repr(&b, v, 0)
	return b.String()
}

// writeRepr is Python's repr().
func (r *renderer) repr(b *strings.Builder, v any, depth int) {
	if depth > maxNesting {
		fail("values are nested more than %d deep", maxNesting)
	}
	r.charge(4)
	each := func(items []any, open, end string) {
		b.WriteString(open)
		for i, x := range items {
			if i > 0 {
				b.WriteString(", ")
			}
			r.repr(b, x, depth+1)
		}
		b.WriteString(end)
	}
	switch x := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(map[bool]string{true: "True", false: "False"}[x])
	case int64:
		b.WriteString(strconv.FormatInt(x, 10))
	case float64:
		b.WriteString(formatFloat(x))
	case string:
		r.charge(len(x))
		writeQuoted(b, x)
	case markup:
		r.charge(len(x))
		b.WriteString("Markup(")
		writeQuoted(b, string(x))
		b.WriteString(")")
	case undefined:
		b.WriteString("Undefined")
	case list:
		each(x, "[", "]")
	case tuple:
		each(x, "(", map[bool]string{true: ",)", false: ")"}[len(x) == 1])
	case *Dict:
		b.WriteByte('{')
		for i, k := range x.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			r.repr(b, k, depth+1)
			b.WriteString(": ")
			r.repr(b, x.values[i], depth+1)
		}
		b.WriteByte('}')
	case *view:
		each(x.items, x.kind+"([", "])")
	case rangeOf:
		b.WriteString("range(" + strconv.FormatInt(x.start, 10) + ", " + strconv.FormatInt(x.stop, 10))
		if x.step != 1 {
			b.WriteString(", " + strconv.FormatInt(x.step, 10))
		}
		b.WriteByte(')')
	default:
		// Python prints an address here, which nobody can mean.
		fail("%s has no text", typeName(v))
	}
}

// formatFloat is Python's repr of a float.
func formatFloat(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 0):
		return map[bool]string{true: "inf", false: "-inf"}[x > 0]
	}
	s := strconv.FormatFloat(x, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// writeQuoted is Python's repr of a str.
func writeQuoted(b *strings.Builder, s string) {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, "\"") {
		quote = '"'
	}
	b.WriteRune(quote)
	for _, c := range s {
		switch {
		case c == quote || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			b.WriteString(`\x` + hex(c, 2))
		case c < 0x10000:
			b.WriteString(`\u` + hex(c, 4))
		default:
			b.WriteString(`\U` + hex(c, 8))
		}
	}
	b.WriteRune(quote)
}

func hex(c rune, width int) string {
	s := strconv.FormatInt(int64(c), 16)
	return strings.Repeat("0", max(0, width-len(s))) + s
}
