// y = f(x), element by element: affine, exp, log, sqrt, recip, tanh, sigmoid, relu or step.
// x, y (M); y may be x.
// Dispatch: (min(ceil(V/256), 65535), 1, 1) workgroups of 256, each striding over the V vectors of eight elements, or over elements where the operands are not aligned.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "vector.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int TYPE = 0;
layout(constant_id = 1) const int KIND = 0; // kernels.UnaryKind
layout(constant_id = 2) const float ALPHA = 1;
layout(constant_id = 3) const float BETA = 0;
layout(constant_id = 4) const int VECTORS = 0; // 1: x and y lie at multiples of 16 bytes

layout(push_constant) uniform Args {
	uvec2 x, y;
	int M;
} p;

float f(float x) {
	switch (KIND) {
	case 0: return ALPHA * x + BETA;
	case 1: return expf(x);
	case 2: return logf(x);
	case 3: return sqrtf(x);
	case 4: return divf(1.0, x);
	case 5: return tanhf(x);
	case 6: return sigmoidf(x);
	}
	// As integers, positive floats keep their order; NaN passes a ReLU and is no step.
	uint u = floatBitsToUint(x);
	if (KIND == 7) return u > 0x80000000u && u <= 0xff800000u ? 0.0 : x;
	return u - 1u < 0x7f800000u ? 1.0 : 0.0;
}

void main() {
	int first = int(gl_GlobalInvocationID.x), stride = int(gl_NumWorkGroups.x) * 256, done = 0;
	if (VECTORS != 0) {
		done = p.M & ~7;
		for (int i = first; i < p.M / 8; i += stride) {
			float v[8];
			load8(p.x, i, TYPE, v);
			for (int k = 0; k < 8; k++) v[k] = f(v[k]);
			store8(p.y, i, TYPE, v);
		}
	}
	for (int i = done + first; i < p.M; i += stride) store(p.y, i, TYPE, f(load(p.x, i, TYPE)));
}
