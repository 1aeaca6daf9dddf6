// sum = x [+ residual]; rstd = 1 / sqrt(mean(sum^2) + eps); y = sum * rstd * w, or * (1 + w).
// x, residual, y, sum (N, C); w (C); rstd (N).
// Dispatch: (min(ceil(N/ROWS), 65535), 1, 1) workgroups of 256, ROWS rows at a time each (rows.glsl); a row is read once where VECS > 0.
// Shared memory: that of rows.glsl, 2 KiB.
// Deterministic: the order of a row's sum depends on C only. y and sum may lie on x and residual: an element is read and written by one invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "math.glsl"
#include "rows.glsl"

layout(constant_id = 3) const int ACT_TYPE = 0;
layout(constant_id = 4) const int W_TYPE = 0;
layout(constant_id = 5) const int HAS_RESIDUAL = 0;
layout(constant_id = 6) const int PLUS_ONE = 0;

layout(push_constant) uniform Args {
	uvec2 x, w, residual, y, rstd, sum; // an absent operand has the address of x
	int N, C;
	float perC; // 1 / C
	float eps;
} p;

// Four columns of x [+ residual]. They are kept in f32: what sum stores may be rounded.
vec4 element(int row, int c) {
	vec4 v = loadRow(p.x, row, c, p.C, ACT_TYPE);
	if (HAS_RESIDUAL != 0) v += loadRow(p.residual, row, c, p.C, ACT_TYPE);
	return v;
}

void finish(int row, int c, vec4 v, float rstd) {
	vec4 w = loadRow(p.w, 0, c, p.C, W_TYPE);
	if (PLUS_ONE != 0) w += 1.0;
	storeRow(p.y, row, c, p.C, ACT_TYPE, v * rstd * w);
	if (HAS_RESIDUAL != 0) storeRow(p.sum, row, c, p.C, ACT_TYPE, v);
}

void main() {
	int step = int(gl_NumWorkGroups.x) * ROWS;
	for (int n0 = int(gl_WorkGroupID.x) * ROWS; n0 < p.N; n0 += step) {
		bool live = n0 + slot() < p.N;
		int n = live ? n0 + slot() : n0, row = n * p.C;
		vec4 v[KEPT], s = vec4(0);
		[[unroll]] for (int k = 0; k < VECS; k++) {
			v[k] = element(row, column(k));
			s = fma(v[k], v[k], s);
		}
		if (VECS == 0)
			for (int c = column(0); c < p.C; c += STRIDE) {
				vec4 u = element(row, c);
				s = fma(u, u, s);
			}
		float rstd = divf(1.0, sqrtf(fma(sumRow(s), p.perC, p.eps)));
		if (live) {
			[[unroll]] for (int k = 0; k < VECS; k++) finish(row, column(k), v[k], rstd);
			if (VECS == 0)
				for (int c = column(0); c < p.C; c += STRIDE) finish(row, c, element(row, c), rstd);
			if (lane() == 0) Floats(p.rstd).v[n] = rstd;
		}
	}
}
