//go:build !linux

package cpu

// sleeper lets one goroutine sleep until another wakes it; a wake that comes
// first is kept.
type sleeper struct{ call chan struct{} }

func newSleeper() sleeper { return sleeper{make(chan struct{}, 1)} }

func (s sleeper) sleep() { <-s.call }

func (s sleeper) wake() {
	select {
	case s.call <- struct{}{}:
	default:
	}
}
