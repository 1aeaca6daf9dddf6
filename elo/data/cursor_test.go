package data

import (
	"encoding/json"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestShareRows(t *testing.T) {
	c := corpus(t, "en", Policy{}, strings.Repeat("x", 1001)) // 100 rows of 10
	s := stream(t, Options{SeqLen: 10}, Part{Corpus: c})
	for _, tt := range []struct {
		share    float64
		multiple int
		want     int64
	}{{0.9, 1, 90}, {0.9, 8, 88}, {0.9, 0, 90}, {0.93, 8, 96}, {0.5, 300, 100}, {0.001, 8, 8}, {0, 8, 0}, {-1, 8, 0}, {1, 8, 100}, {2, 8, 100}} {
		if got := s.ShareRows(tt.share, tt.multiple); got != tt.want {
			t.Errorf("%v in multiples of %d: got %d, want %d", tt.share, tt.multiple, got, tt.want)
		}
	}
}

func TestResume(t *testing.T) {
	for _, o := range []Options{
		{SeqLen: 16, Seed: 5},
		{SeqLen: 50, Seed: 6, Unit: Bytes},
		{SeqLen: 7, Seed: 7, Epochs: 2},
		{SeqLen: 32, Seed: 8, Tokens: 30_000},
		{SeqLen: 32, InOrder: true},
		{SeqLen: 32, InOrder: true, Whole: true},
	} {
		whole := mixed(t, o)
		want := read(t, whole, 3)
		for _, k := range []int64{0, 1, 2, whole.Rows() / 2, whole.Rows() - 1, whole.Rows()} {
			first := mixed(t, o)
			first.SetEnd(k)
			head := read(t, first, 2)
			js, err := json.Marshal(first.Cursor())
			if err != nil {
				t.Fatal(err)
			}
			var cur Cursor
			if err := json.Unmarshal(js, &cur); err != nil {
				t.Fatal(err)
			}
			second := mixed(t, o)
			if err := second.Seek(cur); err != nil {
				t.Fatalf("%+v: at row %d: %v", o, k, err)
			}
			tail := read(t, second, 5)
			got := slices.Concat(head.IDs, tail.IDs)
			targets := slices.Concat(head.Targets, tail.Targets)
			index := slices.Concat(head.Index, tail.Index)
			if !slices.Equal(got, want.IDs) || !slices.Equal(targets, want.Targets) || !slices.Equal(index, want.Index) {
				t.Errorf("%+v: %d rows and then the rest differ from all at once", o, k)
			}
			if !reflect.DeepEqual(second.Usage(), whole.Usage()) {
				t.Errorf("%+v: got usage %+v after resuming, want %+v", o, second.Usage(), whole.Usage())
			}
		}
	}
}

// TestResumedBatchIsIdentical compares every field, counts included.
func TestResumedBatchIsIdentical(t *testing.T) {
	o := Options{SeqLen: 24, Seed: 9}
	a := mixed(t, o)
	b := a.NewBatch(4)
	for range 7 {
		if err := a.Next(b); err != nil {
			t.Fatal(err)
		}
	}
	cur := a.Cursor()
	c := mixed(t, o)
	if err := c.Seek(cur); err != nil {
		t.Fatal(err)
	}
	got := c.NewBatch(4)
	for n := 0; ; n++ {
		errA, errC := a.Next(b), c.Next(got)
		if errA != errC {
			t.Fatalf("batch %d: got %v, want %v", n, errC, errA)
		}
		if errA == io.EOF {
			break
		}
		b.keys, got.keys = nil, nil
		if !reflect.DeepEqual(got, b) {
			t.Fatalf("batch %d differs", n)
		}
		b.keys, got.keys = make([]int32, 4*24), make([]int32, 4*24)
	}
}

// TestStages reads nine tenths and then the rest, as the two stages of a run
// do, against the same stream in one go.
func TestStages(t *testing.T) {
	o := Options{SeqLen: 20, Seed: 11}
	s := mixed(t, o)
	cut := s.ShareRows(0.9, 8)
	if cut%8 != 0 || math.Abs(float64(cut)-0.9*float64(s.Rows())) > 4 {
		t.Fatalf("got %d of %d rows, want the multiple of 8 nearest to 0.9", cut, s.Rows())
	}
	s.SetEnd(cut)
	one := read(t, s, 8)
	s.SetEnd(s.Rows())
	two := read(t, s, 2)
	all := read(t, mixed(t, o), 4)
	if got := slices.Concat(one.IDs, two.IDs); !slices.Equal(got, all.IDs) {
		t.Errorf("two stages differ from one pass")
	}
	if one.B != int(cut) || slices.Contains(one.Targets, -1) {
		t.Errorf("stage one: got %d rows, want %d without padding", one.B, cut)
	}
}

func TestSeekRefuses(t *testing.T) {
	o := Options{SeqLen: 16, Seed: 5}
	s := mixed(t, o)
	b := s.NewBatch(4)
	for range 5 {
		s.Next(b)
	}
	for _, tt := range []struct {
		name, want string
		change     func(*Cursor)
	}{
		{"version", "version", func(c *Cursor) { c.Version++ }},
		{"seed", "seed: expected 6 as in the run to continue, found 5", func(c *Cursor) { c.Seed = 6 }},
		{"length", "sequence length", func(c *Cursor) { c.SeqLen = 17 }},
		{"unit", "mix unit", func(c *Cursor) { c.Unit = Bytes }},
		{"order", "in order", func(c *Cursor) { c.InOrder = true }},
		{"whole", "whole documents", func(c *Cursor) { c.Whole = true }},
		{"corpora", "corpora", func(c *Cursor) { c.Corpora = c.Corpora[:1] }},
		{"tokens of a corpus", "fingerprint", func(c *Cursor) { c.Corpora[1].Fingerprint = "0" }},
		{"weight", "weight", func(c *Cursor) { c.Corpora[1].Weight = 0.5 }},
		{"target", "target", func(c *Cursor) { c.Corpora[1].Target = false }},
		{"row", "row", func(c *Cursor) { c.Row = 1 << 40 }},
		{"negative row", "row", func(c *Cursor) { c.Row = -1 }},
		{"other row", "tokens", func(c *Cursor) { c.Row++ }},
		{"document", "place", func(c *Cursor) { c.Corpora[1].Document = 1 << 30 }},
		{"negative document", "place", func(c *Cursor) { c.Corpora[1].Document = -1 }},
		{"offset", "offset", func(c *Cursor) { c.Corpora[1].Offset = 1 << 20 }},
		{"count", "tokens", func(c *Cursor) { c.Corpora[1].Tokens++ }},
		{"epoch", "tokens", func(c *Cursor) { c.Corpora[0].Epoch++ }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.Cursor()
			tt.change(&c)
			if err := mixed(t, o).Seek(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a message with %q", err, tt.want)
			}
		})
	}
}
