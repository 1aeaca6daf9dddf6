// dx = scale * cap'(scale x) * p * (dp - sum over keys of p dp).
// x, p, dp, dx (N, S).
// Dispatch: (min(ceil(N/ROWS), 65535), 1, 1) workgroups of 256, ROWS rows at a time each (rows.glsl).
// Shared memory: that of rows.glsl, 2 KiB.
// Deterministic: the order of a row's sum depends on S only. dx may lie on dp: an element is read and written by one invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rows.glsl"
#include "scores.glsl"

layout(constant_id = 4) const int TYPE = 0;

layout(push_constant) uniform Args {
	uvec2 x, p, dp, dx;
	int N, S;
	Scores score;
} p;

void main() {
	int step = int(gl_NumWorkGroups.x) * ROWS;
	for (int n0 = int(gl_WorkGroupID.x) * ROWS; n0 < p.N; n0 += step) {
		bool live = n0 + slot() < p.N;
		int n = live ? n0 + slot() : n0, row = n * p.S;
		vec4 s = vec4(0);
		for (int c = column(0); c < p.S; c += STRIDE)
			s = fma(loadRow(p.p, row, c, p.S, TYPE), loadRow(p.dp, row, c, p.S, TYPE), s);
		float mean = sumRow(s);
		if (live)
			for (int c = column(0); c < p.S; c += STRIDE) {
				vec4 d = loadRow(p.p, row, c, p.S, TYPE) * (loadRow(p.dp, row, c, p.S, TYPE) - mean);
				if (HAS_CAP != 0) d *= slope(p.score, scored(p.score, loadRow(p.x, row, c, p.S, TYPE)));
				storeRow(p.dx, row, c, p.S, TYPE, p.score.scale * d);
			}
	}
}
