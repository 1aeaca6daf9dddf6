package cpu

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// TestErrand fetches a part of several pieces of memory, each byte once and in order.
func TestErrand(t *testing.T) {
	pieces := []extent{{1000, 300}, {90000, soonStep + 5}, {500000, 7}, {700000, 3 * soonStep}}
	var all []int
	for _, p := range pieces {
		for i := range p.size {
			all = append(all, p.addr+i)
		}
	}
	for _, c := range []struct{ skip, left int }{{0, 1}, {0, len(all)}, {299, 2}, {300, soonStep + 6}, {310, 2 * soonStep},
		{len(all) - 9, 100}, {len(all), 5}, {len(all) + 5, 5}, {0, 0}} {
		var got []int
		e := errand{pieces: pieces, skip: c.skip, left: c.left}
		for e.step(func(addr, size int) {
			if size < 1 || size > soonStep {
				t.Errorf("skip %d, left %d: %d bytes at once", c.skip, c.left, size)
			}
			for i := range size {
				got = append(got, addr+i)
			}
		}) {
		}
		lo := min(c.skip, len(all))
		if want := all[lo:min(lo+c.left, len(all))]; !slices.Equal(got, want) {
			t.Errorf("skip %d, left %d: got %d bytes from %v, want %d", c.skip, c.left, len(got), got[:min(1, len(got))], len(want))
		}
	}
}

// TestLookAhead tells launches what comes after them, over those that have nothing to
// fetch.
func TestLookAhead(t *testing.T) {
	launches := make([]launch, 5)
	for i, steps := range []int{1, 2, 1, 3, 1} {
		launches[i].work = make([]task, steps)
	}
	a, b, c := extent{1, 1}, extent{2, 2}, extent{3, 3}
	lookAhead(launches, [][]extent{{a}, {b}, {c}, nil, nil, {a, b}, {c}, nil})
	for i, want := range [][]extent{{b, c}, {a, b, c}, {a, b, c}, nil, nil} {
		if !slices.Equal(launches[i].soon, want) {
			t.Errorf("launch %d: got %v, want %v", i, launches[i].soon, want)
		}
	}
}

// TestPoolFetches lets those who wait fetch what the launches name and nothing else,
// while whoever works last takes its time; what follows still runs, once and in order.
func TestPoolFetches(t *testing.T) {
	const threads, rounds = 3, 50
	var fetched, wrong atomic.Int64
	lo, hi := 1<<20, 1<<20+2*threads*mostSoon
	p := newPool(threads, func(addr, size int) {
		if addr < lo || addr+size > hi {
			wrong.Add(1)
		}
		fetched.Add(int64(size))
	})
	defer p.close()
	var ran, before atomic.Int64
	slow := func(i int, _ []float32) {
		for i == 0 && fetched.Load() == before.Load() { // until somebody waits for this one
			runtime.Gosched()
		}
		ran.Add(1)
	}
	quick := func(int, []float32) { ran.Add(1) }
	for round := range rounds {
		launches := []launch{
			newLaunch([]step{{tasks: threads, work: threads}}, []task{slow}, 1),
			newLaunch([]step{{tasks: 2 * threads, work: threads}}, []task{quick}, 1),
		}
		lookAhead(launches, [][]extent{nil, {{lo, hi - lo}}})
		before.Store(fetched.Load())
		p.run(launches, make([][]float32, threads))
		if got, want := ran.Load(), int64((round+1)*3*threads); got != want {
			t.Fatalf("round %d: %d tasks ran, want %d", round, got, want)
		}
	}
	if wrong.Load() != 0 {
		t.Errorf("%d times something else was fetched", wrong.Load())
	}
}

// TestWorkOfRows guesses the work of what touches some rows of a large operand by those
// rows: nobody is to be woken for it.
func TestWorkOfRows(t *testing.T) {
	put := one("put_rows", kernels.PutRows, kernels.Attr{}).in(f32, nil, 2, 64).in(i32, ints(9), 2).out(f32, 100_000, 64)
	gather := one("gather", kernels.Gather, kernels.Attr{}).in(f32, nil, 100_000, 64).in(i32, ints(9), 2).out(f32, 2, 64)
	embed := one("embed", kernels.Embed, kernels.Attr{}).in(i32, ints(9), 2).in(b16, nil, 100_000, 64).out(f32, 2, 64)
	for _, tr := range []*trial{put, gather, embed} {
		b, err := build(tr.p, simd.Best(), 2)
		if err != nil {
			t.Fatal(err)
		}
		twice := append(b.steps, b.steps...)
		if l := newLaunch(twice, make([]task, 2), wakePay); l.wake > 0 || b.steps[0].work == 0 {
			t.Errorf("%s: work %d, %d to wake, want some work and nobody", tr.name, b.steps[0].work, l.wake)
		}
	}
}
