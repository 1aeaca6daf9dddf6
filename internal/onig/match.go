package onig

import (
	"errors"
	"unicode/utf8"
)

// ErrTooManySteps reports a pattern whose backtracking exploded on a text.
var ErrTooManySteps = errors.New("onig: pattern needs too many steps on this text")

// maxSteps bounds the backtracking of one match attempt, as Oniguruma's retry
// limit does.
const maxSteps = 10_000_000

// frame is a choice to return to: at pc with the position lo, or, for a run,
// any position down to lo, character by character from pos.
type frame struct {
	pc      int32
	restore int32 // slot to restore to pos, or noSlot
	pos, lo int
}

const noSlot = -1

// Matcher holds the working memory of one goroutine's matches.
type Matcher struct {
	re    *Regexp
	stack []frame
	slots []int
	from  int // where the search began, for \G
	steps int // of the present attempt that led nowhere
	work  int64
}

// NewMatcher returns a matcher for one goroutine at a time.
func (re *Regexp) NewMatcher() *Matcher {
	return &Matcher{re: re, slots: make([]int, re.slots)}
}

// Work counts the instructions run and the characters passed since m was made, so that
// tests can hold it to the size of the text.
func (m *Matcher) Work() int64 { return m.work }

// Find returns the leftmost match in text that begins at or after start. What
// stands before start is seen by lookbehind and anchors. The text must be
// valid UTF-8 and start a character boundary.
func (m *Matcher) Find(text string, start int) (lo, hi int, ok bool, err error) {
	m.from = start
	first := m.re.first
	for pos := start; pos <= len(text); {
		if first != nil {
			from := pos
			for pos < len(text) && !first[text[pos]] {
				pos++
			}
			m.work += int64(pos - from)
			if pos == len(text) {
				return 0, 0, false, nil
			}
		}
		m.steps, m.stack = 0, m.stack[:0]
		end, ok := m.run(text, pos, 0)
		if m.steps > maxSteps {
			return 0, 0, false, ErrTooManySteps
		}
		if ok {
			return pos, end, true, nil
		}
		if pos == len(text) {
			break
		}
		_, n := utf8.DecodeRuneInString(text[pos:])
		pos += n
	}
	return 0, 0, false, nil
}

// run executes the program at pc and returns where its first match ends. On
// return the stack is as it was.
func (m *Matcher) run(text string, pos int, pc int32) (int, bool) {
	base := len(m.stack)
	prog := m.re.prog
	for {
		in := &prog[pc]
		ok := true
		m.work++
		switch in.op {
		case opMatch:
			m.unwind(base)
			return pos, true
		case opSet:
			n := in.set.next(text, pos)
			ok = n > 0
			pos += n
			pc++
		case opRun, opRunHold:
			pos, ok = m.takeRun(in, text, pos, pc)
			pc++
		case opSplit:
			if in.first != nil && (pos >= len(text) || !in.first[text[pos]]) {
				pc = in.y
				continue
			}
			m.stack = append(m.stack, frame{pc: in.y, restore: noSlot, pos: pos, lo: pos})
			pc = in.x
		case opJump:
			pc = in.x
		case opAssert:
			ok = m.holds(in.assert, text, pos)
			pc++
		case opSub:
			pos, ok = m.sub(in, text, pos, pc)
			pc = in.x
		case opLoopStart:
			m.stack = append(m.stack, frame{restore: in.min, pos: m.slots[in.min]})
			m.slots[in.min] = pos
			pc++
		case opLoopEnd:
			if m.slots[in.min] == pos {
				pc = in.x
			} else {
				pc++
			}
		}
		if ok {
			continue
		}
		if pos, pc, ok = m.backtrack(text, base); !ok {
			return 0, false
		}
	}
}

// backtrack returns to the latest choice above base.
func (m *Matcher) backtrack(text string, base int) (pos int, pc int32, ok bool) {
	if m.steps++; m.steps > maxSteps {
		m.unwind(base)
		return 0, 0, false
	}
	for len(m.stack) > base {
		top := &m.stack[len(m.stack)-1]
		if top.restore != noSlot {
			m.slots[top.restore] = top.pos
			m.stack = m.stack[:len(m.stack)-1]
			continue
		}
		pos, pc = top.pos, top.pc
		if pos <= top.lo {
			m.stack = m.stack[:len(m.stack)-1]
			return pos, pc, true
		}
		// Only a run's choice spans positions. Those where what follows it
		// cannot start are passed over here, or a long run would cost a step
		// for each of its characters.
		if f := m.re.prog[pc-1].follow; f != nil {
			from := pos
			for pos > top.lo && f.next(text, pos) == 0 {
				pos = before(text, pos)
			}
			m.work += int64(from - pos)
			if pos <= top.lo {
				m.stack = m.stack[:len(m.stack)-1]
				return pos, pc, true
			}
		}
		top.pos = before(text, pos)
		return pos, pc, true
	}
	return 0, 0, false
}

// before returns where the character that ends at pos starts.
func before(text string, pos int) int {
	_, n := utf8.DecodeLastRuneInString(text[:pos])
	return pos - n
}

// unwind drops the choices above base and restores the slots they saved.
func (m *Matcher) unwind(base int) {
	for len(m.stack) > base {
		top := m.stack[len(m.stack)-1]
		if top.restore != noSlot {
			m.slots[top.restore] = top.pos
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
}

// takeRun takes as many members as it may and leaves a choice for fewer.
func (m *Matcher) takeRun(in *inst, text string, pos int, pc int32) (int, bool) {
	count := int32(0)
	lo := pos // the end of the shortest run allowed
	for count != in.max {
		n := in.set.next(text, pos)
		if n == 0 {
			break
		}
		pos += n
		if count++; count == in.min {
			lo = pos
		}
	}
	m.work += int64(count)
	if count < in.min {
		return pos, false
	}
	if in.op == opRun && pos > lo {
		m.stack = append(m.stack, frame{pc: pc + 1, restore: noSlot, pos: before(text, pos), lo: lo})
	}
	return pos, true
}

// sub runs the body of an atomic group or a look-around.
func (m *Matcher) sub(in *inst, text string, pos int, pc int32) (int, bool) {
	at := pos
	if in.behind {
		m.work += int64(in.min)
		for range in.min {
			if at == 0 {
				return pos, in.negative
			}
			at = before(text, at)
		}
	}
	end, ok := m.run(text, at, pc+1)
	if m.steps > maxSteps {
		return pos, false
	}
	if in.look {
		return pos, ok != in.negative
	}
	return end, ok
}

func (m *Matcher) holds(a assertion, text string, pos int) bool {
	end := len(text)
	switch a {
	case lineStart:
		// A line that would start at the very end of the text does not count.
		return pos == 0 || text[pos-1] == '\n' && pos < end
	case lineEnd:
		return pos == end || text[pos] == '\n'
	case textStart:
		return pos == 0
	case textEnd:
		return pos == end
	case textEndNewline:
		return pos == end || pos == end-1 && text[pos] == '\n'
	case searchStart:
		return pos == m.from
	}
	left, right := false, false
	if pos > 0 {
		c, _ := utf8.DecodeLastRuneInString(text[:pos])
		left = isWord(c)
	}
	if pos < end {
		c, _ := utf8.DecodeRuneInString(text[pos:])
		right = isWord(c)
	}
	return (left != right) == (a == wordEdge)
}
