// y = x, cast, where the innermost axis of x is another one than that of y.
// x, y: axes i (contiguous in x), j (contiguous in y) and up to three outer ones, each operand with its own strides.
// Dispatch: (min(tiles, 65535), 1, 1) workgroups of 256, each striding over the tiles of 64 by 64 elements of all outer axes.
// Shared memory: one tile, 16.3 KiB.
// Deterministic: elements are independent. Equal types are copied as bits.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "vector.glsl"
#include "units.glsl"

const int TILE = 64;
const int ROWS = 4; // of a tile that the workgroup takes at once
layout(local_size_x = 256) in;

layout(constant_id = 0) const int UNIT = 4; // bytes of an element copied as bits; 0: cast
layout(constant_id = 1) const int X_TYPE = 0;
layout(constant_id = 2) const int Y_TYPE = 0;

layout(push_constant) uniform Args {
	uvec2 x, y;
	int I, J;
	int xj, yi;           // elements of x from one j to the next, of y from one i to the next
	int tilesI, tilesJ;
	int tiles;            // of all outer axes together
	int size1, size2;     // of the inner two of those
	int sx[3], sy[3];
} p;

shared uint tile[TILE][TILE + 1]; // of j, then i; bits, or floats to be cast

uint take(int i) {
	if (UNIT == 4) return Words(p.x).v[i];
	if (UNIT == 2) return uint(Halves(p.x).v[i]);
	if (UNIT == 1) return loadByte(p.x, i);
	return floatBitsToUint(load(p.x, i, X_TYPE));
}

void put(int i, uint bits) {
	if (UNIT == 4) Words(p.y).v[i] = bits;
	else if (UNIT == 2) Halves(p.y).v[i] = uint16_t(bits);
	else if (UNIT == 1) storeByte(p.y, i, bits);
	else store(p.y, i, Y_TYPE, uintBitsToFloat(bits));
}

void main() {
	int near_ = int(gl_LocalInvocationID.x) % TILE, far_ = int(gl_LocalInvocationID.x) / TILE;
	for (int t = int(gl_WorkGroupID.x); t < p.tiles; t += int(gl_NumWorkGroups.x)) {
		int i0 = t % p.tilesI * TILE, rest = t / p.tilesI;
		int j0 = rest % p.tilesJ * TILE;
		rest /= p.tilesJ;
		int b2 = rest % p.size2, b1 = rest / p.size2 % p.size1, b0 = rest / p.size2 / p.size1;
		int x = b0 * p.sx[0] + b1 * p.sx[1] + b2 * p.sx[2] + i0 + j0 * p.xj;
		int y = b0 * p.sy[0] + b1 * p.sy[1] + b2 * p.sy[2] + j0 + i0 * p.yi;
		int ni = min(TILE, p.I - i0), nj = min(TILE, p.J - j0);
		for (int k = far_; k < TILE; k += ROWS) {
			bool inside = k < nj && near_ < ni;
			tile[k][near_] = take(inside ? x + k * p.xj + near_ : x);
		}
		barrier();
		for (int k = far_; k < TILE; k += ROWS)
			if (k < ni && near_ < nj) put(y + k * p.yi + near_, tile[near_][k]);
		barrier(); // the tile is written again
	}
}
