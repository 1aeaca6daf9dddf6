package jinja

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind of a token.
type kind int

const (
	tokEOF   kind = iota
	tokData       // text between tags
	tokBegin      // {{ or {%, in text
	tokEnd        // }} or %}
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

type token struct {
	kind kind
	text string // of strings: decoded
	line int
}

// operators, longest first.
var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".", ":", "|", ",", ";"}

// lexer cuts a source into tokens, white space control applied, as Jinja's own
// lexer does with trim_blocks and lstrip_blocks.
type lexer struct {
	name   string
	src    string
	pos    int
	line   int
	tokens []token
	// lineStart reports whether what was matched last ended a line.
	lineStart bool
}

// isSpace is \s of Python's re on str.
func isSpace(c rune) bool {
	return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f
}

func (l *lexer) fail(format string, args ...any) { failAt(l.name, l.line, format, args...) }

func lex(name, src string) []token {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	l := &lexer{name: name, src: src, line: 1, lineStart: true}
	for l.pos < len(l.src) {
		l.text()
	}
	l.add(tokEOF, "")
	return l.tokens
}

func (l *lexer) add(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line}) }

func (l *lexer) data(text string) {
	if text != "" {
		l.add(tokData, text)
	}
}

// move goes on to pos.
func (l *lexer) move(pos int) {
	part := l.src[l.pos:pos]
	l.line += strings.Count(part, "\n")
	if part != "" {
		l.lineStart = strings.HasSuffix(part, "\n")
	}
	l.pos = pos
}

// text reads text up to and with the next tag.
func (l *lexer) text() {
	at := l.pos
	for {
		i := strings.IndexByte(l.src[at:], '{')
		if i < 0 || at+i+1 >= len(l.src) {
			l.data(l.src[l.pos:])
			l.move(len(l.src))
			return
		}
		at += i
		if c := l.src[at+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		at++
	}
	tag := l.src[at+1]
	sign := byte(0)
	after := at + 2
	if after < len(l.src) && (l.src[after] == '-' || l.src[after] == '+') {
		sign = l.src[after]
		after++
	}
	l.data(l.before(l.src[l.pos:at], sign, tag != '{'))
	l.move(after)
	l.lineStart = false
	switch tag {
	case '#':
		l.comment()
	case '%':
		if !l.raw() {
			l.inside("%", "%}")
		}
	default:
		l.inside("{", "}}")
	}
}

// before is the text before a tag without the white space that the tag takes.
func (l *lexer) before(text string, sign byte, strips bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || !strips {
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineStart) && strings.TrimLeftFunc(text[start:], isSpace) == "" {
		return text[:start]
	}
	return text
}

// close goes behind a tag's end, which is at pos and has the given length, and
// behind the white space that it takes.
func (l *lexer) close(pos int, sign byte, trims bool) {
	switch {
	case sign == '-':
		for pos < len(l.src) {
			c, n := utf8.DecodeRuneInString(l.src[pos:])
			if !isSpace(c) {
				break
			}
			pos += n
		}
	case sign == 0 && trims && strings.HasPrefix(l.src[pos:], "\n"):
		pos++
	}
	l.move(pos)
}

func (l *lexer) comment() {
	i := strings.Index(l.src[l.pos:], "#}")
	if i < 0 {
		l.fail("missing end of comment tag")
	}
	end := l.pos + i
	sign := byte(0)
	if end > l.pos && (l.src[end-1] == '-' || l.src[end-1] == '+') {
		sign = l.src[end-1]
	}
	l.close(end+2, sign, true)
}

// tagWord matches white space, a word, white space and a tag's end from pos.
func (l *lexer) tagWord(pos int, word string, plus bool) (end int, sign byte, ok bool) {
	skip := func() {
		for pos < len(l.src) {
			c, n := utf8.DecodeRuneInString(l.src[pos:])
			if !isSpace(c) {
				return
			}
			pos += n
		}
	}
	skip()
	if !strings.HasPrefix(l.src[pos:], word) {
		return 0, 0, false
	}
	pos += len(word)
	skip()
	if pos < len(l.src) && (l.src[pos] == '-' || plus && l.src[pos] == '+') {
		sign = l.src[pos]
		pos++
	}
	if !strings.HasPrefix(l.src[pos:], "%}") {
		return 0, 0, false
	}
	return pos + 2, sign, true
}

// raw reads a raw block, if one begins behind the {% just read.
func (l *lexer) raw() bool {
	start, sign, ok := l.tagWord(l.pos, "raw", false)
	if !ok {
		return false
	}
	l.close(start, sign, false)
	for at := l.pos; ; {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			l.fail("missing end of raw directive")
		}
		at += i
		after, begin := at+2, byte(0)
		if after < len(l.src) && (l.src[after] == '-' || l.src[after] == '+') {
			begin = l.src[after]
			after++
		}
		if end, sign, ok := l.tagWord(after, "endraw", true); ok {
			l.data(l.before(l.src[l.pos:at], begin, true))
			l.close(end, sign, true)
			return true
		}
		at += 2
	}
}

// inside reads the tokens of a tag. A } within brackets is an operator.
func (l *lexer) inside(begin, end string) {
	l.add(tokBegin, begin)
	var open []byte
	for {
		if l.pos >= len(l.src) {
			l.fail("unexpected end of template inside a tag")
		}
		rest := l.src[l.pos:]
		c, n := utf8.DecodeRuneInString(rest)
		if isSpace(c) {
			l.move(l.pos + n)
			continue
		}
		if len(open) == 0 {
			sign := byte(0)
			if rest[0] == '-' || rest[0] == '+' && end == "%}" {
				sign = rest[0]
				rest = rest[1:]
			}
			if strings.HasPrefix(rest, end) {
				l.add(tokEnd, end)
				l.close(len(l.src)-len(rest)+2, sign, end == "%}")
				return
			}
			rest = l.src[l.pos:]
		}
		switch {
		case c == '_' || unicode.IsLetter(c):
			l.word(rest)
		case c >= '0' && c <= '9':
			l.number(rest)
		case c == '\'' || c == '"':
			l.quoted(rest)
		default:
			open = l.operator(rest, c, open)
		}
	}
}

func (l *lexer) word(rest string) {
	n := strings.IndexFunc(rest, func(c rune) bool {
		return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.M, c)
	})
	if n < 0 {
		n = len(rest)
	}
	l.add(tokName, rest[:n])
	l.move(l.pos + n)
}

// digitsOf is the length of digits that underscores may separate.
func digitsOf(s, set string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.IndexByte(set, s[i]) >= 0:
			n = i + 1
		case s[i] != '_' || n != i:
			return n
		}
	}
	return n
}

const decimal = "0123456789"

func (l *lexer) number(rest string) {
	n := digitsOf(rest, decimal)
	if len(rest) > 2 && rest[0] == '0' {
		sets := map[byte]string{'b': "01", 'o': "01234567", 'x': "0123456789abcdefABCDEF"}
		if set := sets[rest[1]|0x20]; set != "" {
			if m := digitsOf(rest[2:], set); m > 0 {
				l.integer(rest[:2+m])
				return
			}
		}
	}
	float := false
	afterDot := len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].text == "." && l.tokens[len(l.tokens)-1].kind == tokOp
	if !afterDot {
		if m := digitsOf(strings.TrimPrefix(rest[n:], "."), decimal); m > 0 && strings.HasPrefix(rest[n:], ".") {
			n += 1 + m
			float = true
		}
		if n < len(rest) && rest[n]|0x20 == 'e' {
			e := n + 1
			if e < len(rest) && (rest[e] == '+' || rest[e] == '-') {
				e++
			}
			if m := digitsOf(rest[e:], decimal); m > 0 {
				n = e + m
				float = true
			}
		}
	}
	if !float {
		l.integer(rest[:n])
		return
	}
	l.add(tokFloat, strings.ReplaceAll(rest[:n], "_", ""))
	l.move(l.pos + n)
}

func (l *lexer) integer(s string) {
	if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0_") != "" && s[1] >= '0' && s[1] <= '9' {
		l.fail("integer %s begins with 0", s)
	}
	text := strings.ReplaceAll(s, "_", "")
	if len(text) > 1 && strings.Trim(text, "0") == "" {
		text = "0"
	}
	if _, err := strconv.ParseInt(text, 0, 64); err != nil {
		l.fail("integer %.40s is out of range", s)
	}
	l.add(tokInt, text)
	l.move(l.pos + len(s))
}

func (l *lexer) quoted(rest string) {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			l.add(tokString, l.unescape(rest[1:i]))
			l.move(l.pos + i + 1)
			return
		}
	}
	l.fail("a string has no end")
}

// unescape decodes the escapes of Python's unicode-escape codec.
func (l *lexer) unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if j := strings.IndexByte("\n\\'\"abfnrtv", s[i]); j >= 0 {
			if s[i] != '\n' {
				b.WriteByte("\n\\'\"\a\b\f\n\r\t\v"[j])
			}
			continue
		}
		size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		switch {
		case size > 0:
			if len(s) < i+1+size {
				l.fail("escape \\%c is cut short", s[i])
			}
			v, err := strconv.ParseUint(s[i+1:i+1+size], 16, 32)
			if err != nil || !utf8.ValidRune(rune(v)) {
				l.fail("escape \\%s is no character", s[i:i+1+size])
			}
			b.WriteRune(rune(v))
			i += size
		case s[i] >= '0' && s[i] <= '7':
			n := digitsOf(s[i:min(i+3, len(s))], "01234567")
			v, _ := strconv.ParseUint(s[i:i+n], 8, 32)
			b.WriteRune(rune(v))
			i += n - 1
		case s[i] == 'N':
			l.fail("escapes \\N are not supported")
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

var brackets = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func (l *lexer) operator(rest string, c rune, open []byte) []byte {
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if want := brackets[op[0]]; want != 0 {
			open = append(open, want)
		} else if op == ")" || op == "]" || op == "}" {
			if len(open) == 0 || open[len(open)-1] != op[0] {
				l.fail("unexpected %q", op)
			}
			open = open[:len(open)-1]
		}
		l.add(tokOp, op)
		l.move(l.pos + len(op))
		return open
	}
	l.fail("unexpected character %q", c)
	return nil
}
