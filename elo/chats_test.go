package elo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/elo"
	"graft/elo/sft"
	"graft/model/chat"
)

// chats writes conversations and a template into the bench and returns a recipe
// that tunes on them.
func (b bench) tuning(out string) elo.Recipe {
	b.t.Helper()
	var es, en strings.Builder
	for i := range 12 {
		fmt.Fprintf(&en, `{"messages": [{"role": "user", "content": "Number %d"}, {"role": "assistant", "content": "Tom had %d red balls."}]}`+"\n", i, i)
		fmt.Fprintf(&es, `{"messages": [{"role": "user", "content": "Dime %d"}, {"role": "assistant", "content": "Un gato"}, {"role": "user", "content": "Y?"}, {"role": "assistant", "content": "No %d"}]}`+"\n", i, i)
	}
	b.write("en.jsonl", en.String())
	b.write("es.jsonl", es.String())
	template, err := os.ReadFile("testdata/sft/template.jinja")
	must(b.t, err)
	b.write("t.jinja", string(template))
	r := elo.Defaults()
	r.BaseModel, r.OutputDir = b.base, b.path(out)
	r.SequenceLen, r.MicroBatchSize, r.GradientAccumulationSteps = 96, 1, 2
	r.SFT.LearningRate, r.SFT.NumEpochs = 1e-3, 2
	r.SFT.ChatTemplate = b.path("t.jinja")
	r.SFT.Datasets = []elo.Dataset{{Path: b.path("es.jsonl"), Lang: "es"}, {Path: b.path("en.jsonl"), Lang: "en", Role: "source"}}
	r.SFT.Eval = []elo.Dataset{{Path: b.path("en.jsonl"), Lang: "en"}}
	return r
}

// listener keeps what a run reports.
type listener struct {
	steps []elo.StepReport
	evals []elo.EvalReport
	notes []string
	warns []string
}

func (l *listener) Note(s string)          { l.notes = append(l.notes, s) }
func (l *listener) Warn(s string)          { l.warns = append(l.warns, s) }
func (l *listener) Step(s elo.StepReport)  { l.steps = append(l.steps, s) }
func (l *listener) Eval(ev elo.EvalReport) { l.evals = append(l.evals, ev) }

// TestTuneEqualsPyTorch holds the losses and gradient norms of steps on the
// assistant's tokens to PyTorch's in float64, one conversation a row and all of
// them in one.
func TestTuneEqualsPyTorch(t *testing.T) {
	doc, err := os.ReadFile("testdata/sft/golden.json")
	must(t, err)
	var g struct {
		LearningRate float64 `json:"learning_rate"`
		MaxNorm      float64 `json:"max_grad_norm"`
		Positions    []int
		Steps        []struct {
			Loss    float64
			Norm    float64 `json:"grad_norm"`
			Targets int64
		}
	}
	must(t, json.Unmarshal(doc, &g))
	b := newBench(t)
	for _, c := range []struct{ seq, rows, epochs int }{{100, 4, len(g.Steps)}, {512, 1, 1}} {
		r := elo.Defaults()
		r.BaseModel, r.OutputDir = b.base, b.path(fmt.Sprint("tuned", c.seq))
		r.SequenceLen, r.MicroBatchSize, r.GradientAccumulationSteps = c.seq, 1, c.rows
		r.SFT.Datasets = []elo.Dataset{{Path: "testdata/sft/chats.jsonl"}}
		r.SFT.ChatTemplate, r.SFT.NumEpochs = "testdata/sft/template.jinja", c.epochs
		r.SFT.LearningRate, r.SFT.MaxGradNorm, r.SFT.Scheduler, r.SFT.WarmupRatio = g.LearningRate, g.MaxNorm, "constant", 0
		if c.rows > 1 && 2*slices.Min(g.Positions) <= c.seq {
			t.Fatalf("two of %v fit into a row", g.Positions)
		}
		e, l := env(t, "cpu:2"), &listener{}
		e.Report = l
		must(t, elo.TuneSFT(t.Context(), e, r))
		if len(l.steps) != c.epochs {
			t.Fatalf("rows of %d: got %d steps, want %d", c.seq, len(l.steps), c.epochs)
		}
		for i, s := range l.steps {
			want := g.Steps[i]
			// As in package train: the errors of float32 through 5 layers.
			if s.Targets != want.Targets || math.Abs(s.Loss-want.Loss) > 1e-4*want.Loss || math.Abs(s.GradNorm-want.Norm) > 1e-3*want.Norm {
				t.Errorf("rows of %d, step %d: got %d targets, loss %v, norm %v, want %+v", c.seq, i+1, s.Targets, s.Loss, s.GradNorm, want)
			}
		}
	}
}

func TestTune(t *testing.T) {
	b := newBench(t)
	e, l := env(t, "cpu:2"), &listener{}
	e.Report = l
	must(t, elo.TuneSFT(t.Context(), e, b.tuning("whole")))
	want := tensors(t, b.path("whole"))
	if d := differing(tensors(t, b.base), want); len(d) != len(want) {
		t.Errorf("%d of %d tensors changed", len(d), len(want))
	}
	if len(l.evals) != 2 || l.evals[0].When != elo.WhenBeforeSFT || l.evals[1].When != elo.WhenSFT || l.evals[1].Scores[0].PerToken() >= l.evals[0].Scores[0].PerToken() {
		t.Errorf("got evaluations %+v, want a better one after tuning", l.evals)
	}
	if tm, err := chat.Open(b.path("whole")); err != nil {
		t.Errorf("the output has no template: %v", err)
	} else if tm.AsksDate() {
		t.Error("the output has another template")
	}
	rec, _, err := elo.ReadRecord(b.path("whole"))
	must(t, err)
	if len(rec.Stages) != 1 || rec.Stages[0].Stage != elo.StageSFT || rec.Kind != elo.KindTrained {
		t.Errorf("got record %+v", rec)
	}
	// Both languages get the same, by tokens.
	if a, b := float64(rec.Usage[0].Tokens), float64(rec.Usage[1].Tokens); math.Abs(a-b) > 0.1*a {
		t.Errorf("got %v and %v tokens, want as many", a, b)
	}
	for _, after := range []int{1, len(l.steps) - 1} {
		out := fmt.Sprintf("after %d", after)
		s := &stopper{after: after, stop: make(chan struct{})}
		e.Report, e.Interrupt = s, s.stop
		var in *elo.Interrupted
		if err := elo.TuneSFT(t.Context(), e, b.tuning(out)); !errors.As(err, &in) {
			t.Fatalf("after %d: got %v, want an interruption", after, err)
		}
		e.Report, e.Interrupt = nil, nil
		must(t, elo.Resume(t.Context(), e, in.State))
		if d := differing(want, tensors(t, b.path(out))); d != nil {
			t.Errorf("interrupted after %d of %d steps: differs in %v", after, len(l.steps), d)
		}
	}
	// A recipe that has nothing else runs the same.
	e.Report = nil
	must(t, elo.Run(t.Context(), e, b.tuning("run")))
	if d := differing(want, tensors(t, b.path("run"))); d != nil {
		t.Errorf("run: differs in %v", d)
	}
}

// TestRunThenTune holds a recipe with all three stages to its verbs.
func TestRunThenTune(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:2")
	all := b.recipe("all")
	all.SFT = b.tuning("").SFT
	must(t, elo.Run(t.Context(), e, all))
	must(t, elo.Run(t.Context(), e, b.recipe("two")))
	if d := differing(tensors(t, b.path("two")), tensors(t, b.path("all.pretrained"))); d != nil {
		t.Errorf("before tuning: differs in %v", d)
	}
	last := b.recipe("last")
	last.BaseModel, last.Datasets, last.Eval, last.SFT = b.path("two"), nil, nil, all.SFT
	must(t, elo.TuneSFT(t.Context(), e, last))
	want := tensors(t, b.path("last"))
	if d := differing(want, tensors(t, b.path("all"))); d != nil {
		t.Errorf("differs in %v", d)
	}
	whole := &stopper{}
	e.Report = whole
	all.OutputDir = b.path("counted")
	must(t, elo.Run(t.Context(), e, all))
	s := &stopper{after: whole.steps - 2, stop: make(chan struct{})} // within the third stage
	e.Report, e.Interrupt = s, s.stop
	all.OutputDir = b.path("again")
	var in *elo.Interrupted
	if err := elo.Run(t.Context(), e, all); !errors.As(err, &in) {
		t.Fatalf("got %v, want an interruption", err)
	}
	if saved, err := elo.ReadSaved(in.State); err != nil || saved.Stage != elo.StageSFT {
		t.Errorf("got %+v, %v, want a state of %s", saved, err, elo.StageSFT)
	}
	e.Report, e.Interrupt = nil, nil
	must(t, elo.Resume(t.Context(), e, in.State))
	if d := differing(want, tensors(t, b.path("again"))); d != nil {
		t.Errorf("resumed: differs in %v", d)
	}
}

func TestTuneBadInput(t *testing.T) {
	b := newBench(t)
	e := env(t, "cpu:1")
	good := `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}` + "\n"
	for name, c := range map[string]struct {
		doc, template, date string
		want                string
	}{
		"no messages":   {good + `{"text": "x"}`, "", "", `c.jsonl:2: found no field "messages" (there are: text)`},
		"no JSON":       {good + "\n{", "", "", "c.jsonl:3: expected a JSON object"},
		"image":         {`{"messages": [{"role": "user", "content": [{"type": "image"}]}]}`, "", "", `c.jsonl:1: messages[0]: content[0]: found a part of type "image"`},
		"refused":       {good + good, "{{ raise_exception('roles must alternate') }}", "", "c.jsonl:1: chat: jinja:"},
		"no answers":    {`{"messages": [{"role": "user", "content": "a"}]}`, "", "", "none of 1 conversations has an answer to learn"},
		"prefix":        {good, "{{ messages|length }}{{ messages[-1].content }}", "", "prefix property"},
		"date":          {good, "{{ strftime_now('%Y') }}{{ messages[-1].content }}", "", "asks for the date: set sft.date"},
		"bad date":      {good, "", "tomorrow", `sft.date: found "tomorrow"`},
		"bad template":  {good, "{% if %}", "", "t.jinja:1:"},
		"unknown token": {good, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.tuning("bad " + name)
			b.write("c.jsonl", c.doc)
			if c.template != "" {
				b.write("t.jinja", c.template)
			}
			r.SFT.Datasets, r.SFT.Eval, r.SFT.Date = []elo.Dataset{{Path: b.path("c.jsonl")}}, nil, c.date
			r.SFT.NumEpochs = 1
			err := elo.TuneSFT(t.Context(), e, r)
			if c.want == "" {
				must(t, err)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %s", err, c.want)
			}
			if _, err := os.Stat(r.OutputDir); err == nil {
				t.Error("there is an output")
			}
		})
	}
	r := b.tuning("without template")
	r.SFT.ChatTemplate = ""
	if err := elo.TuneSFT(t.Context(), e, r); !errors.Is(err, chat.ErrNoTemplate) {
		t.Errorf("got %v, want ErrNoTemplate", err)
	}
	r = b.tuning("asks")
	b.write("t.jinja", "{{ strftime_now('%Y') }}{{ messages[-1].content }}")
	if err := elo.TuneSFT(t.Context(), e, r); !errors.Is(err, sft.ErrDate) {
		t.Errorf("got %v, want ErrDate", err)
	}
}

// TestTuneCuts counts conversations that are longer than a row, and those of
// which no answer is left.
func TestTuneCuts(t *testing.T) {
	b := newBench(t)
	r := b.tuning("cut")
	long := strings.Repeat("Tom had a ball. ", 40)
	b.write("c.jsonl", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "`+long+`"}]}
{"messages": [{"role": "user", "content": "`+long+`"}, {"role": "assistant", "content": "b"}]}
{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
`)
	r.SFT.Datasets, r.SFT.Eval, r.SFT.NumEpochs = []elo.Dataset{{Path: filepath.Join(b.dir, "c.jsonl")}}, nil, 1
	e, l := env(t, "cpu:1"), &listener{}
	e.Report = l
	must(t, elo.TuneSFT(t.Context(), e, r))
	if !slices.ContainsFunc(l.notes, func(s string) bool {
		return strings.Contains(s, "3 conversations, ") && strings.HasSuffix(s, "2 cut at the end of a row; 1 left out, with no answer to learn")
	}) {
		t.Errorf("got notes %q", l.notes)
	}
}
