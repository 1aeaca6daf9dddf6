// y = act(gate) * up.
// gate, up, y (N, F), rows at any stride; y may be gate or up.
// Dispatch: (min(ceil(V/256), 65535), min(N, 65535), 1) workgroups of 256, each striding over rows and over the V vectors of eight elements of a row, or over its elements where the operands are not aligned.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "vector.glsl"
#include "activation.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int TYPE = 0;
layout(constant_id = 1) const int ACT = 0;     // kernels.Activation
layout(constant_id = 2) const int VECTORS = 0; // 1: all rows lie at multiples of 16 bytes

layout(push_constant) uniform Args {
	uvec2 gate, up, y;
	int N, F;
	uint gateRow, upRow, yRow; // bytes from row to row
} p;

float f(float gate, float up) {
	float y, slope;
	activation(ACT, gate, y, slope);
	return y * up;
}

void main() {
	int first = int(gl_GlobalInvocationID.x), stride = int(gl_NumWorkGroups.x) * 256;
	for (uint n = gl_WorkGroupID.y; n < uint(p.N); n += gl_NumWorkGroups.y) {
		uvec2 gate = moved(p.gate, n, p.gateRow), up = moved(p.up, n, p.upRow), y = moved(p.y, n, p.yRow);
		int done = 0;
		if (VECTORS != 0) {
			done = p.F & ~7;
			for (int i = first; i < p.F / 8; i += stride) {
				float a[8], b[8];
				load8(gate, i, TYPE, a);
				load8(up, i, TYPE, b);
				for (int k = 0; k < 8; k++) a[k] = f(a[k], b[k]);
				store8(y, i, TYPE, a);
			}
		}
		for (int i = done + first; i < p.F; i += stride) store(y, i, TYPE, f(load(gate, i, TYPE), load(up, i, TYPE)));
	}
}
