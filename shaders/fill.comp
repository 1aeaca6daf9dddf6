// y = value, as a bit pattern of 4 bytes or the lower ones of it.
// y (M) units.
// Dispatch: (min(ceil(M/256), 65535), 1, 1) workgroups of 256, each striding over M.
// Shared memory: none.
// Deterministic: elements are independent.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "vector.glsl"
#include "units.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int UNIT = 4; // bytes: 16, the pattern four times; 4, 2 or 1

layout(push_constant) uniform Args {
	uvec2 y;
	int M;
	uint value;
} p;

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		if (UNIT == 16) Quads(p.y).v[i] = uvec4(p.value);
		else if (UNIT == 4) Words(p.y).v[i] = p.value;
		else if (UNIT == 2) Halves(p.y).v[i] = uint16_t(p.value);
		else storeByte(p.y, i, p.value & 255u);
	}
}
