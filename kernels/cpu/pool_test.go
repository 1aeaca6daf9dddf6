package cpu

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestPoolMeets makes each task wait for all others: it ends only when every
// goroutine of the pool takes one.
func TestPoolMeets(t *testing.T) {
	for _, threads := range []int{2, 3, 7, 64} {
		p := newPool(threads, func(int, int) {})
		locals := make([][]float32, threads)
		for range 20 {
			var all sync.WaitGroup
			all.Add(threads)
			meet := func(int, []float32) { all.Done(); all.Wait() }
			steps := []step{{tasks: 1}, {tasks: threads - 1, work: threads}}
			l := newLaunch(steps, []task{meet, meet}, 1)
			p.run([]launch{l}, locals)
		}
		p.close()
	}
}

// TestPoolRunsEachTaskOnce runs launches of several steps, close upon each
// other, and counts what ran in them; no local buffer may be used by two
// goroutines at once.
func TestPoolRunsEachTaskOnce(t *testing.T) {
	const threads = 5
	p := newPool(threads, func(int, int) {})
	defer p.close()
	locals := make([][]float32, threads)
	for i := range locals {
		locals[i] = make([]float32, 1)
	}
	for round := range 3000 {
		sizes := []int{1 + round%3, 17, 1, round % 40}
		counts := make([][]atomic.Int32, len(sizes))
		steps, bound := make([]step, len(sizes)), make([]task, len(sizes))
		for s, n := range sizes {
			counts[s] = make([]atomic.Int32, n)
			steps[s] = step{tasks: n, work: n}
			bound[s] = func(i int, local []float32) {
				local[0]++ // the race detector sees who shares it
				counts[s][i].Add(1)
			}
		}
		l := newLaunch(steps, bound, 1+round%30)
		p.run([]launch{l}, locals)
		for s := range counts {
			for i := range counts[s] {
				if n := counts[s][i].Load(); n != 1 {
					t.Fatalf("launch %d, step %d, task %d ran %d times, want once", round, s, i, n)
				}
			}
		}
	}
}

// TestPoolInOrder runs many launches at once: what one has written, all that follow
// must see, whoever leads.
func TestPoolInOrder(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := newPool(threads, func(int, int) {})
		locals := make([][]float32, threads)
		for i := range locals {
			locals[i] = make([]float32, 1)
		}
		for round := range 200 {
			const width = 9
			var cells [width]int // not atomic: the order of launches keeps them apart
			var launches []launch
			for k := range 50 {
				n := []int{width, 1, width}[k%3]
				work := func(i int, local []float32) {
					local[0]++
					for j := i; j < width; j += n {
						if cells[j] != k {
							t.Errorf("%d threads, round %d, launch %d: cell %d is %d", threads, round, k, j, cells[j])
						}
						cells[j] = k + 1
					}
				}
				launches = append(launches, newLaunch([]step{{tasks: n, work: n}}, []task{work}, 1))
			}
			p.run(launches, locals)
			if cells != [width]int{50, 50, 50, 50, 50, 50, 50, 50, 50} {
				t.Fatalf("%d threads, round %d: got %v", threads, round, cells)
			}
		}
		p.close()
	}
}

// TestLaunchWakes wakes for work that pays, and never more than there are tasks.
func TestLaunchWakes(t *testing.T) {
	for _, c := range []struct {
		name        string
		steps       []step
		tasks, want int
	}{
		{"too little", []step{{tasks: 100, work: 9}}, 100, 0},
		{"two small ones", []step{{tasks: 1, work: 6}, {tasks: 1, work: 5}}, 2, 1},
		{"one task", []step{{tasks: 1, work: 1000}}, 1, 0},
		{"much", []step{{tasks: 3, work: 40}, {tasks: 5, work: 10}}, 8, 5},
		{"more than tasks", []step{{tasks: 3, work: 90}}, 3, 2},
	} {
		l := newLaunch(c.steps, make([]task, len(c.steps)), 10)
		if l.wake != c.want || l.tasks != c.tasks {
			t.Errorf("%s: got %d tasks and %d to wake, want %d and %d", c.name, l.tasks, l.wake, c.tasks, c.want)
		}
	}
}
