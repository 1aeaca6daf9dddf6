// y = a . b, element by element: +, -, *, / or whether equal; a stride of 0 repeats.
// a, b, y: up to five axes, outermost first, each operand with its own strides; unused axes have size 1; y may be a or b.
// Dispatch: (min(ceil(M/256), 65535), 1, 1) workgroups of 256, each striding over M elements, or over M vectors of eight where the innermost axis allows.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "vector.glsl"
#include "axes.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int TYPE = 0;
layout(constant_id = 1) const int KIND = 0; // kernels.BinaryKind
layout(constant_id = 2) const int AXES = 5; // axes in use
layout(constant_id = 3) const int VECTORS = 0; // 1: indices count vectors, in an operand that is repeated along the innermost axis elements
layout(constant_id = 4) const int A_REPEATS = 0;
layout(constant_id = 5) const int B_REPEATS = 0;

layout(push_constant) uniform Args {
	uvec2 a, b, y;
	int M;
	Axes axes;
	int sa[5], sb[5], sy[5];
} p;

float f(float a, float b) {
	switch (KIND) {
	case 0: return a + b;
	case 1: return a - b;
	case 2: return a * b;
	case 3: return divf(a, b);
	}
	uint u = floatBitsToUint(a), v = floatBitsToUint(b);
	bool zeros = ((u | v) & 0x7fffffffu) == 0u;
	return zeros || (u == v && !isNaN(a)) ? 1.0 : 0.0;
}

// The vector i, or eight times the element i.
void operand(uvec2 base, int i, int repeats, out float v[8]) {
	if (repeats == 0) {
		load8(base, i, TYPE, v);
		return;
	}
	float x = load(base, i, TYPE);
	for (int k = 0; k < 8; k++) v[k] = x;
}

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		int at[5];
		coordinates(p.axes, AXES, i, at);
		int ai = element(at, p.sa), bi = element(at, p.sb), yi = element(at, p.sy);
		if (VECTORS != 0) {
			float a[8], b[8];
			operand(p.a, ai, A_REPEATS, a);
			operand(p.b, bi, B_REPEATS, b);
			for (int k = 0; k < 8; k++) a[k] = f(a[k], b[k]);
			store8(p.y, yi, TYPE, a);
		} else {
			store(p.y, yi, TYPE, f(load(p.a, ai, TYPE), load(p.b, bi, TYPE)));
		}
	}
}
