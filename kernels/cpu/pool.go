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
	wake  int      // goroutines beside the caller that are worth waking; by shapes only
	soon  []extent // what the next launch that streams memory will read
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

// alone does all tasks in order.
func (l *launch) alone(local []float32) {
	first := 0
	for s, work := range l.work {
		for i := range l.ends[s] - first {
			work(i, local)
		}
		first = l.ends[s]
	}
}

// pool is the caller of run and goroutines that live as long as the backend. They
// sleep in the system while they have nothing to do; nothing spins. Before they go to
// sleep they fetch a part of what the next launches will read from memory: the memory
// works while one goroutine does what cannot be shared, and a launch that opens
// meanwhile need not wake them.
//
// One of them leads: it does small launches alone, opens one that pays for company,
// and wakes others. Whoever is the last to leave a launch leads from there, so that
// nobody is waited for who sleeps. Goroutines that wake up late find their launch
// closed, or a later one open.
type pool struct {
	fetch    func(addr, size int) // of simd.Tier
	sleepers []sleeper            // one per goroutine, the caller's first
	launches []launch
	locals   [][]float32 // one per goroutine
	at       int         // launch that is open or comes next; the leader's
	leader   int         // who opened it
	done     atomic.Bool // all launches are
	stop     atomic.Bool
	alive    sync.WaitGroup
	_        [64]byte
	inside   atomic.Int32 // goroutines in the open launch, or shut
	opened   atomic.Int64 // launches so far; changes while shut
	_        [48]byte
	next     atomic.Int64 // task to take
	_        [56]byte
}

// shut is far below zero: nobody may enter.
const shut = -1 << 30

func newPool(threads int, fetch func(addr, size int)) *pool {
	p := &pool{fetch: fetch, sleepers: make([]sleeper, threads)}
	p.inside.Store(shut)
	for i := range p.sleepers {
		p.sleepers[i] = newSleeper()
	}
	for me := 1; me < threads; me++ {
		p.alive.Add(1)
		go p.live(me)
	}
	return p
}

func (p *pool) threads() int { return len(p.sleepers) }

// run does all tasks of the launches, one launch after another, and returns when they
// are done.
func (p *pool) run(launches []launch, locals [][]float32) {
	p.launches, p.locals, p.at = launches, locals, 0
	p.done.Store(false)
	p.help(0, p.lead(0))
	for !p.done.Load() {
		p.sleepers[0].sleep()
		p.help(0, errand{})
	}
	p.launches, p.locals = nil, nil
}

// live is the life of goroutine me.
func (p *pool) live(me int) {
	defer p.alive.Done()
	for {
		p.sleepers[me].sleep()
		if p.stop.Load() {
			return
		}
		p.help(me, errand{})
	}
}

// lead goes on as goroutine me, to the end or until another is the last in a launch. It
// returns what may be fetched then.
func (p *pool) lead(me int) errand {
	for ; p.at < len(p.launches); p.at++ {
		l := &p.launches[p.at]
		if l.wake == 0 || p.threads() == 1 {
			l.alone(p.locals[me])
			continue
		}
		p.leader = me
		p.next.Store(0)
		p.opened.Add(1)
		p.inside.Store(1)
		p.wakeBelow(l, 0)
		if last, soon := p.drain(l, me); !last {
			return soon
		}
	}
	p.done.Store(true)
	if me != 0 {
		p.sleepers[0].wake()
	}
	return errand{}
}

// help takes part in open launches for as long as the next one opens while it fetches
// what is needed soon.
func (p *pool) help(me int, soon errand) {
	for p.enter(soon) {
		l, rank := &p.launches[p.at], me-p.leader
		if rank < 0 {
			rank += p.threads()
		}
		p.wakeBelow(l, rank)
		var last bool
		if last, soon = p.drain(l, me); last {
			p.at++
			soon = p.lead(me)
		}
	}
}

// enter reports whether there is a launch to help with, and not the one that was just
// left. While there is none it fetches what is needed soon, and at the end gives up.
func (p *pool) enter(soon errand) bool {
	for {
		n := p.inside.Load()
		if n >= 0 && p.opened.Load() != soon.after {
			if p.inside.CompareAndSwap(n, n+1) {
				return true
			}
			continue
		}
		if !soon.step(p.fetch) {
			return false
		}
	}
}

// wakeBelow wakes the two goroutines below a rank in a tree, so that waking many
// takes no longer for the leader, whose rank is 0, than waking two.
func (p *pool) wakeBelow(l *launch, rank int) {
	for i := 2*rank + 1; i <= min(2*rank+2, l.wake, p.threads()-1); i++ {
		p.sleepers[(p.leader+i)%p.threads()].wake()
	}
}

// drain takes tasks until none is left, leaves the launch and reports whether me is
// the last and closed it. One who enters meanwhile is the last instead. Others are told
// what is needed soon.
func (p *pool) drain(l *launch, me int) (last bool, soon errand) {
	local := p.locals[me]
	s, first := 0, 0
	for {
		i := int(p.next.Add(1)) - 1
		if i >= l.tasks {
			break
		}
		for i >= l.ends[s] {
			first = l.ends[s]
			s++
		}
		l.work[s](i-first, local)
	}
	soon.pieces, soon.after = l.soon, p.opened.Load() // not after the launch is left
	if left := int(p.inside.Add(-1)); left > 0 {
		soon.skip, soon.left = (left-1)*mostSoon, mostSoon
		return false, soon
	}
	return p.inside.CompareAndSwap(0, shut), errand{}
}

func (p *pool) close() {
	p.stop.Store(true)
	for _, s := range p.sleepers[1:] {
		s.wake()
	}
	p.alive.Wait()
	p.sleepers = p.sleepers[:1]
}
