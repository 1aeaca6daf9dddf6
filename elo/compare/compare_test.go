package compare

import (
	"bytes"
	"context"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"graft/elo"
	"graft/elo/demo"
	"graft/elo/eval"
	"graft/kernels"
	_ "graft/kernels/cpu"
)

// result makes up a run: stages of two steps, scores of the target and the
// source by time of evaluation.
func result(name string, stages map[string]float64, scores map[string][2]float64) Result {
	r := Result{Name: name}
	for _, stage := range []string{elo.StagePretrain, elo.StageAlign, elo.StageFull} {
		if seconds, ok := stages[stage]; ok {
			for range 2 {
				r.Times.Train += seconds / 2
				r.Steps = append(r.Steps, elo.StepReport{Stage: stage, Targets: 500, Seconds: seconds / 2, FLOPs: 1e6 * seconds, Loss: 3})
			}
		}
	}
	for when, s := range scores {
		// Bits per byte of s over 8 bytes.
		r.Evals = append(r.Evals, elo.EvalReport{When: when, Scores: []eval.Scores{
			{Name: "es", Nats: s[0] * 8 * math.Ln2, Tokens: 4, Bytes: 8}, {Name: "en", Nats: s[1] * 8 * math.Ln2, Tokens: 4, Bytes: 8}}})
	}
	return r
}

func TestReport(t *testing.T) {
	base, small, grafted := [2]float64{6, 1}, [2]float64{3.5, 3}, [2]float64{4.5, 1.4}
	for _, c := range []struct {
		name          string
		one, two      float64 // seconds of the stages; full training takes 4
		aligned, full [2]float64
		passed        bool
		sentence      string
	}{
		{"faster and worse", 1, 1, [2]float64{4, 1.5}, [2]float64{3, 1.2}, true, "2.00 times faster than full training and worse"},
		{"faster and better", 1, 1, [2]float64{3, 1.1}, [2]float64{3.5, 1.2}, true, "faster than full training and better ("},
		{"mixed", 1, 1, [2]float64{4, 1.1}, [2]float64{3, 1.2}, true, "better in some languages, worse in others"},
		{"slower", 1, 5, [2]float64{4, 1.5}, [2]float64{3, 1.2}, true, "1.50 times slower than full training"},
		{"equal", 1, 3, [2]float64{3, 1.2}, [2]float64{3, 1.2}, true, "as fast as full training and equal"},
		{"too little gain", 1, 1, [2]float64{4.4, 1.5}, [2]float64{2, 1.2}, false, "worse"},
		{"no repair", 1, 1, [2]float64{4.5, 1.5}, [2]float64{4, 1.2}, false, "worse"},
		{"stage one too slow", 3, 0.5, [2]float64{4, 1.5}, [2]float64{3, 1.2}, false, "faster"},
		{"not a number", 1, 1, [2]float64{math.NaN(), 1.5}, [2]float64{3, 1.2}, false, "faster"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Full training's 1000 tokens take 4 s, as many as stage one's.
			m := result("elo", map[string]float64{elo.StagePretrain: c.one, elo.StageAlign: c.two},
				map[string][2]float64{elo.WhenBase: base, elo.WhenSmall: small, elo.WhenGrafted: grafted, elo.WhenAligned: c.aligned})
			f := result("full", map[string]float64{elo.StageFull: 4}, map[string][2]float64{elo.WhenFull: c.full})
			r, err := NewReport(m, f, nil, []string{"es", "en"})
			if err != nil {
				t.Fatal(err)
			}
			if r.Passed != c.passed || !strings.Contains(r.Sentence, c.sentence) {
				t.Errorf("got passed %v (%q), %q, want %v, %q", r.Passed, r.Failures, r.Sentence, c.passed, c.sentence)
			}
			if want := 4 / c.one; math.Abs(r.StageOne.Measured-want) > 1e-9 {
				t.Errorf("speed-up of stage one: got %v, want %v", r.StageOne.Measured, want)
			}
			if want := 4.0; math.Abs(r.StageOne.Predicted-want/c.one) > 1e-9 { // work is made up to follow time
				t.Errorf("prediction: got %v, want %v", r.StageOne.Predicted, want/c.one)
			}
			var text bytes.Buffer
			if err := r.Write(&text); err != nil || !strings.Contains(text.String(), r.Sentence) {
				t.Errorf("table %q, %v", text.String(), err)
			}
		})
	}
}

// TestTokensInTime: full training takes 4 s for 1000 tokens, ELO 2 s for all.
func TestTokensInTime(t *testing.T) {
	m := result("elo", map[string]float64{elo.StagePretrain: 1.5, elo.StageAlign: 0.5}, nil)
	f := result("full", map[string]float64{elo.StageFull: 4}, nil)
	if got := TokensInTime(m, f); got != 500 {
		t.Errorf("got %d, want 500", got)
	}
}

func TestReportMissing(t *testing.T) {
	f := result("full", map[string]float64{elo.StageFull: 4}, nil)
	if _, err := NewReport(f, f, nil, []string{"es"}); err == nil || !strings.Contains(err.Error(), `"es"`) {
		t.Errorf("got %v, want an error that names the corpus", err)
	}
}

// TestRace runs two methods for real: they must take turns, and each must come
// to what it comes to alone.
func TestRace(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if err := os.CopyFS(base, demo.Base()); err != nil {
		t.Fatal(err)
	}
	corpus := filepath.Join(dir, "es.txt")
	if err := os.WriteFile(corpus, []byte(strings.Repeat("En el principio crió Dios los cielos y la tierra.\n\n", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	var order []string
	entry := func(method, out string) Entry {
		be, err := kernels.Open("cpu:2")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { be.Close() })
		r := elo.Defaults()
		r.BaseModel, r.OutputDir, r.Method = base, filepath.Join(dir, out), method
		r.SequenceLen, r.MaxTokens, r.AlignShare = 32, 300, 0.3
		r.Datasets = []elo.Dataset{{Path: corpus, Lang: "es"}}
		r.Eval = r.Datasets
		return Entry{Name: method, Env: elo.Env{Backend: be, Report: note(func() { order = append(order, method) })}, Recipe: r}
	}
	results, err := Race(context.Background(), time.Nanosecond, []Entry{entry(elo.MethodELO, "elo"), entry(elo.MethodFull, "full")})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 6; i++ {
		if order[i] == order[i-1] {
			t.Errorf("turns %v: want them to alternate", order[:6])
			break
		}
	}
	r, err := NewReport(results[0], results[1], &results[1], []string{"es"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "stopped at ELO's time, full training came to es "; !strings.Contains(r.Sentence, want) {
		t.Errorf("got %q, want it to contain %q", r.Sentence, want)
	}
	if r.Stages[2].Tokens != r.Stages[3].Tokens {
		t.Errorf("ELO read %d tokens, full training %d: want the same", r.Stages[2].Tokens, r.Stages[3].Tokens)
	}
	var img bytes.Buffer
	if err := r.WritePNG(&img); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&img); err != nil {
		t.Error(err)
	}
}

// note calls a function at each step.
type note func()

func (note) Note(string)           {}
func (note) Warn(string)           {}
func (note) Eval(elo.EvalReport)   {}
func (n note) Step(elo.StepReport) { n() }
