package jinja

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"unicode/utf8"
)

// A value is nil (None), bool, int64, float64, string, markup, list, tuple,
// *Dict, *view, rangeOf, *generator, *namespace, *loop, *function or undefined.
type (
	// undefined is a name or element that does not exist.
	undefined struct{ what string }
	// markup is a string that was marked safe.
	markup string
	list   []any
	tuple  []any
	// view is dict_keys, dict_values or dict_items.
	view struct {
		kind  string
		items list
	}
	rangeOf struct{ start, stop, step int64 }
	// generator gives its elements once, as those that filters return.
	generator struct{ rest list }
	namespace struct{ attrs *Dict }
	function  struct {
		name string
		call func(r *renderer, args []any, kw *Dict) any
	}
)

// Dict is a Python dict: it keeps the order in which keys came.
type Dict struct {
	keys   []any
	values []any
	index  map[any]int
}

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{index: map[any]int{}} }

// tupleKey stands for a tuple as a key.
type tupleKey string

// hashable is the key under which a value lies: equal values have equal ones.
func hashable(v any) any {
	switch x := v.(type) {
	case bool:
		if x {
			return int64(1)
		}
		return int64(0)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<62 {
			return int64(x)
		}
	case markup:
		return string(x)
	case tuple:
		var b strings.Builder
		for _, e := range x {
			switch h := hashable(e).(type) {
			case nil, int64, float64, string:
				fmt.Fprintf(&b, "%T %#v,", h, h)
			default:
				fail("unhashable in a tuple: %s", typeName(e))
			}
		}
		return tupleKey(b.String())
	case list, *Dict, *namespace:
		fail("unhashable type: %s", typeName(v))
	}
	return v
}

// Set puts a value under a key.
func (d *Dict) Set(key, value any) {
	h := hashable(key)
	if i, ok := d.index[h]; ok {
		d.values[i] = value
		return
	}
	d.index[h] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
}

// Get returns the value under a key.
func (d *Dict) Get(key any) (any, bool) {
	if i, ok := d.index[hashable(key)]; ok {
		return d.values[i], true
	}
	return nil, false
}

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// Clone returns a dict with the same keys and values.
func (d *Dict) Clone() *Dict {
	c := NewDict()
	for i, k := range d.keys {
		c.Set(k, d.values[i])
	}
	return c
}

func (d *Dict) items() list {
	out := make(list, len(d.keys))
	for i, k := range d.keys {
		out[i] = tuple{k, d.values[i]}
	}
	return out
}

func typeName(v any) string {
	switch x := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case list:
		return "list"
	case tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *view:
		return x.kind
	case rangeOf:
		return "range"
	case *generator:
		return "generator"
	case *namespace:
		return "Namespace"
	case *function:
		return "function"
	case undefined:
		return "Undefined"
	}
	return "object"
}

// need stops when v is undefined, as Python does when it is used.
func need(v any) {
	if u, ok := v.(undefined); ok {
		fail("%s", u.what)
	}
}

func truth(v any) bool {
	switch x := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case markup:
		return x != ""
	case list:
		return len(x) > 0
	case tuple:
		return len(x) > 0
	case *Dict:
		return x.Len() > 0
	case *view:
		return len(x.items) > 0
	case rangeOf:
		return x.len() > 0
	}
	return true
}

func (r rangeOf) len() int64 {
	switch {
	case r.step > 0 && r.start < r.stop:
		return (r.stop-r.start-1)/r.step + 1
	case r.step < 0 && r.start > r.stop:
		return (r.start-r.stop-1)/-r.step + 1
	}
	return 0
}

func (r rangeOf) all() list {
	out := make(list, r.len())
	for i := range out {
		out[i] = r.start + int64(i)*r.step
	}
	return out
}

// iterate returns the elements of v; ok is false when it has none to give.
func iterate(v any) (items list, ok bool) {
	switch x := v.(type) {
	case list:
		return x, true
	case tuple:
		return list(x), true
	case *Dict:
		return list(x.keys), true
	case *view:
		return x.items, true
	case rangeOf:
		return x.all(), true
	case *generator:
		items, x.rest = x.rest, nil
		return items, true
	case undefined:
		return nil, true
	case string, markup:
		s, _ := asText(v)
		items = make(list, 0, len(s))
		for _, c := range s {
			items = append(items, string(c))
		}
		return items, true
	}
	return nil, false
}

func elements(v any) list {
	items, ok := iterate(v)
	if !ok {
		fail("%s is not iterable", typeName(v))
	}
	return items
}

// asText returns the text of a string.
func asText(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case markup:
		return string(x), true
	}
	return "", false
}

func wantText(v any, what string) string {
	s, ok := asText(v)
	if !ok {
		need(v)
		fail("%s: found %s, want str", what, typeName(v))
	}
	return s
}

// asInt returns v as an integer, which bool is too.
func asInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int64:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func wantInt(v any, what string) int64 {
	i, ok := asInt(v)
	if !ok {
		need(v)
		fail("%s: found %s, want int", what, typeName(v))
	}
	return i
}

func asFloat(v any) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	i, ok := asInt(v)
	return float64(i), ok
}

func (r *renderer) equal(a, b any, depth int) bool {
	if depth > maxNesting {
		fail("values are nested more than %d deep", maxNesting)
	}
	r.step(1)
	if x, ok := asInt(a); ok {
		if y, ok := asInt(b); ok {
			return x == y
		}
	}
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	if x, ok := asText(a); ok {
		y, ok := asText(b)
		return ok && x == y
	}
	same := func(x, y []any) bool {
		for i := range x {
			if len(x) != len(y) || !r.equal(x[i], y[i], depth+1) {
				return false
			}
		}
		return len(x) == len(y)
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case list:
		y, ok := b.(list)
		return ok && same(x, y)
	case tuple:
		y, ok := b.(tuple)
		return ok && same(x, y)
	case rangeOf:
		y, ok := b.(rangeOf)
		return ok && same(x.all(), y.all())
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for i, k := range x.keys {
			if v, ok := y.Get(k); !ok || !r.equal(x.values[i], v, depth+1) {
				return false
			}
		}
		return true
	}
	return a == b
}

// order returns a negative number when a < b, 0 when neither is less.
func (r *renderer) order(a, b any, depth int) int {
	if depth > maxNesting {
		fail("values are nested more than %d deep", maxNesting)
	}
	r.step(1)
	if x, ok := asInt(a); ok {
		if y, ok := asInt(b); ok {
			return compareOf(x, y)
		}
	}
	if x, ok := asFloat(a); ok {
		if y, ok := asFloat(b); ok {
			return compareOf(x, y)
		}
	}
	if x, ok := asText(a); ok {
		if y, ok := asText(b); ok {
			return strings.Compare(x, y)
		}
	}
	x, okX := sequence(a)
	y, okY := sequence(b)
	if !okX || !okY || typeName(a) != typeName(b) {
		need(a)
		need(b)
		fail("%s and %s have no order", typeName(a), typeName(b))
	}
	for i := range min(len(x), len(y)) {
		if !r.equal(x[i], y[i], depth+1) {
			return r.order(x[i], y[i], depth+1)
		}
	}
	return len(x) - len(y)
}

func compareOf[T int64 | float64](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// sequence returns the elements of a list or tuple.
func sequence(v any) ([]any, bool) {
	switch x := v.(type) {
	case list:
		return x, true
	case tuple:
		return x, true
	}
	return nil, false
}

// sorted sorts by key, stably; errors of the order come out as they are.
func (r *renderer) sorted(items list, key func(any) any, reverse bool) list {
	type pair struct{ key, item any }
	pairs := make([]pair, len(items))
	for i, x := range items {
		pairs[i] = pair{key(x), x}
	}
	sort.SliceStable(pairs, func(i, j int) bool {
		if reverse {
			return r.order(pairs[j].key, pairs[i].key, 0) < 0
		}
		return r.order(pairs[i].key, pairs[j].key, 0) < 0
	})
	out := make(list, len(items))
	for i, p := range pairs {
		out[i] = p.item
	}
	return out
}

// length is Python's len(); ok is false for what has none.
func length(v any) (int64, bool) {
	switch x := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(x)), true
	case markup:
		return int64(utf8.RuneCountInString(string(x))), true
	case list:
		return int64(len(x)), true
	case tuple:
		return int64(len(x)), true
	case *Dict:
		return int64(x.Len()), true
	case *view:
		return int64(len(x.items)), true
	case rangeOf:
		return x.len(), true
	case undefined:
		return 0, true
	case *loop:
		return int64(len(x.items)), true
	}
	return 0, false
}

// Keys are the keys in their order.
func (d *Dict) Keys() []any { return d.keys }

// IsList reports whether v is a list.
func IsList(v any) bool {
	switch v.(type) {
	case list, []any:
		return true
	}
	return false
}

// Elements are the elements of a list, nil of anything else.
func Elements(v any) []any {
	switch x := v.(type) {
	case list:
		return x
	case []any:
		return x
	}
	return nil
}
