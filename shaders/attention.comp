// o = softmax(s) v over the visible keys, s = cap(SCALE q k); lse = log sum exp s. A query that sees nothing gives 0 and -Inf.
// q, o (B,T,H,D); k, v (B,S,K,D), rows of positions at any stride; documents (2,B,T), rows (B,T), both I32; lse (B,H,T). With SPLITS > 1: unnormalised sums (SPLITS,B,K,T*G,D) and (maximum, sum) pairs (SPLITS,B,K,T*G), for attention_join.
// Dispatch: (ceil(T*G/ROWS), K, B * SPLITS * ceil(D/256)); ROWS packed queries a workgroup of 16 x THREADS_Y, tiles of 64 keys.
// Shared memory: slices of q and k, or rows of v, weights, maxima: at most 31.8 KiB.
// Deterministic: every query walks over its keys in tiles in rising order, from its workgroup's first visible key; partial sums and maxima of an invocation meet in fixed order.
// Dao et al. 2022, FlashAttention.
#version 460
#extension GL_GOOGLE_include_directive : require
#define ACCS 1
#include "common.glsl"
#include "attention.glsl"

layout(constant_id = 7) const int HAS_ROWS = 0;
layout(constant_id = 8) const int SPLITS = 1;

layout(push_constant) uniform Args {
	uvec2 q, k, v, documents, rows, o, lse; // with SPLITS > 1: o, lse are the partial results
	int T, S;
	int qb, qt, kb, kt, vb, vt, ob, ot; // elements from sequence to sequence, from position to position
	uint sizes; // head size, and in the upper half heads to a key head
	float scale;
} p;

shared int low[ROWS], high[ROWS]; // visible keys of the rows
shared float part[ROWS * 16];
int j0; // first key of the tile

int from[RM], count[RM]; // visible keys of the invocation's rows

ivec2 column(int c) { return ivec2(j0 + c, 0); }
bool sees(int i, ivec2 col) { return uint(col.x - from[i]) < uint(count[i]); }

void main() {
	setUp(p.sizes, p.scale);
	int z = int(gl_WorkGroupID.z);
	int d0 = z % blocks * WIDTH, split = z / blocks % SPLITS, b = z / blocks / SPLITS;
	int h = int(gl_WorkGroupID.y), heads = int(gl_NumWorkGroups.y);
	// The last queries see the most keys: they come first.
	int x0 = int(gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * ROWS, n = p.T * G;

	for (int r = lid; r < ROWS; r += THREADS) {
		int t = min(x0 + r, n - 1) / G;
		int row = HAS_ROWS != 0 ? Ints(p.rows).v[b * p.T + t] : t;
		span(p.documents, b * p.T + t, row, p.S, WINDOW, low[r], high[r]);
	}
	barrier();
	int first = p.S, last = 0;
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
	if (SPLITS > 1) {
		int tiles = (max(last - first, 0) + COLS - 1) / COLS;
		last = min(last, first + (split + 1) * tiles / SPLITS * COLS);
		first += split * tiles / SPLITS * COLS;
	}

	Rows q = Rows(p.q, b * p.qb + h * G * D, p.qt, G, n);
	Rows k = Rows(p.k, b * p.kb + h * D, p.kt, 1, last);
	Rows v = Rows(p.v, b * p.vb + h * D, p.vt, 1, last);
	float top[RM], sum[RM]; // the largest score; this invocation's part of the sum
	[[unroll]] for (int i = 0; i < RM; i++) {
		top[i] = -infinity();
		sum[i] = 0;
	}
	for (j0 = first; j0 < last; j0 += COLS) {
		scores(q, x0, k, j0);
		[[unroll]] for (int i = 0; i < RM; i++) {
			int r = ty * RM + i;
			float m = -infinity(), slope;
			[[unroll]] for (int c = 0; c < 4; c++) {
				float s = score(prod[i][c], slope);
				bool seen = sees(i, column(tx + 16 * c));
				s = seen ? s : -infinity();
				prod[i][c] = s;
				m = higher(m, s);
			}
			part[r * 16 + tx] = m;
		}
		barrier();
		[[unroll]] for (int i = 0; i < RM; i++) {
			int r = ty * RM + i;
			float m = top[i];
			for (int c = 0; c < 16; c++) m = higher(m, part[r * 16 + c]);
			// Without a score so far nothing is subtracted: -Inf - -Inf is no number.
			float less = m == -infinity() ? 0.0 : m;
			float fade = expf(top[i] - less);
			vec4 w;
			[[unroll]] for (int c = 0; c < 4; c++) w[c] = expf(prod[i][c] - less);
			top[i] = m;
			sum[i] = fma(sum[i], fade, (w.x + w.y) + (w.z + w.w));
			[[unroll]] for (int g = 0; g < NC; g++) acc[i * NC + g] *= fade;
			weights[r * 17 + tx] = w;
		}
		weigh(v, j0, d0, 0);
	}

	join(0);
	barrier();
	[[unroll]] for (int i = 0; i < RM; i++) part[(ty * RM + i) * 16 + tx] = sum[i];
	barrier();
	Rows o = Rows(p.o, b * p.ob + h * G * D, p.ot, G, n);
	[[unroll]] for (int i = 0; i < RM; i++) {
		int r = ty * RM + i, x = x0 + r;
		float s = 0;
		[[dont_unroll]] for (int c = 0; c < 16; c++) s += part[r * 16 + c];
		bool none = count[i] == 0;
		if (SPLITS > 1) {
			if (x >= n) continue;
			int at = ((split * int(gl_NumWorkGroups.z) / (SPLITS * blocks) + b) * heads + h) * n + x;
			[[unroll]] for (int g = 0; g < NC; g++)
				[[unroll]] for (int e = 0; e < 4; e++) {
					int d = d0 + 4 * (tx + 16 * g) + e;
					if (d < D) Floats(p.o).v[at * D + d] = acc[i * NC + g][e];
				}
			if (tx == 0 && d0 == 0) {
				Floats(p.lse).v[2 * at] = top[i];
				Floats(p.lse).v[2 * at + 1] = s;
			}
			continue;
		}
		[[unroll]] for (int g = 0; g < NC; g++)
			store4(o, x, d0 + 4 * (tx + 16 * g), none ? vec4(0) : acc[i * NC + g] / s);
		if (tx == 0 && d0 == 0 && x < n) {
			float l = notFinite(top[i]) ? top[i] : top[i] + logf(s);
			Floats(p.lse).v[((b * heads + h) * G + x % G) * p.T + x / G] = none ? -infinity() : l;
		}
	}
}
