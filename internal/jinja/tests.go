package jinja

// testFuncs are what stands behind is.
var testFuncs map[string]func(r *renderer, v any, a *args) bool

func init() { // select refers to the tests, and the test filter to filters
	plain := map[string]func(v any) bool{
		"none":    func(v any) bool { return v == nil },
		"boolean": func(v any) bool { _, ok := v.(bool); return ok },
		"true":    func(v any) bool { return v == true },
		"false":   func(v any) bool { return v == false },
		"integer": func(v any) bool { _, ok := v.(int64); return ok },
		"float":   func(v any) bool { _, ok := v.(float64); return ok },
		"number":  func(v any) bool { _, ok := asFloat(v); return ok },
		"string":  func(v any) bool { _, ok := asText(v); return ok },
		"mapping": func(v any) bool { _, ok := v.(*Dict); return ok },
		"iterable": func(v any) bool {
			if _, ok := v.(*generator); ok {
				return true
			}
			_, ok := iterate(v)
			return ok
		},
		"sequence": func(v any) bool {
			switch v.(type) {
			case list, tuple, string, markup, rangeOf, *Dict, undefined:
				return true
			}
			return false
		},
		"callable": func(v any) bool {
			switch v.(type) {
			case *function, *loop, undefined:
				return true
			}
			return false
		},
		"defined":   func(v any) bool { _, ok := v.(undefined); return !ok },
		"undefined": func(v any) bool { _, ok := v.(undefined); return ok },
		"escaped":   func(v any) bool { _, ok := v.(markup); return ok },
		"filter":    func(v any) bool { s, ok := asText(v); return ok && filterFuncs[s] != nil },
		"test":      func(v any) bool { s, ok := asText(v); return ok && testFuncs[s] != nil },
	}
	withText := map[string]func(s string) bool{"lower": isLower, "upper": isUpper}
	two := map[string]func(r *renderer, v, other any) bool{
		"divisibleby": func(r *renderer, v, other any) bool { return r.equal(modulo(v, other), int64(0), 0) },
		"sameas":      func(r *renderer, v, other any) bool { return r.same(v, other) },
		"in":          func(r *renderer, v, other any) bool { return r.contains(other, v) },
	}
	for names, op := range map[[3]string]string{
		{"eq", "equalto", "=="}: "==", {"ne", "!=", "!="}: "!=", {"lt", "lessthan", "<"}: "<", {"le", "<=", "<="}: "<=",
		{"gt", "greaterthan", ">"}: ">", {"ge", ">=", ">="}: ">=",
	} {
		for _, n := range names {
			two[n] = func(r *renderer, v, other any) bool { return r.compare(op, v, other) }
		}
	}
	testFuncs = map[string]func(r *renderer, v any, a *args) bool{}
	for n, f := range plain {
		testFuncs[n] = func(r *renderer, v any, a *args) bool { a.end(); return f(v) }
	}
	for n, f := range withText {
		testFuncs[n] = func(r *renderer, v any, a *args) bool { a.end(); return f(r.str(v)) }
	}
	for n, rest := range map[string]int64{"odd": 1, "even": 0} {
		testFuncs[n] = func(r *renderer, v any, a *args) bool { a.end(); return r.equal(modulo(v, int64(2)), rest, 0) }
	}
	for n, f := range two {
		testFuncs[n] = func(r *renderer, v any, a *args) bool { return f(r, v, one(a, "other", a)) }
	}
}

func modulo(a, b any) any {
	i, ok := asInt(a)
	j, ok2 := asInt(b)
	if ok && ok2 {
		return integers("%", i, j)
	}
	f, ok := asFloat(a)
	g, ok2 := asFloat(b)
	if !ok || !ok2 {
		need(a)
		need(b)
		fail("unsupported operands of %%: %s and %s", typeName(a), typeName(b))
	}
	return floats("%", f, g)
}

// same is Python's is, for what has no identity of its own by value and type.
func (r *renderer) same(a, b any) bool {
	if typeName(a) != typeName(b) {
		return false
	}
	switch a.(type) {
	case list, tuple, undefined:
		return false
	case *Dict, *function, *namespace, *view, *generator, *loop:
		return a == b
	}
	return r.equal(a, b, 0)
}
