package main

import "math"

// The polynomials are minimax fits, weighted for the relative error of the
// function, with coefficients rounded to F32. Below 0.1 units in the last place
// each, they leave the error to the arithmetic.

// magic rounds a small number to an integer in the low bits, when added.
const magic = 0x1.8p23

// poly is the value at x of a polynomial with coefficients c, the constant
// first.
func poly(k *Kernel, x V, c ...float64) V {
	p := k.C(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		p = k.FMA(p, x, k.C(c[i]))
	}
	return p
}

// exp is 2^n e^r with r at most ln 2 / 2. Infinities, NaN and subnormal results
// come out right: the ends of the range are past 0 and Inf.
func exp(k *Kernel, x V) V {
	x = k.Max(k.C(-104.5), k.Min(k.C(89), x))
	t := k.FMA(x, k.C(math.Log2E), k.C(magic))
	n := k.Sub(t, k.C(magic))
	// The first part of ln 2 has so few bits that its product with n is exact.
	const high = 0x1.62e4p-1
	r := k.FNMA(n, k.C(high), x)
	r = k.FNMA(n, k.C(math.Ln2-high), r)
	q := poly(k, r, 0.4999999403953552, 0.1666651964187622, 0.041668396443128586, 0.008368796668946743, 0.0013814433477818966)
	p := k.Add(k.FMA(k.Mul(r, r), q, r), k.C(1))
	return ldexp(k, p, n, t)
}

// weight is exp for x that are seldom above 0, as the weights of a softmax have
// them, in fewer instructions: ln 2 in one part costs a weight of e^-80 another 2 units
// in the last place, and where ldexp takes any n, it makes Inf of the NaN that r is for
// an infinite one.
func weight(k *Kernel, x V) V {
	if k.Tier() != "avx512" {
		x = k.Min(k.C(89), x)
	}
	x = k.Max(k.C(-104.5), x)
	t := k.FMA(x, k.C(math.Log2E), k.C(magic))
	n := k.Sub(t, k.C(magic))
	r := k.FNMA(n, k.C(math.Ln2), x)
	p := poly(k, r, 1, 1, 0.4999999403953552, 0.1666651964187622, 0.041668396443128586, 0.008368796668946743, 0.0013814433477818966)
	return ldexp(k, p, n, t)
}

// ldexp is p 2^n for an integer n with t = n + magic. 2^n may be out of range
// where the result is not, so that it takes two factors, but for the
// instruction that does it.
func ldexp(k *Kernel, p, n, t V) V {
	if k.Tier() == "avx512" {
		d := k.newV()
		k.Extra("VSCALEFPS Z%[3]d, Z%[2]d, Z%[1]d", d, false, 0, 0, p, n)
		return d
	}
	i := k.SubI(t, k.C(magic))
	h := k.Sar(i, 1)
	power := func(e V) V { return k.Shl(k.AddI(e, k.Bits(127)), 23) }
	return k.Mul(k.Mul(p, power(h)), power(k.SubI(i, h)))
}

func abs(k *Kernel, x V) V { return k.And(x, k.Bits(0x7fffffff)) }

// decay is e = exp(-|x|) and 1 / (1 + e), which neither overflow nor cancel.
func decay(k *Kernel, x V) (e, q V) {
	e = exp(k, k.Or(x, k.Bits(1<<31)))
	return e, k.Div(k.C(1), k.Add(e, k.C(1)))
}

// sigmoid is s = 1 / (1 + exp(-x)) and 1 - s.
func sigmoid(k *Kernel, x V) (s, rest V) {
	e, big := decay(k, x)
	small := k.Mul(e, big)
	return k.Select(k.C(0), Greater, x, small, big), k.Select(k.C(0), Greater, x, big, small)
}

// tanh is (1 - e) / (1 + e) with e = exp(-2 |x|), and near 0 a polynomial.
func tanh(k *Kernel, x V) V {
	a := abs(k, x)
	e := exp(k, k.Mul(a, k.C(-2)))
	far := k.Div(k.Sub(k.C(1), e), k.Add(e, k.C(1)))
	far = k.Or(far, k.And(x, k.Bits(1<<31)))
	s := k.Mul(x, x)
	p := poly(k, s, -0.3333328068256378, 0.13331441581249237, -0.05373971536755562, 0.0206390880048275, -0.005704986862838268)
	near := k.FMA(k.Mul(x, s), p, x)
	return k.Select(k.C(0.625), Greater, a, near, far)
}

// log is n ln 2 + log(1 + f), 1 + f between sqrt(1/2) and sqrt(2).
func log(k *Kernel, x V) V {
	small := k.C(0x1p-126)
	y := k.Select(small, Greater, x, k.Mul(x, k.C(0x1p23)), x)
	less := k.Select(small, Greater, x, k.C(23), k.C(0))
	e := k.Sar(k.SubI(y, k.C(math.Sqrt2/2)), 23)
	f := k.Sub(k.SubI(y, k.Shl(e, 23)), k.C(1))
	n := k.Sub(k.Float(e), less)
	s := k.Mul(f, f)
	p := poly(k, f, 0.3333333134651184, -0.2500081956386566, 0.20001226663589478, -0.16623356938362122,
		0.14201757311820984, -0.13160182535648346, 0.1276157796382904, -0.07634498924016953)
	const high = 0x1.62e4p-1
	r := k.FMA(k.Mul(f, s), p, k.Mul(s, k.C(-0.5)))
	r = k.Add(k.FMA(n, k.C(math.Ln2-high), r), f)
	r = k.FMA(n, k.C(high), r)
	r = k.Select(x, Equal, k.C(math.Inf(1)), x, r)
	r = k.Select(x, Equal, k.C(0), k.C(math.Inf(-1)), r)
	r = k.Select(k.C(0), Greater, x, k.Bits(0x7fc00000), r)
	return k.Select(x, Unordered, x, x, r)
}

// sincos is exact to 1e-7 for the angle hi + lo below 2^20, lo being what hi was
// rounded by. The quarter turns in it are taken off with pi/2 in two parts: n
// times the first is exact, and so is its difference to hi.
func sincos(k *Kernel, hi, lo V) (sin, cos V) {
	const first, second = 0x1.921fb6p+0, -0x1.777a5cp-25
	t := k.FMA(hi, k.C(2/math.Pi), k.C(magic))
	n := k.Sub(t, k.C(magic))
	r := k.Add(k.FNMA(n, k.C(first), hi), k.FNMA(n, k.C(second), lo))
	s := k.Mul(r, r)
	p := poly(k, s, -0.1666666716337204, 0.008333329111337662, -0.00019839162996504456, 2.716712060646387e-06)
	sin = k.FMA(k.Mul(r, s), p, r)
	q := poly(k, s, 0.0416666679084301, -0.0013888883404433727, 2.4799295715638436e-05, -2.7192444918000547e-07)
	cos = k.FMA(k.Mul(s, s), q, k.FMA(s, k.C(-0.5), k.C(1)))
	one := k.Bits(1)
	odd := k.Float(k.And(t, one))
	minus := func(x, quarter V) V { return k.Xor(x, k.Shl(k.And(quarter, k.Bits(2)), 30)) }
	return minus(k.Select(odd, Greater, k.C(0), cos, sin), t), minus(k.Select(odd, Greater, k.C(0), sin, cos), k.AddI(t, one))
}

// maxNaN is NaN if a or b is: each maximum alone would lose one of the two.
func maxNaN(k *Kernel, a, b V) V {
	if k.Tier() == "neon" {
		return k.Max(a, b)
	}
	return k.Or(k.Max(a, b), k.Max(b, a))
}
