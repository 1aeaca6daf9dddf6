package simd

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
