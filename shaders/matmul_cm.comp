// c = Alpha op(a) op(b) [+ bias] [+ residual] + Beta c by matrix cores: a and b of one 16-bit type, sums in f32.
// a (..., M, K), b (..., K, N), transposed in storage by TRANS_A, TRANS_B; bias (N); residual, c (..., M, N); rows and up to three batch axes at any stride.
// Dispatch: (ceil(N/BN), ceil(M/BM), batches * parts of K), a BM x BN tile of c a workgroup, WM x WN a subgroup, in matrices of LM x LN x LK.
// Shared memory: BK columns of op(a) and rows of op(b) as stored, lines padded by 16 bytes, and one LM x (LN + 4) f32 matrix a subgroup.
// Deterministic: every element sums over its part of K in rising order, LK at a time; in which order and precision those are added is the device's own.
//graft:build matmul_cm_bf16 MATRIX_BF16=1
//graft:build matmul_cm_f16 MATRIX_BF16=0
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_shader_subgroup_basic : require
#if MATRIX_BF16
#extension GL_EXT_bfloat16 : require
#define MATRIX bfloat16_t
#else
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define MATRIX float16_t
#endif
#include "common.glsl"
#include "vec4.glsl"
#include "chunk.glsl"
#include "gemm.glsl"

layout(local_size_x_id = 10) in;
layout(constant_id = 14) const int BM = 32;
layout(constant_id = 15) const int BN = 32;
layout(constant_id = 16) const int BK = 32;
layout(constant_id = 17) const int WM = 32;
layout(constant_id = 18) const int WN = 32;
layout(constant_id = 19) const int LM = 16; // multiples of 8, as are all others
layout(constant_id = 20) const int LN = 16;
layout(constant_id = 21) const int LK = 16;

// Tiles lie in shared memory line by line as they are stored: a line is a row of op(a), or
// a column where it is transposed. They are counted in chunks, eight elements in 16 bytes;
// the odd one at the end of a line spreads lines over the banks.
const int A_LINE = (TRANS_A == 0 ? BK : BM) / 8 + 1, B_LINE = (TRANS_B == 0 ? BN : BK) / 8 + 1;
shared uvec4 tileA[(TRANS_A == 0 ? BM : BK) * A_LINE];
shared uvec4 tileB[(TRANS_B == 0 ? BK : BN) * B_LINE];

// Where subgroups put their sums, to be read by element.
const int C_LINE = LN + 4;
shared float tileC[BM / WM * (BN / WN) * LM * C_LINE];

const int A_LOADS = BM * BK / 8 / SIZE, B_LOADS = BN * BK / 8 / SIZE;
uvec4 a[A_LOADS], b[B_LOADS]; // an invocation's share of the next tiles

// The chunk from element start + line * ld + col of a matrix, zero outside of it.
uvec4 load8(uvec2 base, int wide, int start, int ld, int line, int lines, int col, int cols) {
	if (wide != 0) return loadChunk(base, BF16, 1, start, ld, line, lines, col, cols);
	uvec4 x = loadChunk(base, BF16, 0, start, ld, line, lines, col, cols);
	uvec4 y = loadChunk(base, BF16, 0, start, ld, line, lines, col + 4, cols);
	return uvec4(x.x | x.y << 16, x.z | x.w << 16, y.x | y.y << 16, y.z | y.w << 16);
}

// Loads tiles that begin at row m of op(a), column n of op(b), and k; zero from kEnd on.
void fetch(int aStart, int bStart, int m, int n, int k, int kEnd) {
	int lid = int(gl_LocalInvocationIndex);
	[[unroll]] for (int i = 0; i < A_LOADS; i++) {
		int chunk = lid + i * SIZE, line = chunk / (A_LINE - 1), col = chunk % (A_LINE - 1) * 8;
		a[i] = TRANS_A == 0 ? load8(p.a, A_WIDE, aStart, p.lda, m + line, p.M, k + col, kEnd)
		                    : load8(p.a, A_WIDE, aStart, p.lda, k + line, kEnd, m + col, p.M);
	}
	[[unroll]] for (int i = 0; i < B_LOADS; i++) {
		int chunk = lid + i * SIZE, line = chunk / (B_LINE - 1), col = chunk % (B_LINE - 1) * 8;
		b[i] = TRANS_B == 0 ? load8(p.b, B_WIDE, bStart, p.ldb, k + line, kEnd, n + col, p.N)
		                    : load8(p.b, B_WIDE, bStart, p.ldb, n + line, p.N, k + col, kEnd);
	}
}

// Puts what fetch loaded into shared memory.
void share() {
	int lid = int(gl_LocalInvocationIndex);
	[[unroll]] for (int i = 0; i < A_LOADS; i++) {
		int chunk = lid + i * SIZE;
		tileA[chunk / (A_LINE - 1) * A_LINE + chunk % (A_LINE - 1)] = a[i];
	}
	[[unroll]] for (int i = 0; i < B_LOADS; i++) {
		int chunk = lid + i * SIZE;
		tileB[chunk / (B_LINE - 1) * B_LINE + chunk % (B_LINE - 1)] = b[i];
	}
}

void main() {
	ivec2 tile = tileOf();
	int m = tile.x * BM, n = tile.y * BN;
	int parts = max(1, (p.K - 1) / p.part + 1), batches = int(gl_NumWorkGroups.z) / parts;
	int z = int(gl_WorkGroupID.z), part = z / batches;
	ivec3 batch = batchOf(z % batches);
	int aStart = at(batch, p.sa), bStart = at(batch, p.sb);
	int k0 = part * p.part, kEnd = k0 + min(p.part, p.K - k0);

	const int IN = WM / LM, JN = WN / LN; // matrices of a subgroup
	int subgroup = int(gl_SubgroupID), row = subgroup / (BN / WN) * WM, col = subgroup % (BN / WN) * WN;
	coopmat<float, gl_ScopeSubgroup, LM, LN, gl_MatrixUseAccumulator> sums[IN * JN];
	[[unroll]] for (int i = 0; i < IN * JN; i++)
		sums[i] = coopmat<float, gl_ScopeSubgroup, LM, LN, gl_MatrixUseAccumulator>(0);

	fetch(aStart, bStart, m, n, k0, kEnd);
	for (int k = k0; k < kEnd; k += BK) {
		barrier(); // all have read the tiles before
		share();
		barrier();
		if (k + BK < kEnd) fetch(aStart, bStart, m, n, k + BK, kEnd); // on their way during the product
		for (int l = 0; l < BK; l += LK) {
			coopmat<MATRIX, gl_ScopeSubgroup, LM, LK, gl_MatrixUseA> x[IN];
			[[unroll]] for (int i = 0; i < IN; i++) {
				int r = row + i * LM;
				if (TRANS_A == 0) coopMatLoad(x[i], tileA, r * A_LINE + l / 8, A_LINE, gl_CooperativeMatrixLayoutRowMajor);
				else coopMatLoad(x[i], tileA, l * A_LINE + r / 8, A_LINE, gl_CooperativeMatrixLayoutColumnMajor);
			}
			[[unroll]] for (int j = 0; j < JN; j++) {
				int c = col + j * LN;
				coopmat<MATRIX, gl_ScopeSubgroup, LK, LN, gl_MatrixUseB> y;
				if (TRANS_B == 0) coopMatLoad(y, tileB, l * B_LINE + c / 8, B_LINE, gl_CooperativeMatrixLayoutRowMajor);
				else coopMatLoad(y, tileB, c * B_LINE + l / 8, B_LINE, gl_CooperativeMatrixLayoutColumnMajor);
				[[unroll]] for (int i = 0; i < IN; i++) sums[i * JN + j] = coopMatMulAdd(x[i], y, sums[i * JN + j]);
			}
		}
	}

	int r = at(batch, p.sr), c = at(batch, p.sc) + part * batches * p.M * p.N;
	int own = subgroup * LM * C_LINE;
	[[unroll]] for (int i = 0; i < IN; i++)
		[[unroll]] for (int j = 0; j < JN; j++) {
			coopMatStore(sums[i * JN + j], tileC, own, C_LINE, gl_CooperativeMatrixLayoutRowMajor);
			subgroupBarrier();
			for (int e = int(gl_SubgroupInvocationID); e < LM * LN / 4; e += int(gl_SubgroupSize)) {
				int y = e / (LN / 4), x = e % (LN / 4) * 4, from = own + y * C_LINE + x;
				finish4(r, c, m + row + i * LM + y, n + col + j * LN + x,
					vec4(tileC[from], tileC[from + 1], tileC[from + 2], tileC[from + 3]));
			}
			subgroupBarrier(); // all have read the sums
		}
}
