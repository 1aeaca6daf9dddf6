package versus

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"graft/kernels"
)

// Request asks for a turn: runs of a case, which is prepared once and stays so until
// another one is asked for.
type Request struct {
	Case    Case    `json:"case"`
	Only    string  `json:"only,omitempty"` // this variant; empty is all
	Seconds float64 `json:"seconds"`        // at most so long, at least one run
	Runs    int     `json:"runs"`           // at most so many
}

// Answer has the seconds of each run by variant ("graft", "eager", "compile", ...).
type Answer struct {
	Variants map[string][]float64 `json:"variants"`
	Memory   int64                `json:"memory"` // bytes on the device: Graft's plan, the most that a peer allocated
	Peak     int64                `json:"peak"`   // most resident bytes of the process in this turn; 0 is unknown
	FLOPs    float64              `json:"flops"`  // of a step, where the side knows
	Error    string               `json:"error,omitempty"`
	Notes    []string             `json:"notes,omitempty"` // variants that failed, and why
}

// Side runs cases.
type Side interface {
	Turn(ctx context.Context, r Request) (Answer, error)
	Close() error
}

// Local is Graft on a backend in this process. It holds one case at a time.
type Local struct {
	be       kernels.Backend
	prepared Case
	runners  map[string]runner
}

// NewLocal leaves the backend to its owner.
func NewLocal(be kernels.Backend) *Local { return &Local{be: be} }

// Graft is the name of Graft's own variant.
const Graft = "graft"

// Pairs is the numeric mode in which the processor multiplies pairs of bf16, and the
// variant of a product with both operands in bf16: all that is run in that mode.
const Pairs = "avx512_bf16"

// prepare replaces the case by another one.
func (l *Local) prepare(c Case) (err error) {
	if l.runners != nil && sameCase(l.prepared, c) {
		return nil
	}
	if err := l.Close(); err != nil {
		return err
	}
	l.runners, l.prepared = map[string]runner{}, c
	add := func(name string, r runner, e error) {
		if err = e; e == nil {
			l.runners[name] = r
		}
	}
	op := func(name string, c Case) {
		if err == nil {
			r, e := newOperation(l.be, c)
			add(name, r, e)
		}
	}
	switch c.Kind {
	case KindStep:
		r, e := newStep(l.be, c)
		add(Graft, r, e)
	case KindWidened:
		plain := c
		plain.Kind = KindMatMul
		if strings.Contains(l.be.Caps().Fingerprint, Pairs) {
			plain.DType = "bf16"
			op(Pairs, plain)
			break
		}
		op(Graft, c)
		op("f32", plain)
	case KindElementwise:
		add("copy", newCopier(c.Bytes, max(1, l.be.Caps().Threads)), nil)
		op(Graft, c)
	default:
		op(Graft, c)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

func sameCase(a, b Case) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}

// Turn runs each variant for its share of the turn.
func (l *Local) Turn(ctx context.Context, q Request) (Answer, error) {
	a := Answer{Variants: map[string][]float64{}}
	if err := l.prepare(q.Case); err != nil {
		return a, err
	}
	resetPeak()
	for _, name := range slices.Sorted(maps.Keys(l.runners)) {
		r := l.runners[name]
		if q.Only != "" && q.Only != name {
			continue
		}
		var ts []float64
		for began := time.Now(); len(ts) < q.Runs && (len(ts) == 0 || time.Since(began).Seconds() < q.Seconds); {
			s, err := r.run(ctx)
			if err != nil {
				return a, err
			}
			ts = append(ts, s)
		}
		a.Variants[name] = ts
		a.Memory = max(a.Memory, r.memory())
		if s, ok := r.(*step); ok {
			a.FLOPs = s.flops
		}
	}
	a.Peak = peak()
	return a, nil
}

// Close frees the case that is prepared.
func (l *Local) Close() error {
	var errs []error
	for _, r := range l.runners {
		errs = append(errs, r.Close())
	}
	l.runners = nil
	return errors.Join(errs...)
}

// Named is a side, how notes call it, and the one variant that it is asked for.
type Named struct {
	Name string
	Only string
	Side
}

// Result is a case and what came of it.
type Result struct {
	Case   Case
	Times  map[string][][]float64 // seconds, by variant and round
	Memory map[string]int64       // by side: see Answer
	Peak   map[string]int64       // by side
	Err    string                 // why Graft has no figure
	Notes  []string
}

// Pace is how sides take turns. Many short turns meet what else the machine does more
// alike than few long ones.
type Pace struct {
	Rounds  int     // each gives a ratio
	Turns   int     // of a side in a round; one, where a run takes longer than all of them
	Seconds float64 // of a turn
	Runs    int     // in a turn, at most
}

// Measure gives the sides their turns, one after the other and then backwards, round by
// round. The first side is Graft. One that fails has no more turns, and a note says so.
func Measure(ctx context.Context, sides []Named, c Case, p Pace) Result {
	res := Result{Case: c, Times: map[string][][]float64{}, Memory: map[string]int64{}, Peak: map[string]int64{}}
	m := measurement{sides: slices.Clone(sides), graft: sides[0].Name, out: map[string]bool{}, res: &res,
		request: Request{Case: c, Seconds: p.Seconds, Runs: p.Runs}}
	for round := range p.Rounds {
		for range p.Turns {
			if m.turns(ctx, round) > float64(p.Turns)*p.Seconds {
				break
			}
		}
	}
	return res
}

// measurement is what Measure has come to.
type measurement struct {
	sides   []Named // in the order of the next turns
	graft   string
	out     map[string]bool // by side: it has failed
	request Request
	res     *Result
}

// turns is a turn of each side, and the seconds of the longest run.
func (m *measurement) turns(ctx context.Context, round int) (longest float64) {
	for _, s := range m.sides {
		if m.out[s.Name] || ctx.Err() != nil {
			continue
		}
		m.request.Only = s.Only
		a, err := s.Turn(ctx, m.request)
		switch {
		case err == nil:
			longest = max(longest, m.res.add(s.Name, round, a))
			continue
		case s.Name == m.graft:
			m.res.Err = err.Error()
		default:
			m.res.Notes = append(m.res.Notes, s.Name+": "+err.Error())
		}
		m.out[s.Name] = true
	}
	slices.Reverse(m.sides)
	return longest
}

// add notes what came of a turn in a round, and gives the seconds of its longest run.
func (r *Result) add(side string, round int, a Answer) (longest float64) {
	for variant, ts := range a.Variants {
		rounds := r.Times[variant]
		if len(rounds) <= round {
			rounds = append(rounds, nil)
		}
		last := len(rounds) - 1
		rounds[last] = append(rounds[last], ts...)
		r.Times[variant] = rounds
		longest = max(longest, slices.Max(ts))
	}
	r.Memory[side] = max(r.Memory[side], a.Memory)
	r.Peak[side] = max(r.Peak[side], a.Peak)
	if a.FLOPs > 0 {
		r.Case.FLOPs = a.FLOPs
	}
	for _, n := range a.Notes {
		if n = side + ": " + n; !slices.Contains(r.Notes, n) {
			r.Notes = append(r.Notes, n)
		}
	}
	return longest
}
