// exp, log, tanh and maximum without branches, within two units in the last place, which
// Vulkan does not promise of its own functions. They stand unrolled, dozens of times, in
// the tiles of attention, where the branches of math.glsl would cost more than they save.
// Coefficients: S. L. Moshier, Cephes mathematical library (expf, logf, tanhf).

bool isNaN(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

float infinity() { return uintBitsToFloat(0x7f800000u); }

// The larger number; NaN when one is.
float higher(float a, float b) {
	float m = b > a ? b : a;
	m = isNaN(b) ? b : m;
	return isNaN(a) ? a : m;
}

float expf(float x) {
	float c = min(max(x, -110.0), 90.0);
	float n = floor(c * 1.44269504 + 0.5);
	// ln 2 in two parts; the product with the first is exact, fused or not.
	precise float r = c - n * 0.693359375;
	r = r + n * 2.12194440e-4;
	float y = 1.9875691500e-4;
	y = fma(y, r, 1.3981999507e-3);
	y = fma(y, r, 8.3334519073e-3);
	y = fma(y, r, 4.1665795894e-2);
	y = fma(y, r, 1.6666665459e-1);
	y = fma(y, r, 5.0000001201e-1);
	y = fma(y, r * r, r) + 1.0;
	// 2^n in two factors: n goes beyond the exponents of normal numbers.
	int i = int(n), k = i >> 1;
	y = y * uintBitsToFloat(uint(k + 127) << 23) * uintBitsToFloat(uint(i - k + 127) << 23);
	return isNaN(x) ? x : y;
}

// The logarithm of a normal positive number; infinity and NaN stay.
float logf(float x) {
	uint u = floatBitsToUint(x);
	int e = int(u >> 23) - 126;
	float m = uintBitsToFloat((u & 0x007fffffu) | 0x3f000000u); // [0.5, 1)
	bool low = m < 0.707106781;
	e = low ? e - 1 : e;
	m = low ? m + m : m;
	float r = m - 1.0, z = r * r;
	float y = 7.0376836292e-2;
	y = fma(y, r, -1.1514610310e-1);
	y = fma(y, r, 1.1676998740e-1);
	y = fma(y, r, -1.2420140846e-1);
	y = fma(y, r, 1.4249322787e-1);
	y = fma(y, r, -1.6668057665e-1);
	y = fma(y, r, 2.0000714765e-1);
	y = fma(y, r, -2.4999993993e-1);
	y = fma(y, r, 3.3333331174e-1);
	precise float s = y * r * z + float(e) * -2.12194440e-4;
	s = s - 0.5 * z;
	s = r + s;
	s = s + float(e) * 0.693359375;
	return notFinite(x) ? x : s;
}

float tanhf(float x) {
	float a = abs(x), z = x * x;
	float y = -5.70498872745e-3;
	y = fma(y, z, 2.06390887954e-2);
	y = fma(y, z, -5.37397155531e-2);
	y = fma(y, z, 1.33314422036e-1);
	y = fma(y, z, -3.33332819422e-1);
	float small = fma(y * z, x, x);
	float big = 1.0 - 2.0 / (expf(2.0 * min(a, 20.0)) + 1.0);
	big = x < 0.0 ? -big : big;
	y = a < 0.625 ? small : big;
	return isNaN(x) ? x : y;
}
