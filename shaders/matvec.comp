// c = Alpha a op(b) [+ bias] [+ residual] + Beta c for few rows, with sums in f32: as generation multiplies.
// a (..., M, K), M at most 8; b (..., N, K), transposed in storage; bias (N); residual, c (..., M, N); rows and up to three batch axes at any stride.
// Dispatch: (ceil(N/BN), 1, batches * parts of K), BN columns a workgroup, TN a group of lanes that share out K; b is read once.
// Shared memory: the sums of all lanes, 4 SIZE TN BM bytes.
// Deterministic: a lane sums every so many eights of K in rising order, then lanes are added in rising order.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "vec4.glsl"
#include "chunk.glsl"
#include "gemm.glsl"

layout(local_size_x_id = 10) in;
layout(constant_id = 14) const int BM = 1; // M
layout(constant_id = 15) const int BN = 16;
layout(constant_id = 18) const int TN = 4;

const int LANES = SIZE * TN / BN;
const int OUT = BM * BN; // elements of c that a workgroup makes
shared float sums[LANES * OUT];

// Where a lane's sum lies: shifted from lane to lane, to spread them over the banks.
int slot(int lane, int i) { return lane * OUT + (i + lane) % OUT; }

// Eight neighbours of row line, from k on.
void load8(out vec4 lo, out vec4 hi, uvec2 base, int type, int wide, int start, int ld, int line, int lines, int k, int kEnd) {
	uvec4 x = loadChunk(base, type, wide, start, ld, line, lines, k, kEnd);
	lo = chunkFloats(x, type, wide, 0);
	if (CHUNK(type, wide) == 8)
		hi = chunkFloats(x, type, wide, 1);
	else
		hi = chunkFloats(loadChunk(base, type, wide, start, ld, line, lines, k + 4, kEnd), type, wide, 0);
}

void main() {
	int lid = int(gl_LocalInvocationID.x), lane = lid % LANES, first = lid / LANES * TN;
	int n = int(gl_WorkGroupID.x) * BN;
	Part part = partOf(int(gl_WorkGroupID.z));

	float sum[BM * TN];
	[[unroll]] for (int i = 0; i < BM * TN; i++) sum[i] = 0;
	for (int k = part.k0 + 8 * lane; k < part.kEnd; k += 8 * LANES) {
		vec4 y[2 * TN];
		[[unroll]] for (int j = 0; j < TN; j++)
			load8(y[2 * j], y[2 * j + 1], p.b, B_TYPE, B_WIDE, part.b, p.ldb, n + first + j, p.N, k, part.kEnd);
		[[unroll]] for (int i = 0; i < BM; i++) {
			vec4 lo, hi;
			load8(lo, hi, p.a, A_TYPE, A_WIDE, part.a, p.lda, i, p.M, k, part.kEnd);
			[[unroll]] for (int j = 0; j < TN; j++) {
				float s = sum[i * TN + j];
				[[unroll]] for (int e = 0; e < 4; e++) s = fma(lo[e], y[2 * j][e], s);
				[[unroll]] for (int e = 0; e < 4; e++) s = fma(hi[e], y[2 * j + 1][e], s);
				sum[i * TN + j] = s;
			}
		}
	}
	[[unroll]] for (int i = 0; i < BM; i++)
		[[unroll]] for (int j = 0; j < TN; j++) sums[slot(lane, i * BN + first + j)] = sum[i * TN + j];
	barrier();
	for (int i = lid; i < OUT; i += SIZE) {
		float s = 0;
		for (int l = 0; l < LANES; l++) s += sums[slot(l, i)];
		finish(part.residual, part.c, i / BN, n + i % BN, s);
	}
}
