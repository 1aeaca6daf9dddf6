// g = dy * w, or * (1 + w); dx = rstd * g - x * rstd^3 * mean(g * x) [+ dsum]; parts[i] = sum of dy * x * rstd over the rows of workgroup i.
// x, dy, dsum, dx (N, C); w (C); rstd (N); parts (workgroups, C), which sum_parts adds up to dw.
// Dispatch: (G, 1, 1) workgroups of 256, ROWS rows at a time each (rows.glsl); G <= 65535 and a function of the shape. x and dy are read once where VECS > 0.
// Shared memory: that of rows.glsl and a vector an invocation, 6 KiB.
// Deterministic: the order of sums depends on N and C only. dx may lie on dy or dsum: an element is read and written by one invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "rows.glsl"

layout(constant_id = 3) const int ACT_TYPE = 0;
layout(constant_id = 4) const int W_TYPE = 0;
layout(constant_id = 5) const int HAS_SUM = 0;
layout(constant_id = 6) const int HAS_DW = 0;
layout(constant_id = 7) const int PLUS_ONE = 0;

layout(push_constant) uniform Args {
	uvec2 x, w, rstd, dy, dsum, dx, parts; // an absent operand has the address of x
	int N, C;
	float perC; // 1 / C
} p;

shared vec4 columns[256];

vec4 weight(int c) {
	vec4 w = loadRow(p.w, 0, c, p.C, W_TYPE);
	return PLUS_ONE != 0 ? w + 1.0 : w;
}

void finish(int row, int c, vec4 x, vec4 g, float rstd, float mean) {
	vec4 d = rstd * (g - x * rstd * mean);
	if (HAS_SUM != 0) d += loadRow(p.dsum, row, c, p.C, ACT_TYPE);
	storeRow(p.dx, row, c, p.C, ACT_TYPE, d);
}

// The part of dw of this workgroup: the sums of its row slots, in order.
void putPart(int c, vec4 s) {
	int lid = int(gl_LocalInvocationID.x);
	columns[lid] = s;
	barrier();
	if (slot() == 0) {
		for (int r = 1; r < ROWS; r++) s += columns[lid + r * LANES];
		for (int j = 0; j < 4; j++)
			if (nth(c, j) < p.C) Floats(p.parts).v[int(gl_WorkGroupID.x) * p.C + nth(c, j)] = s[j];
	}
	barrier();
}

void main() {
	int step = int(gl_NumWorkGroups.x) * ROWS, first = int(gl_WorkGroupID.x) * ROWS;
	vec4 dw[KEPT];
	[[unroll]] for (int k = 0; k < KEPT; k++) dw[k] = vec4(0);
	for (int n0 = first; n0 < p.N; n0 += step) {
		bool live = n0 + slot() < p.N;
		int n = live ? n0 + slot() : n0, row = n * p.C;
		float rstd = Floats(p.rstd).v[n];
		vec4 x[KEPT], g[KEPT], s = vec4(0);
		[[unroll]] for (int k = 0; k < VECS; k++) {
			x[k] = loadRow(p.x, row, column(k), p.C, ACT_TYPE);
			g[k] = loadRow(p.dy, row, column(k), p.C, ACT_TYPE);
			if (HAS_DW != 0 && live) dw[k] = fma(g[k] * x[k], vec4(rstd), dw[k]);
			g[k] *= weight(column(k));
			s = fma(g[k], x[k], s);
		}
		if (VECS == 0)
			for (int c = column(0); c < p.C; c += STRIDE) {
				vec4 xc = loadRow(p.x, row, c, p.C, ACT_TYPE), d = loadRow(p.dy, row, c, p.C, ACT_TYPE);
				s = fma(d * weight(c), xc, s);
			}
		float mean = rstd * (sumRow(s) * p.perC);
		if (live)
			[[unroll]] for (int k = 0; k < VECS; k++) finish(row, column(k), x[k], g[k], rstd, mean);
		if (VECS == 0) // one row a workgroup: its lanes add to their columns of parts
			for (int c = column(0); c < p.C; c += STRIDE) {
				vec4 xc = loadRow(p.x, row, c, p.C, ACT_TYPE), d = loadRow(p.dy, row, c, p.C, ACT_TYPE);
				if (HAS_DW != 0)
					for (int j = 0; j < 4; j++)
						if (nth(c, j) < p.C) {
							int i = int(gl_WorkGroupID.x) * p.C + nth(c, j);
							float old = n0 == first ? 0.0 : Floats(p.parts).v[i];
							Floats(p.parts).v[i] = fma(d[j] * xc[j], rstd, old);
						}
				finish(row, c, xc, d * weight(c), rstd, mean);
			}
	}
	if (HAS_DW != 0)
		[[unroll]] for (int k = 0; k < VECS; k++) putPart(column(k), dw[k]);
}
