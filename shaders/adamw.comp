// When state's apply is 1: g = clip * grad; m = Beta1 m + (1 - Beta1) g; v = Beta2 v + (1 - Beta2) g^2; w = w (1 - lr Decay) - lr / bc1 * m / (sqrt(v / bc2) + eps); stored = w rounded. Else nothing is written.
// grad, w, m, v, stored (M), flat over all parameters of a group; hyper, state (8).
// Dispatch: (min(ceil(M/1024), 65535), 1, 1) workgroups of 256, for which the operands are one row (rows.glsl); four elements an invocation, striding over M.
// Shared memory: none used.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rows.glsl"

layout(constant_id = 3) const int HAS_STORE = 0;
layout(constant_id = 4) const int STORE_TYPE = 0;

layout(push_constant) uniform Args {
	uvec2 grad, hyper, state, w, m, v, stored; // an absent operand has the address of grad
	int M;
	float beta1, rest1; // rest = 1 - beta, rounded once
	float beta2, rest2;
	float eps, decay;
} p;

// The layout of kernels.Hyper and kernels.State constants.
const int LR = 0;
const int BC1 = 2;
const int BC2 = 3;
const int CLIP = 4;
const int APPLY = 5;

// m / (sqrt(v) + eps)
vec4 ratio(vec4 m, vec4 v) {
	vec4 y;
	for (int j = 0; j < 4; j++) y[j] = divf(m[j], sqrtf(v[j]) + p.eps);
	return y;
}

void main() {
	if (Floats(p.state).v[APPLY] != 1.0) return;
	float lr = Floats(p.hyper).v[LR], clip = Floats(p.state).v[CLIP];
	float shrink = 1.0 - lr * p.decay, size = divf(lr, Floats(p.state).v[BC1]);
	float perBC2 = divf(1.0, Floats(p.state).v[BC2]);
	int stride = int(gl_NumWorkGroups.x) * STRIDE;
	for (int c = column(int(gl_WorkGroupID.x)); c < p.M; c += stride) {
		vec4 g = clip * loadRow(p.grad, 0, c, p.M, F32);
		vec4 m = loadRow(p.m, 0, c, p.M, F32), v = loadRow(p.v, 0, c, p.M, F32), w = loadRow(p.w, 0, c, p.M, F32);
		m = fma(vec4(p.beta1), m, p.rest1 * g);
		v = fma(vec4(p.beta2), v, p.rest2 * g * g);
		w = w * shrink - size * ratio(m, v * perBC2);
		storeRow(p.m, 0, c, p.M, F32, m);
		storeRow(p.v, 0, c, p.M, F32, v);
		storeRow(p.w, 0, c, p.M, F32, w);
		if (HAS_STORE != 0) storeRow(p.stored, 0, c, p.M, STORE_TYPE, w);
	}
}
