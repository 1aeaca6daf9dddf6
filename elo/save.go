package elo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"graft/elo/checkpoint"
	"graft/elo/data"
	"graft/elo/train"
	"graft/kernels"
)

// state is what is saved of an interrupted stage beside the memory.
type state struct {
	Stage    string      `json:"stage"`
	Step     int         `json:"step"` // steps taken, skipped ones included
	Tokens   int64       `json:"tokens"`
	Seconds  float64     `json:"seconds"`
	Loss     float64     `json:"loss"`
	Cursor   data.Cursor `json:"cursor"`
	Recipe   Recipe      `json:"recipe"`
	Resume   resume      `json:"resume"`
	Numerics string      `json:"numerics"`
}

// resume names the verb that made a state and what it was called with.
type resume struct {
	Verb  string `json:"verb"` // pretrain, align or run
	Force bool   `json:"force"`
}

func (x *runner) save() error {
	if err := x.saveWith(x.t.State()); err != nil {
		return err
	}
	x.saved = x.savedAt(x.taken)
	return nil
}

func (x *runner) saveWith(memory []checkpoint.Slot) error {
	return checkpoint.Save(x.j.state, state{
		Stage: x.j.name, Step: x.taken, Tokens: x.tokens, Seconds: x.spent.Seconds(), Loss: finite(x.loss), Cursor: x.stream.Cursor(),
		Recipe: *x.r, Resume: x.resume, Numerics: x.env.Backend.Caps().Fingerprint,
	}, memory)
}

// handOver replaces the state of the stage before, which has written its result,
// by one that begins this stage: nothing is lost of what is finished, whatever
// happens from here on. Nothing has been trained, so it holds no memory.
func (x *runner) handOver() error {
	if err := x.saveWith(nil); err != nil {
		return err
	}
	x.saved = fmt.Sprintf("stage %s is done, and %s goes on behind it with --resume", x.j.follows, x.j.state)
	return nil
}

func (x *runner) savedAt(step int) string {
	return fmt.Sprintf("the state after step %d is in %s and goes on with --resume", step, x.j.state)
}

// failed says what is left of a stage that could not go on. What the device
// holds is not to be trusted then, but what was saved before is whole.
func (x *runner) failed(err error) error {
	var stopped *Interrupted
	if errors.As(err, &stopped) || errors.Is(err, train.ErrNotFinite) || errors.Is(err, context.Canceled) {
		return err // says so itself, or is not worth saying
	}
	at := fmt.Sprintf("elo: %s", x.j.name)
	if x.taken > 0 {
		at += fmt.Sprintf(", after step %d", x.taken)
	}
	switch {
	case x.saved != "":
		return fmt.Errorf("%s: %w; %s", at, err, x.saved)
	case x.taken > 0 || errors.Is(err, kernels.ErrDeviceLost):
		return fmt.Errorf("%s: %w; no state was saved (save_steps is %d), so it has to begin anew", at, err, x.r.SaveSteps)
	}
	return err
}

// closing closes c behind err. A lost device can only say once more that it is
// lost.
func closing(err error, c io.Closer) error {
	e := c.Close()
	if errors.Is(err, kernels.ErrDeviceLost) && errors.Is(e, kernels.ErrDeviceLost) {
		return err
	}
	return errors.Join(err, e)
}

// notFinite saves the state: the skipped step has changed nothing, so it is
// still good, and a resumed run goes on behind the batch that did it.
func (x *runner) notFinite(m *train.Metrics) error {
	if err := x.save(); err != nil {
		return err
	}
	return fmt.Errorf("elo: %s: step %d: loss %v, gradient norm %v; the last good state is saved in %s: %w",
		x.j.name, x.taken, m.Loss, m.GradNorm, x.j.state, train.ErrNotFinite)
}

// keep saves the state of a stage that has trained to its end but could not be
// evaluated or written, so that the training is not lost.
func (x *runner) keep(err error) error {
	if err == nil {
		return nil
	}
	if e := x.save(); errors.Is(e, kernels.ErrDeviceLost) {
		return x.failed(err)
	} else if e != nil {
		return errors.Join(err, e)
	}
	return fmt.Errorf("%w; what was trained is saved in %s and goes on with --resume", err, x.j.state)
}

// saved is an opened state.
type saved struct {
	state
	data *checkpoint.State
	dir  string
}

// openState opens a state and checks that this device gives the same bits.
func openState(env *Env, dir string) (*saved, error) {
	s := &saved{dir: dir}
	var err error
	if s.data, err = checkpoint.Open(dir, &s.state); err != nil {
		return nil, err
	}
	if now := env.Backend.Caps().Fingerprint; now != s.Numerics {
		if !env.OtherNumerics {
			return nil, errors.Join(fmt.Errorf("elo: %s was saved on %q, this is %q: the bits would differ; allow other numerics to go on", dir, s.Numerics, now), s.data.Close())
		}
		env.report().Warn(fmt.Sprintf("%s was saved on %q, this is %q: the run is no longer the same to the bit", dir, s.Numerics, now))
	}
	return s, nil
}

// stateDir is where an interrupted run of this output is saved.
func stateDir(output string) string { return filepath.Clean(output) + ".resume" }

// removeState removes the state of a run that has ended well.
func removeState(dir string) error {
	var s state
	st, err := checkpoint.Open(dir, &s)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
