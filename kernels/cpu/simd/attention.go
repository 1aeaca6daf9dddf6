package simd

func expOf(x float32) float32 { return float32(Exp(float64(x))) }

func panelSoftmaxGo(rows int, s, m, l, f []float32) {
	nr := len(m)
	s, l, f = s[:rows*nr], l[:nr], f[:nr]
	for j, old := range m {
		most := old
		for i := j; i < len(s); i += nr {
			if e := s[i]; e > most || e != e {
				most = e
			}
		}
		base := most
		if base == negInf { // nothing seen yet: any finite number makes all weights 0
			base = 0
		}
		m[j], f[j] = most, expOf(old-base)
		var sum float32
		for i := j; i < len(s); i += nr {
			s[i] = expOf(s[i] - base)
			sum += s[i]
		}
		l[j] = l[j]*f[j] + sum
	}
}

func panelScaleGo(rows int, s, f []float32) {
	nr := len(f)
	for i := range rows {
		row := s[i*nr:][:nr]
		for j, x := range f {
			row[j] *= x
		}
	}
}

func panelGradGo(rows int, s, dp, lse, delta []float32, scale float32) {
	nr := len(lse)
	delta = delta[:nr]
	for i := range rows {
		ps, ds := s[i*nr:][:nr], dp[i*nr:][:nr]
		for j, x := range lse {
			p := expOf(ps[j] - x)
			ps[j] = p
			ds[j] = p * (ds[j] - delta[j]) * scale
		}
	}
}
