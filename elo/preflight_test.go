package elo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"graft/elo/data"
	"graft/elo/demo"
	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/model"
)

// weights adds up the safetensors files below a directory.
func weights(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".safetensors" {
			return err
		}
		info, err := e.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stopper interrupts a run in its first step.
type stopper struct {
	silent
	interrupt chan struct{}
}

func (s stopper) Step(r StepReport) {
	if r.Step == 1 {
		close(s.interrupt)
	}
}

func stopAtFirstStep(be kernels.Backend) *Env {
	s := stopper{interrupt: make(chan struct{})}
	return &Env{Backend: be, Report: s, Interrupt: s.interrupt}
}

// TestSpace compares what a run is said to write with what it writes.
func TestSpace(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if err := os.CopyFS(base, demo.Base()); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "en.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("Once upon a time there was a little girl.\n\n", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	be, err := kernels.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	for _, c := range []struct{ verb, method string }{
		{verbPretrain, MethodELO}, {verbAlign, MethodELO}, {verbRun, MethodELO}, {verbRun, MethodFull}, {verbRun, MethodInPlace},
	} {
		t.Run(c.verb+" "+c.method, func(t *testing.T) {
			r := Defaults()
			r.BaseModel, r.OutputDir, r.Method, r.SequenceLen = base, filepath.Join(t.TempDir(), "out"), c.method, 32
			r.MaxTokens, r.AlignShare = 256, 0.5
			r.Datasets = []Dataset{{Path: text}}
			ck, err := model.Open(base)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			results, state, err := r.space(ck, c.verb)
			if err != nil {
				t.Fatal(err)
			}
			if err := begin(context.Background(), &Env{Backend: be}, r, c.verb, nil); err != nil {
				t.Fatal(err)
			}
			// Headers of safetensors come on top: about 100 bytes a tensor.
			if got := weights(t, filepath.Dir(r.OutputDir)); got < results || got > results+20_000 {
				t.Errorf("wrote %d bytes of models, said %d", got, results)
			}
			r.OutputDir = filepath.Join(t.TempDir(), "out")
			if c.verb == verbRun && c.method != MethodFull {
				return // the first stage that can be interrupted is not the largest
			}
			if err := begin(context.Background(), stopAtFirstStep(be), r, c.verb, nil); !errors.Is(err, ErrInterrupted) {
				t.Fatalf("got %v, want an interrupt", err)
			}
			if got := weights(t, filepath.Dir(r.OutputDir)); got < state || got > state+2_000 {
				t.Errorf("saved a state of %d bytes, said %d", got, state)
			}
		})
	}
}

func TestRoomFor(t *testing.T) {
	r := Defaults()
	r.OutputDir = "out"
	for _, c := range []struct {
		name                 string
		saveSteps            int
		results, state, free int64
		warning, err         string
	}{
		{"room for all", 0, 10 << 20, 30 << 20, 40 << 20, "", ""},
		{"none for a state", 0, 10 << 20, 30 << 20, 39 << 20, "39.00 MiB are free for out: an interrupted run, which takes 30.00 MiB, could not be saved", ""},
		{"none for the result", 0, 10 << 20, 30 << 20, 9 << 20, "", "elo: output out: the result takes 10.00 MiB, and 9.00 MiB are free there"},
		{"none for states that are asked for", 5, 1 << 30, 1 << 30, 2 << 30, "", "elo: output out: results and saved states take 3.00 GiB, and 2.00 GiB are free there; save_steps: 0 saves none while it trains"},
		{"room for two states", 5, 1 << 30, 1 << 30, 3 << 30, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.SaveSteps = c.saveSteps
			warning, err := roomFor(&r, c.results, c.state, c.free)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if warning != c.warning || got != c.err {
				t.Errorf("got %q and %q, want %q and %q", warning, got, c.warning, c.err)
			}
		})
	}
}

// letters is a tokenizer whose tokens are bytes.
type letters struct{}

func (letters) AppendIDs(dst []int32, text string, _ bool) ([]int32, error) {
	for _, b := range []byte(text) {
		dst = append(dst, int32(b))
	}
	return dst, nil
}

// TestInterruptBefore interrupts a run that still reads its corpora.
func TestInterruptBefore(t *testing.T) {
	text := filepath.Join(t.TempDir(), "en.txt")
	if err := os.WriteFile(text, []byte("Once upon a time."), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	env := &Env{Interrupt: stop}
	err := env.beforeTraining(t.Context(), func(ctx context.Context) error {
		close(stop)
		<-ctx.Done()
		_, err := data.Load(ctx, text, "en", letters{}, data.LoadOptions{})
		return err
	})
	if !errors.Is(err, ErrInterrupted) || err.Error() != "elo: interrupted before the first step: there was nothing to save" {
		t.Errorf("got %v, want an interrupt that saved nothing", err)
	}
	if err := env.beforeTraining(t.Context(), func(context.Context) error { return fs.ErrInvalid }); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v, want %v", err, fs.ErrInvalid)
	}
}
