package onig

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// class parses a bracket expression after its '['.
func (p *parser) class(f flags) (ranges, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, p.errorf("classes nest deeper than %d", maxDepth)
	}
	negative := p.eat("^")
	var acc ranges
	var left ranges // what stood before the last &&
	both := false
	first := true
	for {
		if !p.more() {
			return nil, p.errorf("a character class is not closed")
		}
		if p.has("]") && !(first && strings.Contains(p.src[p.pos+1:], "]")) {
			p.pos++
			break
		}
		if p.eat("&&") {
			left, acc, both = p.and(left, acc, both), nil, true
			first = false
			continue
		}
		item, single, err := p.classItem(f)
		if err != nil {
			return nil, err
		}
		first = false
		if single >= 0 && p.has("-") && !p.has("-]") && !p.has("-&&") {
			p.pos++
			item, err = p.rangeTo(f, single)
			if err != nil {
				return nil, err
			}
		}
		if f.fold {
			item = item.fold()
		}
		acc = union(acc, item)
	}
	acc = p.and(left, acc, both)
	if negative {
		return acc.negate(), nil
	}
	return acc, nil
}

func (p *parser) and(left, right ranges, both bool) ranges {
	if !both {
		return right
	}
	return intersect(left, right)
}

// rangeTo parses the end of lo-hi. A class after the dash makes the dash
// literal, as in [a-\d].
func (p *parser) rangeTo(f flags, lo rune) (ranges, error) {
	if p.has("[") {
		return union(ranges{{lo, lo}}, ranges{{'-', '-'}}), nil
	}
	item, hi, err := p.classItem(f)
	if err != nil {
		return nil, err
	}
	if hi < 0 {
		return union(union(ranges{{lo, lo}}, ranges{{'-', '-'}}), item), nil
	}
	if hi < lo {
		return nil, p.errorf("empty range %q-%q in a character class", lo, hi)
	}
	return ranges{{lo, hi}}, nil
}

// classItem parses one member; single is its code point, -1 for a class.
func (p *parser) classItem(f flags) (r ranges, single rune, err error) {
	switch {
	case p.has("[:"):
		if r, ok := p.posix(); ok {
			return r, -1, nil
		}
		fallthrough
	case p.has("["):
		p.pos++
		r, err := p.class(f)
		return r, -1, err
	case p.eat("\\"):
		if !p.more() {
			return nil, -1, p.errorf("pattern ends in a backslash")
		}
		r, err := p.escape(flags{}, true)
		if err != nil {
			return nil, -1, err
		}
		if len(r) == 1 && r[0].lo == r[0].hi {
			return r, r[0].lo, nil
		}
		return r, -1, nil
	}
	c := p.rune()
	return ranges{{c, c}}, c, nil
}

// posix reads [:name:] or [:^name:].
func (p *parser) posix() (ranges, bool) {
	end := strings.Index(p.src[p.pos:], ":]")
	if end < 0 {
		return nil, false
	}
	name, negative := strings.CutPrefix(p.src[p.pos+2:p.pos+end], "^")
	build, ok := posixClasses[strings.ToLower(name)]
	if !ok {
		return nil, false
	}
	p.pos += end + 2
	r := build()
	if negative {
		r = r.negate()
	}
	return r, true
}

// escape parses what follows a backslash and stands for characters.
func (p *parser) escape(f flags, inClass bool) (ranges, error) {
	start := p.pos
	c := p.rune()
	if build, ok := escapes[c|0x20]; ok && c < utf8.RuneSelf {
		r := build()
		if c|0x20 == 'w' && inClass {
			r = classWord()
		}
		if c&0x20 == 0 {
			r = r.negate()
		}
		return r, nil
	}
	if lit, ok := controls[c]; ok && (c != 'b' || inClass) {
		return p.single(lit, f), nil
	}
	switch {
	case c == 'p' || c == 'P':
		return p.property(c == 'P', inClass)
	case c == 'x' && p.eat("{"):
		end := strings.IndexByte(p.src[p.pos:], '}')
		if end < 0 {
			return nil, p.errorf("\\x{ is not closed")
		}
		v, err := hexRune(strings.TrimSpace(p.src[p.pos : p.pos+end]))
		if err != nil {
			return nil, p.errorf("bad code point in \\x{}")
		}
		p.pos += end + 1
		return p.single(v, f), nil
	case c == 'x':
		return p.hex(f, 1, 2)
	case c == 'u':
		return p.hex(f, 4, 4)
	case c == '0':
		n := 0
		v := rune(0)
		for n < 2 && p.peek() >= '0' && p.peek() <= '7' {
			v = v*8 + rune(p.peek()-'0')
			p.pos++
			n++
		}
		return p.single(v, f), nil
	case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		p.pos = start
		return nil, p.errorf("\\%c is not supported", c)
	}
	return p.single(c, f), nil
}

func (p *parser) single(c rune, f flags) ranges {
	r := ranges{{c, c}}
	if f.fold {
		r = r.fold()
	}
	return r
}

func hexRune(s string) (rune, error) {
	v, err := strconv.ParseUint(s, 16, 32)
	if err != nil || v > uint64(maxRune) {
		return 0, strconv.ErrRange
	}
	return rune(v), nil
}

func (p *parser) hex(f flags, lo, hi int) (ranges, error) {
	n := 0
	for n < hi && p.pos+n < len(p.src) && strings.IndexByte("0123456789abcdefABCDEF", p.src[p.pos+n]) >= 0 {
		n++
	}
	if n < lo {
		return nil, p.errorf("too few hexadecimal digits")
	}
	v, err := hexRune(p.src[p.pos : p.pos+n])
	if err != nil {
		return nil, p.errorf("bad code point")
	}
	if n == 2 && v >= utf8.RuneSelf {
		return nil, p.errorf("a raw byte above 0x7F is not a character")
	}
	p.pos += n
	return p.single(v, f), nil
}

// property parses {Name} or {^Name} of \p and \P.
func (p *parser) property(negative, inClass bool) (ranges, error) {
	end := strings.IndexByte(p.src[p.pos:], '}')
	if !p.has("{") || end < 0 {
		return nil, p.errorf("\\p needs a name in braces")
	}
	name := p.src[p.pos+1 : p.pos+end]
	bare, inner := strings.CutPrefix(name, "^")
	r, ok := property(bare)
	if !ok {
		return nil, p.errorf("unknown character property %q", name)
	}
	if !inClass && squash(bare) == "word" {
		r = word()
	}
	p.pos += end + 1
	if negative != inner {
		r = r.negate()
	}
	return r, nil
}
