// sum = x [+ residual]; rstd = 1 / sqrt(mean(sum^2) + eps); y = sum * rstd * w, or * (1 + w).
// x, residual, y, sum (N, C); w (C); rstd (N).
// Dispatch: (min(N, 65535), 1, 1) workgroups of 128, one row at a time each.
// Shared memory: one partial sum an invocation, 512 B.
// Deterministic: strided partial sums, then a fixed tree. y and sum may lie on x and residual: an element is read and written by one invocation, after the row's sum is known.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

const int SIZE = 128;
layout(local_size_x = 128) in;

layout(constant_id = 0) const int ACT_TYPE = 0;
layout(constant_id = 1) const int W_TYPE = 0;
layout(constant_id = 2) const int HAS_RESIDUAL = 0;
layout(constant_id = 3) const int PLUS_ONE = 0;

layout(push_constant) uniform Args {
	uvec2 x, w, residual, y, rstd, sum; // an absent operand has the address of x
	int N, C;
	float eps;
} p;

shared float part[SIZE];

// The element i of x [+ residual]. It is kept in f32: what sum stores may be rounded.
float element(int i) {
	float v = load(p.x, i, ACT_TYPE);
	if (HAS_RESIDUAL != 0) v += load(p.residual, i, ACT_TYPE);
	return v;
}

void main() {
	int lid = int(gl_LocalInvocationID.x);
	for (int n = int(gl_WorkGroupID.x); n < p.N; n += int(gl_NumWorkGroups.x)) {
		int row = n * p.C;
		float s = 0;
		for (int i = lid; i < p.C; i += SIZE) {
			float v = element(row + i);
			s = fma(v, v, s);
		}
		part[lid] = s;
		barrier();
		for (int half_ = SIZE / 2; half_ > 0; half_ /= 2) {
			if (lid < half_) part[lid] += part[lid + half_];
			barrier();
		}
		float rstd = 1.0 / sqrt(part[0] / float(p.C) + p.eps);
		for (int i = lid; i < p.C; i += SIZE) {
			float v = element(row + i), w = load(p.w, i, W_TYPE);
			if (PLUS_ONE != 0) w += 1.0;
			store(p.y, row + i, ACT_TYPE, v * rstd * w);
			if (HAS_RESIDUAL != 0) store(p.sum, row + i, ACT_TYPE, v);
		}
		if (lid == 0) Floats(p.rstd).v[n] = rstd;
		barrier(); // part is written again for the next row
	}
}
