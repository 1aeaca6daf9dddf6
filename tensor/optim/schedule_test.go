package optim

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// TestScheduleGolden compares every step with Transformers (testdata/pytorch/schedules.py).
func TestScheduleGolden(t *testing.T) {
	data, err := os.ReadFile("../../testdata/pytorch/schedules.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Kind                 string `json:"schedule"`
			Shape                string `json:"decay_type"`
			Steps, Warmup, Decay int
			Floor                float64 `json:"min_factor"`
			Factors              []float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil || len(golden.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(golden.Cases), err)
	}
	for _, c := range golden.Cases {
		s := Schedule{Kind: c.Kind, Steps: c.Steps, Warmup: c.Warmup, Decay: c.Decay, Shape: c.Shape, Floor: c.Floor}
		t.Run(fmt.Sprintf("%s %d %d %d %s", c.Kind, c.Steps, c.Warmup, c.Decay, c.Shape), func(t *testing.T) {
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.Factors {
				if got := s.Factor(i); math.Abs(got-want) > 1e-12 {
					t.Errorf("step %d: got %v, want %v", i, got, want)
				}
			}
		})
	}
}

func TestScheduleCheck(t *testing.T) {
	for _, s := range []Schedule{
		{Kind: "cosin", Steps: 5},
		{Kind: "linear", Steps: 5, Warmup: -1},
		{Kind: "wsd", Steps: 5, Warmup: 3, Decay: 3},
		{Kind: "wsd", Steps: 5, Shape: "square"},
		{Kind: "wsd", Steps: 5, Floor: math.NaN()},
	} {
		if s.Check() == nil {
			t.Errorf("%+v: accepted", s)
		}
	}
}
