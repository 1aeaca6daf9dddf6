package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// lineReader yields the lines of one file, checked to be UTF-8, and knows
// where in the (decompressed) file it is. Its buffer grows with the longest
// line up to max and is reused.
type lineReader struct {
	r     *bufio.Reader
	name  string
	max   int64
	buf   []byte
	line  int   // number of the line returned last, from 1
	start int64 // byte offset of that line
	pos   int64 // byte offset behind it
}

func newLineReader(r io.Reader, name string, max int64) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<16), name: name, max: max}
}

// next returns the next line without its end (LF or CRLF), valid until the
// next call, and io.EOF behind the last.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	l.line++
	l.start = l.pos
	for { // the line's end and a byte order mark are not the line's
		part, err := l.r.ReadSlice('\n')
		l.pos += int64(len(part))
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, fmt.Errorf("data: %s:%d: %w", l.name, l.line, err)
		}
		if int64(len(l.buf)+len(part)) > l.max+5 {
			return nil, tooLong(l.name, l.line, "line", l.max)
		}
		l.buf = append(l.buf, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err == io.EOF && len(l.buf) == 0 {
			return nil, io.EOF
		}
		break
	}
	b := l.buf
	if l.line == 1 {
		b = withoutBOM(b)
		l.start = int64(len(l.buf) - len(b))
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if int64(len(b)) > l.max {
		return nil, tooLong(l.name, l.line, "line", l.max)
	}
	if i := invalidUTF8(b); i >= 0 {
		return nil, notUTF8(l.name, l.line, l.start+int64(i), b[i:])
	}
	return b, nil
}

var errTooLong = errors.New("too long")

func tooLong(name string, line int, what string, max int64) error {
	return fmt.Errorf("data: %s:%d: expected a %s of at most %d bytes, found more: %w", name, line, what, max, errTooLong)
}

func notUTF8(name string, line int, offset int64, at []byte) error {
	hint := ""
	if offset == 0 && (bytes.HasPrefix(at, []byte{0xff, 0xfe}) || bytes.HasPrefix(at, []byte{0xfe, 0xff})) {
		hint = "; the file looks like UTF-16"
	}
	return fmt.Errorf("data: %s:%d: byte offset %d: expected UTF-8, found byte 0x%02x%s", name, line, offset, at[0], hint)
}

// invalidUTF8 returns the index of the first byte of b that is not part of
// valid UTF-8, or -1.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

func withoutBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\ufeff")) }
