package optim

import (
	"fmt"
	"math"
)

// Schedule gives the factor on the peak learning rate in each step.
type Schedule struct {
	Kind   string  // "cosine", "linear", "wsd" or "constant"
	Steps  int     // steps in all
	Warmup int     // steps that rise linearly from Floor; step 0 has the floor itself
	Decay  int     // wsd: steps that fall at the end
	Shape  string  // wsd: "linear" (default), "cosine" or "1-sqrt"
	Floor  float64 // wsd: lowest factor
}

// Kinds lists the kinds of schedule.
func Kinds() []string { return []string{"cosine", "linear", "wsd", "constant"} }

// Check reports a schedule that makes no sense.
func (s Schedule) Check() error {
	switch s.Kind {
	case "cosine", "linear", "wsd", "constant":
	default:
		return fmt.Errorf("optim: schedule %q is unknown (have %v)", s.Kind, Kinds())
	}
	switch s.Shape {
	case "", "linear", "cosine", "1-sqrt":
	default:
		return fmt.Errorf("optim: shape %q of the wsd schedule is unknown (have linear, cosine, 1-sqrt)", s.Shape)
	}
	if s.Steps < 0 || s.Warmup < 0 || s.Decay < 0 || s.Kind == "wsd" && s.Warmup+s.Decay > s.Steps {
		return fmt.Errorf("optim: schedule %s: %d steps, %d of warm-up, %d of decay", s.Kind, s.Steps, s.Warmup, s.Decay)
	}
	if !(s.Floor >= 0 && s.Floor <= 1) {
		return fmt.Errorf("optim: schedule %s: floor %v, want 0 to 1", s.Kind, s.Floor)
	}
	return nil
}

// Factor is the factor of a step, counted from 0, as in Transformers'
// get_*_schedule_with_warmup and get_wsd_schedule.
func (s Schedule) Factor(step int) float64 {
	if step < s.Warmup {
		f := float64(step) / float64(s.Warmup)
		if s.Kind == "wsd" {
			f = s.Floor + (1-s.Floor)*f
		}
		return f
	}
	progress := float64(step-s.Warmup) / float64(max(1, s.Steps-s.Warmup))
	switch s.Kind {
	case "cosine":
		return max(0, half(progress))
	case "linear":
		return max(0, 1-progress)
	case "wsd":
		return s.wsd(step)
	}
	return 1
}

// half is half a period of a cosine, from 1 to 0.
func half(progress float64) float64 { return 0.5 * (1 + math.Cos(math.Pi*progress)) }

// wsd is the stable and the decaying part of warm-up, stable, decay (Hu et al.
// 2024).
func (s Schedule) wsd(step int) float64 {
	begin := s.Steps - s.Decay
	switch {
	case step < begin:
		return 1
	case step >= s.Steps:
		return s.Floor
	}
	progress := float64(step-begin) / float64(s.Decay)
	f := 1 - progress
	switch s.Shape {
	case "cosine":
		f = half(progress)
	case "1-sqrt":
		f = 1 - math.Sqrt(progress)
	}
	return s.Floor + (1-s.Floor)*f
}
