package cpu

import (
	"sync"
	"sync/atomic"
)

// launch is a barrier group bound to memory: the tasks of all its steps as one
// list, so that small steps that do not depend on each other overlap.
type launch struct {
	work  []task
	ends  []int // per step: the tasks of it and of those before it
	tasks int
	wake  int // goroutines beside the caller that are worth waking; by shapes only
}

// newLaunch joins bound steps. A goroutine is woken for each pay nanoseconds
// of work.
func newLaunch(steps []step, bound []task, pay int) launch {
	l := launch{work: bound}
	work := 0
	for _, s := range steps {
		l.tasks += s.tasks
		l.ends = append(l.ends, l.tasks)
		work += s.work
	}
	l.wake = min(l.tasks-1, work/pay)
	return l
}

// wakePay is the work, in nanoseconds, that pays for waking a goroutine: it
// needs up to that long to begin.
const wakePay = 15_000

// pool is a set of goroutines that live as long as the backend. They sleep in
// the system between launches; nothing spins.
//
// A launch is open while its caller takes tasks. Goroutines that wake up late
// find it closed, or the next one open: nobody waits for them.
type pool struct {
	helpers []sleeper // one per goroutine beside the caller
	caller  sleeper
	launch  *launch
	locals  [][]float32 // one per goroutine, the caller's first
	stop    atomic.Bool
	alive   sync.WaitGroup
	_       [64]byte
	inside  atomic.Int32 // goroutines at work beside the caller; plus shut when none may enter
	_       [60]byte
	next    atomic.Int64 // task to take
	_       [56]byte
}

// shut is far below zero, however many goroutines are inside.
const shut = -1 << 30

func newPool(threads int) *pool {
	p := &pool{helpers: make([]sleeper, threads-1), caller: newSleeper()}
	p.inside.Store(shut)
	for i := range p.helpers {
		p.helpers[i] = newSleeper()
	}
	for i := range p.helpers {
		p.alive.Add(1)
		go p.help(i + 1)
	}
	return p
}

func (p *pool) threads() int { return len(p.helpers) + 1 }

// run does all tasks of a launch and returns when they are done.
func (p *pool) run(l *launch, locals [][]float32) {
	if l.wake == 0 || len(p.helpers) == 0 {
		for s, work := range l.work {
			first := 0
			if s > 0 {
				first = l.ends[s-1]
			}
			for i := range l.ends[s] - first {
				work(i, locals[0])
			}
		}
		return
	}
	p.launch, p.locals = l, locals
	p.next.Store(0)
	p.inside.Store(0)
	p.wakeBelow(0)
	p.drain(0)
	if p.inside.Add(shut) != shut {
		p.caller.sleep()
	}
	p.launch, p.locals = nil, nil
}

// help is the life of goroutine me.
func (p *pool) help(me int) {
	defer p.alive.Done()
	for {
		p.helpers[me-1].sleep()
		if p.stop.Load() {
			return
		}
		if !p.enter() {
			continue
		}
		p.wakeBelow(me)
		p.drain(me)
		if p.inside.Add(-1) == shut {
			p.caller.wake()
		}
	}
}

// enter reports whether there is a launch to help with.
func (p *pool) enter() bool {
	for {
		n := p.inside.Load()
		if n < 0 {
			return false
		}
		if p.inside.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// wakeBelow wakes the two goroutines below me in a tree, so that waking many
// takes no longer for the caller than waking two.
func (p *pool) wakeBelow(me int) {
	for i := 2*me + 1; i <= min(2*me+2, p.launch.wake, len(p.helpers)); i++ {
		p.helpers[i-1].wake()
	}
}

// drain takes tasks until none is left.
func (p *pool) drain(me int) {
	l, local := p.launch, p.locals[me]
	s, first := 0, 0
	for {
		i := int(p.next.Add(1)) - 1
		if i >= l.tasks {
			return
		}
		for i >= l.ends[s] {
			first = l.ends[s]
			s++
		}
		l.work[s](i-first, local)
	}
}

func (p *pool) close() {
	p.stop.Store(true)
	for i := range p.helpers {
		p.helpers[i].wake()
	}
	p.alive.Wait()
	p.helpers = nil
}
