// When state's apply is 1: g = clip * grad; m = Beta1 m + (1 - Beta1) g; v = Beta2 v + (1 - Beta2) g^2; w = w (1 - lr Decay) - lr / bc1 * m / (sqrt(v / bc2) + eps); stored = w rounded. Else nothing is written.
// grad, w, m, v, stored (M), flat over all parameters of a group; hyper, state (8).
// Dispatch: (min(ceil(M/256), 65535), 1, 1) workgroups of 256, each striding over M.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int HAS_STORE = 0;
layout(constant_id = 1) const int STORE_TYPE = 0;

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

void main() {
	if (Floats(p.state).v[APPLY] != 1.0) return;
	float lr = Floats(p.hyper).v[LR], clip = Floats(p.state).v[CLIP];
	float bc1 = Floats(p.state).v[BC1], bc2 = Floats(p.state).v[BC2];
	float shrink = 1.0 - lr * p.decay, size = lr / bc1;
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		float g = clip * Floats(p.grad).v[i];
		float m = fma(p.beta1, Floats(p.m).v[i], p.rest1 * g);
		float v = fma(p.beta2, Floats(p.v).v[i], p.rest2 * g * g);
		float w = Floats(p.w).v[i] * shrink - size * m / (sqrt(v / bc2) + p.eps);
		Floats(p.m).v[i] = m;
		Floats(p.v).v[i] = v;
		Floats(p.w).v[i] = w;
		if (HAS_STORE != 0) store(p.stored, i, STORE_TYPE, w);
	}
}
