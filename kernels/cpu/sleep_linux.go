package cpu

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sleeper lets one goroutine sleep until another wakes it; a wake that comes
// first is kept. It asks the system itself: a goroutine that the Go scheduler
// wakes starts many microseconds later, since idle threads are slow to take
// the goroutine that a busy one has just made ready.
type sleeper struct{ state *atomic.Uint32 }

const (
	awake uint32 = iota
	asleep
	called // to be awake
)

// Operations on words that no other process sees.
const (
	futexWait = 128
	futexWake = 129
)

func newSleeper() sleeper { return sleeper{new(atomic.Uint32)} }

func (s sleeper) sleep() {
	if s.state.CompareAndSwap(awake, asleep) {
		for s.state.Load() == asleep {
			futex(s.state, futexWait, uintptr(asleep))
		}
	}
	s.state.Swap(awake)
}

func (s sleeper) wake() {
	if s.state.Swap(called) == asleep {
		futex(s.state, futexWake, 1)
	}
}

// futex waits while the word has a value, or wakes so many who do. Any error
// is an early return, after which the word is looked at again.
func futex(word *atomic.Uint32, op, value uintptr) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), op, value, 0, 0, 0)
}
