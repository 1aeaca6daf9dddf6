// s = sum of x^2 + Beta s, in two passes: parts[g] = sum of x^2 over part g; then s = sum of parts + Beta s.
// x (M); parts (G), scratch; s (1).
// Dispatch: first pass (G, 1, 1), second (1, 1, 1), workgroups of 256, for which x is one row (rows.glsl).
// Shared memory: that of rows.glsl, 2 KiB.
// Deterministic: G depends on M only; strided sums, then a fixed tree.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "rows.glsl"

layout(constant_id = 3) const int LAST = 0; // 1: the second pass
layout(constant_id = 4) const float BETA = 0;

layout(push_constant) uniform Args {
	uvec2 x; // first pass: x; second: parts
	uvec2 y; // first pass: parts; second: s
	int M;   // elements of x
} p;

const int AHEAD = 4; // vectors that a lane loads before it uses them

void main() {
	int stride = int(gl_NumWorkGroups.x) * STRIDE;
	vec4 s[AHEAD];
	[[unroll]] for (int k = 0; k < AHEAD; k++) s[k] = vec4(0);
	for (int c = column(int(gl_WorkGroupID.x)); c < p.M; c += AHEAD * stride) {
		[[unroll]] for (int k = 0; k < AHEAD; k++) {
			vec4 v = loadRow(p.x, 0, c + k * stride, p.M, F32);
			s[k] = LAST != 0 ? s[k] + v : fma(v, v, s[k]);
		}
	}
	float sum = sumRow((s[0] + s[1]) + (s[2] + s[3]));
	if (lane() == 0) {
		if (LAST != 0 && BETA != 0.0) sum = fma(BETA, Floats(p.y).v[0], sum);
		Floats(p.y).v[gl_WorkGroupID.x] = sum;
	}
}
