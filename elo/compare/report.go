package compare

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"graft/elo"
)

// Report sets ELO beside full training: held-out bits per byte, times, and the
// speed-up that was measured beside the one that the work per token predicts.
type Report struct {
	Langs    []string `json:"langs"`  // held-out corpora; the first is the target
	Scores   []Row    `json:"scores"` // bits per byte
	Stages   []Timed  `json:"stages"`
	StageOne Speed    `json:"stage_one"` // tokens per second over full training's
	Pipeline Speed    `json:"pipeline"`  // full training's seconds over all of ELO's: load, train, graft, save
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"`
	Sentence string   `json:"sentence"`
	Runs     []Result `json:"runs"`
}

// Row is the score of one model.
type Row struct {
	Model       string    `json:"model"`
	BitsPerByte []float64 `json:"bits_per_byte"` // by Langs
}

// Timed is a line about a stage.
type Timed struct {
	Name string `json:"name"`
	Total
	TokensPerSecond float64 `json:"tokens_per_s"`
	FLOPsPerToken   float64 `json:"flops_per_token"`
}

// Speed is a ratio.
type Speed struct {
	Measured  float64 `json:"measured"`
	Predicted float64 `json:"predicted"`
}

// Names of the rows of Report.Scores.
const (
	rowBase    = "base"
	rowSmall   = "ELO, small model"
	rowGrafted = "ELO, right after grafting"
	rowAligned = "ELO, after alignment"
	rowFull    = "full training"
	rowInTime  = "full training, in ELO's time"
)

// TokensInTime is how many tokens full training reads in the time that ELO took:
// what a user could have had instead.
func TokensInTime(method, full Result) int64 {
	all, _ := full.Stage(elo.StageFull)
	return int64(float64(all.Tokens) * method.Times.Method() / full.Times.Method())
}

// NewReport compares a run of MethodELO with one of MethodFull on the same data.
// short, which may be nil, is full training on TokensInTime tokens, its schedule
// included. langs names the held-out corpora that all evaluated, the target
// first.
func NewReport(method, full Result, short *Result, langs []string) (*Report, error) {
	r := &Report{Langs: langs, Runs: []Result{method, full}}
	type scored struct {
		row, when string
		from      *Result
	}
	rows := []scored{
		{rowBase, elo.WhenBase, &method}, {rowSmall, elo.WhenSmall, &method}, {rowGrafted, elo.WhenGrafted, &method},
		{rowAligned, elo.WhenAligned, &method}, {rowFull, elo.WhenFull, &full},
	}
	if short != nil {
		rows = append(rows, scored{rowInTime, elo.WhenFull, short})
		r.Runs = append(r.Runs, *short)
	}
	for _, x := range rows {
		row := Row{Model: x.row}
		for _, lang := range langs {
			score, ok := x.from.Score(x.when, lang)
			if !ok {
				return nil, fmt.Errorf("compare: run %s has no evaluation %q of %q", x.from.Name, x.when, lang)
			}
			row.BitsPerByte = append(row.BitsPerByte, score)
		}
		r.Scores = append(r.Scores, row)
	}
	one, ok1 := method.Stage(elo.StagePretrain)
	two, ok2 := method.Stage(elo.StageAlign)
	all, ok3 := full.Stage(elo.StageFull)
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("compare: a stage took no step: stage one %v, alignment %v, full training %v", ok1, ok2, ok3)
	}
	r.Stages = []Timed{timed("ELO, stage one", one), timed("ELO, alignment", two),
		timed("ELO, both", Total{Steps: one.Steps + two.Steps, Tokens: one.Tokens + two.Tokens, Seconds: one.Seconds + two.Seconds, FLOPs: one.FLOPs + two.FLOPs}),
		timed("full training", all)}
	if short != nil {
		t, _ := short.Stage(elo.StageFull)
		r.Stages = append(r.Stages, timed(rowInTime, t))
	}
	share := float64(one.Tokens) / float64(one.Tokens+two.Tokens)
	ratio := all.PerToken() / one.PerToken()
	r.StageOne = Speed{Measured: one.Rate() / all.Rate(), Predicted: ratio}
	r.Pipeline = Speed{Measured: full.Times.Method() / method.Times.Method(), Predicted: 1 / (share/ratio + 1 - share)}
	r.judge()
	r.Sentence = r.conclude()
	return r, nil
}

func timed(name string, t Total) Timed {
	return Timed{Name: name, Total: t, TokensPerSecond: t.Rate(), FLOPsPerToken: t.PerToken()}
}

func (r *Report) score(row string, lang int) float64 {
	for _, s := range r.Scores {
		if s.Model == row {
			return s.BitsPerByte[lang]
		}
	}
	return 0
}

// Marks that a demonstration must reach.
const (
	leastGain  = 0.5 // of full training's gain in the target
	leastSpeed = 1.8 // stage one's tokens per second over full training's
)

// judge holds the figures to the marks.
func (r *Report) judge() {
	fail := func(format string, args ...any) { r.Failures = append(r.Failures, fmt.Sprintf(format, args...)) }
	base, grafted, aligned, full := r.score(rowBase, 0), r.score(rowGrafted, 0), r.score(rowAligned, 0), r.score(rowFull, 0)
	// Written so that NaN fails.
	if !(base-aligned >= leastGain*(base-full)) {
		fail("after alignment %s gained %.3f bits per byte over the base, want at least half of full training's %.3f", r.Langs[0], base-aligned, base-full)
	}
	if !(aligned < grafted) {
		fail("alignment did not lower %s: %.3f bits per byte, %.3f right after grafting", r.Langs[0], aligned, grafted)
	}
	if !(r.StageOne.Measured >= leastSpeed) {
		fail("stage one ran %.2f times as many tokens per second as full training, want at least %.1f", r.StageOne.Measured, leastSpeed)
	}
	r.Passed = len(r.Failures) == 0
}

// conclude says in words what the table says.
func (r *Report) conclude() string {
	speed := "as fast as"
	switch s := r.Pipeline.Measured; {
	case s > 1.02:
		speed = fmt.Sprintf("%.2f times faster than", s)
	case s < 0.98:
		speed = fmt.Sprintf("%.2f times slower than", 1/s)
	}
	better, worse := 0, 0
	var parts []string
	for i, lang := range r.Langs {
		a, f := r.score(rowAligned, i), r.score(rowFull, i)
		if a < f {
			better++
		} else if a > f {
			worse++
		}
		parts = append(parts, fmt.Sprintf("%s %.3f against %.3f", lang, a, f))
	}
	quality := "and equal"
	switch {
	case better > 0 && worse == 0:
		quality = "and better"
	case worse > 0 && better == 0:
		quality = "and worse"
	case better > 0:
		quality = "and better in some languages, worse in others"
	}
	text := fmt.Sprintf("On the same tokens ELO was %s full training %s (held-out bits per byte: %s)", speed, quality, strings.Join(parts, ", "))
	if len(r.Runs) > 2 {
		parts = nil
		for i, lang := range r.Langs {
			parts = append(parts, fmt.Sprintf("%s %.3f", lang, r.score(rowInTime, i)))
		}
		text += fmt.Sprintf("; stopped at ELO's time, full training came to %s", strings.Join(parts, ", "))
	}
	return text + "; one seed."
}

// Write prints the tables and the conclusion.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "held-out bits per byte\t%s\t\n", strings.Join(r.Langs, "\t"))
	for _, s := range r.Scores {
		fmt.Fprintf(t, "%s\t", s.Model)
		for _, b := range s.BitsPerByte {
			fmt.Fprintf(t, "%.3f\t", b)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "training\tsteps\ttokens\tseconds\ttokens/s\tMFLOP/token\t")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f\t%.0f\t%.2f\t\n", s.Name, s.Steps, s.Tokens, s.Seconds, s.TokensPerSecond, s.FLOPsPerToken/1e6)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nload, train, graft and save: ELO %.1f s, full training %.1f s; tokenising (%.1f s, %.1f s) and evaluation (%.1f s, %.1f s) apart\n",
		r.Runs[0].Times.Method(), r.Runs[1].Times.Method(), r.Runs[0].Times.Tokenise, r.Runs[1].Times.Tokenise, r.Runs[0].Times.Evaluate, r.Runs[1].Times.Evaluate)
	fmt.Fprintf(w, "speed-up of stage one %.2f, predicted %.2f (work per token); of the whole %.2f, predicted %.2f (1 / (a/r + 1 - a))\n",
		r.StageOne.Measured, r.StageOne.Predicted, r.Pipeline.Measured, r.Pipeline.Predicted)
	_, err := fmt.Fprintln(w, r.Sentence)
	return err
}
