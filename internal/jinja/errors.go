package jinja

import (
	"fmt"
	"strings"
)

// Error is what is wrong with a template, or what it raised.
type Error struct {
	Name string // of the template
	Line int    // from 1; 0 where it is not known
	Text string
	// Raised reports that the template called raise_exception: it refuses its
	// input.
	Raised bool
}

func (e *Error) Error() string {
	at := e.Name
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.Name, e.Line)
	}
	return fmt.Sprintf("jinja: %s: %s", at, strings.ToValidUTF8(e.Text, "\uFFFD"))
}

// failAt stops parsing or rendering; Parse and Render return the error.
func failAt(name string, line int, format string, args ...any) {
	panic(&Error{Name: name, Line: line, Text: fmt.Sprintf(format, args...)})
}

// failure is an error whose place is not known where it happens.
type failure struct {
	text   string
	raised bool
}

func fail(format string, args ...any) { panic(failure{text: fmt.Sprintf(format, args...)}) }
