package onig

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// nodeKind says what a node of the syntax tree matches.
type nodeKind uint8

const (
	kindEmpty  nodeKind = iota
	kindSet             // one character of set
	kindSeq             // subs one after another
	kindAlt             // the first of subs that lets the rest match
	kindRepeat          // subs[0], min to max times
	kindAtomic          // subs[0], never re-entered
	kindLook            // subs[0] matches here, or before, or does not
	kindAssert          // a position
)

type assertion uint8

const (
	lineStart assertion = iota
	lineEnd
	textStart
	textEnd
	textEndNewline
	wordEdge
	notWordEdge
	searchStart
)

// inf is the max of an unbounded repeat.
const inf = -1

type node struct {
	kind       nodeKind
	set        *set
	subs       []*node
	min, max   int
	lazy       bool
	possessive bool
	behind     bool
	negative   bool
	assert     assertion
}

// Limits keep a hostile pattern from costing more than it weighs.
const (
	maxPattern = 1 << 16
	maxDepth   = 200
	maxCount   = 1000
)

// flags are the inline options in force.
type flags struct{ fold, dotAll, extended bool }

type parser struct {
	src   string
	pos   int
	depth int
	sets  map[string]*set // one bitmap per distinct class
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("at byte %d: %s", p.pos, fmt.Sprintf(format, args...))
}

func (p *parser) more() bool { return p.pos < len(p.src) }

func (p *parser) peek() byte {
	if p.more() {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) has(prefix string) bool { return strings.HasPrefix(p.src[p.pos:], prefix) }

func (p *parser) eat(prefix string) bool {
	if p.has(prefix) {
		p.pos += len(prefix)
		return true
	}
	return false
}

func (p *parser) rune() rune {
	c, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return c
}

func (p *parser) setNode(r ranges) *node {
	var key strings.Builder
	for _, x := range r {
		key.WriteRune(x.lo)
		key.WriteRune(x.hi)
	}
	s := p.sets[key.String()]
	if s == nil {
		s = newSet(r)
		p.sets[key.String()] = s
	}
	return &node{kind: kindSet, set: s}
}

// alternation parses up to ')' or the end. An option group without a body,
// (?i), holds to the end of the enclosing group, alternatives included.
func (p *parser) alternation(f flags) (*node, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, p.errorf("groups nest deeper than %d", maxDepth)
	}
	var alts []*node
	var seq []*node
	end := func() { alts = append(alts, &node{kind: kindSeq, subs: seq}); seq = nil }
	for p.more() && p.peek() != ')' {
		if p.eat("|") {
			end()
			continue
		}
		n, rest, err := p.term(f)
		if err != nil {
			return nil, err
		}
		if rest != nil {
			f = *rest
			// Oniguruma reads what follows (?i) as one group of its own:
			// a(?i)b|c is a(?i:b|c).
			sub, err := p.alternation(f)
			if err != nil {
				return nil, err
			}
			seq = append(seq, sub)
			break
		}
		if n != nil {
			seq = append(seq, n)
		}
	}
	end()
	if len(alts) == 1 {
		return alts[0], nil
	}
	return &node{kind: kindAlt, subs: alts}, nil
}

// term parses an atom and its quantifiers; rest is set for an option group
// that holds for what follows.
func (p *parser) term(f flags) (n *node, rest *flags, err error) {
	if f.extended {
		if c := p.peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v' {
			p.pos++
			return nil, nil, nil
		} else if c == '#' {
			for p.more() && p.rune() != '\n' {
			}
			return nil, nil, nil
		}
	}
	n, rest, err = p.atom(f)
	if err != nil || rest != nil || n == nil {
		return n, rest, err
	}
	for p.more() {
		q, ok, err := p.quantifier()
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			break
		}
		q.subs = []*node{n}
		n = q
		if q.possessive {
			n = &node{kind: kindAtomic, subs: []*node{q}}
		}
	}
	return n, nil, nil
}

func (p *parser) quantifier() (*node, bool, error) {
	q := &node{kind: kindRepeat}
	interval := false
	switch p.peek() {
	case '*':
		p.pos++
		q.min, q.max = 0, inf
	case '+':
		p.pos++
		q.min, q.max = 1, inf
	case '?':
		p.pos++
		q.min, q.max = 0, 1
	case '{':
		lo, hi, n, ok := interval4(p.src[p.pos:])
		if !ok {
			return nil, false, nil
		}
		if lo > maxCount || hi > maxCount {
			return nil, false, p.errorf("repeat count above %d", maxCount)
		}
		if hi != inf && hi < lo {
			return nil, false, p.errorf("repeat {%d,%d} is upside down", lo, hi)
		}
		p.pos += n
		q.min, q.max, interval = lo, hi, true
	default:
		return nil, false, nil
	}
	switch {
	case p.eat("?"):
		q.lazy = true
	// In Ruby's syntax {n,m}+ is a repeated interval, not a possessive one.
	case !interval && p.eat("+"):
		q.possessive = true
	}
	return q, true, nil
}

// interval4 reads {n}, {n,}, {,m} or {n,m}; anything else is literal text.
func interval4(s string) (lo, hi, n int, ok bool) {
	end := strings.IndexByte(s, '}')
	if end < 2 {
		return 0, 0, 0, false
	}
	num := func(t string) (int, bool) {
		for i := 0; i < len(t); i++ {
			if t[i] < '0' || t[i] > '9' {
				return 0, false
			}
		}
		v, err := strconv.Atoi(t)
		return v, err == nil
	}
	a, b, comma := strings.Cut(s[1:end], ",")
	if !comma {
		lo, ok = num(a)
		return lo, lo, end + 1, ok
	}
	hi = inf
	if a == "" && b == "" {
		return 0, 0, 0, false
	}
	if a != "" {
		if lo, ok = num(a); !ok {
			return 0, 0, 0, false
		}
	}
	if b != "" {
		if hi, ok = num(b); !ok {
			return 0, 0, 0, false
		}
	}
	return lo, hi, end + 1, true
}

func (p *parser) literal(c rune, f flags) *node {
	r := ranges{{c, c}}
	if f.fold {
		r = r.fold()
	}
	return p.setNode(r)
}

func (p *parser) atom(f flags) (*node, *flags, error) {
	at := func(a assertion) (*node, *flags, error) {
		return &node{kind: kindAssert, assert: a}, nil, nil
	}
	switch c := p.rune(); c {
	case '(':
		return p.group(f)
	case '[':
		r, err := p.class(f)
		if err != nil {
			return nil, nil, err
		}
		return p.setNode(r), nil, nil
	case '.':
		if f.dotAll {
			return p.setNode(ranges{{0, maxRune}}), nil, nil
		}
		return p.setNode(ranges{{'\n', '\n'}}.negate()), nil, nil
	case '^':
		return at(lineStart)
	case '$':
		return at(lineEnd)
	case '*', '+', '?':
		return nil, nil, p.errorf("%q has nothing to repeat", c)
	case '\\':
		if !p.more() {
			return nil, nil, p.errorf("pattern ends in a backslash")
		}
		switch p.peek() {
		case 'A':
			p.pos++
			return at(textStart)
		case 'z':
			p.pos++
			return at(textEnd)
		case 'Z':
			p.pos++
			return at(textEndNewline)
		case 'b':
			p.pos++
			return at(wordEdge)
		case 'B':
			p.pos++
			return at(notWordEdge)
		case 'G':
			p.pos++
			return at(searchStart)
		}
		r, err := p.escape(f, false)
		if err != nil {
			return nil, nil, err
		}
		return p.setNode(r), nil, nil
	default:
		return p.literal(c, f), nil, nil
	}
}

var errUnclosed = errors.New("a group is not closed")

func (p *parser) group(f flags) (*node, *flags, error) {
	wrap := func(n *node) (*node, *flags, error) {
		sub, err := p.alternation(f)
		if err != nil {
			return nil, nil, err
		}
		if !p.eat(")") {
			return nil, nil, errUnclosed
		}
		if n == nil {
			return sub, nil, nil
		}
		n.subs = []*node{sub}
		return n, nil, nil
	}
	if !p.eat("?") {
		return wrap(nil)
	}
	switch {
	case p.eat("#"):
		for p.more() {
			if p.rune() == ')' {
				return nil, nil, nil
			}
		}
		return nil, nil, errUnclosed
	case p.eat(":"):
		return wrap(nil)
	case p.eat("="):
		return wrap(&node{kind: kindLook})
	case p.eat("!"):
		return wrap(&node{kind: kindLook, negative: true})
	case p.eat("<="):
		return wrap(&node{kind: kindLook, behind: true})
	case p.eat("<!"):
		return wrap(&node{kind: kindLook, behind: true, negative: true})
	case p.eat(">"):
		return wrap(&node{kind: kindAtomic})
	case p.eat("<"):
		end := strings.IndexByte(p.src[p.pos:], '>')
		if end < 1 {
			return nil, nil, p.errorf("group name is not closed")
		}
		p.pos += end + 1
		return wrap(nil)
	}
	on := true
	for p.more() {
		switch c := p.rune(); c {
		case '-':
			on = false
		case 'i':
			f.fold = on
		case 'm':
			f.dotAll = on
		case 'x':
			f.extended = on
		case ')':
			return nil, &f, nil
		case ':':
			return wrap(nil)
		default:
			return nil, nil, p.errorf("group (?%c is not supported", c)
		}
	}
	return nil, nil, errUnclosed
}
