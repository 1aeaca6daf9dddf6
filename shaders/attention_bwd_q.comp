// dq = SCALE ds k with ds = p * (do v - delta) * slope of the cap, p = exp(s - lse), s = cap(SCALE q k), over the visible keys.
// q, do, dq (B,T,H,D); k, v (B,T,K,D), rows of positions at any stride; documents (2,B,T), I32; stats (B,H,T,2), lse and delta.
// Dispatch: (ceil(T*G/ROWS), K, B * ceil(D/256)); ROWS packed queries a workgroup of 16 x THREADS_Y, tiles of 64 keys.
// Shared memory: slices of two operands, or rows of k, and ds: at most 27.7 KiB.
// Deterministic: every query sums over its keys in tiles in rising order, from its workgroup's first visible key.
// Dao et al. 2022, FlashAttention.
#version 460
#extension GL_GOOGLE_include_directive : require
#define ACCS 1
#include "common.glsl"
#include "attention.glsl"

layout(push_constant) uniform Args {
	uvec2 q, k, v, documents, grad, stats, dq;
	int T;
	int qb, qt, kb, kt, vb, vt, gb, gt, dqb, dqt; // elements from sequence to sequence, from position to position
	uint sizes; // head size, and in the upper half heads to a key head
	float scale;
} p;

shared int low[ROWS], high[ROWS]; // visible keys of the rows
int j0; // first key of the tile

int from[RM], count[RM]; // visible keys of the invocation's rows

ivec2 column(int c) { return ivec2(j0 + c, 0); }
bool sees(int i, ivec2 col) { return uint(col.x - from[i]) < uint(count[i]); }

void main() {
	setUp(p.sizes, p.scale);
	int z = int(gl_WorkGroupID.z), d0 = z % blocks * WIDTH, b = z / blocks;
	int h = int(gl_WorkGroupID.y), heads = int(gl_NumWorkGroups.y);
	// The last queries see the most keys: they come first.
	int x0 = int(gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * ROWS, n = p.T * G;

	for (int r = lid; r < ROWS; r += THREADS) {
		int t = min(x0 + r, n - 1) / G;
		span(p.documents, b * p.T + t, t, p.T, WINDOW, low[r], high[r]);
	}
	barrier();
	int first = p.T, last = 0;
	[[dont_unroll]] for (int r = 0; r < ROWS; r++) {
		int lo = low[r], hi = high[r];
		bool any_ = lo < hi;
		first = any_ ? min(first, lo) : first;
		last = any_ ? max(last, hi) : last;
	}
	[[unroll]] for (int i = 0; i < RM; i++) {
		from[i] = low[ty * RM + i];
		count[i] = high[ty * RM + i] - from[i];
	}

	Rows q = Rows(p.q, b * p.qb + h * G * D, p.qt, G, n);
	Rows grad = Rows(p.grad, b * p.gb + h * G * D, p.gt, G, n);
	Rows k = Rows(p.k, b * p.kb + h * D, p.kt, 1, last);
	Rows v = Rows(p.v, b * p.vb + h * D, p.vt, 1, last);
	float lse[RM], delta[RM];
	[[unroll]] for (int i = 0; i < RM; i++) {
		int x = min(x0 + ty * RM + i, n - 1), at = ((b * heads + h) * G + x % G) * p.T + x / G;
		lse[i] = Floats(p.stats).v[2 * at];
		delta[i] = Floats(p.stats).v[2 * at + 1];
	}
	for (j0 = first; j0 < last; j0 += COLS) {
		vec4 w[RM];
		scores(q, x0, k, j0);
		[[unroll]] for (int i = 0; i < RM; i++)
			[[unroll]] for (int c = 0; c < 4; c++) {
				float slope, s = score(prod[i][c], slope);
				w[i][c] = expf(s - lse[i]) * slope * factor;
			}
		scores(grad, x0, v, j0);
		[[unroll]] for (int i = 0; i < RM; i++) {
			int r = ty * RM + i;
			vec4 ds;
			[[unroll]] for (int c = 0; c < 4; c++) {
				float x = w[i][c] * (prod[i][c] - delta[i]);
				bool seen = sees(i, column(tx + 16 * c));
				ds[c] = seen ? x : 0.0;
			}
			weights[r * 17 + tx] = ds;
		}
		weigh(k, j0, d0, 0);
	}

	join(0);
	Rows dq = Rows(p.dq, b * p.dqb + h * G * D, p.dqt, G, n);
	[[unroll]] for (int i = 0; i < RM; i++)
		[[unroll]] for (int g = 0; g < NC; g++)
			store4(dq, x0 + ty * RM + i, d0 + 4 * (tx + 16 * g), acc[i * NC + g]);
}
