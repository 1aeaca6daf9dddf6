package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// method returns a bound method of a value, nil when it has none of that name.
func method(v any, id string) *function {
	bind := func(call func(r *renderer, a *args) any) *function {
		return &function{id, func(r *renderer, pos []any, kw *Dict) any {
			return call(r, &args{what: id, pos: pos, kw: kw})
		}}
	}
	switch x := v.(type) {
	case string, markup:
		m := textMethods[id]
		if m == nil {
			return nil
		}
		s, _ := asText(v)
		return bind(func(r *renderer, a *args) any {
			r.charge(len(s))
			switch out := m(r, s, a).(type) {
			case string:
				r.charge(len(out))
				if _, ok := v.(markup); ok {
					return markup(out)
				}
				return out
			case list:
				return r.madeList(out)
			default:
				return out
			}
		})
	case *Dict:
		if m := dictMethods[id]; m != nil {
			return bind(func(r *renderer, a *args) any { r.charge(16 * x.Len()); return m(x, a) })
		}
	case list, tuple:
		if m := listMethods[id]; m != nil {
			items, _ := sequence(v)
			return bind(func(r *renderer, a *args) any { r.madeList(items); return m(r, items, a) })
		}
	case float64:
		if id == "is_integer" {
			return bind(func(r *renderer, a *args) any { a.end(); return x == float64(int64(x)) })
		}
	}
	if forbidden[typeName(v)+"."+id] {
		fail("%s.%s changes a value, which templates must not", typeName(v), id)
	}
	return nil
}

// forbidden are methods that Python has and its sandbox refuses.
var forbidden = map[string]bool{
	"list.append": true, "list.clear": true, "list.extend": true, "list.insert": true, "list.pop": true, "list.remove": true,
	"list.reverse": true, "list.sort": true, "dict.clear": true, "dict.pop": true, "dict.popitem": true, "dict.setdefault": true, "dict.update": true,
}

var dictMethods = map[string]func(d *Dict, a *args) any{
	"items":  func(d *Dict, a *args) any { a.end(); return &view{"dict_items", d.items()} },
	"keys":   func(d *Dict, a *args) any { a.end(); return &view{"dict_keys", d.keys} },
	"values": func(d *Dict, a *args) any { a.end(); return &view{"dict_values", d.values} },
	"copy":   func(d *Dict, a *args) any { a.end(); return d.Clone() },
	"get": func(d *Dict, a *args) any {
		key := a.want("key")
		otherwise := a.take("default", nil)
		a.end()
		if v, ok := d.Get(key); ok {
			return v
		}
		return otherwise
	},
}

var listMethods = map[string]func(r *renderer, items []any, a *args) any{
	"index": func(r *renderer, items []any, a *args) any {
		v := one(a, "value", a)
		i := slices.IndexFunc(items, func(x any) bool { return r.equal(x, v, 0) })
		if i < 0 {
			fail("index: the value is not in the list")
		}
		return int64(i)
	},
	"count": func(r *renderer, items []any, a *args) any {
		v, n := one(a, "value", a), int64(0)
		for _, x := range items {
			if r.equal(x, v, 0) {
				n++
			}
		}
		return n
	},
	"copy": func(r *renderer, items []any, a *args) any { a.end(); return list(slices.Clone(items)) },
}

// format is the % of a string.
func (r *renderer) format(s string, v any) string {
	values, isTuple := v.(tuple)
	if !isTuple {
		values = tuple{v}
	}
	d, isDict := v.(*Dict)
	used := 0
	next := func() any {
		if used >= len(values) {
			fail("not enough arguments for format string")
		}
		used++
		return values[used-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		take := next
		if i < len(s) && s[i] == '(' {
			end := strings.IndexByte(s[i:], ')')
			if end < 0 || !isDict {
				fail("format requires a mapping")
			}
			key := s[i+1 : i+end]
			i += end + 1
			used = 1
			take = func() any {
				x, ok := d.Get(key)
				if !ok {
					fail("format: no key %q", key)
				}
				return x
			}
		}
		start := i
		for i < len(s) && strings.IndexByte("-+ #0123456789.", s[i]) >= 0 {
			i++
		}
		if i == len(s) || i-start > 8 {
			fail("incomplete format")
		}
		r.formatOne(&b, s[start:i], s[i], take)
	}
	switch v.(type) {
	case list, undefined: // which Python takes for mappings
		isDict = true
	}
	if used < len(values) && !isDict {
		fail("not all arguments converted during string formatting")
	}
	return r.made(b.String())
}

func (r *renderer) formatOne(b *strings.Builder, flags string, verb byte, take func() any) {
	switch verb {
	case '%':
		b.WriteByte('%')
	case 's':
		fmt.Fprintf(b, "%"+strings.Trim(flags, "0")+"s", r.str(take()))
	case 'r':
		var q strings.Builder
		r.repr(&q, take(), 0)
		fmt.Fprintf(b, "%"+flags+"s", q.String())
	case 'c':
		fmt.Fprintf(b, "%"+flags+"s", wantText(take(), "%c"))
	case 'd', 'i', 'u':
		v := take()
		if f, ok := v.(float64); ok {
			v = int64(f)
		}
		fmt.Fprintf(b, "%"+flags+"d", wantInt(v, "%d"))
	case 'x', 'X', 'o':
		fmt.Fprintf(b, "%"+flags+string(verb), wantInt(take(), "%x"))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		v := take()
		f, ok := asFloat(v)
		if !ok {
			need(v)
			fail("must be real number, not %s", typeName(v))
		}
		if verb|0x20 == 'g' && !strings.Contains(flags, ".") {
			flags += ".6"
		}
		fmt.Fprintf(b, "%"+flags+string(verb), f)
	default:
		fail("unsupported format character %q", verb)
	}
}

// strFormat is str.format with plain fields: {}, {0} and {name}.
func (r *renderer) strFormat(s string, a *args) string {
	var b strings.Builder
	auto := int64(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c == '}' {
			fail("format: single '}' in format string")
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			fail("format: expected '}' before end of string")
		}
		field := s[i+1 : i+end]
		i += end
		if strings.ContainsAny(field, ".[!:{") {
			fail("format: field %q is not supported", field)
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if field == "" {
			n, err = auto, nil
			auto++
		}
		v, ok := a.kw.Get(field)
		if err == nil {
			if ok = n >= 0 && n < int64(len(a.pos)); ok {
				v = a.pos[n]
			}
		}
		if !ok {
			fail("format: no argument for {%s}", field)
		}
		b.WriteString(r.made(r.str(v)))
	}
	return b.String()
}

// escape makes a text safe in HTML, as markupsafe does.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", "\"", "&#34;").Replace(s)
}
