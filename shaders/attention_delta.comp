// delta = sum over the head of do * o, what AttentionBwd subtracts from every gradient of a share.
// o, do (B,T,H,D), rows of positions at any stride; lse (B,H,T), F32; stats (B,H,T,2), pairs of lse and delta.
// Dispatch: (min(ceil(T*H/8), 65535), B), workgroups of 16 x 8: 16 invocations a query.
// Shared memory: one partial sum an invocation, 512 B.
// Deterministic: strided partial sums, added in order.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 16, local_size_y = 8) in;

layout(constant_id = 0) const int TYPE = 0;

layout(push_constant) uniform Args {
	uvec2 o, grad, lse, stats;
	int T, H, D;
	int ob, ot, gb, gt; // elements from sequence to sequence, from position to position
} p;

shared float part[8 * 16];

void main() {
	int tx = int(gl_LocalInvocationID.x), ty = int(gl_LocalInvocationID.y), b = int(gl_WorkGroupID.y);
	int n = p.T * p.H;
	for (int x0 = int(gl_WorkGroupID.x) * 8; x0 < n; x0 += int(gl_NumWorkGroups.x) * 8) {
		int x = min(x0 + ty, n - 1), t = x / p.H, h = x % p.H;
		int oi = b * p.ob + t * p.ot + h * p.D, gi = b * p.gb + t * p.gt + h * p.D;
		float s = 0;
		for (int d = tx; d < p.D; d += 16) s = fma(load(p.o, oi + d, TYPE), load(p.grad, gi + d, TYPE), s);
		part[ty * 16 + tx] = s;
		barrier();
		if (tx == 0 && x0 + ty < n) {
			s = 0;
			for (int c = 0; c < 16; c++) s += part[ty * 16 + c];
			int at = (b * p.H + h) * p.T + t;
			Floats(p.stats).v[2 * at] = Floats(p.lse).v[at];
			Floats(p.stats).v[2 * at + 1] = s;
		}
		barrier(); // part is written again
	}
}
