// c = Alpha op(a) op(b) [+ bias] [+ residual] + Beta c by matrices of a whole workgroup (VK_NV_cooperative_matrix2): a and b of one 16-bit type, sums in f32.
// a (..., M, K), b (..., K, N), transposed in storage by TRANS_A, TRANS_B; bias (N); residual, c (..., M, N); rows and up to three batch axes at any stride.
// Dispatch: (ceil(N/BN), ceil(M/BM), batches * parts of K), a BM x BN tile of c a workgroup, as one matrix.
// Shared memory: what the driver takes for itself.
// Deterministic: every element sums over its part of K in rising order, BK at a time; in which order and precision those are added is the device's own.
//graft:build matmul_cm2_bf16 MATRIX_BF16=1
//graft:build matmul_cm2_f16 MATRIX_BF16=0
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#if MATRIX_BF16
#extension GL_EXT_bfloat16 : require
#define MATRIX bfloat16_t
#else
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define MATRIX float16_t
#endif
#include "common.glsl"
#include "vec4.glsl"
#include "gemm.glsl"

layout(local_size_x_id = 10) in;
layout(constant_id = 14) const int BM = 64;
layout(constant_id = 15) const int BN = 64;
layout(constant_id = 16) const int BK = 64;

// Two types, since a driver may take the alignment of one for granted.
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Wide { MATRIX v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) readonly buffer Narrow { MATRIX v[]; };

#define LAYOUT tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV>

// A stored matrix of lines x cols elements; what is read outside of it is zero.
LAYOUT stored(int lines, int cols, int ld) {
	LAYOUT l = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
	l = setTensorLayoutDimensionNV(l, uint(lines), uint(cols));
	return setTensorLayoutStrideNV(l, uint(ld), 1u);
}

// Stores the sum of c[m + row][n + col].
float put(const in uint32_t row, const in uint32_t col, const in float sum, const in int r0, const in int c0, const in int m, const in int n) {
	finish(r0, c0, m + int(row), n + int(col), sum);
	return sum;
}

void main() {
	ivec2 tile = tileOf();
	int m = tile.x * BM, n = tile.y * BN;
	int parts = max(1, (p.K - 1) / p.part + 1), batches = int(gl_NumWorkGroups.z) / parts;
	int z = int(gl_WorkGroupID.z), part = z / batches;
	ivec3 batch = batchOf(z % batches);
	int aStart = at(batch, p.sa), bStart = at(batch, p.sb);
	int k0 = part * p.part, kEnd = k0 + min(p.part, p.K - k0);

	// The masks tell the compiler what wide operands are multiples of.
	int lda = A_WIDE != 0 ? p.lda & ~7 : p.lda, ldb = B_WIDE != 0 ? p.ldb & ~7 : p.ldb;
	aStart = A_WIDE != 0 ? aStart & ~7 : aStart;
	bStart = B_WIDE != 0 ? bStart & ~7 : bStart;
	LAYOUT a = TRANS_A == 0 ? stored(p.M, kEnd, lda) : stored(kEnd, p.M, lda);
	LAYOUT b = TRANS_B == 0 ? stored(kEnd, p.N, ldb) : stored(p.N, kEnd, ldb);
	tensorViewNV<2, false, 1, 0> across = createTensorViewNV(2, false, 1, 0);

	coopmat<float, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator> sums =
		coopmat<float, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator>(0);
	for (int k = k0; k < kEnd; k += BK) {
		coopmat<MATRIX, gl_ScopeWorkgroup, BM, BK, gl_MatrixUseA> x;
		coopmat<MATRIX, gl_ScopeWorkgroup, BK, BN, gl_MatrixUseB> y;
		if (TRANS_A == 0) {
			LAYOUT part = sliceTensorLayoutNV(a, m, BM, k, BK);
			if (A_WIDE != 0) coopMatLoadTensorNV(x, Wide(p.a).v, aStart, part);
			else coopMatLoadTensorNV(x, Narrow(p.a).v, aStart, part);
		} else {
			LAYOUT part = sliceTensorLayoutNV(a, k, BK, m, BM);
			if (A_WIDE != 0) coopMatLoadTensorNV(x, Wide(p.a).v, aStart, part, across);
			else coopMatLoadTensorNV(x, Narrow(p.a).v, aStart, part, across);
		}
		if (TRANS_B == 0) {
			LAYOUT part = sliceTensorLayoutNV(b, k, BK, n, BN);
			if (B_WIDE != 0) coopMatLoadTensorNV(y, Wide(p.b).v, bStart, part);
			else coopMatLoadTensorNV(y, Narrow(p.b).v, bStart, part);
		} else {
			LAYOUT part = sliceTensorLayoutNV(b, n, BN, k, BK);
			if (B_WIDE != 0) coopMatLoadTensorNV(y, Wide(p.b).v, bStart, part, across);
			else coopMatLoadTensorNV(y, Narrow(p.b).v, bStart, part, across);
		}
		sums = coopMatMulAdd(x, y, sums);
	}

	int r = at(batch, p.sr), c = at(batch, p.sc) + part * batches * p.M * p.N;
	coopMatPerElementNV(sums, sums, put, r, c, m, n);
}
