// y = x, cast, between any strides.
// x, y: up to five axes, outermost first, each operand with its own strides; unused axes have size 1.
// Dispatch: (min(ceil(M/256), 65535), 1, 1) workgroups of 256, each striding over the M elements.
// Shared memory: none.
// Deterministic: elements are independent. Equal types are copied as bits.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int X_TYPE = 0;
layout(constant_id = 1) const int Y_TYPE = 0;
layout(constant_id = 2) const int BITS = 0; // 4 or 2: bytes of an element copied as bits; 0: cast

layout(push_constant) uniform Args {
	uvec2 x, y;
	int M;
	int size[5], sx[5], sy[5];
} p;

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		int rest = i, xi = 0, yi = 0;
		for (int axis = 4; axis >= 0; axis--) {
			int at = rest % p.size[axis];
			rest /= p.size[axis];
			xi += at * p.sx[axis];
			yi += at * p.sy[axis];
		}
		if (BITS == 4) Words(p.y).v[yi] = Words(p.x).v[xi];
		else if (BITS == 2) Halves(p.y).v[yi] = Halves(p.x).v[xi];
		else store(p.y, yi, Y_TYPE, load(p.x, xi, X_TYPE));
	}
}
