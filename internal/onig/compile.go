package onig

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

type opcode uint8

const (
	opMatch     opcode = iota
	opSet              // one member of set
	opRun              // min to max members of set, greedy, given back one by one
	opRunHold          // the same, nothing given back
	opSplit            // try x, then y; x only if the next byte can start it
	opJump             // go to x
	opAssert           // check a position
	opSub              // run the program at pc+1 to its opMatch, then go to x
	opLoopStart        // remember the position in slot n
	opLoopEnd          // leave the loop at x if the body matched nothing
)

// inst is one instruction; which fields count depends on op.
type inst struct {
	op       opcode
	negative bool // opSub: succeed when the body fails
	look     bool // opSub: do not move
	behind   bool // opSub: body must end here
	assert   assertion
	x, y     int32
	min, max int32 // opRun: count; opSub behind: length in characters
	set      *set
	follow   *set       // opRun: what has to come next; nil if unknown
	first    *[256]bool // opSplit: bytes that can start x; nil if any can
}

// maxProgram bounds what repeats may expand to.
const maxProgram = 1 << 15

// Regexp is a compiled pattern, safe for concurrent use.
type Regexp struct {
	src   string
	prog  []inst
	slots int
	first *[256]bool // bytes that can start a match; nil if any can, or none is needed
}

// String returns the pattern.
func (re *Regexp) String() string { return re.src }

// Compile parses a pattern in Oniguruma's Ruby syntax.
func Compile(pattern string) (*Regexp, error) {
	wrap := func(err error) error { return fmt.Errorf("onig: pattern %.80q: %w", pattern, err) }
	if len(pattern) > maxPattern {
		return nil, wrap(fmt.Errorf("longer than %d bytes", maxPattern))
	}
	if !utf8.ValidString(pattern) {
		return nil, wrap(errors.New("not valid UTF-8"))
	}
	p := &parser{src: pattern, sets: map[string]*set{}}
	n, err := p.alternation(flags{})
	if err == nil && p.more() {
		err = p.errorf("unmatched )")
	}
	if err != nil {
		return nil, wrap(err)
	}
	c := &compiler{re: &Regexp{src: pattern}}
	if err := c.emit(n, nil); err != nil {
		return nil, wrap(err)
	}
	c.add(inst{op: opMatch})
	if f, empty := firstBytes(n); !empty {
		c.re.first = &f
	}
	return c.re, nil
}

type compiler struct{ re *Regexp }

func (c *compiler) add(in inst) int {
	c.re.prog = append(c.re.prog, in)
	return len(c.re.prog) - 1
}

var errTooLarge = errors.New("repeats expand to too large a program")

// emit appends the program of n. follow, if not nil, holds every character
// that can come next, which lets a run of other characters keep what it took.
func (c *compiler) emit(n *node, follow *set) error {
	if len(c.re.prog) > maxProgram {
		return errTooLarge
	}
	switch n.kind {
	case kindSet:
		c.add(inst{op: opSet, set: n.set})
	case kindAssert:
		c.add(inst{op: opAssert, assert: n.assert})
	case kindSeq:
		for i, s := range n.subs {
			f := follow
			if i+1 < len(n.subs) {
				f = leadSet(n.subs[i+1])
			}
			if err := c.emit(s, f); err != nil {
				return err
			}
		}
	case kindAlt:
		return c.alternatives(n, follow)
	case kindRepeat:
		return c.repeat(n, follow)
	case kindAtomic:
		return c.sub(inst{op: opSub}, n.subs[0])
	case kindLook:
		if n.behind {
			return c.lookBehind(n)
		}
		return c.sub(inst{op: opSub, look: true, negative: n.negative}, n.subs[0])
	}
	return nil
}

// leadSet returns the characters a node starts with, if it always takes one.
func leadSet(n *node) *set {
	switch n.kind {
	case kindSet:
		return n.set
	case kindRepeat:
		if n.min > 0 {
			return leadSet(n.subs[0])
		}
	case kindSeq:
		if len(n.subs) > 0 {
			return leadSet(n.subs[0])
		}
	}
	return nil
}

func (c *compiler) sub(in inst, body *node) error {
	at := c.add(in)
	if err := c.emit(body, nil); err != nil {
		return err
	}
	c.add(inst{op: opMatch})
	c.re.prog[at].x = int32(len(c.re.prog))
	return nil
}

func (c *compiler) lookBehind(n *node) error {
	alts := []*node{n.subs[0]}
	if n.subs[0].kind == kindAlt {
		alts = n.subs[0].subs
	}
	// (?<!a|bc) is (?<!a)(?<!bc); (?<=a|bc) is (?:(?<=a)|(?<=bc)).
	var exits []int
	for i, a := range alts {
		w, ok := width(a)
		if !ok {
			return errors.New("lookbehind of no fixed length")
		}
		split := -1
		if !n.negative && i+1 < len(alts) {
			split = c.add(inst{op: opSplit})
			c.re.prog[split].x = int32(split + 1)
		}
		in := inst{op: opSub, look: true, behind: true, negative: n.negative, min: int32(w)}
		if err := c.sub(in, a); err != nil {
			return err
		}
		if split >= 0 {
			exits = append(exits, c.add(inst{op: opJump}))
			c.re.prog[split].y = int32(len(c.re.prog))
		}
	}
	for _, e := range exits {
		c.re.prog[e].x = int32(len(c.re.prog))
	}
	return nil
}

// width returns the number of characters a node always takes.
func width(n *node) (int, bool) {
	switch n.kind {
	case kindSet:
		return 1, true
	case kindEmpty, kindAssert, kindLook:
		return 0, true
	case kindAtomic:
		return width(n.subs[0])
	case kindRepeat:
		w, ok := width(n.subs[0])
		return w * n.min, ok && n.min == n.max && w*n.min < maxPattern
	case kindAlt:
		w, ok := width(n.subs[0])
		for _, s := range n.subs[1:] {
			v, ok2 := width(s)
			ok = ok && ok2 && v == w
		}
		return w, ok
	}
	sum := 0
	for _, s := range n.subs {
		w, ok := width(s)
		if !ok {
			return 0, false
		}
		sum += w
	}
	return sum, true
}

func (c *compiler) alternatives(n *node, follow *set) error {
	var exits []int
	for i, s := range n.subs {
		last := i == len(n.subs)-1
		split := -1
		if !last {
			split = c.add(inst{op: opSplit})
			c.re.prog[split].x = int32(split + 1)
			if f, empty := firstBytes(s); !empty {
				c.re.prog[split].first = &f
			}
		}
		if err := c.emit(s, follow); err != nil {
			return err
		}
		if !last {
			exits = append(exits, c.add(inst{op: opJump}))
			c.re.prog[split].y = int32(len(c.re.prog))
		}
	}
	for _, e := range exits {
		c.re.prog[e].x = int32(len(c.re.prog))
	}
	return nil
}

func (c *compiler) repeat(n *node, follow *set) error {
	body := n.subs[0]
	for body.kind == kindSeq && len(body.subs) == 1 {
		body = body.subs[0]
	}
	if body.kind == kindSet && !n.lazy {
		op := opRun
		if follow != nil && disjoint(body.set, follow) {
			op = opRunHold
		}
		c.add(inst{op: op, set: body.set, follow: follow, min: int32(n.min), max: int32(n.max)})
		return nil
	}
	for range n.min {
		if err := c.emit(body, nil); err != nil {
			return err
		}
	}
	split := func() int {
		at := c.add(inst{op: opSplit})
		if f, empty := firstBytes(body); !empty && !n.lazy {
			c.re.prog[at].first = &f
		}
		return at
	}
	// aim sets where a split enters the body and where it leaves the repeat.
	aim := func(at, enter, leave int) {
		in := &c.re.prog[at]
		if n.lazy {
			enter, leave = leave, enter
		}
		in.x, in.y = int32(enter), int32(leave)
	}
	if n.max != inf {
		var splits []int
		for range n.max - n.min {
			splits = append(splits, split())
			if err := c.emit(body, nil); err != nil {
				return err
			}
		}
		for _, at := range splits {
			aim(at, at+1, len(c.re.prog))
		}
		return nil
	}
	at := split()
	slot := int32(c.re.slots)
	_, empty := firstBytes(body)
	if empty {
		c.re.slots++
		c.add(inst{op: opLoopStart, min: slot})
	}
	if err := c.emit(body, nil); err != nil {
		return err
	}
	if empty {
		c.add(inst{op: opLoopEnd, min: slot, x: int32(len(c.re.prog) + 2)})
	}
	c.add(inst{op: opJump, x: int32(at)})
	aim(at, at+1, len(c.re.prog))
	return nil
}

// firstBytes returns the bytes a match of n can start with; empty says that n
// can match without taking a character, and then the bytes mean nothing.
func firstBytes(n *node) (f [256]bool, empty bool) {
	switch n.kind {
	case kindSet:
		return n.set.first, false
	case kindSeq:
		for _, s := range n.subs {
			g, e := firstBytes(s)
			merge(&f, &g)
			if !e {
				return f, false
			}
		}
		return f, true
	case kindAlt:
		for _, s := range n.subs {
			g, e := firstBytes(s)
			merge(&f, &g)
			empty = empty || e
		}
		return f, empty
	case kindRepeat:
		f, empty = firstBytes(n.subs[0])
		return f, empty || n.min == 0
	case kindAtomic:
		return firstBytes(n.subs[0])
	}
	return f, true
}

func merge(dst, src *[256]bool) {
	for i, b := range src {
		dst[i] = dst[i] || b
	}
}
