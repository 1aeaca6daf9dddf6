package simd

import "math"

// sum64 adds in four lanes of float64.
func sum64(x []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
		x = x[4:]
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// sumSqGo adds in four lanes of float64.
func sumSqGo(x []float32) float32 {
	var a, b, c, d float64
	for len(x) >= 4 {
		a += float64(x[0]) * float64(x[0])
		b += float64(x[1]) * float64(x[1])
		c += float64(x[2]) * float64(x[2])
		d += float64(x[3]) * float64(x[3])
		x = x[4:]
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	return float32((a + b) + (c + d))
}

func dot3Go(x, y, z []float32) float32 {
	var a, b float64
	y, z = y[:len(x)], z[:len(x)]
	for len(x) >= 2 && len(y) >= 2 && len(z) >= 2 {
		a += float64(x[0]) * float64(y[0]) * float64(z[0])
		b += float64(x[1]) * float64(y[1]) * float64(z[1])
		x, y, z = x[2:], y[2:], z[2:]
	}
	for i, v := range x {
		a += float64(v) * float64(y[i]) * float64(z[i])
	}
	return float32(a + b)
}

func mulAxpyDotGo(y, x, z, w []float32, a float32) float32 {
	var sum float64
	x, z, w = x[:len(y)], z[:len(y)], w[:len(y)]
	for i := range y {
		p := x[i] * z[i]
		y[i] += p * a
		sum += float64(p) * float64(w[i])
	}
	return float32(sum)
}

var negInf = float32(math.Inf(-1))

func maxOfGo(x []float32) float32 {
	most := negInf
	for _, v := range x {
		most = maxf(most, v)
	}
	return most
}

func scoresGo(z, x []float32, a float32) float32 {
	most := negInf
	for i, v := range x[:len(z)] {
		v *= a
		z[i] = v
		if v > most || v != v {
			most = v
		}
	}
	return most
}

func capScoresGo(z, x []float32, a, c float32) float32 {
	most := negInf
	for i, v := range x[:len(z)] {
		v = float32(float64(c) * tanh(float64(v)*float64(a)))
		z[i] = v
		most = maxf(most, v)
	}
	return most
}

func capSlopeGo(y, x []float32, a float32) {
	for i, v := range x[:len(y)] {
		t := tanh(float64(v) * float64(a))
		y[i] *= float32(1 - t*t)
	}
}

func expSumGo(y, x []float32, a, m float32) float32 {
	var sum float64
	for i, v := range x[:len(y)] {
		e := expLess(a*v, m)
		y[i] = float32(e)
		sum += e
	}
	return float32(sum)
}

func sumExpGo(x []float32, a, m float32) float32 {
	var sum float64
	for _, v := range x {
		sum += expLess(a*v, m)
	}
	return float32(sum)
}

// expLess is exp(x - m).
func expLess(x, m float32) float64 {
	d := float64(x) - float64(m)
	if d > -700 && d < 700 {
		return expCore(d)
	}
	return Exp(d)
}

func softmaxGradGo(dx, p, dp []float32, a, delta float32) {
	p, dp = p[:len(dx)], dp[:len(dx)]
	for i, q := range p {
		dx[i] = a * q * (dp[i] - delta)
	}
}

func normRowGo(y, x, w []float32, a float32) {
	x, w = x[:len(y)], w[:len(y)]
	for i, v := range x {
		y[i] = v * a * w[i]
	}
}

func normBwdGo(dx, x, dy, w []float32, a, b float32) {
	x, dy, w = x[:len(dx)], dy[:len(dx)], w[:len(dx)]
	for i, v := range x {
		dx[i] = a*dy[i]*w[i] + b*v
	}
}

func rotateGo(y, x, cos, sin []float32, heads, ld int) {
	n := len(cos)
	sin = sin[:n]
	for h := range heads {
		a, b := x[h*ld:][:n], x[h*ld+n:][:n]
		ya, yb := y[h*ld:][:n], y[h*ld+n:][:n]
		for k, c := range cos {
			p, q, s := a[k], b[k], sin[k]
			ya[k], yb[k] = p*c-q*s, q*c+p*s
		}
	}
}

func turnGo(sin, cos, freqs []float32, pos, a float32) float32 {
	most := negInf
	for _, f := range freqs[:len(sin)] {
		most = maxf(most, float32(math.Abs(float64(pos*f))))
	}
	anglesGo(sin, cos, freqs, float64(pos), float64(a))
	return most
}

func anglesGo(sin, cos, freqs []float32, pos, a float64) {
	cos, freqs = cos[:len(sin)], freqs[:len(sin)]
	for k, f := range freqs {
		s, c := Sincos(pos * float64(f))
		sin[k], cos[k] = float32(s*a), float32(c*a)
	}
}
