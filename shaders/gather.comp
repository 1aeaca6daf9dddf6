// y[n] = x[ids[n]], cast; a row of zeros where ids[n] is outside [0, R). Also Embed.
// x (R, C), ids (N), y (N, C).
// Dispatch: (min(ceil(U/256), 65535), min(N, 65535), 1) workgroups of 256, each striding over rows and over the U units of a row.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "vector.glsl"
#include "units.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int UNIT = 4;    // bytes of a unit copied as bits; 0: cast
layout(constant_id = 1) const int X_TYPE = 0;  // of a cast
layout(constant_id = 2) const int Y_TYPE = 0;
layout(constant_id = 3) const int VECTORS = 0; // 1: a unit of a cast is eight elements

layout(push_constant) uniform Args {
	uvec2 x, ids, y;
	int R, N, U;
	uint xRow, yRow; // bytes from row to row
} p;

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (uint n = gl_WorkGroupID.y; n < uint(p.N); n += gl_NumWorkGroups.y) {
		uint id = Words(p.ids).v[n];
		bool exists = id < uint(p.R); // and not negative
		uvec2 x = moved(p.x, exists ? id : 0u, p.xRow), y = moved(p.y, n, p.yRow);
		for (int i = int(gl_GlobalInvocationID.x); i < p.U; i += stride) {
			if (UNIT != 0) {
				copyUnit(y, i, x, i, exists, UNIT);
			} else if (VECTORS != 0) {
				float v[8];
				load8(x, i, X_TYPE, v);
				for (int k = 0; k < 8; k++) v[k] = exists ? v[k] : 0.0;
				store8(y, i, Y_TYPE, v);
			} else {
				float v = load(x, i, X_TYPE);
				store(y, i, Y_TYPE, exists ? v : 0.0);
			}
		}
	}
}
