package elo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"graft/elo/eval"
	"graft/kernels"
)

// ErrInterrupted is wrapped when a run stopped because it was asked to. The
// error is an *Interrupted, which names the saved state, unless there was nothing
// to save yet.
var ErrInterrupted = errors.New("interrupted")

// Interrupted tells where a stopped run was saved.
type Interrupted struct{ State string }

func (e *Interrupted) Error() string {
	return "elo: interrupted; the state is saved in " + e.State + " and goes on with --resume"
}

// Unwrap makes errors.Is(err, ErrInterrupted) true.
func (e *Interrupted) Unwrap() error { return ErrInterrupted }

// Env is what a run is given beside its recipe.
type Env struct {
	Backend kernels.Backend
	Report  Reporter // nil is silence
	// Interrupt, when closed, lets the current step finish, saves the state and
	// ends the run with ErrInterrupted; before the first step there is nothing to
	// save. nil never does.
	Interrupt <-chan struct{}
	// Force replaces an existing output directory once the new one is complete.
	Force bool
	// AllowSlow runs operations that the backend lacks by their definitions.
	AllowSlow bool
	// OtherNumerics resumes a state that was saved under another numerics
	// fingerprint (device, driver, kernels): the bits then differ.
	OtherNumerics bool
	// Times is added to while a run goes on.
	Times Times
}

// Times splits the seconds of a run. What a method costs is Method; tokenising
// and evaluation are the same for all and stand apart.
type Times struct {
	Tokenise float64 `json:"tokenise"`
	Load     float64 `json:"load"`  // checkpoint to device
	Train    float64 `json:"train"` // optimizer steps
	Save     float64 `json:"save"`  // grafting and writing models
	Evaluate float64 `json:"evaluate"`
}

// Method is the time that belongs to the method: loading, training, grafting
// and saving.
func (t Times) Method() float64 { return t.Load + t.Train + t.Save }

// since adds the seconds since start to one of the times; made for defer.
func since(to *float64, start time.Time) { *to += time.Since(start).Seconds() }

// Reporter is told what happens. Calls come from one goroutine.
type Reporter interface {
	Note(text string) // what is being done, one line
	Warn(text string) // what the user should know, one line
	Step(StepReport)
	Eval(EvalReport)
}

// StepReport is one optimizer step.
type StepReport struct {
	Stage       string        `json:"stage"`
	Step        int           `json:"step"` // from 1
	Steps       int           `json:"steps"`
	Loss        float64       `json:"loss"` // nats per target
	GradNorm    float64       `json:"grad_norm"`
	LR          float64       `json:"learning_rate"`
	Targets     int64         `json:"tokens"`       // of this step
	TokensTotal int64         `json:"tokens_total"` // of the stage
	Rate        float64       `json:"tokens_per_s"` // of this step
	FLOPs       float64       `json:"flops"`        // of this step: matrix work and attended pairs, recomputation included
	Seconds     float64       `json:"seconds"`      // of this step
	FLOPRate    float64       `json:"flop_per_s"`
	LangLoss    []float64     `json:"-"`                      // sums of nats by language of the stream
	LangTargets []int64       `json:"-"`                      // targets by language
	Langs       []string      `json:"-"`                      // the stream's languages
	Elapsed     time.Duration `json:"elapsed_ns"`             // of the stage
	Remaining   time.Duration `json:"remaining_ns,omitempty"` // estimated
}

// When a model is evaluated.
const (
	WhenBase    = "base"
	WhenSmall   = "small model"
	WhenGrafted = "after grafting"
	WhenAligned = "after alignment"
	WhenFull    = "after full training"
	WhenInPlace = "after training in place"

	// Of conversations: the assistant's tokens alone.
	WhenBeforeSFT = "before instruction tuning"
	WhenSFT       = "after instruction tuning"
)

// EvalReport is an evaluation of a model on held-out text.
type EvalReport struct {
	When   string        `json:"when"` // one of the When constants
	Scores []eval.Scores `json:"scores"`
}

// silent drops everything.
type silent struct{}

func (silent) Note(string)     {}
func (silent) Warn(string)     {}
func (silent) Step(StepReport) {}
func (silent) Eval(EvalReport) {}

func (e *Env) report() Reporter {
	if e.Report == nil {
		return silent{}
	}
	return e.Report
}

// interrupted reports whether the run has been asked to stop.
func (e *Env) interrupted() bool {
	select {
	case <-e.Interrupt:
		return true
	default:
		return false
	}
}

// beforeTraining runs what comes before the first step, where an interrupt ends
// the run at once: there is nothing to save yet.
func (e *Env) beforeTraining(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-e.Interrupt:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := fn(ctx)
	if err != nil && e.interrupted() && errors.Is(err, context.Canceled) {
		return fmt.Errorf("elo: %w before the first step: there was nothing to save", ErrInterrupted)
	}
	return err
}
