// Package compare runs methods beside each other so that their times can be
// compared: in short turns on one machine, each alone while it runs, and the one
// that has trained on fewest tokens next, so that whatever else the machine does
// meets them alike from the beginning to the end.
//
//	results, err := compare.Race(ctx, time.Second, []compare.Entry{
//		{Name: "elo", Env: e1, Recipe: elo},
//		{Name: "full", Env: e2, Recipe: full},
//	})
//
// The runs are elo.Run itself, with nothing left out. The package judges
// nothing: it hands back every step and evaluation, and totals by stage.
package compare

import (
	"context"
	"errors"
	"sync"
	"time"

	"graft/elo"
)

// Entry is a run in a race. Env needs a backend of its own; its Report may be
// nil and is told everything.
type Entry struct {
	Name   string
	Env    elo.Env
	Recipe elo.Recipe
}

// Result is what a run did.
type Result struct {
	Name   string           `json:"name"`
	Steps  []elo.StepReport `json:"steps"`
	Evals  []elo.EvalReport `json:"evaluations"`
	Times  elo.Times        `json:"seconds"`
	Notes  []string         `json:"notes,omitempty"`
	Warned []string         `json:"warnings,omitempty"`
}

// Total is a stage's sums.
type Total struct {
	Stage   string  `json:"stage"`
	Steps   int     `json:"steps"`
	Tokens  int64   `json:"tokens"`
	Seconds float64 `json:"seconds"` // of training steps
	FLOPs   float64 `json:"flops"`
}

// Rate is tokens per second.
func (t Total) Rate() float64 { return float64(t.Tokens) / t.Seconds }

// PerToken is the work for a token.
func (t Total) PerToken() float64 { return t.FLOPs / float64(t.Tokens) }

// Stage sums up a stage; ok is false when the run had no such stage.
func (r *Result) Stage(name string) (t Total, ok bool) {
	t.Stage = name
	for _, s := range r.Steps {
		if s.Stage == name {
			t.Steps++
			t.Tokens += s.Targets
			t.Seconds += s.Seconds
			t.FLOPs += s.FLOPs
		}
	}
	return t, t.Steps > 0
}

// Seconds is the time of all training steps.
func (r *Result) Seconds() float64 {
	sum := 0.0
	for _, s := range r.Steps {
		sum += s.Seconds
	}
	return sum
}

// Score returns an evaluation's bits per byte for a corpus.
func (r *Result) Score(when, corpus string) (bitsPerByte float64, ok bool) {
	for _, e := range r.Evals {
		if e.When != when {
			continue
		}
		for _, s := range e.Scores {
			if s.Name == corpus {
				return s.BitsPerByte(), true
			}
		}
	}
	return 0, false
}

// Race runs the entries in turns of at least slice, handing over between two
// steps. It returns when all have ended, or with the errors of those that
// failed; a failure does not stop the others.
func Race(ctx context.Context, slice time.Duration, entries []Entry) ([]Result, error) {
	r := &race{slice: slice, turn: sync.NewCond(&sync.Mutex{}), ended: make([]bool, len(entries)), tokens: make([]int64, len(entries))}
	results := make([]Result, len(entries))
	errs := make([]error, len(entries))
	var all sync.WaitGroup
	for i, e := range entries {
		results[i].Name = e.Name
		all.Go(func() {
			lap := &lap{race: r, me: i, to: &results[i], next: e.Env.Report}
			e.Env.Report = lap
			lap.wait()
			errs[i] = elo.Run(ctx, &e.Env, e.Recipe)
			results[i].Times = e.Env.Times
			lap.end()
		})
	}
	all.Wait()
	return results, errors.Join(errs...)
}

// race says whose turn it is.
type race struct {
	slice  time.Duration
	turn   *sync.Cond
	now    int
	ended  []bool
	tokens []int64 // trained on so far
}

// pass gives the turn to the run, of those that have not ended, that has trained
// on fewest tokens; of several, to the first behind the present one. The lock is
// held.
func (r *race) pass() {
	next := -1
	for i := range r.ended {
		k := (r.now + 1 + i) % len(r.ended)
		if !r.ended[k] && (next < 0 || r.tokens[k] < r.tokens[next]) {
			next = k
		}
	}
	if next >= 0 {
		r.now = next
	}
	r.turn.Broadcast()
}

// lap is one run's part in a race: a Reporter that blocks while others run.
type lap struct {
	race  *race
	me    int
	to    *Result
	next  elo.Reporter
	since time.Time // the turn began
}

func (l *lap) wait() {
	l.race.turn.L.Lock()
	for l.race.now != l.me {
		l.race.turn.Wait()
	}
	l.race.turn.L.Unlock()
	l.since = time.Now()
}

func (l *lap) end() {
	l.race.turn.L.Lock()
	l.race.ended[l.me] = true
	l.race.pass()
	l.race.turn.L.Unlock()
}

func (l *lap) Note(text string) {
	l.to.Notes = append(l.to.Notes, text)
	if l.next != nil {
		l.next.Note(text)
	}
}

func (l *lap) Warn(text string) {
	l.to.Warned = append(l.to.Warned, text)
	if l.next != nil {
		l.next.Warn(text)
	}
}

func (l *lap) Eval(e elo.EvalReport) {
	l.to.Evals = append(l.to.Evals, e)
	if l.next != nil {
		l.next.Eval(e)
	}
}

// Step records and, when the turn is over, lets the others run.
func (l *lap) Step(s elo.StepReport) {
	s.LangLoss, s.LangTargets = nil, nil // reused by the next step
	l.to.Steps = append(l.to.Steps, s)
	l.race.turn.L.Lock()
	l.race.tokens[l.me] += s.Targets
	l.race.turn.L.Unlock()
	if l.next != nil {
		l.next.Step(s)
	}
	if time.Since(l.since) < l.race.slice {
		return
	}
	l.race.turn.L.Lock()
	l.race.pass()
	l.race.turn.L.Unlock()
	l.wait()
}
