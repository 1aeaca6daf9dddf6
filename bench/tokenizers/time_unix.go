//go:build unix

package main

import "syscall"

// processorTime is the seconds that this process has had of processors: unlike the clock's,
// they do not grow when others use the machine.
func processorTime() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic("tokenizers: " + err.Error()) // there is no other argument to refuse
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}
