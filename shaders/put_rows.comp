// y[ids[n]] = x[n], other rows stay; ids outside [0, R) are ignored, equal ids are not allowed.
// x (N, C), rows at any stride; ids (N); y (R, C).
// Dispatch: (min(ceil(U/256), 65535), min(N, 65535), 1) workgroups of 256, each striding over rows and over the U units of a row.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "vector.glsl"
#include "units.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int UNIT = 4; // bytes of a unit

layout(push_constant) uniform Args {
	uvec2 x, ids, y;
	int R, N, U;
	uint xRow, yRow; // bytes from row to row
} p;

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (uint n = gl_WorkGroupID.y; n < uint(p.N); n += gl_NumWorkGroups.y) {
		uint id = Words(p.ids).v[n];
		if (id >= uint(p.R)) continue; // negative ones too
		uvec2 x = moved(p.x, n, p.xRow), y = moved(p.y, id, p.yRow);
		for (int i = int(gl_GlobalInvocationID.x); i < p.U; i += stride) copyUnit(y, i, x, i, true, UNIT);
	}
}
