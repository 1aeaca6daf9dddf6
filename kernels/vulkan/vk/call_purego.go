//go:build !novulkan && (amd64 || arm64) && (linux || darwin || windows)

package vk

import "github.com/ebitengine/purego"

// call calls the C function at fn. Pointers must be converted to uintptr in the
// argument list itself: the pragma then moves what they point to onto the heap,
// which does not move, and keeps it alive for the call.
//
//go:uintptrescapes
func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}
