// dv = p do and dk = SCALE ds q, summed over the queries that see a key and over the heads of its key head; p, ds as in attention_bwd_q.
// q, do (B,T,H,D); k, v, dk, dv (B,T,K,D), rows of positions at any stride; documents (2,B,T), I32; stats (B,H,T,2), lse and delta.
// Dispatch: (ceil(T/ROWS), K, B * ceil(D/256)); ROWS keys a workgroup of 16 x THREADS_Y, tiles of 64 packed queries.
// Shared memory: slices of two operands, or rows of do or q, then p or ds, and four numbers of each query: at most 28.2 KiB.
// Deterministic: every key sums in tiles of queries in rising order, the heads of a position side by side, from its workgroup's first key on.
// Dao et al. 2022, FlashAttention.
#version 460
#extension GL_GOOGLE_include_directive : require
#define ACCS 2
#include "common.glsl"
#include "attention.glsl"

layout(push_constant) uniform Args {
	uvec2 q, k, v, documents, grad, stats, dk, dv;
	int T, last; // elements from a token's first row to its last in documents
	int qb, qt, kb, kt, vb, vt, gb, gt, dkb, dkt, dvb, dvt; // elements from sequence to sequence, from position to position
	uint sizes; // head size, and in the upper half heads to a key head
	float scale;
} p;

shared int low[COLS], high[COLS]; // visible keys of the tile's queries
shared float lse[COLS], delta[COLS];
shared int ends[ROWS]; // per key: the position behind the last that sees it
int j0; // first key of the workgroup

ivec2 column(int c) { return ivec2(low[c], high[c] - low[c]); }
bool sees(int i, ivec2 col) { return uint(j0 + ty * RM + i - col.x) < uint(col.y); }

void main() {
	setUp(p.sizes, p.scale);
	int z = int(gl_WorkGroupID.z), d0 = z % blocks * WIDTH, b = z / blocks;
	int h = int(gl_WorkGroupID.y), heads = int(gl_NumWorkGroups.y);
	j0 = int(gl_WorkGroupID.x) * ROWS;

	for (int r = lid; r < ROWS; r += THREADS) {
		int j = min(j0 + r, p.T - 1), end = min(Ints(p.documents).v[p.last + b * p.T + j], p.T);
		ends[r] = WINDOW > 0 ? min(end, j + WINDOW) : end;
	}
	barrier();
	int end = 0;
	[[dont_unroll]] for (int r = 0; r < ROWS; r++) end = max(end, ends[r]);
	int n = end * G; // packed queries; the first is that of the first key

	Rows q = Rows(p.q, b * p.qb + h * G * D, p.qt, G, n);
	Rows grad = Rows(p.grad, b * p.gb + h * G * D, p.gt, G, n);
	Rows k = Rows(p.k, b * p.kb + h * D, p.kt, 1, p.T);
	Rows v = Rows(p.v, b * p.vb + h * D, p.vt, 1, p.T);
	for (int x0 = j0 * G; x0 < n; x0 += COLS) {
		barrier(); // the columns' numbers have been read
		for (int c = lid; c < COLS; c += THREADS) {
			int x = min(x0 + c, n - 1), t = x / G, at = ((b * heads + h) * G + x % G) * p.T + t;
			int lo, hi;
			span(p.documents, b * p.T + t, t, p.T, WINDOW, lo, hi);
			low[c] = lo;
			high[c] = x0 + c < n ? hi : lo;
			lse[c] = Floats(p.stats).v[2 * at];
			delta[c] = Floats(p.stats).v[2 * at + 1];
		}
		vec4 w[RM], ds[RM];
		scores(k, j0, q, x0);
		[[unroll]] for (int c = 0; c < 4; c++) {
			ivec2 col = column(tx + 16 * c);
			float l = lse[tx + 16 * c];
			[[unroll]] for (int i = 0; i < RM; i++) {
				float slope, s = score(prod[i][c], slope);
				float share = expf(s - l);
				bool seen = sees(i, col);
				w[i][c] = seen ? share : 0.0;
				ds[i][c] = w[i][c] * slope * factor;
			}
		}
		scores(v, j0, grad, x0);
		[[unroll]] for (int c = 0; c < 4; c++) {
			ivec2 col = column(tx + 16 * c);
			float less = delta[tx + 16 * c];
			[[unroll]] for (int i = 0; i < RM; i++) {
				float x = ds[i][c] * (prod[i][c] - less);
				bool seen = sees(i, col);
				ds[i][c] = seen ? x : 0.0;
			}
		}
		[[unroll]] for (int i = 0; i < RM; i++) weights[(ty * RM + i) * 17 + tx] = w[i];
		weigh(grad, x0, d0, 0);
		barrier(); // the weights have been read
		[[unroll]] for (int i = 0; i < RM; i++) weights[(ty * RM + i) * 17 + tx] = ds[i];
		weigh(q, x0, d0, 1);
	}

	join(0);
	join(1);
	Rows dk = Rows(p.dk, b * p.dkb + h * D, p.dkt, 1, p.T);
	Rows dv = Rows(p.dv, b * p.dvb + h * D, p.dvt, 1, p.T);
	[[unroll]] for (int i = 0; i < RM; i++)
		[[unroll]] for (int g = 0; g < NC; g++) {
			int j = j0 + ty * RM + i, d = d0 + 4 * (tx + 16 * g);
			store4(dv, j, d, acc[i * NC + g]);
			store4(dk, j, d, acc[(RM + i) * NC + g]);
		}
}
