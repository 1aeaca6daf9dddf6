// For r < R: (y[r], y[r+R]) = Scale * rotation of (x[r], x[r+R]) by Sign * positions[n] * freqs[r]; axes from 2R on are copied.
// x, y (N, H, D), tokens at any stride; positions (N); freqs (R); y may be x.
// Dispatch: (min(ceil(N*J/128), 65535), ceil(H/HEADS), 1) workgroups of 128. An invocation takes a pair, or eight neighbouring ones, of a token through HEADS heads: J is how many make up R and the axes behind 2R.
// Shared memory: none.
// Deterministic: elements are independent; one invocation reads both of a pair before it writes.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "vector.glsl"

layout(local_size_x = 128) in;

layout(constant_id = 0) const int TYPE = 0;
layout(constant_id = 1) const int VECTORS = 0; // 1: eight pairs at a time

const int WIDTH = VECTORS != 0 ? 8 : 1;

layout(push_constant) uniform Args {
	uvec2 x, positions, freqs, y;
	int N, H, D, R;
	int heads;         // of one invocation
	int J;             // invocations of a token
	uint magic, shift; // of J, for quotient
	uint xRow, yRow;   // bytes from token to token
	float scale, sign;
} p;

void take(uvec2 base, int i, out float v[8]) {
	if (VECTORS != 0) load8(base, i / 8, TYPE, v);
	else v[0] = load(base, i, TYPE);
}

void put(uvec2 base, int i, float v[8]) {
	if (VECTORS != 0) store8(base, i / 8, TYPE, v);
	else store(base, i, TYPE, v[0]);
}

void main() {
	int stride = int(gl_NumWorkGroups.x) * 128, h0 = int(gl_WorkGroupID.y) * p.heads, h1 = min(h0 + p.heads, p.H);
	for (int i = int(gl_GlobalInvocationID.x); i < p.N * p.J; i += stride) {
		int n = quotient(i, p.magic, p.shift), r = (i - n * p.J) * WIDTH;
		uvec2 x = moved(p.x, uint(n), p.xRow), y = moved(p.y, uint(n), p.yRow);
		bool turns = r < p.R;
		float a[8], b[8], s[8], c[8];
		if (!turns) {
			for (int h = h0; h < h1; h++) {
				take(x, h * p.D + p.R + r, a);
				put(y, h * p.D + p.R + r, a);
			}
			continue;
		}
		int position = int(Words(p.positions).v[n]);
		for (int k = 0; k < WIDTH; k++) {
			sincosf(position, Floats(p.freqs).v[r + k], s[k], c[k]);
			s[k] *= p.sign * p.scale;
			c[k] *= p.scale;
		}
		for (int h = h0; h < h1; h++) {
			take(x, h * p.D + r, a);
			take(x, h * p.D + r + p.R, b);
			for (int k = 0; k < WIDTH; k++) {
				float turned = a[k] * c[k] - b[k] * s[k];
				b[k] = a[k] * s[k] + b[k] * c[k];
				a[k] = turned;
			}
			put(y, h * p.D + r, a);
			put(y, h * p.D + r + p.R, b);
		}
	}
}
