package jinja

import "slices"

// refused are statements that Jinja has and chat templates do not get here.
var refused = []string{"include", "import", "from", "extends", "block", "autoescape", "trans", "do", "debug"}

// body reads nodes up to a tag of one of the given names and returns the name,
// the tag read as far as it. "" stands for the template's end.
func (p *parser) body(ends ...string) (nodes []node, end string) {
	p.enter()
	defer p.leave()
	for {
		t := p.next()
		switch {
		case t.kind == tokEOF:
			if ends != nil {
				p.fail("found the end of the template, want %s", ends[len(ends)-1])
			}
			return nodes, ""
		case t.kind == tokData:
			nodes = append(nodes, text{t.text})
		case t.text == "{":
			nodes = append(nodes, output{p.tuple(true, false), t.line})
			p.wantEnd()
		default:
			tag := p.wantName()
			if slices.Contains(ends, tag) {
				return nodes, tag
			}
			nodes = append(nodes, p.statement(tag, t.line))
		}
	}
}

// block reads a body to the end of its closing tag.
func (p *parser) block(end string) []node {
	nodes, _ := p.body(end)
	p.wantEnd()
	return nodes
}

func (p *parser) statement(tag string, line int) node {
	switch tag {
	case "if":
		return p.ifStatement(line)
	case "for":
		return p.forStatement(line)
	case "set":
		return p.set(line)
	case "macro":
		return p.macro(line)
	case "call":
		return p.callStatement(line)
	case "filter":
		f := filterBlock{line: line, filters: []filter{p.filter(nil).(filter)}}
		f.filters = p.moreFilters(f.filters)
		p.wantEnd()
		f.body = p.block("endfilter")
		return f
	case "with":
		return p.with(line)
	case "generation":
		p.wantEnd()
		return generation{p.block("endgeneration"), line}
	case "break", "continue":
		if p.loops == 0 {
			p.fail("%s is outside of a loop", tag)
		}
		p.wantEnd()
		return loopControl{tag == "continue"}
	}
	if slices.Contains(refused, tag) {
		p.fail("%q is refused in chat templates", tag)
	}
	p.fail("unknown tag %q", tag)
	return nil
}

func (p *parser) moreFilters(fs []filter) []filter {
	for p.skipOp("|") {
		fs = append(fs, p.filter(nil).(filter))
	}
	return fs
}

func (p *parser) ifStatement(line int) node {
	n := ifNode{line: line}
	for {
		n.tests = append(n.tests, p.tuple(false, false))
		p.wantEnd()
		body, end := p.body("elif", "else", "endif")
		n.then = append(n.then, body)
		switch end {
		case "else":
			p.wantEnd()
			n.other = p.block("endif")
			return n
		case "endif":
			p.wantEnd()
			return n
		}
	}
}

func (p *parser) forStatement(line int) node {
	n := &forNode{line: line, target: p.target("in", false)}
	if !p.skipWord("in") {
		p.fail("found %s, want in", p.found())
	}
	n.in = p.tuple(false, false)
	if p.skipWord("if") {
		n.filter = p.expression()
	}
	n.recursive = p.skipWord("recursive")
	p.wantEnd()
	p.loops++
	body, end := p.body("endfor", "else")
	p.loops--
	n.body = body
	p.wantEnd()
	if end == "else" {
		n.other = p.block("endfor")
	}
	return n
}

// target reads names with commas between, up to a word or operator.
func (p *parser) target(end string, attrs bool) target {
	var parts []target
	isTuple := false
	for {
		if len(parts) > 0 && (p.isOp(end) || p.isWord(end) || p.peek().kind == tokEnd || p.isOp(")")) {
			break
		}
		parts = append(parts, p.oneTarget(attrs))
		if !p.skipOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		return parts[0]
	}
	return target{parts: parts}
}

func (p *parser) oneTarget(attrs bool) target {
	p.enter()
	defer p.leave()
	if p.skipOp("(") {
		t := p.target(")", attrs)
		p.wantOp(")")
		return t
	}
	id := p.wantName()
	if _, ok := constants[id]; ok {
		p.fail("cannot assign to %s", id)
	}
	t := target{name: id}
	if attrs && p.skipOp(".") {
		t.attr = p.wantName()
	}
	return t
}

func (p *parser) set(line int) node {
	t := p.target("=", true)
	if p.skipOp("=") {
		v := p.tuple(true, false)
		p.wantEnd()
		return setNode{t, v, line}
	}
	s := setBlock{target: t, line: line}
	if len(t.parts) > 0 {
		p.fail("found %s, want \"=\"", p.found())
	}
	s.filters = p.moreFilters(nil)
	p.wantEnd()
	s.body = p.block("endset")
	return s
}

// parameters reads a macro's signature and body.
func (p *parser) parameters(m *macroNode, end string, signature bool) {
	if signature {
		p.wantOp("(")
		for !p.skipOp(")") {
			if len(m.params) > 0 {
				p.wantOp(",")
				if p.skipOp(")") {
					break
				}
			}
			m.params = append(m.params, p.wantName())
			if p.skipOp("=") {
				m.defaults = append(m.defaults, p.expression())
			} else if len(m.defaults) > 0 {
				p.fail("a parameter without default follows one with a default")
			}
		}
	}
}

func (p *parser) macroBody(m *macroNode, end string) {
	p.wantEnd()
	loops := p.loops
	p.loops = 0
	p.macros = append(p.macros, m)
	m.body = p.block(end)
	p.macros = p.macros[:len(p.macros)-1]
	p.loops = loops
}

func (p *parser) macro(line int) node {
	m := &macroNode{line: line, name: p.wantName()}
	p.parameters(m, "endmacro", true)
	p.macroBody(m, "endmacro")
	return m
}

func (p *parser) callStatement(line int) node {
	m := &macroNode{line: line, name: "caller"}
	p.parameters(m, "endcall", p.isOp("("))
	c, ok := p.postfix(p.primary()).(*call)
	if !ok {
		p.fail("found no call behind call")
	}
	p.macroBody(m, "endcall")
	return callBlock{c, m, line}
}

func (p *parser) with(line int) node {
	w := withNode{line: line}
	for p.peek().kind != tokEnd {
		if len(w.targets) > 0 {
			p.wantOp(",")
		}
		w.targets = append(w.targets, p.oneTarget(false))
		p.wantOp("=")
		w.values = append(w.values, p.expression())
	}
	p.wantEnd()
	w.body = p.block("endwith")
	return w
}
