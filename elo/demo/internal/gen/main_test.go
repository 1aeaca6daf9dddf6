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
	if err := run("", "", t.TempDir()); err == nil || !strings.Contains(err.Error(), "GRAFT_DATA") {
		t.Errorf("got %v, want an error that names GRAFT_DATA", err)
	}
	to := t.TempDir()
	if err := run(t.TempDir(), "", to); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("got %v, want an error that names the missing file", err)
	}
	if left, _ := os.ReadDir(to); len(left) != 0 {
		t.Errorf("got %d files after an error, want none", len(left))
	}
}

func TestEnglish(t *testing.T) {
	to := t.TempDir()
	if err := os.Mkdir(filepath.Join(to, "corpora"), 0o777); err != nil {
		t.Fatal(err)
	}
	sampled := filepath.Join(to, "stories.jsonl")
	want := []string{"Once upon a time,\n\nthere was “a <cat>”.", "The end."}
	if err := os.WriteFile(sampled, []byte(`{"text":"Once upon a time,\n\nthere was “a <cat>”."}`+"\n"+`{"text":"The end."}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := run("", sampled, to); err != nil {
		t.Fatal(err)
	}
	got, err := column(filepath.Join(to, "corpora", "en.jsonl.zst"), "text")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestTidy(t *testing.T) {
	if got, want := tidy(" vida , toda  hierba ( a ) ;\n"), "vida, toda hierba ( a);"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
