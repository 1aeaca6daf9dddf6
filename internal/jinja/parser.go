package jinja

import (
	"slices"
	"strconv"
)

// maxNesting bounds how deep a template's expressions and blocks nest.
const maxNesting = 100

type parser struct {
	name   string
	tokens []token
	at     int
	depth  int
	macros []*macroNode // being parsed
	loops  int          // being parsed, since the innermost macro
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

func (p *parser) fail(format string, args ...any) {
	failAt(p.name, p.peek().line, format, args...)
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.fail("is nested more than %d deep", maxNesting)
	}
}

func (p *parser) leave() { p.depth-- }

// maxChain bounds how many operators of one kind follow each other.
const maxChain = 1000

// longer counts one more operator of a chain.
func (p *parser) longer(n *int) {
	if *n++; *n > maxChain {
		p.fail("has more than %d operators in a row", maxChain)
	}
}

func (p *parser) isOp(op string) bool {
	t := p.peek()
	return t.kind == tokOp && t.text == op
}

func (p *parser) isWord(words ...string) bool {
	t := p.peek()
	return t.kind == tokName && slices.Contains(words, t.text)
}

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipWord(word string) bool {
	if p.isWord(word) {
		p.next()
		return true
	}
	return false
}

func (p *parser) wantOp(op string) {
	if !p.skipOp(op) {
		p.fail("found %s, want %q", p.found(), op)
	}
}

func (p *parser) wantName() string {
	if p.peek().kind != tokName {
		p.fail("found %s, want a name", p.found())
	}
	return p.next().text
}

func (p *parser) wantEnd() {
	if p.peek().kind != tokEnd {
		p.fail("found %s, want the end of the tag", p.found())
	}
	p.next()
}

func (p *parser) found() string {
	t := p.peek()
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokEnd:
		return "the end of the tag"
	case tokString:
		return "a string"
	case tokData, tokBegin:
		return "text"
	}
	return strconv.Quote(t.text)
}

// expression: a conditional without tuples.
func (p *parser) expression() expr {
	p.enter()
	defer p.leave()
	x := p.or()
	for n := 0; p.skipWord("if"); p.longer(&n) {
		c := conditional{test: p.or(), yes: x}
		if p.skipWord("else") {
			c.no = p.expression()
		}
		x = c
	}
	return x
}

// tuple: expressions with commas between, as print, set and for take them.
func (p *parser) tuple(conditions bool, parenthesised bool) expr {
	p.enter()
	defer p.leave()
	one := p.or
	if conditions {
		one = p.expression
	}
	var items []expr
	isTuple := false
	for {
		if len(items) > 0 {
			p.wantOp(",")
		}
		if t := p.peek(); t.kind == tokEnd || t.kind == tokEOF || p.isOp(")") || !conditions && p.isWord("recursive") {
			break
		}
		items = append(items, one())
		if !p.isOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) == 1 {
			return items[0]
		}
		if !parenthesised {
			p.fail("found %s, want an expression", p.found())
		}
	}
	return listExpr{items, true}
}

func (p *parser) or() expr {
	x, n := p.and(), 0
	for p.skipWord("or") {
		p.longer(&n)
		x = binary{"or", x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x, n := p.not(), 0
	for p.skipWord("and") {
		p.longer(&n)
		x = binary{"and", x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	p.enter()
	defer p.leave()
	if p.skipWord("not") {
		return unary{"not", p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	c := compare{first: p.chain(sums)}
	for {
		op := ""
		switch t := p.peek(); {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text), p.isWord("in"):
			op = p.next().text
		case p.isWord("not") && p.tokens[p.at+1].kind == tokName && p.tokens[p.at+1].text == "in":
			p.at += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.chain(sums))
	}
	if len(c.ops) == 0 {
		return c.first
	}
	return c
}

// Levels of binary operators, the weakest first.
const (
	sums = iota
	concats
	products
	powers
	unaries
)

var levels = [unaries][]string{sums: {"+", "-"}, concats: {"~"}, products: {"*", "/", "//", "%"}, powers: {"**"}}

// chain reads left-associative operators of a level; ** is one of them too.
func (p *parser) chain(level int) expr {
	if level == unaries {
		return p.unary(true)
	}
	x, n := p.chain(level+1), 0
	for p.peek().kind == tokOp && slices.Contains(levels[level], p.peek().text) {
		p.longer(&n)
		op := p.next().text
		x = binary{op, x, p.chain(level + 1)}
	}
	return x
}

func (p *parser) unary(filters bool) expr {
	p.enter()
	defer p.leave()
	var x expr
	switch {
	case p.skipOp("-"):
		x = unary{"-", p.unary(false)}
	case p.skipOp("+"):
		x = unary{"+", p.unary(false)}
	default:
		x = p.primary()
	}
	x = p.postfix(x)
	if filters {
		x = p.filters(x)
	}
	return x
}

var constants = map[string]any{"true": true, "True": true, "false": false, "False": false, "none": nil, "None": nil}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case tokName:
		if v, ok := constants[t.text]; ok {
			return constant{v}
		}
		p.mention(t.text)
		return name{t.text}
	case tokString:
		s := t.text
		for p.peek().kind == tokString {
			s += p.next().text
		}
		return constant{s}
	case tokInt:
		v, _ := strconv.ParseInt(t.text, 0, 64) // the lexer has checked it
		return constant{v}
	case tokFloat:
		v, _ := strconv.ParseFloat(t.text, 64)
		return constant{v}
	case tokOp:
		switch t.text {
		case "(":
			x := p.tuple(true, true)
			p.wantOp(")")
			return x
		case "[":
			var items []expr
			for !p.skipOp("]") {
				if len(items) > 0 {
					p.wantOp(",")
					if p.skipOp("]") {
						break
					}
				}
				items = append(items, p.expression())
			}
			return listExpr{items, false}
		case "{":
			return p.dict()
		}
	}
	p.at = max(0, p.at-1)
	p.fail("found %s, want an expression", p.found())
	return nil
}

func (p *parser) dict() expr {
	d := dictExpr{}
	for !p.skipOp("}") {
		if len(d.keys) > 0 {
			p.wantOp(",")
			if p.skipOp("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.wantOp(":")
		d.values = append(d.values, p.expression())
	}
	return d
}

// mention notes names that give a macro more arguments when its body has them.
func (p *parser) mention(id string) {
	if len(p.macros) == 0 {
		return
	}
	m := p.macros[len(p.macros)-1]
	switch id {
	case "varargs":
		m.varargs = true
	case "kwargs":
		m.kwargs = true
	case "caller":
		m.caller = true
	}
}

func (p *parser) postfix(x expr) expr {
	for n := 0; ; p.longer(&n) {
		switch {
		case p.skipOp("."):
			t := p.next()
			switch t.kind {
			case tokName:
				x = attribute{x, t.text}
			case tokInt:
				v, _ := strconv.ParseInt(t.text, 0, 64)
				x = subscript{x, constant{v}}
			default:
				p.fail("found no name behind a dot")
			}
		case p.skipOp("["):
			x = p.subscript(x)
		case p.isOp("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) subscript(x expr) expr {
	var bounds [3]expr
	n, colon := 0, false
	for !p.isOp("]") {
		if p.skipOp(":") {
			colon = true
			if n++; n > 2 {
				p.fail("a slice has too many bounds")
			}
			continue
		}
		if bounds[n] != nil {
			p.fail("found %s, want \"]\"", p.found())
		}
		bounds[n] = p.expression()
	}
	p.wantOp("]")
	if colon {
		return sliceExpr{x, bounds[0], bounds[1], bounds[2]}
	}
	if bounds[0] == nil {
		p.fail("found nothing between brackets")
	}
	return subscript{x, bounds[0]}
}

func (p *parser) call(fn expr) *call {
	line := p.peek().line
	return &call{fn, p.arguments(), line}
}

func (p *parser) arguments() (a arguments) {
	p.wantOp("(")
	for more := false; !p.skipOp(")"); more = true {
		if more {
			p.wantOp(",")
			if p.skipOp(")") {
				break
			}
		}
		switch {
		case p.skipOp("*"):
			if a.star != nil || a.starred != nil {
				p.fail("invalid arguments of a call")
			}
			a.star = p.expression()
		case p.skipOp("**"):
			if a.starred != nil {
				p.fail("invalid arguments of a call")
			}
			a.starred = p.expression()
		case p.peek().kind == tokName && p.tokens[p.at+1].kind == tokOp && p.tokens[p.at+1].text == "=":
			key := p.next().text
			p.next()
			a.names = append(a.names, key)
			a.named = append(a.named, p.expression())
		default:
			if len(a.named) > 0 || a.star != nil || a.starred != nil {
				p.fail("invalid arguments of a call")
			}
			a.args = append(a.args, p.expression())
		}
	}
	return a
}

// filters reads the filters, tests and calls behind an operand.
func (p *parser) filters(x expr) expr {
	for n := 0; ; p.longer(&n) {
		switch {
		case p.isOp("|"):
			p.next()
			x = p.filter(x)
		case p.isWord("is"):
			p.next()
			x = p.test(x)
		case p.isOp("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) filter(x expr) expr {
	f := filter{x: x, line: p.peek().line, name: p.wantName()}
	if _, ok := filterFuncs[f.name]; !ok {
		p.fail("no filter named %q", f.name)
	}
	if p.isOp("(") {
		f.args = p.arguments()
	}
	return f
}

func (p *parser) test(x expr) expr {
	t := test{x: x, line: p.peek().line}
	t.not = p.skipWord("not")
	t.name = p.wantName()
	if _, ok := testFuncs[t.name]; !ok {
		p.fail("no test named %q", t.name)
	}
	switch k := p.peek(); {
	case p.isOp("("):
		t.args = p.arguments()
	case p.isWord("is"):
		p.fail("tests cannot be chained with is")
	case k.kind == tokName && !p.isWord("else", "or", "and", "if", "not", "in"), k.kind == tokString, k.kind == tokInt, k.kind == tokFloat, p.isOp("["), p.isOp("{"):
		t.args.args = []expr{p.postfix(p.primary())}
	}
	return t
}
