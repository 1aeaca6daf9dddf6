package elo_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"graft/elo"
	"graft/kernels"
	"graft/kernels/kerneltest"
	_ "graft/kernels/vulkan"
	"graft/model"
)

// moments remembers after how many runs of the card each step and evaluation
// was reported.
type moments struct {
	stopper
	card *kerneltest.Card
	at   map[string]int
}

func (m *moments) Step(s elo.StepReport) {
	m.at[fmt.Sprint(s.Stage, " ", s.Step)] = m.card.Runs()
}

func (m *moments) Eval(e elo.EvalReport) { m.at[e.When] = m.card.Runs() }

// card opens a card that is lost at a run; 0 is never.
func card(t *testing.T, failRun int) *kerneltest.Card {
	return &kerneltest.Card{Backend: kerneltest.OpenDevice(t, "cpu:2"), FailRun: failRun, FailWith: kernels.ErrDeviceLost}
}

// TestDeviceLost loses the device at several moments of every stage. The error
// says how to go on, and what goes on ends with the bits of a run that lost
// nothing.
func TestDeviceLost(t *testing.T) {
	b := newBench(t)
	b.write("line.txt", "Un texto corto, en una sola frase.")
	recipe := func(method, out string) elo.Recipe {
		r := b.recipe(out)
		r.Method, r.SaveSteps, r.AlignShare = method, 2, 0.4
		r.SequenceLen, r.MicroBatchSize, r.MaxTokens = 32, 1, 640 // steps of two rows
		r.Eval[0].Path = b.path("line.txt")
		return r
	}
	whole := map[string]moments{}
	for _, method := range []string{elo.MethodELO, elo.MethodInPlace, elo.MethodFull} {
		c := card(t, 0)
		m := moments{card: c, at: map[string]int{}}
		must(t, elo.Run(t.Context(), &elo.Env{Backend: c, Report: &m}, recipe(method, "whole "+method)))
		whole[method] = m
	}
	const resumes, anew = "goes on with --resume", "no state was saved (save_steps is 2), so it has to begin anew"
	for _, c := range []struct {
		method, moment string   // the run that ends in it fails
		want           []string // in the error
	}{
		{elo.MethodELO, elo.WhenBase, []string{"card: run"}},
		{elo.MethodELO, "pretrain 1", []string{"elo: pretrain: card:", anew}},
		{elo.MethodELO, "pretrain 2", []string{"elo: pretrain, after step 1:", anew}},
		{elo.MethodELO, "pretrain 4", []string{"elo: pretrain, after step 3:", "state after step 2 is in", resumes}},
		{elo.MethodELO, elo.WhenSmall, []string{"elo: pretrain, after step 6:", "state after step 4 is in", resumes}},
		{elo.MethodELO, elo.WhenGrafted, []string{"elo: align: card:", "stage pretrain is done, and", "goes on behind it with --resume"}},
		{elo.MethodELO, "align 2", []string{"elo: align, after step 1:", "stage pretrain is done"}},
		{elo.MethodELO, "align 3", []string{"elo: align, after step 2:", "state after step 2 is in", resumes}},
		{elo.MethodELO, elo.WhenAligned, []string{"elo: align, after step 4:", "state after step 2 is in", resumes}},
		{elo.MethodInPlace, "inplace 4", []string{"elo: inplace, after step 3:", "state after step 2 is in", resumes}},
		{elo.MethodInPlace, "align 1", []string{"elo: align: card:", "stage inplace is done"}},
		{elo.MethodFull, "full 4", []string{"elo: full, after step 3:", "state after step 2 is in", resumes}},
	} {
		t.Run(c.method+" "+c.moment, func(t *testing.T) {
			out := "lost " + c.method + " " + c.moment
			k := whole[c.method].at[c.moment]
			if k == 0 {
				t.Fatalf("the whole run has no such moment: %v", whole[c.method].at)
			}
			err := elo.Run(t.Context(), &elo.Env{Backend: card(t, k)}, recipe(c.method, out))
			if !errors.Is(err, kernels.ErrDeviceLost) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one line that wraps %v", err, kernels.ErrDeviceLost)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %q in it", err, part)
				}
			}
			if _, err := os.Stat(b.path(out)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a run that failed wrote its output: %v", err)
			}
			again := &elo.Env{Backend: card(t, 0)}
			if strings.Contains(err.Error(), "--resume") {
				must(t, elo.Resume(t.Context(), again, b.path(out)+".resume"))
			} else {
				must(t, elo.Run(t.Context(), again, recipe(c.method, out)))
			}
			if d := differing(tensors(t, b.path("whole "+c.method)), tensors(t, b.path(out))); d != nil {
				t.Errorf("differs from a run that lost nothing in %v", d)
			}
			if _, err := os.Stat(b.path(out) + ".resume"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a finished run leaves its state: %v", err)
			}
		})
	}
}

// TestCardEqualsCPU: memory that the CPU does not see changes no bit.
func TestCardEqualsCPU(t *testing.T) {
	b := newBench(t)
	for out, be := range map[string]kernels.Backend{"cpu": kerneltest.OpenDevice(t, "cpu:2"), "card": card(t, 0)} {
		r := b.recipe(out)
		r.MaxTokens = 1500
		must(t, elo.Run(t.Context(), &elo.Env{Backend: be}, r))
	}
	if d := differing(tensors(t, b.path("cpu")), tensors(t, b.path("card"))); d != nil {
		t.Errorf("differs in %v", d)
	}
}

// small is a device with little memory.
type small struct {
	kernels.Backend
	memory int64
}

func (s small) Caps() kernels.Caps {
	c := s.Backend.Caps()
	c.Memory = s.memory
	return c
}

// TestNoRoomForAlignment: a device that holds stage one but not alignment is
// refused before anything is trained, and goes on being good for stage one.
func TestNoRoomForAlignment(t *testing.T) {
	b := newBench(t)
	be := kerneltest.OpenDevice(t, "cpu:2")
	ck, err := model.Open(b.base)
	must(t, err)
	defer ck.Close()
	r := b.recipe("out")
	r.MaxTokens = 1500
	list, err := elo.Estimates(be, ck, r)
	must(t, err)
	one, align := list[0].Memory.Total(), list[2].Memory.Total()
	if one >= align {
		t.Fatalf("stage one takes %d bytes, alignment %d", one, align)
	}
	e := &elo.Env{Backend: small{be, align - 1}}
	err = elo.Run(t.Context(), e, r)
	if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), "elo: align: train: not enough memory: ") || e.Times.Train > 0 {
		t.Errorf("got %v after %v s of training, want a refusal before any", err, e.Times.Train)
	}
	must(t, elo.Pretrain(t.Context(), e, r))
	must(t, elo.Run(t.Context(), &elo.Env{Backend: small{be, align}, Force: true}, r))
}

// TestResumeOnVulkan interrupts a run in each stage on a device that is not the
// CPU; what comes out must equal the uninterrupted one to the bit.
func TestResumeOnVulkan(t *testing.T) {
	b := newBench(t)
	b.write("line.txt", "Un texto corto, en una sola frase.")
	e := &elo.Env{Backend: kerneltest.OpenDevice(t, "vulkan")}
	recipe := func(out string) elo.Recipe {
		r := b.recipe(out)
		r.SequenceLen, r.MicroBatchSize, r.MaxTokens, r.AlignShare = 32, 1, 640, 0.4
		r.Eval[0].Path = b.path("line.txt")
		return r
	}
	whole := &stopper{}
	e.Report = whole
	must(t, elo.Run(t.Context(), e, recipe("whole")))
	out, steps := recipe("parts"), 0
	run := func() error { return elo.Run(t.Context(), e, out) }
	for _, after := range []int{2, 5} { // of stage one's six; one more of alignment's four
		s := &stopper{after: after, stop: make(chan struct{})}
		e.Report, e.Interrupt = s, s.stop
		var in *elo.Interrupted
		if err := run(); !errors.As(err, &in) {
			t.Fatalf("after %d steps: got %v, want an interruption", after, err)
		}
		steps += s.steps
		run = func() error { return elo.Resume(t.Context(), e, in.State) }
	}
	last := &stopper{}
	e.Report, e.Interrupt = last, nil
	must(t, run())
	if steps += last.steps; steps != whole.steps || last.steps == 0 {
		t.Errorf("got %d steps in parts, want %d", steps, whole.steps)
	}
	if d := differing(tensors(t, b.path("whole")), tensors(t, b.path("parts"))); d != nil {
		t.Errorf("differs in %v", d)
	}
}
