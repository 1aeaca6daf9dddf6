package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReproduces makes the embedded files again.
func TestReproduces(t *testing.T) {
	from := os.Getenv("GRAFT_DATA")
	if from == "" {
		t.Skip("GRAFT_DATA is unset: no originals to make the embedded files from")
	}
	files, err := generate(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		got, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, files[name]) {
			t.Errorf("%s: got %d bytes in the package, want the %d generated now", name, len(got), len(files[name]))
		}
	}
}

func TestRunErrors(t *testing.T) {
	if err := run("", t.TempDir()); err == nil || !strings.Contains(err.Error(), "GRAFT_DATA") {
		t.Errorf("got %v, want an error that names GRAFT_DATA", err)
	}
	to := t.TempDir()
	if err := run(t.TempDir(), to); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("got %v, want an error that names the missing file", err)
	}
	if left, _ := os.ReadDir(to); len(left) != 0 {
		t.Errorf("got %d files after an error, want none", len(left))
	}
}

func TestTidy(t *testing.T) {
	if got, want := tidy(" vida , toda  hierba ( a ) ;\n"), "vida, toda hierba ( a);"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
