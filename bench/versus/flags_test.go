package versus

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRunSave makes the folder before anything is measured, and names the file after
// the device.
func TestRunSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "results")
	r := Run{Small: true, Rounds: 1, Out: dir}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if err := r.Save("gpu", "NVIDIA H200 (driver 1.2)", "text", io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "gpu-nvidia-h200-driver-1-2-small.md"))
	if err != nil || string(got) != "text" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := r.Save("gpu", "()", "text", io.Discard); err == nil {
		t.Error("a device without a name: got no error")
	}
}

func TestRunCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Run{{}, {Rounds: 1, Only: "("}, {Rounds: 1, Out: filepath.Join(file, "x")}} {
		if err := r.Check(); err == nil {
			t.Errorf("%+v: got no error", r)
		}
	}
	r := Run{Rounds: 1, Only: "^b", Budget: time.Hour}
	if err := r.Check(); err != nil || r.Wants("ab") || !r.Wants("ba") {
		t.Errorf("only ^b: %v", err)
	}
	if got := r.Late(time.Now()); got != "" {
		t.Errorf("now: got %q", got)
	}
	if got, want := r.Late(time.Now().Add(-2*time.Hour)), "not begun: 2h0m0s of 1h0m0s were over"; got != want {
		t.Errorf("late: got %q, want %q", got, want)
	}
}
