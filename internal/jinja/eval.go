package jinja

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

func (r *renderer) eval(x expr, s *scope) any {
	r.step(1)
	switch x := x.(type) {
	case constant:
		return x.value
	case name:
		return r.lookup(s, x.id)
	case listExpr:
		items := make(list, len(x.items))
		for i, e := range x.items {
			items[i] = r.eval(e, s)
		}
		r.charge(16 * len(items))
		if x.tuple {
			return tuple(items)
		}
		return items
	case dictExpr:
		d := NewDict()
		for i, k := range x.keys {
			d.Set(r.eval(k, s), r.eval(x.values[i], s))
		}
		r.charge(64 * d.Len())
		return d
	case unary:
		return r.unary(x.op, r.eval(x.x, s))
	case binary:
		return r.binary(x, s)
	case compare:
		a := r.eval(x.first, s)
		for i, op := range x.ops {
			b := r.eval(x.rest[i], s)
			if !r.compare(op, a, b) {
				return false
			}
			a = b
		}
		return true
	case conditional:
		if truth(r.eval(x.test, s)) {
			return r.eval(x.yes, s)
		}
		if x.no == nil {
			return undefined{"the inline if-expression evaluated to false and no else section was defined"}
		}
		return r.eval(x.no, s)
	case attribute:
		return r.attr(r.eval(x.x, s), x.name)
	case subscript:
		return r.item(r.eval(x.x, s), r.eval(x.index, s))
	case sliceExpr:
		return r.slice(x, s)
	case *call:
		return r.call(x, s, nil)
	case filter:
		r.line = x.line
		v := r.eval(x.x, s)
		a := r.arguments(x.args, s)
		a.what = "filter " + x.name
		return filterFuncs[x.name](r, v, a)
	case test:
		r.line = x.line
		v := r.eval(x.x, s)
		a := r.arguments(x.args, s)
		a.what = "test " + x.name
		return testFuncs[x.name](r, v, a) != x.not
	}
	fail("unknown expression %T", x)
	return nil
}

func (r *renderer) unary(op string, v any) any {
	if op == "not" {
		return !truth(v)
	}
	if i, ok := asInt(v); ok {
		if op == "-" {
			if i == math.MinInt64 {
				fail("integer overflow")
			}
			return -i
		}
		return i
	}
	f, ok := v.(float64)
	if !ok {
		need(v)
		fail("bad operand of %s: %s", op, typeName(v))
	}
	if op == "-" {
		return -f
	}
	return f
}

func (r *renderer) compare(op string, a, b any) bool {
	switch op {
	case "==":
		return r.equal(a, b, 0)
	case "!=":
		return !r.equal(a, b, 0)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	}
	c := r.order(a, b, 0)
	if fa, ok := asFloat(a); ok {
		if fb, ok := asFloat(b); ok && (fa != fa || fb != fb) {
			return false
		}
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// contains is x in v.
func (r *renderer) contains(v, x any) bool {
	switch c := v.(type) {
	case string, markup:
		s, _ := asText(v)
		r.charge(len(s) >> 4)
		return strings.Contains(s, wantText(x, "in"))
	case *Dict:
		_, ok := c.Get(x)
		return ok
	case *namespace:
		fail("Namespace is not iterable")
	}
	items := elements(v)
	r.step(len(items))
	return slices.ContainsFunc(items, func(y any) bool { return r.equal(x, y, 0) })
}

func (r *renderer) binary(x binary, s *scope) any {
	a := r.eval(x.a, s)
	switch x.op {
	case "and":
		if !truth(a) {
			return a
		}
		return r.eval(x.b, s)
	case "or":
		if truth(a) {
			return a
		}
		return r.eval(x.b, s)
	}
	b := r.eval(x.b, s)
	if x.op == "~" {
		return r.made(r.str(a) + r.str(b))
	}
	return r.arithmetic(x.op, a, b)
}

// attr is x.name: an attribute, else an element.
func (r *renderer) attr(v any, id string) any {
	need(v)
	if strings.HasPrefix(id, "__") {
		return undefined{fmt.Sprintf("access to attribute %q is unsafe", id)}
	}
	switch x := v.(type) {
	case *namespace:
		if y, ok := x.attrs.Get(id); ok {
			return y
		}
	case *loop:
		if y, ok := x.attr(id); ok {
			return y
		}
	}
	if m := method(v, id); m != nil {
		return m
	}
	if d, ok := v.(*Dict); ok {
		if y, ok := d.Get(id); ok {
			return y
		}
	}
	return undefined{fmt.Sprintf("%q has no attribute %q", typeName(v), id)}
}

// item is x[key]: an element, else an attribute.
func (r *renderer) item(v, key any) any {
	need(v)
	missing := undefined{fmt.Sprintf("%s has no element %.60s", typeName(v), safeRepr(key))}
	switch x := v.(type) {
	case *Dict:
		switch key.(type) {
		case list, *Dict:
			return missing
		}
		if y, ok := x.Get(key); ok {
			return y
		}
	case list, tuple, string, markup, rangeOf:
		if i, ok := asInt(key); ok {
			if y, ok := r.at(v, i); ok {
				return y
			}
			return missing
		}
	}
	if id, ok := asText(key); ok {
		if ns, isNS := v.(*namespace); isNS {
			if y, ok := ns.attrs.Get(id); ok {
				return y
			}
			return missing
		}
		return r.attr(v, id)
	}
	return missing
}

func safeRepr(v any) string {
	switch v.(type) {
	case string, markup, int64, bool, nil, float64:
		return fmt.Sprintf("%#v", v)
	}
	return "(" + typeName(v) + ")"
}

// at is the element i of a sequence, counted from its end when negative.
func (r *renderer) at(v any, i int64) (any, bool) {
	n, _ := length(v)
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return nil, false
	}
	switch x := v.(type) {
	case list:
		return x[i], true
	case tuple:
		return x[i], true
	case rangeOf:
		return x.start + i*x.step, true
	}
	s, _ := asText(v)
	r.charge(len(s) >> 4)
	for _, c := range s {
		if i == 0 {
			return string(c), true
		}
		i--
	}
	return nil, false
}

func (r *renderer) slice(x sliceExpr, s *scope) any {
	v := r.eval(x.x, s)
	bound := func(e expr) (int64, bool) {
		if e == nil {
			return 0, false
		}
		b := r.eval(e, s)
		if b == nil {
			return 0, false
		}
		return wantInt(b, "slice"), true
	}
	lo, hasLo := bound(x.lo)
	hi, hasHi := bound(x.hi)
	step, hasStep := bound(x.step)
	if !hasStep {
		step = 1
	}
	if step == 0 {
		fail("slice step cannot be zero")
	}
	need(v)
	n, ok := length(v)
	switch v.(type) {
	case *Dict, *view, *loop:
		ok = false
	}
	if !ok {
		fail("%s has no slices", typeName(v))
	}
	clamp := func(i int64, has bool, none int64) int64 {
		if !has {
			return none
		}
		if i < 0 {
			i += n
		}
		if step > 0 {
			return min(max(i, 0), n)
		}
		return min(max(i, -1), n-1)
	}
	if step > 0 {
		lo, hi = clamp(lo, hasLo, 0), clamp(hi, hasHi, n)
	} else {
		lo, hi = clamp(lo, hasLo, n-1), clamp(hi, hasHi, -1)
	}
	return r.pick(v, rangeOf{lo, hi, step})
}

// pick returns the elements of a sequence at some places.
func (r *renderer) pick(v any, at rangeOf) any {
	if _, ok := v.(rangeOf); ok {
		v = v.(rangeOf).all()
	}
	switch x := v.(type) {
	case list:
		return r.madeList(pickFrom(x, at))
	case tuple:
		return tuple(r.madeList(pickFrom(list(x), at)))
	}
	s, _ := asText(v)
	r.charge(4 * len(s))
	out := string(pickFrom([]rune(s), at))
	if _, ok := v.(markup); ok {
		return markup(out)
	}
	return out
}

func pickFrom[T any](from []T, at rangeOf) []T {
	out := make([]T, at.len())
	for i := range out {
		out[i] = from[at.start+int64(i)*at.step]
	}
	return out
}

// args are the arguments of a call, filter or test.
type args struct {
	what string
	pos  []any
	kw   *Dict
	at   int
}

// take returns the next positional argument, or the one of that name, or the
// default.
func (a *args) take(key string, otherwise any) any {
	if v, ok := a.kw.Get(key); ok {
		if a.at < len(a.pos) {
			fail("%s: two values for %s", a.what, key)
		}
		a.kw = a.kw.without(key)
		return v
	}
	if a.at < len(a.pos) {
		a.at++
		return a.pos[a.at-1]
	}
	return otherwise
}

// want is take for an argument that has to be there.
func (a *args) want(key string) any {
	v := a.take(key, a)
	if v == any(a) {
		fail("%s: argument %s is missing", a.what, key)
	}
	return v
}

// end refuses arguments that nobody took.
func (a *args) end() {
	if a.at < len(a.pos) {
		fail("%s: too many arguments", a.what)
	}
	if a.kw.Len() > 0 {
		fail("%s: unknown argument %v", a.what, a.kw.keys[0])
	}
}

func (r *renderer) arguments(e arguments, s *scope) *args {
	a := &args{kw: NewDict()}
	for _, x := range e.args {
		a.pos = append(a.pos, r.eval(x, s))
	}
	for i, k := range e.names {
		a.kw.Set(k, r.eval(e.named[i], s))
	}
	if e.star != nil {
		a.pos = append(a.pos, elements(r.eval(e.star, s))...)
	}
	if e.starred != nil {
		d, ok := r.eval(e.starred, s).(*Dict)
		if !ok {
			fail("arguments behind ** are no dict")
		}
		for i, k := range d.keys {
			a.kw.Set(wantText(k, "keywords"), d.values[i])
		}
	}
	return a
}

func (r *renderer) call(c *call, s *scope, caller *function) any {
	r.line = c.line
	fn := r.eval(c.fn, s)
	a := r.arguments(c.args, s)
	if caller != nil {
		a.kw.Set("caller", caller)
	}
	switch f := fn.(type) {
	case *function:
		return f.call(r, a.pos, a.kw)
	case *loop:
		if f.recurse == nil {
			fail("the loop must have the recursive marker to be called")
		}
		a.what = "loop"
		v := a.want("iterable")
		a.end()
		return f.recurse(r, v)
	}
	need(fn)
	fail("%s is not callable", typeName(fn))
	return nil
}

func (l *loop) attr(id string) (any, bool) {
	n := len(l.items)
	switch id {
	case "index":
		return int64(l.at + 1), true
	case "index0":
		return int64(l.at), true
	case "revindex":
		return int64(n - l.at), true
	case "revindex0":
		return int64(n - l.at - 1), true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.at == 0 {
			return undefined{"there is no previous item"}, true
		}
		return l.items[l.at-1], true
	case "nextitem":
		if l.at == n-1 {
			return undefined{"there is no next item"}, true
		}
		return l.items[l.at+1], true
	case "cycle":
		return &function{"cycle", func(r *renderer, args []any, kw *Dict) any {
			if len(args) == 0 {
				fail("no items for cycling given")
			}
			return args[l.at%len(args)]
		}}, true
	case "changed":
		return &function{"changed", func(r *renderer, args []any, kw *Dict) any {
			now := tuple(args)
			if l.called && r.equal(l.changed, now, 0) {
				return false
			}
			l.changed, l.called = now, true
			return true
		}}, true
	}
	return nil, false
}
