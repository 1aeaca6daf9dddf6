package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	// ErrFormat is wrapped by every error about a file that breaks the format, as
	// opposed to one that cannot be opened or read.
	ErrFormat = errors.New("malformed safetensors")

	// ErrNoTensor is wrapped when a tensor is asked for that a file does not have.
	ErrNoTensor = errors.New("no such tensor")
)

// formatError is a breach of the format. It matches ErrFormat without repeating
// its text in the message.
type formatError string

func (e formatError) Error() string        { return string(e) }
func (e formatError) Is(target error) bool { return target == ErrFormat }

func malformed(format string, args ...any) error {
	return formatError(fmt.Sprintf(format, args...))
}

// at names the package and the file an error is about.
func at(path string, err error) error {
	return fmt.Errorf("safetensors: %s: %w", path, cause(err))
}

// cause takes the paths off an error of package os, for a place where the path
// is named anyway, or is that of a temporary file nobody has heard of. It does
// not look below the surface: there the path may be another one.
func cause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}

func atTensor(name string, err error) error {
	return fmt.Errorf("tensor %s: %w", quote(name), err)
}

// quote quotes text from a file for a message of one line: a hostile name can
// be 100 MB long or hold control characters.
func quote(s string) string {
	const limit = 120
	if len(s) <= limit {
		return strconv.Quote(s)
	}
	cut := limit
	for cut > limit-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "..."
}

func shapeString(shape []int) string {
	const limit = 16
	var b strings.Builder
	b.WriteByte('[')
	for i, dim := range shape {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == limit {
			fmt.Fprintf(&b, "... %d more", len(shape)-limit)
			break
		}
		b.WriteString(strconv.Itoa(dim))
	}
	b.WriteByte(']')
	return b.String()
}
