// y = sum over g of parts[g] + beta y.
// parts (G, C), y (C).
// Dispatch: (min(ceil(C/32), 65535), 1, 1) workgroups of 32 columns by 8 shares of G, striding over the columns.
// Shared memory: one partial sum an invocation, 1 KiB.
// Deterministic: a share is every eighth part in rising order; then the shares in order.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 32, local_size_y = 8) in;

layout(constant_id = 0) const float BETA = 0;

layout(push_constant) uniform Args {
	uvec2 parts, y;
	int G, C;
} p;

shared float share[8][32];

void main() {
	int x = int(gl_LocalInvocationID.x), z = int(gl_LocalInvocationID.y);
	for (int c0 = int(gl_WorkGroupID.x) * 32; c0 < p.C; c0 += int(gl_NumWorkGroups.x) * 32) {
		int c = min(c0 + x, p.C - 1);
		float s = 0;
		for (int g = z; g < p.G; g += 8) s += Floats(p.parts).v[g * p.C + c];
		share[z][x] = s;
		barrier();
		if (z == 0 && c0 + x < p.C) {
			for (int k = 1; k < 8; k++) s += share[k][x];
			if (BETA != 0.0) s = fma(BETA, Floats(p.y).v[c], s);
			Floats(p.y).v[c] = s;
		}
		barrier(); // share is written again for the next columns
	}
}
