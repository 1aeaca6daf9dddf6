// y = sum or max of x over the axes on which y has size 1, + Beta y; or, in a first of two passes, the same for chunks of those axes into parts.
// x: M outputs on up to three kept axes times K terms on up to three reduced ones, at any strides; y (M) at the strides of the kept axes; parts (chunks, M), f32.
// Dispatch: (min(ceil(M/OUT), 65535), chunks, 1) workgroups of OUT outputs times LANES terms = 256, each striding over outputs.
// Shared memory: one partial result an invocation and output, 1 or 8 KiB.
// Deterministic: a lane takes terms in rising order, in blocks; then a fixed tree over the lanes. Chunks depend on the shape only.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "vector.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int X_TYPE = 0;
layout(constant_id = 1) const int Y_TYPE = 0;
layout(constant_id = 2) const int KIND = 0; // kernels.ReduceKind: sum, max
layout(constant_id = 3) const float BETA = 0;
layout(constant_id = 4) const int LANES = 256;  // that share the terms of an output; a power of two
layout(constant_id = 5) const int ACROSS = 0;   // 1: neighbouring invocations take neighbouring outputs, not terms
layout(constant_id = 6) const int VECTORS = 0;  // 1: K counts vectors of eight terms; 2: M counts vectors of eight outputs
layout(constant_id = 7) const int KEPT = 3;     // axes in use
layout(constant_id = 8) const int REDUCED = 3;

const int OUT = 256 / LANES;
const int WIDTH = VECTORS == 2 ? 8 : 1; // results of an invocation
const int BLOCK = 32; // terms of a lane that are summed by themselves: rounding errors stay small

// Axes but the outermost one, as quotient takes them.
struct Axes {
	int size[2];
	uint magic[2];
	uint shifts; // five bits each
};

layout(push_constant) uniform Args {
	uvec2 x, y;
	int M, K;
	int chunk; // terms
	int row;   // elements of y from chunk to chunk
	Axes kept, reduced;
	int sx[3], sy[3]; // of the kept axes
	int sk[3];        // x, of the reduced ones
} p;

shared float part[WIDTH * 256];

ivec3 coordinates(Axes axes, int used, int i) {
	ivec3 at = ivec3(0, 0, i);
	if (used > 1) {
		at.y = quotient(i, axes.magic[1], axes.shifts >> 5);
		at.z = i - at.y * axes.size[1];
	}
	if (used > 2) {
		int q = quotient(at.y, axes.magic[0], axes.shifts & 31u);
		at.y -= q * axes.size[0];
		at.x = q;
	}
	return at;
}

int offset(ivec3 at, int stride[3]) { return at.x * stride[0] + at.y * stride[1] + at.z * stride[2]; }

// What changes nothing: 0, or -Inf.
float none() { return KIND == 0 ? 0.0 : -infinity(); }

// a + b, or the larger one, NaN if either is.
float combine(float a, float b) {
	if (KIND == 0) return a + b;
	return !isNaN(a) && (isNaN(b) || b > a) ? b : a;
}

void main() {
	int lid = int(gl_LocalInvocationID.x), lane = ACROSS != 0 ? lid / OUT : lid % LANES, out_ = ACROSS != 0 ? lid % OUT : lid / LANES;
	int step_ = ACROSS != 0 ? OUT : 1; // invocations from lane to lane
	int from = int(gl_WorkGroupID.y) * p.chunk, to = min(from + p.chunk, p.K);
	for (int m0 = int(gl_WorkGroupID.x) * OUT; m0 < p.M; m0 += int(gl_NumWorkGroups.x) * OUT) {
		int m = min(m0 + out_, p.M - 1);
		ivec3 at = coordinates(p.kept, KEPT, m);
		int base = offset(at, p.sx);
		float sum[8];
		for (int j = 0; j < 8; j++) sum[j] = none();
		for (int b = from + lane; b < to; b += BLOCK * LANES) {
			float block[8];
			for (int j = 0; j < 8; j++) block[j] = none();
			for (int k = b; k < min(b + BLOCK * LANES, to); k += LANES) {
				int i = base + offset(coordinates(p.reduced, REDUCED, k), p.sk);
				if (VECTORS != 0) {
					float v[8];
					load8(p.x, i, X_TYPE, v);
					for (int j = 0; j < 8; j++) block[j] = combine(block[j], v[j]);
				} else {
					block[0] = combine(block[0], load(p.x, i, X_TYPE));
				}
			}
			for (int j = 0; j < (VECTORS != 0 ? 8 : 1); j++) sum[j] = combine(sum[j], block[j]);
		}
		if (VECTORS == 1)
			for (int d = 4; d > 0; d /= 2)
				for (int j = 0; j < d; j++) sum[j] = combine(sum[j], sum[j + d]);

		for (int j = 0; j < WIDTH; j++) part[256 * j + lid] = sum[j];
		barrier();
		for (int d = LANES / 2; d > 0; d /= 2) {
			if (lane < d)
				for (int j = 0; j < WIDTH; j++) part[256 * j + lid] = combine(part[256 * j + lid], part[256 * j + lid + d * step_]);
			barrier();
		}
		if (lane == 0 && m0 + out_ < p.M) {
			int y = int(gl_WorkGroupID.y) * p.row + offset(at, p.sy);
			for (int j = 0; j < WIDTH; j++) {
				float v = part[256 * j + lid];
				if (BETA != 0.0) v += BETA * load(p.y, y + j, Y_TYPE);
				store(p.y, y + j, Y_TYPE, v);
			}
		}
		barrier(); // part is written again for the next outputs
	}
}
