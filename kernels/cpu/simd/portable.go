package simd

import "graft/internal/f16"

// portable is the twins in Go.
var portable = Tier{
	Name: "portable",
	Gemm: gemmGo, MR: 4, NR: 2,
	Dot:          dotGo,
	Axpy:         axpyGo,
	Scale:        scaleGo,
	Dots:         oneDots(dotGo),
	DotsBF16:     oneDots(dotBF16Go),
	TileDots:     tileDots(dotGo),
	TileDotsBF16: tileDots(dotBF16Go),
	DotRows:      dotRowsGo,
	Axpys:        axpysGo,
	AxpysBF16:    axpysBF16Go,
	WidenBF16:    func(y []float32, x []uint16) { f16.BF16ToF32(y, x[:len(y)]) },
	NarrowBF16:   func(y []uint16, x []float32) { f16.F32ToBF16(y, x[:len(y)]) },
	WidenF16:     func(y []float32, x []uint16) { f16.F16ToF32(y, x[:len(y)]) },
	NarrowF16:    func(y []uint16, x []float32) { f16.F32ToF16(y, x[:len(y)]) },
}

// gemmGo keeps its eight sums in registers.
func gemmGo(kc int, a, b, c []float32, ldc int, acc bool) {
	var c00, c01, c10, c11, c20, c21, c30, c31 float32
	a, b = a[:4*kc], b[:2*kc]
	for len(a) >= 4 && len(b) >= 2 {
		b0, b1 := b[0], b[1]
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		a, b = a[4:], b[2:]
	}
	r0, r1, r2, r3 := c[:2], c[ldc:][:2], c[2*ldc:][:2], c[3*ldc:][:2]
	if acc {
		c00, c01 = c00+r0[0], c01+r0[1]
		c10, c11 = c10+r1[0], c11+r1[1]
		c20, c21 = c20+r2[0], c21+r2[1]
		c30, c31 = c30+r3[0], c31+r3[1]
	}
	r0[0], r0[1] = c00, c01
	r1[0], r1[1] = c10, c11
	r2[0], r2[1] = c20, c21
	r3[0], r3[1] = c30, c31
}

// dotGo adds in eight lanes.
func dotGo(x, y []float32) float32 {
	var a, b, c, d, e, f, g, h float32
	y = y[:len(x)]
	for len(x) >= 8 && len(y) >= 8 {
		a += x[0] * y[0]
		b += x[1] * y[1]
		c += x[2] * y[2]
		d += x[3] * y[3]
		e += x[4] * y[4]
		f += x[5] * y[5]
		g += x[6] * y[6]
		h += x[7] * y[7]
		x, y = x[8:], y[8:]
	}
	for i, v := range x {
		a += v * y[i]
	}
	return ((a + b) + (c + d)) + ((e + f) + (g + h))
}

func axpyGo(y, x []float32, a float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += a * v
	}
}

func scaleGo(y, x []float32, a float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = a * v
	}
}
