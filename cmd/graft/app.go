package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"graft/elo"
)

// Exit codes.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// app is what a verb works with instead of the process's own streams.
type app struct {
	in      io.Reader
	out     *bufio.Writer // results; flushed when the verb returns
	console console       // everything else
	termOut bool          // out is a terminal
	bars    bool          // the console is a terminal that takes progress bars
	colour  bool
	width   int // columns of the console, 0 is unknown
}

// stdio is the process's own streams.
func stdio() *app {
	fd := int(os.Stderr.Fd())
	a := &app{in: os.Stdin, out: bufio.NewWriter(os.Stdout), console: console{w: os.Stderr}, termOut: term.IsTerminal(int(os.Stdout.Fd()))}
	a.bars = term.IsTerminal(fd) && os.Getenv("TERM") != "dumb"
	a.colour = a.bars && os.Getenv("NO_COLOR") == ""
	if w, _, err := term.GetSize(fd); err == nil {
		a.width = w
	}
	return a
}

// codeError ends a verb with an exit code of its own, in silence when err is nil.
type codeError struct {
	code int
	err  error
}

func (e codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e codeError) Unwrap() error { return e.err }

// usageError is a command line that makes no sense, whatever the files hold.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs one command line and returns the exit code.
func run(args []string, a *app) int { return execute(a, newRoot(a), args) }

func execute(a *app, root *cobra.Command, args []string) (code int) {
	defer func() {
		if p := recover(); p != nil {
			code = a.finish(fmt.Errorf("internal error: %v%s", p, panicSite()))
		}
	}()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.console.w)
	err := root.Execute()
	if e := a.out.Flush(); e != nil && err == nil {
		err = fmt.Errorf("writing results: %w", e)
	}
	return a.finish(err)
}

// finish says in one line why a verb failed, and returns the exit code.
func (a *app) finish(err error) int {
	if err == nil {
		return 0
	}
	a.console.end()
	var own codeError
	if errors.As(err, &own) && own.err == nil {
		return own.code
	}
	text := err.Error()
	if code := exitCode(err); code == exitInterrupted && !errors.Is(err, elo.ErrInterrupted) {
		text = "interrupted" // what was cancelled where is of no use
	}
	fmt.Fprintf(a.console.w, "graft: %s\n", oneLine(text))
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var own codeError
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, elo.ErrInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailure
}

// oneLine joins the lines of an error that has several, as errors.Join makes.
func oneLine(s string) string {
	var lines []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "; ")
}

// panicSite is where a recovered panic began: the one line of a stack that a
// report needs.
func panicSite() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") && f.Function != "" {
			return fmt.Sprintf(" (in %s, line %d)", f.Function, f.Line)
		}
		if !more {
			return ""
		}
	}
}

// newRoot builds the tree of verbs.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "graft",
		Short: "Adapt a multilingual language model to a language by training two of its layers",
		Long: `Graft adapts a multilingual decoder to a language by ELO: it cuts out the first
and the last layer, trains them as a small model, grafts them back and aligns
the whole briefly. Models are Hugging Face directories, in and out; where a verb
wants one, it also takes ORG/NAME or ORG/NAME@REVISION, once that is fetched.`,
		Args:          cobra.ArbitraryArgs, // its own message for an unknown verb has several lines
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	showVersion := root.Flags().Bool("version", false, "print what this program was built from")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(cmd, args[0])
		case *showVersion:
			return runVersion(a, versionOptions{})
		}
		return cmd.Help()
	}
	cobra.EnableCommandSorting = false // they stand in the order of use
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if !cmd.HasParent() {
			return usageError{err}
		}
		return usagef("%s: %w", cmd.Name(), err)
	})
	root.AddCommand(verbs(a)...)
	root.SetHelpCommand(newHelp(root))
	return root
}

// newHelp replaces cobra's, which takes an unknown verb for success.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [VERB]", Short: "Explain a verb",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return usageError{err}
			}
			if len(rest) > 0 {
				return unknownCommand(root, rest[0])
			}
			cmd.InitDefaultHelpFlag() // else it is missing in what help prints
			return cmd.Help()
		},
	}
}

func unknownCommand(root *cobra.Command, name string) error {
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return usagef("unknown command %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return usagef("unknown command %q: `graft help` lists them", name)
}

// verbs lists the verbs in the order of a run.
func verbs(a *app) []*cobra.Command {
	return []*cobra.Command{
		newDemo(a), newFetch(a), newRun(a), newSplit(a), newPretrain(a), newReassemble(a), newAlign(a), newChatVector(a), newSFT(a),
		newEval(a), newGenerate(a), newInfo(a), newDiff(a), newTokenize(a), newChatTemplate(a), newBench(a), newDevices(a), newVersion(a),
	}
}

// exactly wants so many arguments, named as in the usage line.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s: %s is missing; usage: %s", cmd.Name(), names[len(args)], cmd.UseLine())
		}
		if len(args) > len(names) {
			return usagef("%s: too many arguments, first %q; usage: %s", cmd.Name(), args[len(names)], cmd.UseLine())
		}
		return nil
	}
}
