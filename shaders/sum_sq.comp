// s = sum of x^2 + Beta s, in two passes: parts[g] = sum of x^2 over part g; then s = sum of parts + Beta s.
// x (M); parts (G), scratch; s (1).
// Dispatch: first pass (G, 1, 1), second (1, 1, 1), workgroups of 256.
// Shared memory: one partial sum an invocation, 1 KiB.
// Deterministic: G depends on M only; strided sums, then a fixed tree.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

const int SIZE = 256;
layout(local_size_x = 256) in;

layout(constant_id = 0) const int LAST = 0; // 1: the second pass
layout(constant_id = 1) const float BETA = 0;

layout(push_constant) uniform Args {
	uvec2 x; // first pass: x; second: parts
	uvec2 y; // first pass: parts; second: s
	int M;   // elements of x
} p;

shared float part[SIZE];

void main() {
	int lid = int(gl_LocalInvocationID.x), stride = int(gl_NumWorkGroups.x) * SIZE;
	float s = 0;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		float v = Floats(p.x).v[i];
		s = LAST != 0 ? s + v : fma(v, v, s);
	}
	part[lid] = s;
	barrier();
	for (int half_ = SIZE / 2; half_ > 0; half_ /= 2) {
		if (lid < half_) part[lid] += part[lid + half_];
		barrier();
	}
	if (lid == 0) {
		float sum = part[0];
		if (LAST != 0 && BETA != 0.0) sum = fma(BETA, Floats(p.y).v[0], sum);
		Floats(p.y).v[gl_WorkGroupID.x] = sum;
	}
}
