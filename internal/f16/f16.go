package f16

import "math"

const (
	infF32   = 0xff << 23
	quietF32 = 1 << 22 // top mantissa bit of a float32: set in a quiet NaN

	// 2^16 as float32 bits: too large for the exponent of a half. Rounding carries
	// what lies between 65520, half way from the largest half, and 2^16 to infinity.
	overflowF16 = (127 + 16) << 23
	// The smallest normal half, 2^-14, as float32 bits.
	normalF16 = (127 - 14) << 23
)

// FromBF16 returns the value of a bfloat16: its bits are the upper half of the
// float32, NaN payloads included.
func FromBF16(h uint16) float32 {
	return math.Float32frombits(uint32(h) << 16)
}

// ToBF16 rounds to the nearest bfloat16, ties to even. A NaN keeps its sign and
// the upper bits of its payload and becomes quiet.
func ToBF16(x float32) uint16 {
	u := math.Float32bits(x)
	if u&^(1<<31) > infF32 {
		// Rounding could carry a NaN into infinity or wrap it to zero, and
		// cutting could leave a mantissa of zero: the quiet bit prevents both.
		return uint16(u>>16) | quietF32>>16
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// FromF16 returns the value of a binary16. Every one is a float32, subnormals
// included. A NaN keeps its sign and payload and becomes quiet, as the
// hardware conversions do.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	u := uint32(h&0x7fff) << 13
	switch {
	case h&0x7c00 == 0: // zero or subnormal: mantissa * 2^-24, which is exact
		return math.Float32frombits(sign | math.Float32bits(float32(h&0x3ff)*0x1p-24))
	case h&0x7c00 != 0x7c00:
		return math.Float32frombits(sign | u + (127-15)<<23)
	case h&0x3ff == 0:
		return math.Float32frombits(sign | infF32)
	}
	return math.Float32frombits(sign | u | infF32 | quietF32)
}

// ToF16 rounds to the nearest binary16, ties to even. Magnitudes below 2^-14
// round to a multiple of 2^-24 (a subnormal), from 65520 on they become
// infinity. A NaN keeps its sign and the upper bits of its payload and becomes
// quiet.
func ToF16(x float32) uint16 {
	u := math.Float32bits(x)
	sign := uint16(u >> 16 & 0x8000)
	u &^= 1 << 31
	switch {
	case u > infF32:
		return sign | 0x7c00 | uint16((u|quietF32)>>13&0x3ff)
	case u >= overflowF16:
		return sign | 0x7c00
	case u >= normalF16:
		// A carry out of the mantissa moves into the exponent, as it should.
		return sign | uint16((u-(127-15)<<23+0xfff+u>>13&1)>>13)
	}
	// The unit in the last place of [0.5, 1) is 2^-24, that of a subnormal
	// half, so that adding 0.5 lets the floating-point unit round.
	sum := math.Float32frombits(u) + 0.5
	return sign | uint16(math.Float32bits(sum)-math.Float32bits(0.5))
}

// BF16ToF32 sets dst[i] to the value of src[i] for every i of src. It panics,
// as indexing does, if dst is shorter than src.
func BF16ToF32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = FromBF16(h)
	}
}

// F32ToBF16 sets dst[i] to src[i] rounded as in [ToBF16], for every i of src.
// It panics, as indexing does, if dst is shorter than src.
func F32ToBF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = ToBF16(x)
	}
}

// F16ToF32 sets dst[i] to the value of src[i] for every i of src. It panics,
// as indexing does, if dst is shorter than src.
func F16ToF32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = FromF16(h)
	}
}

// F32ToF16 sets dst[i] to src[i] rounded as in [ToF16], for every i of src. It
// panics, as indexing does, if dst is shorter than src.
func F32ToF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = ToF16(x)
	}
}
