// dtable[ids[order[i]]] += dy[order[i]]: run r is order[starts[r]:starts[r+1]], tokens of one id; unused starts are N. Ids outside [0, V) are ignored.
// dy (N, C); ids, order (N); starts (N + 1); dtable (V, C), f32.
// Dispatch: (min(ceil(U/64), 65535), min(N, 65535), 1) workgroups of 64, each striding over runs and over the U units of a row: eight elements, or one where rows are not aligned.
// Shared memory: none.
// Deterministic: one invocation sums an element of a run, in the order of the run, and no two runs have one id.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "vector.glsl"

layout(local_size_x = 64) in;

layout(constant_id = 0) const int TYPE = 0;
layout(constant_id = 1) const int VECTORS = 0; // 1: a unit is eight elements

const int WIDTH = VECTORS != 0 ? 8 : 1;
const int AHEAD = 4; // rows on their way at once

layout(push_constant) uniform Args {
	uvec2 dy, ids, order, starts, dtable;
	int N, V, U;
	uint dyRow, dtableRow; // bytes from row to row
} p;

// Unit i of the dy of the k-th token in order, zeros unless wanted.
void term(int k, bool wanted, int i, out float v[8]) {
	uint t = Words(p.order).v[wanted ? k : 0];
	wanted = wanted && t < uint(p.N);
	uvec2 row = moved(p.dy, wanted ? t : 0u, p.dyRow);
	if (VECTORS != 0) load8(row, i, TYPE, v);
	else v[0] = load(row, i, TYPE);
	for (int j = 0; j < WIDTH; j++) v[j] = wanted ? v[j] : 0.0;
}

void main() {
	int stride = int(gl_NumWorkGroups.x) * 64;
	for (uint r = gl_WorkGroupID.y; r < uint(p.N); r += gl_NumWorkGroups.y) {
		int from = max(0, int(Words(p.starts).v[r])), to = min(p.N, int(Words(p.starts).v[r + 1u]));
		if (from >= to) continue;
		uint id = Words(p.ids).v[min(Words(p.order).v[from], uint(p.N - 1))];
		if (id >= uint(p.V)) continue; // negative ones too
		uvec2 row = moved(p.dtable, id, p.dtableRow);
		for (int i = int(gl_GlobalInvocationID.x); i < p.U; i += stride) {
			float sum[8];
			for (int j = 0; j < 8; j++) sum[j] = 0.0;
			for (int k = from; k < to; k += AHEAD) {
				float v[AHEAD][8];
				for (int a = 0; a < AHEAD; a++) term(k + a, k + a < to, i, v[a]);
				for (int a = 0; a < AHEAD; a++)
					for (int j = 0; j < WIDTH; j++) sum[j] += v[a][j];
			}
			if (VECTORS != 0) {
				float old[8];
				load8(row, i, F32, old);
				for (int j = 0; j < 8; j++) old[j] += sum[j];
				store8(row, i, F32, old);
			} else {
				Floats(row).v[i] += sum[0];
			}
		}
	}
}
