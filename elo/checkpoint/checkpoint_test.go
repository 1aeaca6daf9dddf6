package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type meta struct{ Step int }

func slot(name string, data []byte) Slot {
	return Slot{Name: name, Bytes: int64(len(data)), Read: func(at int64, dst []byte) error {
		copy(dst, data[at:])
		return nil
	}}
}

// pattern is longer than a chunk, so that pieces must be put together.
func pattern(seed byte) []byte {
	b := make([]byte, chunk+4096)
	for i := range b {
		b[i] = byte(i*7) ^ byte(i>>8) ^ seed
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for step := range 2 { // the second replaces the first
		a, b := pattern(byte(step)), []byte{1, 2, 3, byte(step)}
		if err := Save(dir, meta{step}, []Slot{slot("a", a), slot("b", b)}); err != nil {
			t.Fatal(err)
		}
		var m meta
		st, err := Open(dir, &m)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string][]byte{"a": a, "b": b} {
			got := make([]byte, len(want))
			err := st.Restore(name, int64(len(want)), func(at int64, src []byte) error { copy(got[at:], src); return nil })
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("step %d, %s: bytes differ, %v", step, name, err)
			}
		}
		if err := st.Restore("a", 4, nil); err == nil || !strings.Contains(err.Error(), "want 4") {
			t.Errorf("wrong size: got %v", err)
		}
		st.Close()
		if m.Step != step {
			t.Errorf("meta: got %d, want %d", m.Step, step)
		}
	}
}

func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name, want string
		harm       func(dir string) error
	}{
		{"flipped bit", "damaged", func(dir string) error { return flip(filepath.Join(dir, dataFile), -1) }},
		{"truncated", "damaged", func(dir string) error { return os.Truncate(filepath.Join(dir, dataFile), 100) }},
		{"no data", dataFile, func(dir string) error { return os.Remove(filepath.Join(dir, dataFile)) }},
		{"no header", "not a training state", func(dir string) error { return os.Remove(filepath.Join(dir, metaFile)) }},
		{"other json", "format", func(dir string) error { return os.WriteFile(filepath.Join(dir, metaFile), []byte("{}"), 0o644) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := Save(dir, meta{1}, []Slot{slot("a", pattern(1))}); err != nil {
				t.Fatal(err)
			}
			if err := c.harm(dir); err != nil {
				t.Fatal(err)
			}
			var m meta
			if _, err := Open(dir, &m); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func flip(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)+at] ^= 1
	return os.WriteFile(path, b, 0o644)
}

func TestSaveKeepsWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, meta{1}, nil); err == nil {
		t.Error("a directory with other files was replaced")
	}
	if _, err := os.Stat(filepath.Join(dir, "precious")); err != nil {
		t.Error(err)
	}
}
