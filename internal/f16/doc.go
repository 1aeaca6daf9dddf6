// Package f16 converts between float32 and the two 16-bit floating-point
// storage types, bfloat16 and IEEE 754 binary16 ("half").
//
// Weights are stored in 16 bits and computed in 32. Both directions here are
// exact in the sense of IEEE 754: widening loses nothing, narrowing rounds to
// the nearest value and ties to the even one. Infinities stay, finite values
// past the largest one become infinity, and a NaN stays a NaN.
//
//	var x [2]float32
//	f16.BF16ToF32(x[:], []uint16{0x3f80, 0xc000}) // 1, -2
//	h := f16.ToF16(65519.99)                      // 0x7bff, the largest half
//
// A 16-bit value is carried as the uint16 of its bits. There is no arithmetic
// on 16-bit values: it is always done in float32 or wider.
package f16
