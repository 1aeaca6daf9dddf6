package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"unicode/utf8"
)

var (
	// ErrFormat is wrapped by every error about a file that breaks the format, as
	// opposed to one that cannot be opened or read.
	ErrFormat = errors.New("malformed GGUF")

	// ErrNoTensor is wrapped when a tensor is asked for that a file does not have.
	ErrNoTensor = errors.New("no such tensor")

	// ErrType is wrapped when the values of a tensor are asked for whose type this
	// package cannot turn into float32.
	ErrType = errors.New("unsupported GGUF type")

	errClosed = errors.New("file is closed")
)

// formatError is a breach of the format. It matches ErrFormat without repeating
// its text in the message.
type formatError string

func (e formatError) Error() string        { return string(e) }
func (e formatError) Is(target error) bool { return target == ErrFormat }

// malformed is a breach of the format at a place in the header.
func malformed(place, format string, args ...any) error {
	return formatError(place + ": " + fmt.Sprintf(format, args...))
}

// typeError is about a type whose values cannot be read.
type typeError string

func (e typeError) Error() string        { return string(e) }
func (e typeError) Is(target error) bool { return target == ErrType }

// at names the package and the file an error is about.
func at(path string, err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err // the path is named already
	}
	return fmt.Errorf("gguf: %s: %w", path, err)
}

func tensorPlace(name string) string { return "tensor " + quote(name) }

// quote quotes text from a file for a message of one line: a hostile name can
// be as long as the file or hold control characters.
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
