// c = Alpha op(a) op(b) [+ bias] [+ residual] + Beta c, with sums in f32.
// a (..., M, K), b (..., K, N), transposed in storage by TRANS_A, TRANS_B; bias (N); residual, c (..., M, N); rows and up to three batch axes at any stride.
// Dispatch: (ceil(N/16), ceil(M/16), batches), one 16x16 tile of c a workgroup, one element an invocation.
// Shared memory: one 16x16 tile of a and one of b, 2.1 KiB.
// Deterministic: every element sums over k in rising order.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

const int TILE = 16;
layout(local_size_x = 16, local_size_y = 16) in;

layout(constant_id = 0) const int A_TYPE = 0;
layout(constant_id = 1) const int B_TYPE = 0;
layout(constant_id = 2) const int C_TYPE = 0; // also the residual's
layout(constant_id = 3) const int BIAS_TYPE = 0;
layout(constant_id = 4) const int TRANS_A = 0;
layout(constant_id = 5) const int TRANS_B = 0;
layout(constant_id = 6) const int HAS_BIAS = 0;
layout(constant_id = 7) const int HAS_RESIDUAL = 0;
layout(constant_id = 8) const float ALPHA = 1;
layout(constant_id = 9) const float BETA = 0;

layout(push_constant) uniform Args {
	uvec2 a, b, bias, residual, c; // an absent operand has the address of a
	int M, N, K;
	int lda, ldb, ldr, ldc;         // elements from row to row
	int n1, n2;                     // sizes of the two inner batch axes
	int sa[3], sb[3], sr[3], sc[3]; // elements from batch to batch
} p;

shared float as[TILE][TILE + 1];
shared float bs[TILE][TILE + 1];

int at(ivec3 batch, int s[3]) { return batch.x * s[0] + batch.y * s[1] + batch.z * s[2]; }

// The element (row, col) of a stored matrix, zero outside of it.
float element(uvec2 base, int type, int offset, int ld, int row, int col, bool inside) {
	float x = load(base, inside ? offset + row * ld + col : 0, type);
	return inside ? x : 0.0;
}

void main() {
	int tx = int(gl_LocalInvocationID.x), ty = int(gl_LocalInvocationID.y);
	int m0 = int(gl_WorkGroupID.y) * TILE, n0 = int(gl_WorkGroupID.x) * TILE, z = int(gl_WorkGroupID.z);
	ivec3 batch = ivec3(z / (p.n1 * p.n2), z / p.n2 % p.n1, z % p.n2);
	int aOff = at(batch, p.sa), bOff = at(batch, p.sb);

	float sum = 0;
	for (int k0 = 0; k0 < p.K; k0 += TILE) {
		// as[i][k] = op(a)[m0+i][k0+k]: neighbours in x read neighbours in memory.
		if (TRANS_A != 0)
			as[tx][ty] = element(p.a, A_TYPE, aOff, p.lda, k0 + ty, m0 + tx, k0 + ty < p.K && m0 + tx < p.M);
		else
			as[ty][tx] = element(p.a, A_TYPE, aOff, p.lda, m0 + ty, k0 + tx, m0 + ty < p.M && k0 + tx < p.K);
		// bs[k][j] = op(b)[k0+k][n0+j].
		if (TRANS_B != 0)
			bs[tx][ty] = element(p.b, B_TYPE, bOff, p.ldb, n0 + ty, k0 + tx, n0 + ty < p.N && k0 + tx < p.K);
		else
			bs[ty][tx] = element(p.b, B_TYPE, bOff, p.ldb, k0 + ty, n0 + tx, k0 + ty < p.K && n0 + tx < p.N);
		barrier();
		for (int k = 0; k < TILE; k++) sum = fma(as[ty][k], bs[k][tx], sum);
		barrier();
	}

	int m = m0 + ty, n = n0 + tx;
	bool inside = m < p.M && n < p.N;
	float y = ALPHA * sum;
	if (HAS_BIAS != 0) y += load(p.bias, inside ? n : 0, BIAS_TYPE);
	if (HAS_RESIDUAL != 0) y += load(p.residual, inside ? at(batch, p.sr) + m * p.ldr + n : 0, C_TYPE);
	int ci = inside ? at(batch, p.sc) + m * p.ldc + n : 0;
	if (BETA != 0.0) y = fma(BETA, load(p.c, ci, C_TYPE), y);
	if (inside) store(p.c, ci, C_TYPE, y);
}
