// Joins the partial results of attention over parts of the keys: lse = log sum exp(m) l, o = sum of exp(m - lse) a.
// a (SPLITS,B,K,T*G,D), unnormalised; pairs m, l (SPLITS,B,K,T*G); documents (2,B,T), rows (B,T), I32; o (B,T,H,D), rows of positions at any stride; lse (B,H,T).
// Dispatch: (T*G, K, B), one packed query a workgroup of 64.
// Shared memory: the share of each part, 256 B.
// Deterministic: parts are added in order.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "attention_math.glsl"
#include "attention_span.glsl"

layout(local_size_x = 64) in;

layout(constant_id = 0) const int TYPE = 0;
layout(constant_id = 1) const int SPLITS = 1; // at most 64
layout(constant_id = 2) const int WINDOW = 0;
layout(constant_id = 3) const int HAS_ROWS = 0;

layout(push_constant) uniform Args {
	uvec2 a, pairs, documents, rows, o, lse;
	int T, S, G, D;
	int ob, ot; // elements from sequence to sequence, from position to position
} p;

shared float share[SPLITS];

void main() {
	int lid = int(gl_LocalInvocationID.x), x = int(gl_WorkGroupID.x), h = int(gl_WorkGroupID.y), b = int(gl_WorkGroupID.z);
	int heads = int(gl_NumWorkGroups.y), n = p.T * p.G, t = x / p.G;
	int at = (b * heads + h) * n + x, step_ = int(gl_NumWorkGroups.z) * heads * n; // the part's query, and from part to part

	float top = -infinity(), sum = 0;
	for (int i = 0; i < SPLITS; i++) top = higher(top, Floats(p.pairs).v[2 * (at + i * step_)]);
	float from = top == -infinity() ? 0.0 : top;
	for (int i = lid; i < SPLITS; i += 64) share[i] = expf(Floats(p.pairs).v[2 * (at + i * step_)] - from);
	barrier();
	for (int i = 0; i < SPLITS; i++) sum = fma(share[i], Floats(p.pairs).v[2 * (at + i * step_) + 1], sum);

	int lo, hi, row = HAS_ROWS != 0 ? Ints(p.rows).v[b * p.T + t] : t;
	span(p.documents, b * p.T + t, row, p.S, WINDOW, lo, hi);
	bool none = lo >= hi;
	for (int d = lid; d < p.D; d += 64) {
		float y = 0;
		for (int i = 0; i < SPLITS; i++) y = fma(share[i], Floats(p.a).v[(at + i * step_) * p.D + d], y);
		store(p.o, b * p.ob + t * p.ot + (h * p.G + x % p.G) * p.D + d, TYPE, none ? 0.0 : y / sum);
	}
	if (lid == 0) {
		float l = notFinite(top) ? top : top + logf(sum);
		Floats(p.lse).v[((b * heads + h) * p.G + x % p.G) * p.T + t] = none ? -infinity() : l;
	}
}
