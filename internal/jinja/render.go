package jinja

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Template is a parsed template. It does not change and is safe for concurrent
// use.
type Template struct {
	name     string
	root     []node
	marks    bool
	mentions map[string]bool
}

// Limits bound one rendering. Zero fields have the defaults.
type Limits struct {
	Steps int // evaluated expressions, statements and elements; 0 is 5 million
	Bytes int // of all texts and lists that are made on the way; 0 is 256 MiB
	Depth int // of calls and nested values; 0 is 100
}

// Options are what a rendering needs beside its variables.
type Options struct {
	Limits Limits
	// Now is what strftime_now tells; nil makes its use an error.
	Now func() time.Time
}

// Output is a rendered template.
type Output struct {
	Text string
	// Generated are the first and one past the last byte of the text that each
	// generation block made.
	Generated [][2]int
}

// maxSource bounds a template's source. The largest in use has some 30 KB.
const maxSource = 1 << 20

// Parse reads a template. Errors, each an [*Error], name it as name.
func Parse(name, source string) (t *Template, err error) {
	defer recovered(name, nil, &err)
	if len(source) > maxSource {
		failAt(name, 0, "has %d bytes, more than %d", len(source), maxSource)
	}
	if !utf8.ValidString(source) {
		failAt(name, 0, "is not UTF-8")
	}
	p := &parser{name: name, tokens: lex(name, source)}
	root, _ := p.body()
	t = &Template{name: name, root: root, mentions: map[string]bool{}}
	for i, k := range p.tokens {
		if k.kind == tokName {
			t.mentions[k.text] = true
			t.marks = t.marks || k.text == "generation" && p.tokens[i-1].kind == tokBegin && p.tokens[i-1].text == "%"
		}
	}
	return t, nil
}

// Name is what the template was parsed as.
func (t *Template) Name() string { return t.name }

// Marks reports whether the template has generation blocks.
func (t *Template) Marks() bool { return t.marks }

// Mentions reports whether a name occurs in the template's code.
func (t *Template) Mentions(name string) bool { return t.mentions[name] }

// recovered turns what stopped a parser or renderer into an error.
func recovered(name string, r *renderer, err *error) {
	switch p := recover().(type) {
	case nil:
	case *Error:
		*err = p
	case failure:
		e := &Error{Name: name, Text: p.text, Raised: p.raised}
		if r != nil {
			e.Line = r.line
		}
		*err = e
	default:
		panic(p)
	}
}

// Render renders the template with variables: nil, bool, int, int64, float64,
// string, [*Dict], []any of these, and what [FromJSON] returns.
func (t *Template) Render(vars map[string]any, o Options) (out Output, err error) {
	r := &renderer{t: t, o: o, line: 1}
	defer recovered(t.name, r, &err)
	r.steps, r.bytes, r.depth = 5_000_000, 1<<28, maxNesting
	if o.Limits.Steps > 0 {
		r.steps = o.Limits.Steps
	}
	if o.Limits.Bytes > 0 {
		r.bytes = o.Limits.Bytes
	}
	if o.Limits.Depth > 0 {
		r.depth = min(r.depth, o.Limits.Depth)
	}
	s := &scope{vars: map[string]any{}}
	for k, v := range vars {
		x, err := value(v, 0)
		if err != nil {
			return Output{}, fmt.Errorf("jinja: %s: variable %s: %w", t.name, k, err)
		}
		s.vars[k] = x
	}
	r.out = &strings.Builder{}
	s = &scope{vars: map[string]any{}, up: s}
	r.run(t.root, s)
	return Output{Text: r.out.String(), Generated: r.generated}, nil
}

// value makes a template's value of a Go one.
func value(v any, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("is nested more than %d deep", maxNesting)
	}
	switch x := v.(type) {
	case nil, bool, int64, float64, *Dict, list:
		return v, nil
	case string:
		if !utf8.ValidString(x) {
			return nil, errors.New("is not UTF-8")
		}
		return x, nil
	case int:
		return int64(x), nil
	case []any:
		out := make(list, len(x))
		for i, e := range x {
			var err error
			if out[i], err = value(e, depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("found %T", v)
}

// renderer renders one template once.
type renderer struct {
	t         *Template
	o         Options
	out       *strings.Builder
	captured  int // how many times out has been put aside
	generated [][2]int
	line      int
	steps     int
	bytes     int
	depth     int
	nested    int
}

func (r *renderer) step(n int) {
	if r.steps -= n; r.steps < 0 {
		fail("takes too many steps")
	}
}

// charge accounts for memory that is about to be taken.
func (r *renderer) charge(n int) {
	r.step(1 + n>>10) // long texts take time, too
	if r.bytes -= n; n < 0 || r.bytes < 0 {
		fail("takes too much memory")
	}
}

// made charges for a text.
func (r *renderer) made(s string) string {
	r.charge(len(s))
	return s
}

// madeList charges for a list.
func (r *renderer) madeList(l list) list {
	r.charge(16 * len(l))
	r.step(len(l))
	return l
}

func (r *renderer) enter() {
	if r.nested++; r.nested > r.depth {
		fail("calls are nested more than %d deep", r.depth)
	}
}

func (r *renderer) leave() { r.nested-- }

// scope is names; those of up are seen but not changed.
type scope struct {
	vars map[string]any
	up   *scope
}

func (s *scope) inner() *scope { return &scope{vars: map[string]any{}, up: s} }

func (r *renderer) lookup(s *scope, id string) any {
	for ; s != nil; s = s.up {
		if v, ok := s.vars[id]; ok {
			return v
		}
	}
	if f, ok := globals[id]; ok {
		return f
	}
	return undefined{fmt.Sprintf("%q is undefined", id)}
}

// control says how statements ended.
type control int

const (
	goOn control = iota
	breakLoop
	continueLoop
)

// capture runs statements and returns what they wrote.
func (r *renderer) capture(nodes []node, s *scope) string {
	out := r.out
	r.out = &strings.Builder{}
	r.captured++
	r.run(nodes, s)
	text := r.out.String()
	r.out = out
	r.captured--
	return text
}

func (r *renderer) write(s string) {
	r.charge(len(s))
	r.out.WriteString(s)
}

func (r *renderer) run(nodes []node, s *scope) control {
	for _, n := range nodes {
		r.step(1)
		if c := r.statement(n, s); c != goOn {
			return c
		}
	}
	return goOn
}

func (r *renderer) statement(n node, s *scope) control {
	switch n := n.(type) {
	case text:
		r.write(n.s)
	case output:
		r.line = n.line
		r.write(r.str(r.eval(n.x, s)))
	case ifNode:
		r.line = n.line
		for i, t := range n.tests {
			if truth(r.eval(t, s)) {
				return r.run(n.then[i], s)
			}
		}
		return r.run(n.other, s)
	case *forNode:
		r.line = n.line
		r.loop(n, s, r.eval(n.in, s), 0)
	case setNode:
		r.line = n.line
		r.assign(n.target, r.eval(n.value, s), s)
	case setBlock:
		r.line = n.line
		r.assign(n.target, r.filterAll(n.filters, r.capture(n.body, s.inner()), s), s)
	case *macroNode:
		s.vars[n.name] = r.macro(n, s)
	case callBlock:
		r.line = n.line
		r.write(r.str(r.call(n.call, s, r.macro(n.caller, s))))
	case filterBlock:
		r.line = n.line
		r.write(r.str(r.filterAll(n.filters, r.capture(n.body, s.inner()), s)))
	case withNode:
		r.line = n.line
		in := s.inner()
		for i, t := range n.targets {
			r.assign(t, r.eval(n.values[i], s), in)
		}
		return r.run(n.body, in)
	case generation:
		if r.captured > 0 {
			r.line = n.line
			fail("a generation block within a macro, a set block or a filter block has no place in the text")
		}
		start := r.out.Len()
		r.write(r.capture(n.body, s.inner()))
		r.generated = append(r.generated, [2]int{start, r.out.Len()})
	case loopControl:
		if n.again {
			return continueLoop
		}
		return breakLoop
	}
	return goOn
}

func (r *renderer) filterAll(fs []filter, v any, s *scope) any {
	for _, f := range fs {
		f.x = constant{v}
		v = r.eval(f, s)
	}
	return v
}

func (r *renderer) assign(t target, v any, s *scope) {
	switch {
	case t.parts != nil:
		items := elements(v)
		if len(items) != len(t.parts) {
			fail("found %d values for %d names", len(items), len(t.parts))
		}
		for i, p := range t.parts {
			r.assign(p, items[i], s)
		}
	case t.attr != "":
		ns, ok := r.lookup(s, t.name).(*namespace)
		if !ok {
			fail("cannot assign attribute on non-namespace object %s", t.name)
		}
		ns.set(t.attr, v)
	default:
		s.vars[t.name] = v
	}
}

func (ns *namespace) set(key, v any) {
	if s, ok := asText(key); ok && strings.HasPrefix(s, "_") {
		fail("namespace: attribute %q begins with an underscore", s)
	}
	ns.attrs.Set(key, v)
}

// loop is the variable of a loop.
type loop struct {
	items   list
	at      int
	depth   int
	recurse func(r *renderer, v any) any // nil without recursive
	changed any
	called  bool // changed
}

func (r *renderer) loop(n *forNode, s *scope, in any, depth int) {
	items := elements(in)
	r.step(len(items))
	if n.filter != nil {
		var kept list
		for _, x := range items {
			inner := s.inner()
			r.assign(n.target, x, inner)
			if truth(r.eval(n.filter, inner)) {
				kept = append(kept, x)
			}
		}
		items = kept
	}
	if len(items) == 0 {
		r.run(n.other, s.inner())
		return
	}
	l := &loop{items: items, depth: depth}
	if n.recursive {
		l.recurse = func(r *renderer, v any) any {
			r.enter()
			defer r.leave()
			out := r.out
			r.out = &strings.Builder{}
			r.captured++
			r.loop(n, s, v, depth+1)
			text := r.out.String()
			r.out = out
			r.captured--
			return text
		}
	}
	for i, x := range items {
		l.at = i
		inner := s.inner()
		inner.vars["loop"] = l
		r.assign(n.target, x, inner)
		if r.run(n.body, inner) == breakLoop {
			return
		}
	}
}

// macro makes a function of a macro; it sees the names around its definition.
func (r *renderer) macro(m *macroNode, s *scope) *function {
	return &function{name: m.name, call: func(r *renderer, args []any, kw *Dict) any {
		r.enter()
		defer r.leave()
		inner := s.inner()
		r.bind(m, inner, args, kw)
		return r.capture(m.body, inner)
	}}
}

func (r *renderer) bind(m *macroNode, inner *scope, args []any, kw *Dict) {
	given := NewDict()
	for i, k := range kw.keys {
		given.Set(k, kw.values[i])
	}
	required := len(m.params) - len(m.defaults)
	for i, p := range m.params {
		v, named := given.Get(p)
		switch {
		case i < len(args) && named:
			fail("macro %s got two values for %s", m.name, p)
		case i < len(args):
			v = args[i]
		case named:
			given = given.without(p)
		case i >= required:
			v = r.eval(m.defaults[i-required], inner)
		default:
			v = undefined{fmt.Sprintf("parameter %q was not provided", p)}
		}
		inner.vars[p] = v
	}
	if m.caller {
		c, ok := given.Get("caller")
		if !ok {
			c = undefined{"no caller defined"}
		}
		inner.vars["caller"] = c
		given = given.without("caller")
	}
	rest := tuple{}
	if len(args) > len(m.params) {
		if !m.varargs {
			fail("macro %s takes not more than %d arguments", m.name, len(m.params))
		}
		rest = args[len(m.params):]
	}
	if m.varargs {
		inner.vars["varargs"] = rest
	}
	if given.Len() > 0 && !m.kwargs {
		fail("macro %s takes no keyword argument %v", m.name, given.keys[0])
	}
	if m.kwargs {
		inner.vars["kwargs"] = given
	}
}

func (d *Dict) without(key any) *Dict {
	out := NewDict()
	for i, k := range d.keys {
		if hashable(k) != hashable(key) {
			out.Set(k, d.values[i])
		}
	}
	return out
}
