package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"graft/elo/demo"
	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/model/safetensors"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"graft": main, "lossy": lossy})
}

// lossy is graft with one device more: card:n, which computes as cpu:2 does and
// is lost in its nth run.
func lossy() {
	kernels.Register("card", func(arg string) (kernels.Backend, error) {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return nil, err
		}
		be, err := kernels.Open("cpu:2")
		return &lostCard{&kerneltest.Card{Backend: be, FailRun: n, FailWith: kernels.ErrDeviceLost}}, err
	})
	main()
}

// lostCard says that it is lost when it is closed too, as drivers do.
type lostCard struct{ *kerneltest.Card }

func (c *lostCard) Close() error {
	err := c.Card.Close()
	if c.Runs() >= c.FailRun {
		err = errors.Join(err, fmt.Errorf("card: close: %w", kernels.ErrDeviceLost))
	}
	return err
}

// TestScripts runs every script in a directory that has a real model as base
// and a little Spanish to train and to evaluate on. $MODELS has tiny ones of
// package model.
func TestScripts(t *testing.T) {
	models, err := filepath.Abs(filepath.Join("..", "..", "model", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("MODELS", models)
			return prepare(e.WorkDir)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fails": cmdFails, "try": cmdTry, "poison": cmdPoison, "edit": cmdEdit, "cut": cmdCut, "hex": cmdHex, "has": cmdHas, "differ": cmdDiffer,
			"hub": cmdHub,
		},
	})
}

// prepare writes base, es.txt and held.txt into a directory.
func prepare(dir string) error {
	if err := os.CopyFS(filepath.Join(dir, "base"), demo.Base()); err != nil {
		return err
	}
	train, held, err := demo.Spanish()
	if err != nil {
		return err
	}
	for name, docs := range map[string][]string{"es.txt": train[:12], "held.txt": held[:2]} {
		text := ""
		for _, d := range docs {
			text += strings.ToValidUTF8(d[:min(len(d), 600)], "") + "\n\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cmdFails is "fails code regexp command...": the command must end with the
// code and with one line that says why, which matches.
func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fails code regexp command...")
	}
	err := ts.Exec(args[2], args[3:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		ts.Fatalf("got %v, want exit code %s", err, args[0])
	}
	if got := strconv.Itoa(exit.ExitCode()); got != args[0] {
		ts.Fatalf("got exit code %s, want %s", got, args[0])
	}
	var found []string
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "graft: ") {
			found = append(found, l)
		}
	}
	if len(found) != 1 || found[0] != lines[len(lines)-1] {
		ts.Fatalf("got %d lines that begin with graft:, want one, the last", len(found))
	}
	if !regexp.MustCompile(args[1]).MatchString(found[0]) {
		ts.Fatalf("got %q, want %s", found[0], args[1])
	}
	if strings.Contains(strings.Join(lines, "\n"), "goroutine ") {
		ts.Fatalf("got a stack trace")
	}
}

// cmdTry is "try command...": the command may end with 0 or 1.
func cmdTry(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		ts.Fatalf("got %v, want exit code 0 or 1", err)
	}
}

// cmdEdit is "edit file old new": replaces the only occurrence of a text.
func cmdEdit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: edit file old new")
	}
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, args[1]); n != 1 {
		ts.Fatalf("%s has %q %d times, want once", args[0], args[1], n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o644))
}

// cmdCut is "cut file bytes": shortens a file.
func cmdCut(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: cut file bytes")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// cmdPoison is "poison file": makes the last F32 in it NaN.
func cmdPoison(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: poison file")
	}
	b := []byte(ts.ReadFile(args[0]))
	copy(b[len(b)-4:], "\xff\xff\xff\xff")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// cmdHex is "hex file digits": writes bytes that no script can hold.
func cmdHex(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: hex file digits")
	}
	b, err := hex.DecodeString(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// cmdHas is "has dir names...": the directory must hold these and nothing else,
// hidden ones counted, so that leftovers show.
func cmdHas(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: has dir names...")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := slices.Clone(args[1:])
	slices.Sort(want)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		ts.Fatalf("%s: got %v, want %v", args[0], got, want)
	}
}

// cmdDiffer is "differ a b prefixes...": of two models' tensors, exactly those
// with the prefixes must differ.
func cmdDiffer(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: differ a b prefixes...")
	}
	a, err := safetensors.OpenModel(ts.MkAbs(args[0]))
	ts.Check(err)
	defer a.Close()
	b, err := safetensors.OpenModel(ts.MkAbs(args[1]))
	ts.Check(err)
	defer b.Close()
	if len(a.Names()) != len(b.Names()) {
		ts.Fatalf("%d and %d tensors", len(a.Names()), len(b.Names()))
	}
	for _, name := range a.Names() {
		x, err := a.Bytes(name)
		ts.Check(err)
		y, err := b.Bytes(name)
		ts.Check(err)
		want := slices.ContainsFunc(args[2:], func(p string) bool { return strings.HasPrefix(name, p) })
		if got := !bytes.Equal(x, y); got != want {
			ts.Fatalf("%s: differs is %v, want %v", name, got, want)
		}
	}
}
