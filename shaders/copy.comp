// y = x, cast, between any strides.
// x, y: up to five axes, outermost first, each operand with its own strides; unused axes have size 1.
// Dispatch: (min(ceil(M/256), 65535), 1, 1) workgroups of 256, each striding over the M units: bits of 1 to 16 bytes, or what is cast, one element or eight.
// Shared memory: none.
// Deterministic: elements are independent. Equal types are copied as bits.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "vector.glsl"
#include "units.glsl"
#include "axes.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int UNIT = 4; // bytes of a unit copied as bits; 0: cast
layout(constant_id = 1) const int X_TYPE = 0;
layout(constant_id = 2) const int Y_TYPE = 0;
layout(constant_id = 3) const int VECTORS = 0; // 1: a unit of a cast is eight elements
layout(constant_id = 4) const int AXES = 5;    // axes in use

layout(push_constant) uniform Args {
	uvec2 x, y;
	int M;
	Axes axes;
	int sx[5], sy[5];
} p;

void main() {
	int stride = int(gl_NumWorkGroups.x) * 256;
	for (int i = int(gl_GlobalInvocationID.x); i < p.M; i += stride) {
		int at[5];
		coordinates(p.axes, AXES, i, at);
		int xi = element(at, p.sx), yi = element(at, p.sy);
		if (UNIT != 0) {
			copyUnit(p.y, yi, p.x, xi, true, UNIT);
		} else if (VECTORS != 0) {
			float v[8];
			load8(p.x, xi, X_TYPE, v);
			store8(p.y, yi, Y_TYPE, v);
		} else {
			store(p.y, yi, Y_TYPE, load(p.x, xi, X_TYPE));
		}
	}
}
