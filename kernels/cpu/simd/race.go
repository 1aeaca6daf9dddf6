//go:build race

package simd

import (
	"runtime"
	"unsafe"
)

const raceEnabled = true

// raceRead tells the race detector that rows of width elements, ld apart, are
// read by assembly.
func raceRead[T any](x []T, rows, ld, width int) {
	for i := range rows {
		if width > 0 {
			runtime.RaceReadRange(unsafe.Pointer(&x[i*ld]), width*int(unsafe.Sizeof(x[0])))
		}
	}
}

// raceWrite is the same for writing.
func raceWrite[T any](x []T, rows, ld, width int) {
	for i := range rows {
		if width > 0 {
			runtime.RaceWriteRange(unsafe.Pointer(&x[i*ld]), width*int(unsafe.Sizeof(x[0])))
		}
	}
}
