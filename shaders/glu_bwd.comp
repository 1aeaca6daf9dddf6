// dgate = dy * up * act'(gate); dup = dy * act(gate).
// gate, up, dy, dgate, dup (N, F), rows at any stride; dgate and dup may lie on inputs.
// Dispatch: (min(ceil(V/256), 65535), min(N, 65535), 1) workgroups of 256, each striding over rows and over the V vectors of eight elements of a row, or over its elements where the operands are not aligned.
// Shared memory: none.
// Deterministic: elements are independent; one invocation reads all of an element before it writes.
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
	uvec2 gate, up, dy, dgate, dup;
	int N, F;
	uint gateRow, upRow, dyRow, dgateRow, dupRow; // bytes from row to row
} p;

void f(float gate, inout float up, inout float dy) {
	float y, slope;
	activation(ACT, gate, y, slope);
	float dgate = dy * up * slope;
	dy = dy * y;
	up = dgate;
}

void main() {
	int first = int(gl_GlobalInvocationID.x), stride = int(gl_NumWorkGroups.x) * 256;
	for (uint n = gl_WorkGroupID.y; n < uint(p.N); n += gl_NumWorkGroups.y) {
		uvec2 gate = moved(p.gate, n, p.gateRow), up = moved(p.up, n, p.upRow), dy = moved(p.dy, n, p.dyRow);
		uvec2 dgate = moved(p.dgate, n, p.dgateRow), dup = moved(p.dup, n, p.dupRow);
		int done = 0;
		if (VECTORS != 0) {
			done = p.F & ~7;
			for (int i = first; i < p.F / 8; i += stride) {
				float a[8], b[8], c[8];
				load8(gate, i, TYPE, a);
				load8(up, i, TYPE, b);
				load8(dy, i, TYPE, c);
				for (int k = 0; k < 8; k++) f(a[k], b[k], c[k]);
				store8(dgate, i, TYPE, b);
				store8(dup, i, TYPE, c);
			}
		}
		for (int i = done + first; i < p.F; i += stride) {
			float a = load(gate, i, TYPE), b = load(up, i, TYPE), c = load(dy, i, TYPE);
			f(a, b, c);
			store(dgate, i, TYPE, b);
			store(dup, i, TYPE, c);
		}
	}
}
