package vulkan

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"graft/kernels"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		name  string
		times []float64
		limit float64
		want  []segment
	}{
		{"nothing", nil, 1, []segment{{0, 0, 0}}},
		{"all fit", []float64{1, 2, 3}, 6, []segment{{0, 3, 6}}},
		{"one too many", []float64{1, 2, 3}, 5, []segment{{0, 2, 3}, {2, 3, 3}}},
		{"one too long alone", []float64{1, 9, 1}, 5, []segment{{0, 1, 1}, {1, 2, 9}, {2, 3, 1}}},
		{"each alone", []float64{1, 1, 1}, 0, []segment{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}}},
		{"first too long", []float64{9, 1, 1}, 5, []segment{{0, 1, 9}, {1, 3, 2}}},
	} {
		if got := cut(c.times, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPatience(t *testing.T) {
	for _, c := range []struct {
		seconds float64
		want    time.Duration
	}{
		{0, time.Minute}, {0.5, 110 * time.Second}, {60, 101 * time.Minute},
		{1e30, 24 * time.Hour}, {math.Inf(1), 24 * time.Hour},
	} {
		if got := patience(c.seconds); got != c.want {
			t.Errorf("patience for %v s: got %v, want %v", c.seconds, got, c.want)
		}
	}
}

// TestSegments cuts a program in every way, before the first run and by what it measured,
// and demands the bits of a single submission.
func TestSegments(t *testing.T) {
	const never, always = time.Hour, time.Nanosecond
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged} {
		b := opener(t)
		var want []byte
		for _, c := range []struct {
			name          string
			before, after time.Duration
			cold          bool // measures though there is one segment
		}{
			{name: "one", before: never, after: never},
			{name: "each alone", before: always, after: always},
			{name: "one after the first run", before: always, after: never},
			{name: "each alone after the first run", before: never, after: always, cold: true},
			{name: "some", before: 100 * time.Microsecond, after: 100 * time.Microsecond},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				r := newRig(t, b)
				in, out := branchesIO(r)
				b.segmentTime = c.before
				e := r.compile().(*exec)
				checkSegments(t, e, c.before)
				b.segmentTime = c.after
				e.cold = e.cold || c.cold
				copy(e.Input(in.Slot), encode(kernels.F32, values(3, in.Len())))
				for run := range 3 {
					clear(e.Output(out.Slot))
					if err := e.Run(context.Background(), 1); err != nil {
						t.Fatal(err)
					}
					if c.before != never || c.cold {
						checkSegments(t, e, c.after)
					}
					if got := e.Output(out.Slot); want == nil {
						want = bytes.Clone(got)
					} else if !bytes.Equal(got, want) {
						t.Fatalf("run %d in %d segments gives other bits", run, len(e.segs))
					}
				}
				if n := testing.AllocsPerRun(5, func() {
					if err := e.Run(context.Background(), 1); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("a run in %d segments allocates %v times, want 0", len(e.segs), n)
				}
				ts, err := e.Profile(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if len(ts) != len(e.steps) || !bytes.Equal(e.Output(out.Slot), want) {
					t.Errorf("a profile in %d segments has %d timings of %d, or gives other bits", len(e.segs), len(ts), len(e.steps))
				}
			})
		}
	}
}

// checkSegments demands segments that cover all dispatches in order, one for each part of
// the recording, and as many as a limit asks for.
func checkSegments(t *testing.T, e *exec, limit time.Duration) {
	t.Helper()
	at := 0
	for _, s := range e.segs {
		if s.first != at || s.end <= s.first {
			t.Fatalf("segments %v of %d dispatches", e.segs, len(e.steps))
		}
		at = s.end
	}
	if at != len(e.steps) || len(e.rec.parts) != len(e.segs) {
		t.Fatalf("%d parts, segments %v of %d dispatches", len(e.rec.parts), e.segs, len(e.steps))
	}
	switch limit {
	case time.Hour:
		at = 1
	case time.Nanosecond:
		at = len(e.steps)
	default:
		return
	}
	if len(e.segs) != at {
		t.Fatalf("%d segments, want %d", len(e.segs), at)
	}
}

// branchesIO is branches between an input and an output, which are copied by a device
// with memory of its own.
func branchesIO(r *rig) (in, out kernels.View) {
	sums := branches(r)
	in = r.add("in", kernels.F32, kernels.Input, 40)
	more := r.add("more", kernels.F32, kernels.Output, 40)
	out = r.add("out", kernels.F32, kernels.Output, sums.Len())
	r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{more}, in)
	r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{out}, sums)
	return in, out
}

// TestTransfersMerged moves all inputs in one copy and all outputs in another, except
// where they lie in different pieces of a buffer.
func TestTransfersMerged(t *testing.T) {
	for _, c := range []struct {
		name      string
		piece     int64
		ins, outs int
	}{
		{"one piece", 1 << 20, 1, 1},
		{"two in each piece", 1 << 10, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := staged(t)
			b.maxBuffer = c.piece
			r := newRig(t, b)
			var ins, outs []kernels.View
			for range 5 {
				ins = append(ins, r.add("x", kernels.F32, kernels.Input, 70))
				outs = append(outs, r.add("y", kernels.F32, kernels.Output, 70))
			}
			for i := range ins {
				r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{outs[len(outs)-1-i]}, ins[i])
			}
			e := must(b.Compile(&r.prog, must(b.Plan(&r.prog)), nil, kernels.Region{})).(*exec)
			if len(e.ins) != c.ins || len(e.outs) != c.outs {
				t.Errorf("%d and %d copies, want %d and %d", len(e.ins), len(e.outs), c.ins, c.outs)
			}
			for i, x := range ins {
				copy(e.Input(x.Slot), encode(kernels.F32, values(uint64(i), 70)))
			}
			if err := e.Run(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			for i := range ins {
				if got := e.Output(outs[len(outs)-1-i].Slot); !bytes.Equal(got, e.Input(ins[i].Slot)) {
					t.Errorf("output of input %d: got %v", i, decode(kernels.F32, got))
				}
			}
		})
	}
}

func TestDivide(t *testing.T) {
	got := divide([]segment{{0, 3, 1}, {3, 10, 2}, {10, 12, 3}}, 3)
	want := []segment{{0, 3, 1}, {3, 6, 2}, {6, 9, 2}, {9, 10, 2}, {10, 12, 3}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestElapsed(t *testing.T) {
	for _, c := range []struct {
		from, to uint64
		bits     int
		want     uint64
	}{
		{5, 9, 64, 4}, {1<<64 - 2, 3, 64, 5}, {1<<36 - 2, 3, 36, 5}, {0xff<<36 | 7, 9, 36, 2}, {1<<32 - 1, 0, 32, 1},
	} {
		if got := elapsed(c.from, c.to, c.bits); got != c.want {
			t.Errorf("from %#x to %#x in %d bits: got %d, want %d", c.from, c.to, c.bits, got, c.want)
		}
	}
}

// TestMeasure corrects wild estimates by the first run, and keeps the ratios inside of a
// segment.
func TestMeasure(t *testing.T) {
	b := open(t)
	r := newRig(t, b)
	branches(r)
	e := r.compile().(*exec)
	for i := range e.times {
		e.times[i] = float64(1 + i%2)
	}
	e.segs, e.cold = cut(e.times, 1e9), true
	start := time.Now()
	if err := e.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start).Seconds()
	sum := 0.0
	for i, s := range e.times {
		sum += s
		if want := e.times[i%2]; math.Abs(s-want) > 1e-9*want || i%2 == 1 && math.Abs(s-2*e.times[0]) > 1e-9*s {
			t.Fatalf("dispatch %d has %v s, dispatch %d has %v", i, s, i%2, want)
		}
	}
	if sum <= 0 || sum > took {
		t.Errorf("dispatches take %v s of a run of %v", sum, took)
	}
	if want := patience(sum); e.limit > want+time.Second || e.limit < want-time.Second {
		t.Errorf("the limit is %v, want %v", e.limit, want)
	}
}

// TestProfileOfMany times more dispatches than one pool of queries holds, and twice as many
// queries as some drivers have. Each adds one: all ran once, in order.
func TestProfileOfMany(t *testing.T) {
	const n = 2*profileDispatches + 5
	r := newRig(t, open(t))
	y := r.slot("y", kernels.F32, []float64{0}, 1)
	for range n {
		r.emit(kernels.Unary, kernels.Attr{Alpha: 1, Beta: 1}, []kernels.View{y}, y)
	}
	e := r.compile()
	ts, err := e.Profile(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := r.read(y)[0]; got != n {
		t.Errorf("after a profile of %d additions of 1: got %v", n, got)
	}
	if len(ts) != n {
		t.Fatalf("%d timings of %d dispatches", len(ts), n)
	}
	for i, x := range ts {
		if x.Instr != i || x.Kernel != "unary" || x.Seconds < 0 || x.Seconds > 10 {
			t.Fatalf("timing %d: %+v", i, x)
		}
	}
}
