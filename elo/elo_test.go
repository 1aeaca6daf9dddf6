package elo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"graft/elo"
	"graft/elo/demo"
	"graft/elo/train"
	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/model"
)

// bench is a directory with a base model and two small corpora.
type bench struct {
	t    *testing.T
	dir  string
	base string
}

func newBench(t *testing.T) bench {
	t.Helper()
	b := bench{t: t, dir: t.TempDir()}
	b.base = b.path("base")
	if err := os.CopyFS(b.base, demo.Base()); err != nil {
		t.Fatal(err)
	}
	es, held, err := demo.Spanish()
	if err != nil {
		t.Fatal(err)
	}
	b.write("es.txt", strings.Join(short(es, 12), "\n\n"))
	b.write("held.txt", strings.Join(short(held, 4), "\n\n"))
	b.write("en.txt", strings.Repeat("Once upon a time there was a little girl who had a red ball.\n\nOne day Tom saw a big dog in the park.\n\n", 12))
	return b
}

func short(docs []string, n int) []string {
	var out []string
	for _, d := range docs[:min(n, len(docs))] {
		out = append(out, d[:min(len(d), 400)])
	}
	return out
}

func (b bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(strings.ToValidUTF8(text, "")), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// recipe is a short run: rows of 64, two micro-batches of two.
func (b bench) recipe(out string) elo.Recipe {
	r := elo.Defaults()
	r.BaseModel, r.OutputDir = b.base, b.path(out)
	r.SequenceLen, r.MicroBatchSize, r.GradientAccumulationSteps = 64, 2, 2
	r.AlignShare = 0.25
	r.Pretrain.LearningRate, r.Align.LearningRate = 1e-3, 1e-3
	r.Datasets = []elo.Dataset{{Path: b.path("es.txt"), Lang: "es"}, {Path: b.path("en.txt"), Lang: "en", Role: "source"}}
	r.Eval = []elo.Dataset{{Path: b.path("held.txt"), Lang: "es"}}
	return r
}

func env(t *testing.T, device string) *elo.Env {
	t.Helper()
	be, err := kernels.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return &elo.Env{Backend: be}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tensors reads all weights of a model.
func tensors(t *testing.T, dir string) map[string]string {
	t.Helper()
	ck, err := model.Open(dir)
	must(t, err)
	defer ck.Close()
	out := map[string]string{}
	for _, w := range ck.Config.Tensors(nil) {
		data, err := ck.Bytes(w.Name)
		must(t, err)
		out[w.Name] = string(data)
	}
	return out
}

// differing lists the tensors that are not equal, byte for byte.
func differing(a, b map[string]string) []string {
	var names []string
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

func TestReassembleUntrained(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	for _, layers := range []string{"first,last", "1..3", "0,2,-1", "first"} {
		small, out := b.path("small "+layers), b.path("out "+layers)
		chosen, err := elo.Split(t.Context(), e, b.base, layers, small)
		must(t, err)
		if ck, err := model.Open(small); err != nil || ck.Config.Layers != len(chosen) {
			t.Errorf("%s: the small model does not open with %d layers: %v", layers, len(chosen), err)
		}
		_, err = elo.Reassemble(t.Context(), e, b.base, small, "", out)
		must(t, err)
		if d := differing(tensors(t, b.base), tensors(t, out)); d != nil {
			t.Errorf("%s: tensors differ after a round trip: %v", layers, d)
		}
	}
}

// TestRunEqualsVerbs trains for real, so it also shows that only the chosen
// layers change in stage one.
func TestRunEqualsVerbs(t *testing.T) {
	b := newBench(t)
	one, two := env(t, "cpu:1"), env(t, "cpu:2")

	must(t, elo.Run(t.Context(), one, b.recipe("run")))

	must(t, elo.Pretrain(t.Context(), two, b.recipe("small")))
	_, err := elo.Reassemble(t.Context(), two, b.base, b.path("small"), "", b.path("grafted"))
	must(t, err)
	align := b.recipe("aligned")
	align.BaseModel = b.path("grafted")
	must(t, elo.Align(t.Context(), two, align))

	base, grafted := tensors(t, b.base), tensors(t, b.path("grafted"))
	changed := differing(base, grafted)
	for _, name := range changed {
		if !strings.HasPrefix(name, "model.layers.0.") && !strings.HasPrefix(name, "model.layers.4.") {
			t.Errorf("stage one changed %s", name)
		}
	}
	if want := 2 * 9; len(changed) != want {
		t.Errorf("stage one changed %d tensors, want all %d of two layers: %v", len(changed), want, changed)
	}
	run := tensors(t, b.path("run"))
	if d := differing(run, tensors(t, b.path("aligned"))); d != nil {
		t.Errorf("run at one thread differs from the verbs at two: %v", d)
	}
	if d := differing(run, base); len(d) != len(base) {
		t.Errorf("alignment changed %d of %d tensors", len(d), len(base))
	}
	if _, err := os.Stat(b.path("run.resume")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a finished run leaves its state: %v", err)
	}
}

// stopper closes the interrupt after a number of steps.
type stopper struct {
	elo.Reporter
	after int
	stop  chan struct{}
	steps int
}

func (s *stopper) Note(string)         {}
func (s *stopper) Warn(string)         {}
func (s *stopper) Eval(elo.EvalReport) {}
func (s *stopper) Step(elo.StepReport) {
	if s.steps++; s.steps == s.after {
		close(s.stop)
	}
}

// TestResume interrupts a run in each stage; what comes out must equal the
// uninterrupted one to the bit.
func TestResume(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	whole := &stopper{}
	e.Report = whole
	must(t, elo.Run(t.Context(), e, b.recipe("whole")))
	want := tensors(t, b.path("whole"))
	if whole.steps < 8 {
		t.Fatalf("the run has only %d steps", whole.steps)
	}
	for _, after := range []int{1, 3, whole.steps - 2} {
		out := fmt.Sprintf("after %d", after)
		s := &stopper{after: after, stop: make(chan struct{})}
		e.Report, e.Interrupt = s, s.stop
		err := elo.Run(t.Context(), e, b.recipe(out))
		var in *elo.Interrupted
		if !errors.As(err, &in) || !errors.Is(err, elo.ErrInterrupted) {
			t.Fatalf("after %d steps: got %v, want an interruption", after, err)
		}
		if _, err := os.Stat(b.path(out)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("an interrupted run wrote its output: %v", err)
		}
		rest := &stopper{}
		e.Report, e.Interrupt = rest, nil
		must(t, elo.Resume(t.Context(), e, in.State))
		if s.steps+rest.steps != whole.steps {
			t.Errorf("after %d steps: %d more, want %d in all", after, rest.steps, whole.steps)
		}
		if d := differing(want, tensors(t, b.path(out))); d != nil {
			t.Errorf("interrupted after %d steps: differs in %v", after, d)
		}
	}
}

func TestMethods(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	base := tensors(t, b.base)
	for _, method := range []string{elo.MethodFull, elo.MethodInPlace} {
		r := b.recipe(method)
		r.Method = method
		must(t, elo.Run(t.Context(), e, r))
		if d := differing(base, tensors(t, b.path(method))); len(d) != len(base) {
			t.Errorf("%s changed %d of %d tensors", method, len(d), len(base))
		}
	}
	// In place, stage one must have left the middle alone.
	d := differing(base, tensors(t, b.path("inplace.inplace")))
	for _, name := range d {
		if !strings.HasPrefix(name, "model.layers.0.") && !strings.HasPrefix(name, "model.layers.4.") {
			t.Errorf("in place: %s changed", name)
		}
	}
	if len(d) == 0 {
		t.Error("in place: nothing changed")
	}
}

// TestBF16 holds the hand-over of masters: run must equal the verbs when the
// checkpoint's type rounds what was trained.
func TestBF16(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	half := b.path("half")
	must(t, toBF16(b.base, half))
	recipe := func(out string) elo.Recipe {
		r := b.recipe(out)
		r.BaseModel = half
		r.Pretrain.LearningRate = 1e-4
		return r
	}
	must(t, elo.Run(t.Context(), e, recipe("run")))
	must(t, elo.Pretrain(t.Context(), e, recipe("small")))
	_, err := elo.Reassemble(t.Context(), e, half, b.path("small"), "", b.path("grafted"))
	must(t, err)
	if _, err := os.Stat(b.path("grafted/graft/masters.safetensors")); err != nil {
		t.Errorf("the grafted model keeps no masters: %v", err)
	}
	align := recipe("aligned")
	align.BaseModel = b.path("grafted")
	must(t, elo.Align(t.Context(), e, align))
	if d := differing(tensors(t, b.path("run")), tensors(t, b.path("aligned"))); d != nil {
		t.Errorf("run differs from the verbs in %v", d)
	}
}

// TestOneStepLearns: the default warm-up takes at least one step, at rate 0.
func TestOneStepLearns(t *testing.T) {
	b := newBench(t)
	r := b.recipe("out")
	r.MaxTokens = 64
	must(t, elo.Align(t.Context(), env(t, "cpu:2"), r))
	if d := differing(tensors(t, b.base), tensors(t, b.path("out"))); d == nil {
		t.Error("a stage of one step changed nothing")
	}
}

func TestNotFinite(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	r := b.recipe("out")
	r.Pretrain.LearningRate, r.Pretrain.MaxGradNorm = 1e3, 0
	r.Pretrain.Scheduler, r.Pretrain.WeightDecay = "constant", 900 // weights grow by a factor a step until they overflow
	err := elo.Pretrain(t.Context(), e, r)
	if !errors.Is(err, train.ErrNotFinite) || !strings.Contains(err.Error(), "out.resume") {
		t.Fatalf("got %v, want a non-finite loss and the state's directory", err)
	}
	if _, err := os.Stat(b.path("out.resume/state.json")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(b.path("out")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed run wrote its output: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	must(t, os.Mkdir(b.path("taken"), 0o755))
	b.write("taken/file", "precious")
	b.write("empty.txt", "\n\n")
	for _, c := range []struct {
		name string
		edit func(r *elo.Recipe)
		want string
	}{
		{"output exists", func(r *elo.Recipe) { r.OutputDir = b.path("taken") }, "taken"},
		{"layer out of range", func(r *elo.Recipe) { r.Layers = "0,5" }, "5 layers"},
		{"empty corpus", func(r *elo.Recipe) { r.Datasets[0].Path = b.path("empty.txt") }, "empty.txt"},
		{"no such corpus", func(r *elo.Recipe) { r.Datasets[0].Path = b.path("none.txt") }, "none.txt"},
		{"unknown scheduler", func(r *elo.Recipe) { r.Pretrain.Scheduler = "cosin" }, "pretrain.lr_scheduler"},
		{"one weight", func(r *elo.Recipe) { r.Datasets[0].Weight = 3 }, "datasets"},
		{"no model", func(r *elo.Recipe) { r.BaseModel = b.path("nowhere") }, "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := b.recipe("out")
			c.edit(&r)
			err := elo.Pretrain(context.Background(), e, r)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
			if data, err := os.ReadFile(b.path("taken/file")); err != nil || !bytes.Equal(data, []byte("precious")) {
				t.Errorf("an existing directory was touched: %q, %v", data, err)
			}
		})
	}
}

// warnings keeps what it is told.
type warnings struct {
	stopper
	text []string
}

func (w *warnings) Warn(text string) { w.text = append(w.text, text) }

func TestSpellingWarning(t *testing.T) {
	b := newBench(t)
	b.write("ko.txt", strings.Repeat("옛날 옛적에 작은 소녀가 살았습니다. 소녀는 빨간 공을 좋아했습니다.\n\n", 20))
	for _, c := range []struct {
		file string
		warn bool
	}{{"es.txt", false}, {"ko.txt", true}} {
		e := env(t, "cpu:2")
		w := &warnings{}
		e.Report = w
		r := b.recipe("out " + c.file)
		r.Datasets = []elo.Dataset{{Path: b.path(c.file), Lang: "xx"}}
		r.MaxTokens = 256
		must(t, elo.Pretrain(t.Context(), e, r))
		if got := len(w.text) > 0; got != c.warn || c.warn && !strings.Contains(w.text[0], "ko.txt: the vocabulary cannot spell") {
			t.Errorf("%s: warnings %q, want one: %v", c.file, w.text, c.warn)
		}
	}
}

// obstacle puts a directory of somebody else's in the way of the output once
// training is over.
type obstacle struct {
	stopper
	put func()
}

func (o *obstacle) Eval(e elo.EvalReport) {
	if e.When == elo.WhenSmall {
		o.put()
	}
}

// TestUnwritable: training that ends but cannot be written is saved, and a
// resumed run writes what an undisturbed one does.
func TestUnwritable(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	must(t, elo.Pretrain(t.Context(), e, b.recipe("whole")))
	e.Report = &obstacle{put: func() {
		must(t, os.Mkdir(b.path("out"), 0o755))
		b.write("out/other", "precious")
	}}
	err := elo.Pretrain(t.Context(), e, b.recipe("out"))
	if err == nil || !strings.Contains(err.Error(), "out.resume") {
		t.Fatalf("got %v, want an error that names the saved state", err)
	}
	must(t, os.RemoveAll(b.path("out")))
	e.Report = nil
	must(t, elo.Resume(t.Context(), e, b.path("out.resume")))
	if d := differing(tensors(t, b.path("whole")), tensors(t, b.path("out"))); d != nil {
		t.Errorf("differs in %v", d)
	}
}

// TestSeventeenOfForty: forty steps equal seventeen, an interrupt and the rest.
func TestSeventeenOfForty(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	recipe := func(out string) elo.Recipe {
		r := b.recipe(out)
		r.AlignShare, r.SequenceLen = 0, 32
		r.MaxTokens = int64(40 * r.MicroBatchSize * r.GradientAccumulationSteps * r.SequenceLen)
		return r
	}
	whole := &stopper{}
	e.Report = whole
	must(t, elo.Pretrain(t.Context(), e, recipe("whole")))
	if whole.steps != 40 {
		t.Fatalf("got %d steps, want 40", whole.steps)
	}
	s := &stopper{after: 17, stop: make(chan struct{})}
	e.Report, e.Interrupt = s, s.stop
	var in *elo.Interrupted
	if err := elo.Pretrain(t.Context(), e, recipe("parts")); !errors.As(err, &in) || s.steps != 17 {
		t.Fatalf("got %v after %d steps, want an interruption after 17", err, s.steps)
	}
	e.Report, e.Interrupt = nil, nil
	must(t, elo.Resume(t.Context(), e, in.State))
	if d := differing(tensors(t, b.path("whole")), tensors(t, b.path("parts"))); d != nil {
		t.Errorf("differs in %v", d)
	}
}
