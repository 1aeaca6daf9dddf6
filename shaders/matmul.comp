// c = Alpha op(a) op(b) [+ bias] [+ residual] + Beta c, with sums in f32.
// a (..., M, K), b (..., K, N), transposed in storage by TRANS_A, TRANS_B; bias (N); residual, c (..., M, N); rows and up to three batch axes at any stride.
// Dispatch: (ceil(N/BN), ceil(M/BM), batches * parts of K), a BM x BN tile of c a workgroup, TM x TN elements an invocation.
// Shared memory: BUFFERS times BK columns of op(a) and rows of op(b) as f32, 4 BUFFERS BK (BM + BN + 4) bytes.
// Deterministic: every element sums over its part of K in rising order, whatever the tile.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "vec4.glsl"
#include "chunk.glsl"
#include "gemm.glsl"

layout(local_size_x_id = 10) in;
layout(constant_id = 14) const int BM = 32;
layout(constant_id = 15) const int BN = 32;
layout(constant_id = 16) const int BK = 16;
layout(constant_id = 17) const int TM = 4;
layout(constant_id = 18) const int TN = 4;
layout(constant_id = 19) const int BUFFERS = 1;

// A line of shared memory holds four-wide columns of op(a), then of op(b), for one k. The
// odd one at its end spreads stores along k over the banks.
const int LINE = (BM + BN) / 4 + 1;
shared vec4 lines[BUFFERS * BK * LINE];

const int TX = BN / TN, TY = BM / TM; // invocations
const int A_CHUNK = CHUNK(A_TYPE, A_WIDE), B_CHUNK = CHUNK(B_TYPE, B_WIDE);
const int A_LOADS = BM * BK / A_CHUNK / SIZE, B_LOADS = BN * BK / B_CHUNK / SIZE;

// An invocation's share of the next tiles, and its elements of c: sums[i * TN / 4 + j] is
// row i, columns 4 j to 4 j + 3.
uvec4 a[A_LOADS], b[B_LOADS];
vec4 sums[TM * TN / 4];

// Which chunk of a tile an invocation loads: x is its first element on the tile's own
// axis, y on K. Neighbouring invocations take neighbours in memory: along the tile's axis,
// or pairs along K, each of which fills a sector, on neighbouring rows.
ivec2 chunkAt(int i, int tile, int chunk, bool alongK) {
	if (alongK) return ivec2(i / 2 % tile, (i / 2 / tile * 2 + i % 2) * chunk);
	return ivec2(i % (tile / chunk) * chunk, i / (tile / chunk));
}

// Loads tiles that begin at row m of op(a), column n of op(b), and k; zero behind the part.
void fetch(Part part, int m, int n, int k) {
	int lid = int(gl_LocalInvocationID.x);
	[[unroll]] for (int i = 0; i < A_LOADS; i++) {
		ivec2 c = chunkAt(lid + i * SIZE, BM, A_CHUNK, TRANS_A == 0) + ivec2(m, k);
		a[i] = TRANS_A == 0 ? loadChunk(p.a, A_TYPE, A_WIDE, part.a, p.lda, c.x, p.M, c.y, part.kEnd)
		                    : loadChunk(p.a, A_TYPE, A_WIDE, part.a, p.lda, c.y, part.kEnd, c.x, p.M);
	}
	[[unroll]] for (int i = 0; i < B_LOADS; i++) {
		ivec2 c = chunkAt(lid + i * SIZE, BN, B_CHUNK, TRANS_B != 0) + ivec2(n, k);
		b[i] = TRANS_B != 0 ? loadChunk(p.b, B_TYPE, B_WIDE, part.b, p.ldb, c.x, p.N, c.y, part.kEnd)
		                    : loadChunk(p.b, B_TYPE, B_WIDE, part.b, p.ldb, c.y, part.kEnd, c.x, p.N);
	}
}

// Puts a chunk into the lines from first on, whose part begins at column.
void put(uvec4 x, int type, int wide, int first, int column, ivec2 at, bool alongK) {
	[[unroll]] for (int h = 0; h < CHUNK(type, wide) / 4; h++) {
		vec4 v = chunkFloats(x, type, wide, h);
		if (alongK) {
			[[unroll]] for (int j = 0; j < 4; j++)
				lines[(first + at.y + 4 * h + j) * LINE + column + at.x / 4][at.x % 4] = v[j];
		} else {
			lines[(first + at.y) * LINE + column + at.x / 4 + h] = v;
		}
	}
}

// Puts what fetch loaded into the lines from first on.
void share(int first) {
	int lid = int(gl_LocalInvocationID.x);
	[[unroll]] for (int i = 0; i < A_LOADS; i++)
		put(a[i], A_TYPE, A_WIDE, first, 0, chunkAt(lid + i * SIZE, BM, A_CHUNK, TRANS_A == 0), TRANS_A == 0);
	[[unroll]] for (int i = 0; i < B_LOADS; i++)
		put(b[i], B_TYPE, B_WIDE, first, BM / 4, chunkAt(lid + i * SIZE, BN, B_CHUNK, TRANS_B != 0), TRANS_B != 0);
}

// Adds the product of the shared tiles. Rows and columns of an invocation lie four by
// four, TY or TX fours apart: neighbours read neighbouring fours, without bank conflicts.
void multiply(int first, int tx, int ty) {
	for (int k = 0; k < BK; k++) {
		int line = (first + k) * LINE;
		vec4 x[TM / 4], y[TN / 4];
		[[unroll]] for (int i = 0; i < TM / 4; i++) x[i] = lines[line + i * TY + ty];
		[[unroll]] for (int j = 0; j < TN / 4; j++) y[j] = lines[line + BM / 4 + j * TX + tx];
		[[unroll]] for (int i = 0; i < TM; i++)
			[[unroll]] for (int j = 0; j < TN / 4; j++)
				sums[i * TN / 4 + j] = fma(vec4(x[i / 4][i % 4]), y[j], sums[i * TN / 4 + j]);
	}
}

void main() {
	int lid = int(gl_LocalInvocationID.x), tx = lid % TX, ty = lid / TX;
	ivec2 tile = tileOf();
	int m = tile.x * BM, n = tile.y * BN;
	Part part = partOf(int(gl_WorkGroupID.z));

	[[unroll]] for (int i = 0; i < TM * TN / 4; i++) sums[i] = vec4(0);
	int first = 0;
	for (int k = part.k0; k < part.kEnd + BK; k += BK) {
		if (k < part.kEnd) fetch(part, m, n, k); // on its way during the product of the tiles before
		if (k > part.k0) multiply(first, tx, ty);
		if (k < part.kEnd) {
			first = (BUFFERS - 1) * BK - first;
			if (BUFFERS == 1) barrier(); // all have read the tiles before
			share(first);
			barrier();
		}
	}

	[[unroll]] for (int i = 0; i < TM; i++)
		[[unroll]] for (int j = 0; j < TN / 4; j++)
			finish4(part.residual, part.c, m + (i / 4 * TY + ty) * 4 + i % 4, n + (j * TX + tx) * 4, sums[i * TN / 4 + j]);
}
