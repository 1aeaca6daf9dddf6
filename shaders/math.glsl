// Functions of one float, accurate to the bounds that Go tests hold them to.
//
// Vulkan promises little: exp 3 + 2|x| units in the last place, tanh whatever its
// parts give, sin and cos 2^-11 and only in [-pi, pi], division 2.5, sqrt more. Only
// +, - and * are rounded right everywhere, and bits. So these functions reduce their
// argument, take a polynomial (fitted by Chebyshev interpolation, rounded to f32) and
// put the result together from +, -, * and bits. Where a product must be exact it is
// made of halves of 12 bits and marked precise, since fma may be two roundings.
//
// NaN and infinities are told by bits: a driver may assume that floats are never NaN.
// Subnormal results may be flushed to zero.

float notANumber() { return uintBitsToFloat(0x7fc00000u); }
float infinity() { return uintBitsToFloat(0x7f800000u); }

bool isNaN(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// The biased exponent lies so far from the ends that products of halves are exact.
bool middling(float x) {
	uint e = (floatBitsToUint(x) >> 23) & 255u;
	return e > 64u && e < 190u;
}

// The upper 12 bits of the mantissa; x - upper(x) is exact and has 12 bits too.
float upper(float x) { return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u); }

// a / b to 0.51 units in the last place where operands and result are middling.
float divf(float a, float b) {
	precise float q = a / b;
	if (!(middling(a) && middling(b) && middling(q))) return q;
	precise float qh = upper(q), bh = upper(b);
	precise float ql = q - qh, bl = b - bh;
	precise float rest = (((a - qh * bh) - qh * bl) - ql * bh) - ql * bl;
	precise float y = q + rest / b;
	return y;
}

// The square root to 0.51 units; NaN below zero.
float sqrtf(float x) {
	uint u = floatBitsToUint(x);
	if (u == 0u || u == 0x80000000u || u == 0x7f800000u) return x;
	if (u > 0x7f800000u) return notANumber();
	precise float s = sqrt(x);
	if (!middling(x)) return s;
	precise float sh = upper(s);
	precise float sl = s - sh;
	precise float rest = ((x - sh * sh) - 2.0 * sh * sl) - sl * sl;
	precise float y = s + 0.5 * rest / s;
	return y;
}

// 2^n for n in [-126, 127].
float pow2(int n) { return uintBitsToFloat(uint(n + 127) << 23); }

// e^x = 2^n e^r with |r| <= ln(2) / 2. The first part of ln(2) has 14 bits, so that n
// times it is exact.
float expf(float x) {
	if (isNaN(x)) return x;
	float clamped = clamp(x, -104.0, 89.0); // beyond: 0 and infinity
	float n = floor(clamped * 1.44269502 + 0.5);
	precise float r = clamped - n * 0.693145752;
	r = r - n * 1.42860677e-6;
	float q = 0.00139263761;
	q = q * r + 0.00836333353;
	q = q * r + 0.0416665524;
	q = q * r + 0.166665763;
	q = q * r + 0.5;
	float y = 1.0 + (r + r * r * q);
	// Two factors: 2^128 is too large for one, and 2^-150 too small.
	int i = int(n), half_ = i >> 1;
	return y * pow2(half_) * pow2(i - half_);
}

// ln(2^e m) = e ln(2) + ln(m) with m in [sqrt(1/2), sqrt(2)).
float logf(float x) {
	uint u = floatBitsToUint(x);
	if ((u & 0x7fffffffu) == 0u) return -infinity();
	if (u > 0x7f800000u) return notANumber(); // NaN and negative numbers
	if (u == 0x7f800000u) return x;
	int e = 0;
	if (u < 0x00800000u) { // subnormal
		int by = 23 - findMSB(u);
		u <<= by;
		e = -by;
	}
	int above = int(u) - 0x3f3504f3; // the bits of sqrt(1/2)
	e += above >> 23;
	float f = uintBitsToFloat(uint((above & 0x7fffff) + 0x3f3504f3)) - 1.0, n = float(e);
	float p = 0.0697161183;
	p = p * f - 0.114797339;
	p = p * f + 0.116854198;
	p = p * f - 0.124256872;
	p = p * f + 0.142490581;
	p = p * f - 0.166678026;
	p = p * f + 0.200007156;
	p = p * f - 0.24999997;
	p = p * f + 0.333333313;
	float f2 = f * f;
	// From the smallest term to the largest.
	precise float y = f * f2 * p + n * 1.42860677e-6;
	y = y - 0.5 * f2;
	y = y + f;
	y = y + n * 0.693145752;
	return y;
}

// 1 / b for b from 1 to e^40, to 1.1 units: a step of Newton's on what the device gives.
// It is cheaper than divf and loses little where fma is two roundings.
float reciprocal(float b) {
	float r = 1.0 / b;
	return fma(r, fma(-b, r, 1.0), r);
}

// 1 / (1 + e^-x). The exponential never overflows, so that far below zero the result
// keeps its precision.
float sigmoidf(float x) {
	if (isNaN(x)) return x;
	float e = expf(-abs(x)), r = reciprocal(1.0 + e);
	return x < 0.0 ? e * r : r;
}

// Near zero 1 - 2 / (e^2x + 1) would cancel: a polynomial.
float tanhf(float x) {
	if (isNaN(x)) return x;
	float a = abs(x), y;
	if (a < 0.625) {
		float s = a * a;
		float p = -0.00604516501;
		p = p * s + 0.0209613293;
		p = p * s - 0.0538432635;
		p = p * s + 0.133327186;
		p = p * s - 0.333333284;
		y = a + a * s * p;
	} else {
		y = 1.0 - 2.0 * reciprocal(expf(2.0 * min(a, 20.0)) + 1.0);
	}
	return uintBitsToFloat(floatBitsToUint(y) | (floatBitsToUint(x) & 0x80000000u));
}

// 1 / (2 pi) as a binary fraction.
const uint TURN[9] = uint[](0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau,
	0xf7aef158u, 0x6dc91b8eu);

// Adds to a word and counts the carry.
void addTo(inout uint word, inout uint carry, uint x) {
	uint c;
	word = uaddCarry(word, x, c);
	carry += c;
}

// Word k of the fraction of n / (2 pi) shifted up by whole bits.
uint turnWord(int k, int up) {
	k += up >> 5;
	int by = up & 31;
	return by == 0 ? TURN[k] : TURN[k] << by | TURN[k + 1] >> (32 - by);
}

// The sine and cosine of n * f, as if the product were exact: it is counted in turns,
// in whole numbers (the method of Payne and Hanek), so that large positions lose
// nothing. The error is below 1e-7 for any n and f.
void sincosf(int n, float f, out float s, out float c) {
	uint u = floatBitsToUint(f);
	if (notFinite(f)) {
		s = c = notANumber();
		return;
	}
	uint e = (u >> 23) & 255u, m = u & 0x7fffffu;
	if (e != 0u) m |= 0x800000u;
	int scale = int(max(e, 1u)) - 150; // |f| = m 2^scale
	uint p1, p0; // |n| m
	umulExtended(n < 0 ? 0u - uint(n) : uint(n), m, p1, p0);

	// x = |n| m / (2 pi) 2^max(scale, 0): two whole words (wrong beyond 2^64, where they
	// do not matter) and two of the fraction.
	int up = max(scale, 0);
	uint t0 = turnWord(0, up), t1 = turnWord(1, up), t2 = turnWord(2, up);
	uint x[4], carry, hi, lo;
	x[3] = 0u;
	carry = 0u;
	umulExtended(p0, t2, hi, lo);
	addTo(x[3], carry, hi);
	uint hi12, hi01;
	umulExtended(p1, t2, hi12, lo);
	addTo(x[3], carry, lo);
	umulExtended(p0, t1, hi01, lo);
	addTo(x[3], carry, lo);
	x[2] = carry;
	carry = 0u;
	addTo(x[2], carry, hi12);
	addTo(x[2], carry, hi01);
	umulExtended(p1, t1, hi12, lo);
	addTo(x[2], carry, lo);
	umulExtended(p0, t0, hi01, lo);
	addTo(x[2], carry, lo);
	x[1] = carry;
	carry = 0u;
	addTo(x[1], carry, hi12);
	addTo(x[1], carry, hi01);
	umulExtended(p1, t0, hi, lo);
	addTo(x[1], carry, lo);
	x[0] = hi + carry;

	// The fraction of x 2^min(scale, 0), in two words.
	int down = max(-scale, 0), words = down >> 5, bits = down & 31;
	uint w1 = words <= 1 ? x[1 - words] : 0u, w2 = words <= 2 ? x[2 - words] : 0u, w3 = words <= 3 ? x[3 - words] : 0u;
	uint f0 = bits == 0 ? w2 : w2 >> bits | w1 << (32 - bits);
	uint f1 = bits == 0 ? w3 : w3 >> bits | w2 << (32 - bits);

	// The nearest quarter turn, and what is left as an angle.
	uint quarter = (f0 + 0x20000000u) >> 30;
	float rest = float(int(f0 - (quarter << 30))) + float(f1) * 2.3283064365386963e-10; // 2^-32
	float a = rest * 1.4629180792671596e-9, q = a * a; // 2 pi 2^-32
	float ps = 2.72499256e-6;
	ps = ps * q - 0.00019840087;
	ps = ps * q + 0.00833333191;
	ps = ps * q - 0.166666672;
	float pc = 2.45479423e-5;
	pc = pc * q - 0.00138883025;
	pc = pc * q + 0.0416666642;
	float sine = a + a * q * ps, cosine = 1.0 - (0.5 * q - q * q * pc);
	bool odd = (quarter & 1u) != 0u;
	s = odd ? cosine : sine;
	c = odd ? -sine : cosine;
	if ((quarter & 2u) != 0u) {
		s = -s;
		c = -c;
	}
	if ((n < 0) != (u >> 31 != 0u)) s = -s;
}
