package cpu

import (
	"sync"
	"sync/atomic"
)

// pool is a set of goroutines that live as long as the backend. They sleep on
// channels between steps; nothing spins.
type pool struct {
	wake   []chan struct{} // one per goroutine beside the caller
	work   task
	tasks  int64
	locals [][]float32 // one per goroutine, the caller's first
	next   atomic.Int64
	busy   sync.WaitGroup // goroutines at work on the current step
	alive  sync.WaitGroup
}

func newPool(threads int) *pool {
	p := &pool{}
	for i := 1; i < threads; i++ {
		wake := make(chan struct{}, 1)
		p.wake = append(p.wake, wake)
		p.alive.Add(1)
		go func() {
			defer p.alive.Done()
			for range wake {
				p.drain(i)
				p.busy.Done()
			}
		}()
	}
	return p
}

func (p *pool) threads() int { return len(p.wake) + 1 }

// run does all tasks of a step and returns when they are done.
func (p *pool) run(work task, tasks int, locals [][]float32) {
	if tasks == 1 || len(p.wake) == 0 {
		for i := range tasks {
			work(i, locals[0])
		}
		return
	}
	p.work, p.tasks, p.locals = work, int64(tasks), locals
	p.next.Store(0)
	helpers := min(len(p.wake), tasks-1)
	p.busy.Add(helpers)
	for _, w := range p.wake[:helpers] {
		w <- struct{}{}
	}
	p.drain(0)
	p.busy.Wait()
	p.work, p.locals = nil, nil
}

// drain takes tasks until none is left.
func (p *pool) drain(me int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.tasks {
			return
		}
		p.work(int(i), p.locals[me])
	}
}

func (p *pool) close() {
	for _, w := range p.wake {
		close(w)
	}
	p.alive.Wait()
	p.wake = nil
}
