package versus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
)

var tiny = Shape{Name: "tiny", Width: 64, FFN: 172, Layers: 2, Heads: 4, KV: 2, Head: 16, Vocab: 512, Tied: true}

// TestElementwise runs every element-wise operation and counts the bytes of one.
func TestElementwise(t *testing.T) {
	be, err := kernels.Open("cpu:1")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	l := NewLocal(be)
	defer l.Close()
	for _, op := range Elementwises() {
		c, err := Elementwise(op, tiny, 64)
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Turn(t.Context(), Request{Case: c, Runs: 1})
		if err != nil || len(a.Variants[Graft]) != 1 || len(a.Variants["copy"]) != 1 || a.Variants[Graft][0] <= 0 {
			t.Errorf("%s: got %v, %v, want one run of each variant", op, a.Variants, err)
		}
	}
	c, err := Elementwise("swiglu backward", tiny, 64)
	if want := float64(5 * 64 * 172 * 4); err != nil || c.Bytes != want {
		t.Errorf("swiglu backward: got %v bytes, %v, want %v", c.Bytes, err, want)
	}
	if c, err := Elementwise("nothing", tiny, 64); err == nil {
		t.Errorf("Elementwise(nothing) = %+v, want an error", c)
	}
}

// TestServe greets, answers, says what it cannot do, and goes on.
func TestServe(t *testing.T) {
	var in, out bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, c := range []Case{MatMul("", "f32", 8, 8, 8, false, true), {Kind: "dance"}, Widened(8, 16, 8)} {
		if err := enc.Encode(Request{Case: c, Runs: 2, Seconds: 60}); err != nil {
			t.Fatal(err)
		}
	}
	if err := Serve(t.Context(), "cpu:1", &in, &out); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	var h Hello
	var as [3]Answer
	if err := errors.Join(dec.Decode(&h), dec.Decode(&as[0]), dec.Decode(&as[1]), dec.Decode(&as[2])); err != nil {
		t.Fatal(err)
	}
	if h.Versions["Graft"] == "" || h.Error != "" {
		t.Errorf("got greeting %+v, want a version", h)
	}
	if got := len(as[0].Variants[Graft]); got != 2 {
		t.Errorf("product: got %d runs, want 2", got)
	}
	if !strings.Contains(as[1].Error, `no operation "dance"`) {
		t.Errorf("got %+v, want an error that names the operation", as[1])
	}
	if a := as[2].Variants; len(a[Graft]) != 2 || len(a["f32"]) != 2 {
		t.Errorf("widened: got %v, want two variants", a)
	}
}

type fakeSide struct {
	answers []Answer
	err     error
	called  func()
}

func (f *fakeSide) Turn(context.Context, Request) (Answer, error) {
	if f.called != nil {
		f.called()
	}
	if len(f.answers) == 0 {
		return Answer{}, f.err
	}
	a := f.answers[0]
	f.answers = f.answers[1:]
	return a, nil
}
func (f *fakeSide) Close() error { return nil }

// TestMeasure goes on without a side that fails, and pairs rounds for ratios.
func TestMeasure(t *testing.T) {
	run := func(name string, s float64) Answer { return Answer{Variants: map[string][]float64{name: {s}}} }
	graft := &fakeSide{answers: []Answer{run(Graft, 1), run(Graft, 2), run(Graft, 4)}}
	peer := &fakeSide{answers: []Answer{run("a", 3), run("a", 2)}, err: errors.New("fell over")}
	peer.answers[1].Notes = []string{"b: missing"}
	r := Measure(t.Context(), []Named{{Name: "Graft", Side: graft}, {Name: "peer", Side: peer}}, Case{}, Pace{Rounds: 3, Turns: 1, Seconds: 1, Runs: 1})
	if got := r.Ratios("a"); len(got) != 2 || got[0] != 3 || got[1] != 1 || r.Ratio("a") != 2 {
		t.Errorf("got ratios %v, want [3 1]", got)
	}
	if got := strings.Join(r.Notes, "; "); got != "peer: b: missing; peer: fell over" || r.Err != "" {
		t.Errorf("got notes %q and error %q", got, r.Err)
	}
}

// TestMeasureTurns joins the turns of a round, which go forwards and backwards, and ends
// a round after one where a run is long.
func TestMeasureTurns(t *testing.T) {
	turn := func(name string, s ...float64) Answer { return Answer{Variants: map[string][]float64{name: s}} }
	var order []string
	called := func(name string) func() { return func() { order = append(order, name) } }
	graft := &fakeSide{called: called("g"), answers: []Answer{turn(Graft, 1, 2), turn(Graft, 3), turn(Graft, 4)}}
	peer := &fakeSide{called: called("p"), answers: []Answer{turn("a", 1), turn("a", 2), turn("a", 9)}}
	r := Measure(t.Context(), []Named{{Name: "Graft", Side: graft}, {Name: "peer", Side: peer}}, Case{}, Pace{Rounds: 2, Turns: 2, Seconds: 4, Runs: 2})
	if got, want := fmt.Sprint(r.Times[Graft], r.Times["a"]), "[[1 2 3] [4]] [[1 2] [9]]"; got != want {
		t.Errorf("got rounds %s, want %s", got, want)
	}
	if got := strings.Join(order, ""); got != "gppggp" {
		t.Errorf("sides take turns as %s, want gppggp", got)
	}
}
