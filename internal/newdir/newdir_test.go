package newdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holds checks a directory's file and that nothing else lies beside it.
func holds(t *testing.T, dir, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside %s: %v, %v", dir, entries, err)
	}
}

func TestCommit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "deep", "out")
	for _, step := range []struct {
		text  string
		force bool
	}{{"one", false}, {"two", true}} {
		d, err := Create(out, step.force)
		if err != nil {
			t.Fatal(err)
		}
		write(t, d.Path(), step.text)
		if err := d.Commit(); err != nil {
			t.Fatal(err)
		}
		holds(t, out, step.text)
	}
	if _, err := Create(out, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing directory: got %v, want ErrExist", err)
	}
}

func TestDiscardKeepsOld(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	os.Mkdir(out, 0o755)
	write(t, out, "old")
	d, err := Create(out, true)
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.Path(), "new")
	d.Discard()
	holds(t, out, "old")
	if d.Commit() == nil {
		t.Error("Commit after Discard succeeded")
	}
}

// TestTakenMeanwhile: a directory that appears between Create and Commit is not
// replaced.
func TestTakenMeanwhile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	d, err := Create(out, false)
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.Path(), "new")
	os.Mkdir(out, 0o755)
	write(t, out, "other")
	if err := d.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	holds(t, out, "other")
}
