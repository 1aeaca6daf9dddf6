package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"graft/bench/versus"
)

// The names of the sides.
const (
	ours    = "Graft"
	torch   = "PyTorch"
	eager   = "PyTorch eager"
	compile = "torch.compile"
	blas    = "libraries"
	pairs   = "Graft in the mode " + versus.Pairs
)

// A round is so many turns of each side. A turn is at least one run, and ends after so
// many or so long.
const (
	turns       = 4
	turnRuns    = 10
	turnSeconds = 0.25
)

// field holds the processes that run. A side that does not start is missing, which is
// said once.
type field struct {
	o       options
	rep     *report
	running map[string]*versus.Process // by side and threads
	refused map[string]bool            // by side
}

func newField(o options, rep *report) *field {
	return &field{o: o, rep: rep, running: map[string]*versus.Process{}, refused: map[string]bool{}}
}

// measure gives the sides of a case their turns. Those of a step get processes of their
// own, whose memory is then the step's alone.
func (f *field) measure(ctx context.Context, c versus.Case, threads int) (versus.Result, error) {
	asked := []versus.Named{{Name: ours}}
	switch c.Kind {
	case versus.KindStep:
		f.close()
		defer f.close()
		asked = append(asked, versus.Named{Name: eager, Only: "eager"}, versus.Named{Name: compile, Only: "compile"})
	case versus.KindWidened:
		asked = append(asked, versus.Named{Name: pairs})
	case versus.KindMatMul:
		asked = append(asked, versus.Named{Name: torch}, versus.Named{Name: blas})
	case versus.KindAttention, versus.KindAttentionBwd:
		asked = append(asked, versus.Named{Name: torch})
	}
	var sides []versus.Named
	for _, s := range asked {
		p, err := f.side(s.Name, threads)
		if err != nil {
			if s.Name == ours {
				return versus.Result{}, err
			}
			f.miss(s.Name, err.Error())
			continue
		}
		s.Side = p
		sides = append(sides, s)
	}
	seconds := turnSeconds
	if f.o.Small {
		seconds /= 20
	}
	return versus.Measure(ctx, sides, c, versus.Pace{Rounds: f.o.Rounds, Turns: turns, Seconds: seconds, Runs: turnRuns}), nil
}

// miss notes once that a side is not there.
func (f *field) miss(side, why string) {
	if !f.refused[side] {
		f.refused[side] = true
		f.rep.Missing = append(f.rep.Missing, side+": "+why)
	}
}

// side is the process of a side with a number of threads, started when it is not there.
func (f *field) side(name string, threads int) (*versus.Process, error) {
	key := fmt.Sprint(name, " ", threads)
	if p := f.running[key]; p != nil {
		return p, nil
	}
	if f.refused[name] {
		return nil, fmt.Errorf("%s did not start before", name)
	}
	p, err := f.start(name, threads)
	if err != nil {
		return nil, err
	}
	f.running[key] = p
	if name != pairs {
		maps.Copy(f.rep.Versions, p.Hello.Versions)
	}
	f.rep.Resident[name] = p.Hello.Resident
	for _, m := range p.Hello.Missing {
		if !slices.Contains(f.rep.Missing, m) {
			f.rep.Missing = append(f.rep.Missing, m)
		}
	}
	return p, nil
}

func (f *field) start(name string, threads int) (*versus.Process, error) {
	n := fmt.Sprint(threads)
	if name == ours || name == pairs {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		var env []string
		if name == pairs {
			env = []string{"GRAFT_CPU=" + versus.Pairs}
		}
		return versus.Start(env, exe, "-serve", "cpu:"+n)
	}
	if f.o.python == "" {
		return nil, fmt.Errorf("no Python interpreter was given")
	}
	script, arg := "pytorch.py", "cpu:"+n
	if name == blas {
		script, arg = "blas.py", n
	}
	env := []string{"OMP_NUM_THREADS=" + n, "MKL_NUM_THREADS=" + n, "OPENBLAS_NUM_THREADS=" + n}
	return versus.Start(env, f.o.python, "-B", filepath.Join(f.o.scripts, script), arg)
}

// close ends all processes. What they end with is no result.
func (f *field) close() {
	for _, p := range f.running {
		_ = p.Close()
	}
	clear(f.running)
}
