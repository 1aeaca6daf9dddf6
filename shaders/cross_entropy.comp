// z = cap(scale x); lse = log sum exp z; loss = lse - z[target], 0 where the target is outside of [0, V). With GRAD also dx = g * scale * cap'(..) * (softmax(z) - onehot(target)), 0 for such targets.
// x, dx (N, V); targets, loss, lse, g (N), g with a stride.
// Dispatch: (min(ceil(N/ROWS), 65535), 1, 1) workgroups of 256, ROWS rows at a time each (rows.glsl).
// Shared memory: that of rows.glsl, 2 KiB.
// Deterministic: the order of a row's sum depends on V only. dx may lie on x: an element is read and written by one invocation, but for x[target], which all read before any writes.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "math.glsl"
#include "rows.glsl"
#include "scores.glsl"

layout(constant_id = 4) const int TYPE = 0; // of x and dx
layout(constant_id = 5) const int HAS_LSE = 0;
layout(constant_id = 6) const int GRAD = 0;

layout(push_constant) uniform Args {
	uvec2 x, targets, loss, lse, g, dx; // an absent operand has the address of x
	int N, V;
	int gStride; // elements
	Scores score;
} p;

const int AHEAD = 4; // vectors that a lane loads before it uses them

void main() {
	int step = int(gl_NumWorkGroups.x) * ROWS;
	for (int n0 = int(gl_WorkGroupID.x) * ROWS; n0 < p.N; n0 += step) {
		bool live = n0 + slot() < p.N;
		int n = live ? n0 + slot() : n0, row = n * p.V;
		int target = int(Words(p.targets).v[n]);
		bool counts = target >= 0 && target < p.V;
		float at = scored(p.score, vec4(load(p.x, row + (counts ? target : 0), TYPE))).x;

		ExpSum s = nothing();
		for (int c = column(0); c < p.V; c += AHEAD * STRIDE) {
			vec4 x[AHEAD];
			[[unroll]] for (int k = 0; k < AHEAD; k++) x[k] = loadRow(p.x, row, c + k * STRIDE, p.V, TYPE);
			[[unroll]] for (int k = 0; k < AHEAD; k++) {
				vec4 z = scored(p.score, x[k]);
				for (int j = 0; j < 4; j++)
					if (nth(c + k * STRIDE, j) >= p.V) z[j] = -infinity();
				include(s, z);
			}
		}
		s = whole(s);
		if (live && lane() == 0) {
			float above = tail(s);
			if (HAS_LSE != 0) Floats(p.lse).v[n] = s.top + above;
			// The difference first: it may be much smaller than its parts.
			Floats(p.loss).v[n] = counts ? above + (s.top - at) : 0.0;
		}
		if (GRAD == 0) continue;

		float factor = Floats(p.g).v[n * p.gStride] * p.score.scale, per = inverse(s);
		if (live)
			for (int c = column(0); c < p.V; c += AHEAD * STRIDE) {
				vec4 x[AHEAD];
				[[unroll]] for (int k = 0; k < AHEAD; k++) x[k] = loadRow(p.x, row, c + k * STRIDE, p.V, TYPE);
				[[unroll]] for (int k = 0; k < AHEAD; k++) {
					vec4 z = scored(p.score, x[k]), d = shares(s, per, z);
					for (int j = 0; j < 4; j++)
						if (nth(c + k * STRIDE, j) == target) d[j] -= 1.0;
					d *= factor * slope(p.score, z);
					storeRow(p.dx, row, c + k * STRIDE, p.V, TYPE, counts ? d : vec4(0));
				}
			}
	}
}
