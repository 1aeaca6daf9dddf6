// c = Alpha sum over s of parts[s] [+ bias] [+ residual] + Beta c: the end of a product whose K was cut.
// parts (S, batches, M, N) f32, dense, as a; S as K; bias, residual, c as matmul.comp has them.
// Dispatch: (n, 1, batches), workgroups of SIZE that stride over fours of a row.
// Shared memory: none.
// Deterministic: parts are added in rising order of k.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "vec4.glsl"
#include "gemm.glsl"

layout(local_size_x_id = 10) in;

void main() {
	int z = int(gl_WorkGroupID.z), stride = int(gl_NumWorkGroups.x) * SIZE;
	int matrix = p.M * p.N, across = (p.N + 3) / 4;
	ivec3 batch = batchOf(z);
	for (int i = int(gl_GlobalInvocationID.x); i < p.M * across; i += stride) {
		int m = i / across, n = i % across * 4;
		vec4 sum = vec4(0);
		for (int s = 0; s < p.K; s++) {
			int from = (s * int(gl_NumWorkGroups.z) + z) * matrix + m * p.N + n;
			if (A_WIDE != 0) {
				sum += load4(p.a, from, F32);
				continue;
			}
			for (int j = 0; j < 4; j++) {
				bool inside = n + j < p.N;
				float x = load(p.a, inside ? from + j : 0, F32);
				sum[j] += inside ? x : 0.0;
			}
		}
		finish4(at(batch, p.sr), at(batch, p.sc), m, n, sum);
	}
}
