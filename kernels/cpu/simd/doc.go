// Package simd has the inner loops of package cpu in the vector instructions of
// the processor, with a twin in Go of each.
//
//	t := simd.Best()               // by what processor and system can do
//	t, err := simd.Choose("avx2")  // by name; "" is Best
//	sum := t.Dot(x, y)
//
// A [Tier] is a set of instructions: avx512 (AVX-512 F, BW, DQ and VL), avx2
// (with FMA and F16C), neon, or portable, which is plain Go and exists
// everywhere. Its fields are functions on slices; each says what it computes.
// The mode avx512_bf16 is avx512 but for products of two bf16 matrices, which it
// makes with VDPBF16PS, for which subnormal numbers are 0: it is chosen by name
// only.
//
// Tiers round differently, and one tier always rounds alike: a result depends on
// the operands and their length, not on their address.
//
// The assembly and the Go around it (z_*) are written by the program in gen,
// from one description of each kernel for all instruction sets. Functions here
// allocate nothing, start no goroutines, and tell the race detector what they
// read and write.
package simd

//go:generate go run ./gen
