//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// interrupt runs graft in dir and sends it an interrupt once a line of its
// standard error begins with the prefix. It returns the exit code and what
// came on standard error.
func interrupt(t *testing.T, dir, prefix string, times int, args ...string) (code int, log string) {
	t.Helper()
	cmd := exec.Command("graft", args...)
	cmd.Dir = dir
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(pipe, &all))
	for lines.Scan() {
		if times > 0 && (strings.HasPrefix(lines.Text(), prefix) || strings.HasPrefix(lines.Text(), "interrupted: ")) {
			times--
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), all.String()
}

// graft runs graft in dir, and fails the test if it fails.
func graft(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("graft", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("graft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const interruptRecipe = `
base_model: base
sequence_len: 64
micro_batch_size: 2
align_share: 0.5
datasets: [{path: es.txt, lang: es}]
pretrain: {learning_rate: 1e-3}
align: {learning_rate: 1e-3}
`

// TestInterrupt interrupts a run once in each stage and goes on: the result is
// that of a run nobody interrupted.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(interruptRecipe), 0o644); err != nil {
		t.Fatal(err)
	}
	graft(t, dir, "run", "r.yaml", "--set", "output_dir=whole")
	want := read(t, dir, "whole", "model.safetensors")

	code, log := interrupt(t, dir, "pretrain 3/", 1, "run", "r.yaml", "--set", "output_dir=out")
	if code != exitInterrupted || !strings.Contains(log, "graft: elo: interrupted; the state is saved in out.resume") {
		t.Fatalf("got exit code %d, want %d, and\n%s", code, exitInterrupted, log)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output is there after an interrupt: %v", err)
	}

	// A command line that says otherwise than the state is refused; the whole
	// command line again is fine.
	code, log = interrupt(t, dir, "", 0, "run", "r.yaml", "--set", "output_dir=out", "--set", "seed=7", "--resume", "out.resume")
	if code != exitUsage || !strings.Contains(log, "graft: --resume: seed is 42 in out.resume, and 7 on the command line") {
		t.Errorf("got exit code %d and %s, want %d", code, log, exitUsage)
	}
	code, log = interrupt(t, dir, "", 0, "pretrain", "--resume", "out.resume")
	if code != exitUsage || !strings.Contains(log, "out.resume was saved by `graft run`") {
		t.Errorf("got exit code %d and %s, want %d", code, log, exitUsage)
	}
	code, log = interrupt(t, dir, "align 2/", 1, "run", "r.yaml", "--set", "output_dir=out", "--resume", "out.resume")
	if code != exitInterrupted || strings.Contains(log, "pretrain 3/") {
		t.Fatalf("got exit code %d, want %d, and\n%s", code, exitInterrupted, log)
	}
	graft(t, dir, "run", "--resume", "out.resume")
	if read(t, dir, "out", "model.safetensors") != want {
		t.Error("the weights differ from those of a run nobody interrupted")
	}
	if _, err := os.Stat(filepath.Join(dir, "out.resume")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state is there after the end: %v", err)
	}
}

// TestInterruptTwice ends a run without saving.
func TestInterruptTwice(t *testing.T) {
	dir := t.TempDir()
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	// A step of this is long enough for two signals.
	code, log := interrupt(t, dir, "pretrain: frozen", 2, "pretrain", "base", "--data", "es.txt", "-o", "out",
		"--num-epochs", "2000", "--sequence-len", "512", "--micro-batch-size", "4", "--gradient-accumulation-steps", "50")
	if code != exitInterrupted || strings.Contains(log, "state is saved") {
		t.Errorf("got exit code %d, want %d and nothing saved:\n%s", code, exitInterrupted, log)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("got %v, %v, want base, es.txt and held.txt alone", entries, err)
	}
}
