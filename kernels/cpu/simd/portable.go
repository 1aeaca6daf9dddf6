package simd

import "graft/internal/f16"

// portable is the twins in Go.
var portable = Tier{
	Name: "portable",

	Gemm: gemmGo, MR: 4, NR: 2, Lanes: 2,
	PackRowsMR: packRowsMRGo, PackRowsNR: packRowsNRGo,
	PackColumnsMR: packColumnsMRGo, PackColumnsNR: packColumnsNRGo,

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
