// dlogits = dloss * scale * cap'(..) * (exp(z - lse) - onehot(target)) with z = cap(scale logits), 0 where the target is outside of [0, V).
// logits, dlogits (N, V); targets, lse, dloss (N), dloss with a stride.
// Dispatch: (min(ceil(N/ROWS), 65535), 1, 1) workgroups of 256, ROWS rows at a time each (rows.glsl).
// Shared memory: none used.
// Deterministic: elements are independent; dlogits may lie on logits.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rows.glsl"
#include "scores.glsl"

layout(constant_id = 4) const int TYPE = 0;

layout(push_constant) uniform Args {
	uvec2 logits, targets, lse, dloss, dlogits;
	int N, V;
	int stride; // of dloss, elements
	Scores score;
} p;

void main() {
	for (int n = int(gl_WorkGroupID.x) * ROWS + slot(); n < p.N; n += int(gl_NumWorkGroups.x) * ROWS) {
		int row = n * p.V, target = int(Words(p.targets).v[n]);
		bool counts = target >= 0 && target < p.V;
		float lse = Floats(p.lse).v[n], factor = Floats(p.dloss).v[n * p.stride] * p.score.scale;
		for (int c = column(0); c < p.V; c += STRIDE) {
			vec4 z = scored(p.score, loadRow(p.logits, row, c, p.V, TYPE));
			vec4 d = exp4(z - lse);
			for (int j = 0; j < 4; j++)
				if (nth(c, j) == target) d[j] -= 1.0;
			d *= factor * slope(p.score, z);
			storeRow(p.dlogits, row, c, p.V, TYPE, counts ? d : vec4(0));
		}
	}
}
