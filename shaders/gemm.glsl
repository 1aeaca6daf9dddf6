// What all kernels of a matrix product share: options, push constants, and what happens
// to a sum before it is stored.

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
layout(constant_id = 10) const int SIZE = 64; // of a workgroup
layout(constant_id = 11) const int A_WIDE = 0; // 128-bit loads of a, b
layout(constant_id = 12) const int B_WIDE = 0;
layout(constant_id = 13) const int C_WIDE = 0; // four elements of bias, residual and c at a time

layout(push_constant) uniform Args {
	uvec2 a, b, bias, residual, c; // an absent operand has an address that exists
	int M, N, K;
	int lda, ldb, ldr, ldc;         // elements from row to row
	int n1, n2;                     // sizes of the two inner batch axes
	int sa[3], sb[3], sr[3], sc[3]; // elements from batch to batch
	int part;                       // length of the parts of K: with several, c has a matrix for each
} p;

// The index of a batch on its three axes.
ivec3 batchOf(int z) { return ivec3(z / (p.n1 * p.n2), z / p.n2 % p.n1, z % p.n2); }

int at(ivec3 batch, int s[3]) { return batch.x * s[0] + batch.y * s[1] + batch.z * s[2]; }

// What a workgroup's index on z stands for: a batch, and a part of K. The parts of a K
// that is cut have matrices one after another.
struct Part {
	int a, b, residual, c; // the first elements
	int k0, kEnd;
};

Part partOf(int z) {
	int parts = max(1, (p.K - 1) / p.part + 1), batches = int(gl_NumWorkGroups.z) / parts;
	int part = z / batches, k0 = part * p.part;
	ivec3 batch = batchOf(z % batches);
	return Part(at(batch, p.sa), at(batch, p.sb), at(batch, p.sr), at(batch, p.sc) + part * batches * p.M * p.N,
	            k0, k0 + min(p.part, p.K - k0));
}

// Stores c[m][n] of a batch, whose residual and c begin at r0 and c0, from its sum.
void finish(int r0, int c0, int m, int n, float sum) {
	bool inside = m < p.M && n < p.N;
	float y = ALPHA * sum;
	if (HAS_BIAS != 0) y += load(p.bias, inside ? n : 0, BIAS_TYPE);
	if (HAS_RESIDUAL != 0) y += load(p.residual, inside ? r0 + m * p.ldr + n : 0, C_TYPE);
	int ci = inside ? c0 + m * p.ldc + n : 0;
	if (BETA != 0.0) y = fma(BETA, load(p.c, ci, C_TYPE), y);
	if (inside) store(p.c, ci, C_TYPE, y);
}

// As finish, for four columns from n on.
void finish4(int r0, int c0, int m, int n, vec4 sum) {
	if (C_WIDE == 0) {
		[[dont_unroll]] for (int j = 0; j < 4; j++) finish(r0, c0, m, n + j, sum[j]);
		return;
	}
	bool inside = m < p.M && n < p.N;
	vec4 y = ALPHA * sum;
	if (HAS_BIAS != 0) y += load4(p.bias, inside ? n : 0, BIAS_TYPE);
	if (HAS_RESIDUAL != 0) y += load4(p.residual, inside ? r0 + m * p.ldr + n : 0, C_TYPE);
	int ci = inside ? c0 + m * p.ldc + n : 0;
	if (BETA != 0.0) y = fma(vec4(BETA), load4(p.c, ci, C_TYPE), y);
	if (inside) store4(p.c, ci, C_TYPE, y);
}

// The tile of a workgroup. Eight rows of tiles are walked together, column by column, so
// that workgroups that run at once share rows of a and columns of b in the cache.
ivec2 tileOf() {
	const uint WALK = 8;
	uint nx = gl_NumWorkGroups.x, ny = gl_NumWorkGroups.y;
	uint id = gl_WorkGroupID.y * nx + gl_WorkGroupID.x, first = id / (WALK * nx) * WALK;
	uint high = min(WALK, ny - first), rest = id % (WALK * nx);
	return ivec2(first + rest % high, rest / high);
}
