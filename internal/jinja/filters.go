package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// filterFuncs are what stands behind |.
var filterFuncs map[string]func(r *renderer, v any, a *args) any

func init() { // map refers to the filters
	filterFuncs = map[string]func(r *renderer, v any, a *args) any{
		"tojson": toJSON, "default": defaultFilter, "d": defaultFilter, "length": lengthFilter, "count": lengthFilter,
		"upper": textFilter(upper), "lower": textFilter(lower), "capitalize": textFilter(capitalize), "title": textFilter(titleFilter),
		"string": func(r *renderer, v any, a *args) any {
			a.end()
			if m, ok := v.(markup); ok {
				return m
			}
			return r.made(r.str(v))
		},
		"trim": func(r *renderer, v any, a *args) any {
			return keepMarkup(v, strip(r.str(v), one(a, "chars", nil), true, true))
		},
		"safe": func(r *renderer, v any, a *args) any { a.end(); return markup(r.str(v)) },
		"e":    escapeFilter, "escape": escapeFilter,
		"forceescape": func(r *renderer, v any, a *args) any { a.end(); return markup(r.made(escape(r.str(v)))) },
		"replace": func(r *renderer, v any, a *args) any {
			from, to := r.str(a.want("old")), r.str(a.want("new"))
			n := a.take("count", nil)
			a.end()
			if n == nil {
				n = int64(-1)
			}
			return keepMarkup(v, replace(r, r.str(v), from, to, wantInt(n, a.what)))
		},
		"format": func(r *renderer, v any, a *args) any {
			if a.kw.Len() > 0 {
				return r.format(r.str(v), a.kw)
			}
			return r.format(r.str(v), tuple(a.pos))
		},
		"indent": indentFilter, "wordcount": func(r *renderer, v any, a *args) any {
			a.end()
			return int64(len(strings.FieldsFunc(r.str(v), func(c rune) bool { return !wordRune(c) })))
		},
		"list": func(r *renderer, v any, a *args) any { a.end(); return r.madeList(slices.Clone(elements(v))) },
		"items": func(r *renderer, v any, a *args) any {
			a.end()
			if _, ok := v.(undefined); ok {
				return &generator{}
			}
			d, ok := v.(*Dict)
			if !ok {
				fail("can only get item pairs from a mapping, found %s", typeName(v))
			}
			return &generator{d.items()}
		},
		"first":   func(r *renderer, v any, a *args) any { return end(r, v, a, 0) },
		"last":    func(r *renderer, v any, a *args) any { return end(r, v, a, -1) },
		"join":    joinFilter,
		"reverse": reverseFilter,
		"sort":    sortFilter, "unique": uniqueFilter, "dictsort": dictsortFilter, "groupby": groupbyFilter,
		"min": func(r *renderer, v any, a *args) any { return extreme(r, v, a, -1) },
		"max": func(r *renderer, v any, a *args) any { return extreme(r, v, a, 1) },
		"sum": sumFilter, "map": mapFilter,
		"select":     func(r *renderer, v any, a *args) any { return selecting(r, v, a, false, true) },
		"reject":     func(r *renderer, v any, a *args) any { return selecting(r, v, a, false, false) },
		"selectattr": func(r *renderer, v any, a *args) any { return selecting(r, v, a, true, true) },
		"rejectattr": func(r *renderer, v any, a *args) any { return selecting(r, v, a, true, false) },
		"batch":      batchFilter,
		"int":        intFilter, "float": floatFilter, "round": roundFilter, "abs": absFilter,
		"attr": func(r *renderer, v any, a *args) any {
			id := r.str(one(a, "name", a))
			if d, ok := v.(*Dict); ok && dictMethods[id] == nil { // never an element
				return undefined{typeName(d) + " has no attribute " + id}
			}
			return r.attr(v, id)
		},
	}
}

func wordRune(c rune) bool { return c == '_' || c > utf8.RuneSelf && isLetter(c) || isAlnum(c) }

func isAlnum(c rune) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || isLetter(c)
}

// keepMarkup gives a text the type that v has.
func keepMarkup(v any, s string) any {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return s
}

func textFilter(f func(string) string) func(r *renderer, v any, a *args) any {
	return func(r *renderer, v any, a *args) any {
		a.end()
		return keepMarkup(v, r.made(f(r.made(r.str(v)))))
	}
}

// titleFilter is Jinja's own: words begin behind white space, - and brackets.
func titleFilter(s string) string {
	var b strings.Builder
	begin := true
	for _, c := range s {
		if begin {
			b.WriteString(upper(string(c)))
		} else {
			b.WriteString(lower(string(c)))
		}
		begin = isSpace(c) || strings.ContainsRune("-({[<", c)
	}
	return b.String()
}

func escapeFilter(r *renderer, v any, a *args) any {
	a.end()
	if m, ok := v.(markup); ok {
		return m
	}
	return markup(r.made(escape(r.str(v))))
}

func defaultFilter(r *renderer, v any, a *args) any {
	otherwise := a.take("default_value", "")
	all := truth(a.take("boolean", false))
	a.end()
	if _, ok := v.(undefined); ok || all && !truth(v) {
		return otherwise
	}
	return v
}

func lengthFilter(r *renderer, v any, a *args) any {
	a.end()
	n, ok := length(v)
	if !ok {
		fail("object of type %s has no len()", typeName(v))
	}
	return n
}

func indentFilter(r *renderer, v any, a *args) any {
	width := a.take("width", int64(4))
	first := truth(a.take("first", false))
	blank := truth(a.take("blank", false))
	a.end()
	by, ok := asText(width)
	if !ok {
		n := wantInt(width, a.what)
		if n > 1<<10 {
			fail("indent: width %d", n)
		}
		by = strings.Repeat(" ", int(max(0, n)))
	}
	s := wantText(v, a.what) + "\n"
	if blank {
		s = strings.ReplaceAll(s[:len(s)-1], "\n", "\n"+by)
	} else {
		var out []string
		for i, l := range lines(s, false) {
			r.charge(len(by))
			if i > 0 && l != "" {
				l = by + l
			}
			out = append(out, l)
		}
		s = strings.Join(out, "\n")
	}
	if first {
		s = by + s
	}
	return keepMarkup(v, r.made(s))
}

func end(r *renderer, v any, a *args, at int64) any {
	a.end()
	if _, ok := v.(*generator); ok && at < 0 {
		fail("last: generator is not reversible")
	}
	items := elements(v)
	if g, ok := v.(*generator); ok && len(items) > 0 {
		g.rest = items[1:]
	}
	x, ok := r.at(items, at)
	if !ok {
		return undefined{"the sequence is empty"}
	}
	return x
}

// getter returns an element's attribute as "a.b.0" names it.
func getter(r *renderer, attr any, otherwise any) func(v any) any {
	if attr == nil {
		return func(v any) any { return v }
	}
	var path []any
	if s, ok := asText(attr); ok {
		for part := range strings.SplitSeq(s, ".") {
			if i, err := strconv.ParseInt(part, 10, 64); err == nil && i >= 0 {
				path = append(path, i)
				continue
			}
			path = append(path, part)
		}
	} else {
		path = []any{attr}
	}
	return func(v any) any {
		for _, p := range path {
			v = r.item(v, p)
			if _, ok := v.(undefined); ok && otherwise != nil {
				v = otherwise
			}
		}
		return v
	}
}

// folded is a key that ignores case unless it is to be seen.
func folded(get func(any) any, caseSensitive bool) func(any) any {
	return func(v any) any {
		v = get(v)
		if s, ok := asText(v); ok && !caseSensitive {
			return lower(s)
		}
		return v
	}
}

func joinFilter(r *renderer, v any, a *args) any {
	sep := r.str(a.take("d", ""))
	get := getter(r, a.take("attribute", nil), nil)
	a.end()
	var parts []string
	for _, x := range elements(v) {
		parts = append(parts, r.str(get(x)))
	}
	return join(r, parts, sep)
}

func reverseFilter(r *renderer, v any, a *args) any {
	a.end()
	if s, ok := asText(v); ok {
		runes := []rune(s)
		slices.Reverse(runes)
		return keepMarkup(v, r.made(string(runes)))
	}
	items := slices.Clone(elements(v))
	slices.Reverse(items)
	return &generator{r.madeList(items)}
}

func sortFilter(r *renderer, v any, a *args) any {
	reverse := truth(a.take("reverse", false))
	caseSensitive := truth(a.take("case_sensitive", false))
	attr := a.take("attribute", nil)
	a.end()
	key := folded(getter(r, attr, nil), caseSensitive)
	if s, ok := asText(attr); ok && strings.Contains(s, ",") {
		var keys []func(any) any
		for part := range strings.SplitSeq(s, ",") {
			keys = append(keys, folded(getter(r, part, nil), caseSensitive))
		}
		key = func(v any) any {
			var t list
			for _, k := range keys {
				t = append(t, k(v))
			}
			return t
		}
	}
	items := elements(v)
	r.step(len(items) * 8)
	return r.sorted(r.madeList(items), key, reverse)
}

func uniqueFilter(r *renderer, v any, a *args) any {
	caseSensitive := truth(a.take("case_sensitive", false))
	key := folded(getter(r, a.take("attribute", nil), nil), caseSensitive)
	a.end()
	seen := map[any]bool{}
	var out list
	for _, x := range elements(v) {
		r.step(1)
		if k := hashable(key(x)); !seen[k] {
			seen[k] = true
			out = append(out, x)
		}
	}
	return &generator{r.madeList(out)}
}

func dictsortFilter(r *renderer, v any, a *args) any {
	caseSensitive := truth(a.take("case_sensitive", false))
	by := r.str(a.take("by", "key"))
	reverse := truth(a.take("reverse", false))
	a.end()
	at := map[string]int{"key": 0, "value": 1}
	i, ok := at[by]
	d, isDict := v.(*Dict)
	if !ok || !isDict {
		fail("dictsort of %s by %q", typeName(v), by)
	}
	return r.sorted(r.madeList(d.items()), folded(func(v any) any { return v.(tuple)[i] }, caseSensitive), reverse)
}

func groupbyFilter(r *renderer, v any, a *args) any {
	attr := a.want("attribute")
	otherwise := a.take("default", nil)
	caseSensitive := truth(a.take("case_sensitive", false))
	a.end()
	get := getter(r, attr, otherwise)
	key := folded(get, caseSensitive)
	var out list
	var last any
	for i, x := range r.sorted(r.madeList(elements(v)), key, false) {
		k := key(x)
		if i == 0 || !r.equal(k, last, 0) {
			out = append(out, tuple{get(x), list{}})
			last = k
		}
		group := out[len(out)-1].(tuple)
		group[1] = append(group[1].(list), x)
	}
	return out
}

func extreme(r *renderer, v any, a *args, sign int) any {
	caseSensitive := truth(a.take("case_sensitive", false))
	key := folded(getter(r, a.take("attribute", nil), nil), caseSensitive)
	a.end()
	items := elements(v)
	if len(items) == 0 {
		return undefined{"no aggregated item, sequence was empty"}
	}
	best := items[0]
	for _, x := range items[1:] {
		r.step(1)
		if r.order(key(x), key(best), 0)*sign > 0 {
			best = x
		}
	}
	return best
}

func sumFilter(r *renderer, v any, a *args) any {
	attr := a.take("attribute", nil)
	sum := a.take("start", int64(0))
	a.end()
	get := getter(r, attr, nil)
	if _, ok := asText(sum); ok {
		fail("sum: can't sum strings")
	}
	for _, x := range elements(v) {
		sum = r.arithmetic("+", sum, get(x))
	}
	return sum
}

func mapFilter(r *renderer, v any, a *args) any {
	f := func(x any) any { return x }
	if attr, ok := a.kw.Get("attribute"); ok && len(a.pos) == 0 {
		a.kw = a.kw.without("attribute")
		f = getter(r, attr, a.take("default", nil))
		a.end()
	} else {
		what := r.str(a.want("filter"))
		fn := filterFuncs[what]
		if fn == nil {
			fail("no filter named %q", what)
		}
		rest := a.pos[a.at:]
		f = func(x any) any { return fn(r, x, &args{what: "filter " + what, pos: rest, kw: a.kw}) }
	}
	var out list
	if !truth(v) {
		return &generator{}
	}
	for _, x := range elements(v) {
		r.step(1)
		out = append(out, f(x))
	}
	return &generator{r.madeList(out)}
}

// selecting is select, reject, selectattr and rejectattr.
func selecting(r *renderer, v any, a *args, byAttr, want bool) any {
	get := func(x any) any { return x }
	if byAttr {
		get = getter(r, a.want("attribute"), nil)
	}
	is := func(x any) bool { return truth(x) }
	if a.at < len(a.pos) {
		what := r.str(a.want("test"))
		fn := testFuncs[what]
		if fn == nil {
			fail("no test named %q", what)
		}
		rest := a.pos[a.at:]
		is = func(x any) bool { return fn(r, x, &args{what: "test " + what, pos: rest, kw: a.kw}) }
	}
	var out list
	if !truth(v) {
		return &generator{}
	}
	for _, x := range elements(v) {
		r.step(1)
		if is(get(x)) == want {
			out = append(out, x)
		}
	}
	return &generator{r.madeList(out)}
}

func batchFilter(r *renderer, v any, a *args) any {
	n := wantInt(a.want("linecount"), a.what)
	fillWith := a.take("fill_with", nil)
	a.end()
	if n < 1 || n > maxRange {
		fail("batch: found %d elements a batch", n)
	}
	var out list
	for part := range slices.Chunk(elements(v), int(n)) {
		part = slices.Clone(part)
		for fillWith != nil && len(part) < int(n) {
			r.charge(16)
			part = append(part, fillWith)
		}
		out = append(out, part)
	}
	return &generator{r.madeList(out)}
}

func intFilter(r *renderer, v any, a *args) any {
	otherwise := a.take("default", int64(0))
	base := wantInt(a.take("base", int64(10)), a.what)
	a.end()
	if s, ok := asText(v); ok {
		s = strings.ReplaceAll(strings.TrimFunc(s, isSpace), "_", "")
		if base != 10 {
			s = strings.ToLower(s)
			s = strings.TrimPrefix(s, map[int64]string{16: "0x", 8: "0o", 2: "0b"}[base])
		}
		if i, err := strconv.ParseInt(s, int(min(max(base, 2), 36)), 64); err == nil {
			return i
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || strings.ContainsAny(s, "xXpP") {
			return otherwise
		}
		v = f
	}
	if i, ok := asInt(v); ok {
		return i
	}
	f, ok := v.(float64)
	if !ok || f-f != 0 {
		return otherwise
	}
	if math.Abs(f) >= 1<<63 {
		fail("int: %s is out of range", formatFloat(f))
	}
	return int64(f)
}

func floatFilter(r *renderer, v any, a *args) any {
	otherwise := a.take("default", 0.0)
	a.end()
	if s, ok := asText(v); ok {
		f, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64)
		if err != nil || strings.ContainsAny(s, "xXpP") {
			return otherwise
		}
		return f
	}
	if f, ok := asFloat(v); ok {
		return f
	}
	return otherwise
}

func roundFilter(r *renderer, v any, a *args) any {
	digits := wantInt(a.take("precision", int64(0)), a.what)
	how := r.str(a.take("method", "common"))
	a.end()
	f, ok := asFloat(v)
	if !ok {
		need(v)
		fail("round: found %s, want a number", typeName(v))
	}
	if digits < -300 || digits > 300 {
		fail("round: precision %d", digits)
	}
	scale := math.Pow(10, float64(digits))
	switch how {
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	case "common":
	default:
		fail("round: method %q, want common, ceil or floor", how)
	}
	if i, ok := asInt(v); ok && digits < 0 {
		return int64(math.RoundToEven(float64(i)*scale) / scale)
	} else if ok {
		return i
	}
	if digits < 0 {
		return math.RoundToEven(f*scale) / scale
	}
	// Correctly rounded from the decimal digits, as Python's round.
	x, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
	return x
}

func absFilter(r *renderer, v any, a *args) any {
	a.end()
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	i, ok := asInt(v)
	if !ok {
		need(v)
		fail("abs: found %s, want a number", typeName(v))
	}
	if i < 0 {
		return r.unary("-", i)
	}
	return i
}
