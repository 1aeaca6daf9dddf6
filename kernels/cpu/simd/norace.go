//go:build !race

package simd

const raceEnabled = false

func raceRead[T any](x []T, rows, ld, width int) {}

func raceWrite[T any](x []T, rows, ld, width int) {}
