package simd

import "math"

// dotRowsGo is DotRows of the portable tier.
const dotRowsGo = 2

// oneDots and tileDots make the twins of Dots and TileDots of a product of
// two rows.
func oneDots[T any](dot func(x []float32, w []T) float32) func(out, x []float32, ldx int, w []T, ldw, n int) {
	return func(out, x []float32, _ int, w []T, ldw, n int) {
		for j := range 4 {
			out[j] = dot(x[:n], w[j*ldw:][:n])
		}
	}
}

func tileDots[T any](dot func(x []float32, w []T) float32) func(out, x []float32, ldx int, w []T, ldw, n int) {
	return func(out, x []float32, ldx int, w []T, ldw, n int) {
		for i := range dotRowsGo {
			for j := range 4 {
				out[4*i+j] = dot(x[i*ldx:][:n], w[j*ldw:][:n])
			}
		}
	}
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// dotBF16Go adds in eight lanes, as dotGo does.
func dotBF16Go(x []float32, w []uint16) float32 {
	var a, b, c, d, e, f, g, h float32
	w = w[:len(x)]
	for len(x) >= 8 && len(w) >= 8 {
		a += x[0] * fromBF16(w[0])
		b += x[1] * fromBF16(w[1])
		c += x[2] * fromBF16(w[2])
		d += x[3] * fromBF16(w[3])
		e += x[4] * fromBF16(w[4])
		f += x[5] * fromBF16(w[5])
		g += x[6] * fromBF16(w[6])
		h += x[7] * fromBF16(w[7])
		x, w = x[8:], w[8:]
	}
	for i, v := range x {
		a += v * fromBF16(w[i])
	}
	return ((a + b) + (c + d)) + ((e + f) + (g + h))
}

func axpysGo(y, a, w []float32, ld int) {
	for r, f := range a[:8] {
		axpyGo(y, w[r*ld:][:len(y)], f)
	}
}

func axpysBF16Go(y, a []float32, w []uint16, ld int) {
	for r, f := range a[:8] {
		row := w[r*ld:][:len(y)]
		for j, h := range row {
			y[j] += f * fromBF16(h)
		}
	}
}
