package gguf

import (
	"encoding/binary"
	"math"

	"graft/internal/f16"
)

// The decoders turn whole blocks into float32. Each formula is that of the
// format's Python package, operation by operation; the conversions to float32
// around products keep compilers from fusing them into the sum, which would
// round once less on some processors. Scales are half floats at the place given.

func half(b []byte) float32 { return f16.FromF16(binary.LittleEndian.Uint16(b)) }

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = half(src[2*i:])
	}
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = f16.FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// decodeQ4_0: d, then 16 bytes q of elements i and i+16: d * (q - 8).
func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := half(src)
		for i, q := range src[2:18] {
			dst[i] = d * float32(int(q&15)-8)
			dst[i+16] = d * float32(int(q>>4)-8)
		}
	}
}

// decodeQ4_1: d, m, then 16 bytes q of elements i and i+16: d * q + m.
func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[20:] {
		d, m := half(src), half(src[2:])
		for i, q := range src[4:20] {
			dst[i] = float32(d*float32(q&15)) + m
			dst[i+16] = float32(d*float32(q>>4)) + m
		}
	}
}

// decodeQ5_0: d, 32 bits, the fifth of each element, then as Q4_0:
// d * (q - 16).
func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[22:] {
		d, high := half(src), binary.LittleEndian.Uint32(src[2:])
		for i, q := range src[6:22] {
			dst[i] = d * float32(int(uint32(q&15)|high>>i&1<<4)-16)
			dst[i+16] = d * float32(int(uint32(q>>4)|high>>(i+16)&1<<4)-16)
		}
	}
}

// decodeQ5_1: d, m, 32 bits, the fifth of each element, then as Q4_1: d * q + m.
func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[24:] {
		d, m, high := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:])
		for i, q := range src[8:24] {
			dst[i] = float32(d*float32(uint32(q&15)|high>>i&1<<4)) + m
			dst[i+16] = float32(d*float32(uint32(q>>4)|high>>(i+16)&1<<4)) + m
		}
	}
}

// decodeQ8_0: d, then 32 signed bytes q: d * q.
func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		d := half(src)
		for i, q := range src[2:34] {
			dst[i] = d * float32(int8(q))
		}
	}
}

// scaleMin unpacks scale and minimum j of the eight that Q4_K and Q5_K have for
// their groups of 32 elements, six bits each in twelve bytes.
func scaleMin(b []byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(b[j] & 63), float32(b[j+4] & 63)
	}
	return float32(b[j+4]&15 | b[j-4]>>6<<4), float32(b[j+4]>>4 | b[j]>>6<<4)
}

// decodeQ4_K: d, dmin, scales and minima, then for each two groups of 32
// elements 32 bytes q, low halves first: d * scale * q - dmin * minimum.
func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[144:] {
		d, dmin := half(src), half(src[2:])
		for j := range 8 {
			s, m := scaleMin(src[4:16], j)
			s, m = d*s, dmin*m
			for i, q := range src[16+j/2*32:][:32] {
				dst[j*32+i] = float32(s*float32(q>>(j%2*4)&15)) - m
			}
		}
	}
}

// decodeQ5_K: Q4_K with a fifth bit of each element: bit j of byte i of the 32
// before the q is that of element i of group j.
func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[176:] {
		d, dmin := half(src), half(src[2:])
		high := src[16:48]
		for j := range 8 {
			s, m := scaleMin(src[4:16], j)
			s, m = d*s, dmin*m
			for i, q := range src[48+j/2*32:][:32] {
				q = q>>(j%2*4)&15 | high[i]>>j&1<<4
				dst[j*32+i] = float32(s*float32(q)) - m
			}
		}
	}
}

// decodeQ6_K: 128 bytes of low halves, 64 of upper pairs of bits, a signed scale
// for each 16 elements, d: d * scale * (q - 32). A half of the block takes 64
// low bytes, first their low halves, and 32 high ones, two bits at a time.
func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[210:] {
		d := half(src[208:])
		for j := range 8 { // groups of 32
			low := src[j/4*64+j%2*32:][:32]
			high := src[128+j/4*32:][:32]
			for i := range 32 {
				s := d * float32(int8(src[192+j*2+i/16]))
				q := low[i]>>(j%4/2*4)&15 | high[i]>>(j%4*2)&3<<4
				dst[j*32+i] = s * float32(int(q)-32)
			}
		}
	}
}
