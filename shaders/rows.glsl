// Rows shared out over workgroups of 256; for kernels that reduce over the columns of a
// matrix. LANES neighbouring invocations work on one row and 256 / LANES rows go side by
// side, so that short rows fill a workgroup too. A lane owns vectors of four columns:
// neighbours where rows are aligned, else columns that are LANES apart, so that
// neighbouring lanes still read neighbouring elements.
//
// Sums and maxima go through shared memory in an order that LANES fixes; they do not
// depend on the subgroup size. Every invocation of the workgroup must call them.

#include "vec4.glsl"

layout(local_size_x = 256) in;

layout(constant_id = 0) const int LANES = 256; // a power of two from 16 to 256
layout(constant_id = 1) const int VECS = 1;    // vectors of a row that a lane keeps in registers; 0: rows are read again
layout(constant_id = 2) const int ALIGNED = 0; // rows begin and end at multiples of four elements

const int ROWS = 256 / LANES;
const int STRIDE = 4 * LANES;
const int KEPT = VECS + int(VECS == 0); // arrays have a length

int lane() { return int(gl_LocalInvocationID.x) % LANES; }
int slot() { return int(gl_LocalInvocationID.x) / LANES; }

// The first column of a lane's vector k. The first column of the next is STRIDE further.
int column(int k) { return (ALIGNED != 0 ? 4 : 1) * lane() + k * STRIDE; }

// Column j of the four of a vector whose first column is c.
int nth(int c, int j) { return ALIGNED != 0 ? c + j : c + j * LANES; }

shared float parts[256];
shared float heads[256]; // 16 for each row

float sumRow(float x) {
	int lid = int(gl_LocalInvocationID.x), head = slot() * 16;
	parts[lid] = x;
	barrier();
	if (lane() < 16) {
		for (int k = 16; k < LANES; k += 16) x += parts[lid + k];
		heads[head + lane()] = x;
	}
	barrier();
	x = heads[head];
	for (int k = 1; k < 16; k++) x += heads[head + k];
	return x;
}

float sumRow(vec4 x) { return sumRow((x.x + x.y) + (x.z + x.w)); }

// The largest x; NaN may be overlooked.
float maxRow(float x) {
	int lid = int(gl_LocalInvocationID.x), head = slot() * 16;
	parts[lid] = x;
	barrier();
	if (lane() < 16) {
		for (int k = 16; k < LANES; k += 16) x = max(x, parts[lid + k]);
		heads[head + lane()] = x;
	}
	barrier();
	x = heads[head];
	for (int k = 1; k < 16; k++) x = max(x, heads[head + k]);
	return x;
}

// The vector from column c on of the row that starts at element row and has C columns;
// rest where there is no column.
vec4 loadRow(uvec2 base, int row, int c, int C, int type, float rest) {
	if (ALIGNED != 0) {
		bool inside = c < C;
		vec4 x = load4(base, inside ? row + c : row, type);
		return inside ? x : vec4(rest);
	}
	vec4 x;
	for (int j = 0; j < 4; j++) {
		bool inside = nth(c, j) < C;
		float v = load(base, inside ? row + nth(c, j) : row, type);
		x[j] = inside ? v : rest;
	}
	return x;
}

vec4 loadRow(uvec2 base, int row, int c, int C, int type) { return loadRow(base, row, c, C, type, 0.0); }

// Stores the columns that exist.
void storeRow(uvec2 base, int row, int c, int C, int type, vec4 x) {
	if (ALIGNED != 0) {
		if (c < C) store4(base, row + c, type, x);
		return;
	}
	for (int j = 0; j < 4; j++)
		if (nth(c, j) < C) store(base, row + nth(c, j), type, x[j]);
}
