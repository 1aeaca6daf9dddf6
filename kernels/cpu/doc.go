// Package cpu runs programs on the processor: every operation of the table, in
// vector instructions or portable Go, blocked for the caches and spread over a
// pool of goroutines.
//
//	import _ "graft/kernels/cpu"
//
//	be, err := kernels.Open("cpu")   // as many threads as GOMAXPROCS
//	be, err := kernels.Open("cpu:1") // one thread
//	defer be.Close()                 // stops the threads
//
// Storage is F32, BF16 or F16; arithmetic is f32, with float64 inside a few
// scalar functions and sums where that costs nothing. The environment variable
// GRAFT_THREADS sets the number of threads where the device name does not, and
// GRAFT_CPU the instructions to use (package simd), else the fastest there are.
//
// # Determinism
//
// An instruction becomes one or more steps, a step some tasks. Where tasks
// begin and end depends on shapes only, a task runs on one goroutine from
// start to end, and sums across tasks are finished by a later step in a fixed
// order. So results do not depend on the number of threads, bit for bit.
//
// # Memory
//
// A run allocates nothing. What a step shares between tasks is scratch in the
// program's temporary region; what a task needs for itself (packed panels,
// widened rows) lies in a buffer per thread that Plan counts as HostBytes.
// Large buffers are mapped, on Linux in huge pages, and given back to the
// system by Close, after which their bytes must not be touched.
//
// Run-time data (ids, targets, rows, documents) is never trusted: values out
// of range are clamped or ignored as the op table says, and never panic.
package cpu
