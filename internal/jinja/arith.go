package jinja

import (
	"math"
	"slices"
	"strings"
)

func (r *renderer) arithmetic(op string, a, b any) any {
	i, okA := asInt(a)
	j, okB := asInt(b)
	if okA && okB {
		return integers(op, i, j)
	}
	f, okA := asFloat(a)
	g, okB := asFloat(b)
	if okA && okB {
		return floats(op, f, g)
	}
	if sa, ok := asText(a); ok && op == "%" {
		return r.format(sa, b)
	}
	switch op {
	case "+":
		if v, ok := r.concat(a, b); ok {
			return v
		}
	case "*":
		if n, ok := asInt(a); ok {
			return r.repeat(b, n)
		}
		if n, ok := asInt(b); ok {
			return r.repeat(a, n)
		}
	}
	need(a)
	need(b)
	fail("unsupported operands of %s: %s and %s", op, typeName(a), typeName(b))
	return nil
}

func (r *renderer) concat(a, b any) (any, bool) {
	sa, okA := asText(a)
	sb, okB := asText(b)
	if okA && okB {
		_, ma := a.(markup)
		_, mb := b.(markup)
		r.charge(len(sa) + len(sb))
		switch {
		case ma && !mb:
			return markup(sa + escape(sb)), true
		case mb && !ma:
			return markup(escape(sa) + sb), true
		case ma:
			return markup(sa + sb), true
		}
		return sa + sb, true
	}
	if x, ok := a.(list); ok {
		if y, ok := b.(list); ok {
			return r.madeList(slices.Concat(x, y)), true
		}
	}
	if x, ok := a.(tuple); ok {
		if y, ok := b.(tuple); ok {
			return tuple(r.madeList(list(slices.Concat(x, y)))), true
		}
	}
	return nil, false
}

func (r *renderer) repeat(v any, n int64) any {
	n = max(n, 0)
	size, ok := length(v)
	if s, isText := asText(v); isText {
		size = int64(len(s))
	}
	if ok && size > 0 && n > math.MaxInt32/size/16 {
		fail("takes too much memory")
	}
	r.charge(int(16 * size * n))
	switch x := v.(type) {
	case string:
		return strings.Repeat(x, int(n))
	case markup:
		return markup(strings.Repeat(string(x), int(n)))
	case list:
		return slices.Repeat(x, int(n))
	case tuple:
		return slices.Repeat(x, int(n))
	}
	need(v)
	fail("cannot repeat %s", typeName(v))
	return nil
}

func integers(op string, a, b int64) any {
	overflow := func(bad bool) {
		if bad {
			fail("integer overflow")
		}
	}
	switch op {
	case "+":
		c := a + b
		overflow((c > a) != (b > 0) && b != 0)
		return c
	case "-":
		c := a - b
		overflow((c < a) != (b > 0) && b != 0)
		return c
	case "*":
		c := a * b
		overflow(a != 0 && (c/a != b || a == -1 && b == math.MinInt64))
		return c
	case "**":
		if b < 0 {
			return floats(op, float64(a), float64(b))
		}
		c := int64(1)
		for ; b > 0; b-- {
			if a == 0 || a == 1 || a == -1 && b > 1 {
				b &= 1
				if b == 0 {
					if a == 0 {
						return int64(0)
					}
					return c
				}
			}
			overflow(a != 0 && (c*a)/a != c)
			c *= a
		}
		return c
	}
	if b == 0 {
		fail("division by zero")
	}
	switch op {
	case "/":
		return float64(a) / float64(b)
	case "//":
		overflow(a == math.MinInt64 && b == -1)
		q := a / b
		if a%b != 0 && (a < 0) != (b < 0) {
			q--
		}
		return q
	}
	if b == -1 {
		return int64(0)
	}
	m := a % b
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}

func floats(op string, a, b float64) any {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "**":
		if a == 0 && b < 0 || a < 0 && b != math.Trunc(b) {
			fail("power of %s to %s", formatFloat(a), formatFloat(b))
		}
		return math.Pow(a, b)
	}
	if b == 0 {
		fail("division by zero")
	}
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	switch op {
	case "/":
		return a / b
	case "//":
		return math.Round((a - m) / b)
	}
	return m
}
