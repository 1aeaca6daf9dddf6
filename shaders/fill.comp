// y = value, as a bit pattern of 4 or 2 bytes.
// y (M).
// Dispatch: (min(ceil(M/256), 65535), 1, 1) workgroups of 256, each striding over M.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int SIZE = 4; // bytes of an element, 4 or 2

layout(push_constant) uniform Args {
	uvec2 y;
	int M;
	uint value;
} p;

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		if (SIZE == 4) Words(p.y).v[i] = p.value;
		else Halves(p.y).v[i] = uint16_t(p.value);
	}
}
