// Scores z = cap(scale x), and the log of the sum of their exponentials over a row; needs
// rows.glsl and math.glsl.

layout(constant_id = 3) const int HAS_CAP = 0;

// What a kernel is pushed about its scores.
struct Scores {
	float scale, cap, perCap; // perCap is 1 / cap
};

// cap tanh(scale x / cap), or scale x.
vec4 scored(Scores q, vec4 x) {
	vec4 z = q.scale * x;
	if (HAS_CAP == 0) return z;
	z *= q.perCap;
	return q.cap * vec4(tanhf(z.x), tanhf(z.y), tanhf(z.z), tanhf(z.w));
}

// The slope of the cap at a score.
vec4 slope(Scores q, vec4 z) {
	if (HAS_CAP == 0) return vec4(1);
	vec4 t = z * q.perCap;
	return 1.0 - t * t;
}

vec4 exp4(vec4 x) { return vec4(expf(x.x), expf(x.y), expf(x.z), expf(x.w)); }

// A running sum of exponentials: sum e^(top - largest score so far). It is NaN as soon as
// a score is; top may overlook one.
struct ExpSum {
	float top, sum;
};

ExpSum nothing() { return ExpSum(-infinity(), 0.0); }

// What to subtract from scores whose largest is top: an infinity would give NaN.
float base(float top) { return notFinite(top) ? 0.0 : top; }

void include(inout ExpSum s, vec4 z) {
	float top = max(max(s.top, max(z.x, z.y)), max(z.z, z.w)), from = base(top);
	if (top != s.top) s.sum *= expf(s.top - from);
	vec4 e = exp4(z - from);
	s.sum += (e.x + e.y) + (e.z + e.w);
	s.top = top;
}

// The sum over all lanes of a row.
ExpSum whole(ExpSum s) {
	float top = maxRow(s.top);
	return ExpSum(top, sumRow(s.sum * expf(s.top - base(top))));
}

// The logarithm of the sum above top: 0 where top is the result.
float tail(ExpSum s) {
	if (isNaN(s.sum)) return notANumber();
	return notFinite(s.top) ? 0.0 : logf(s.sum);
}

// The shares e^z / sum.
vec4 shares(ExpSum s, float inverse, vec4 z) { return exp4(z - s.top) * inverse; }

// What shares multiplies by.
float inverse(ExpSum s) {
	if (isNaN(s.sum)) return notANumber();
	return notFinite(s.top) ? 1.0 : divf(1.0, s.sum);
}
