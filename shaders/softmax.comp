// p = softmax of z = cap(scale x) over the visible keys, 0 elsewhere; lse = log sum exp z. A row that sees nothing gives p = 0, lse = -Inf.
// x, p (B, H, T, S); documents (2, B, T), of which the first half is read; rows (B, T); lse (B, H, T). Query t at row r (t, or rows[b, t]) sees max(first, r - window + 1) <= j <= r.
// Dispatch: (min(ceil(N/ROWS), 65535), 1, 1) workgroups of 256, ROWS of the N = B H T rows at a time each (rows.glsl).
// Shared memory: that of rows.glsl, 2 KiB.
// Deterministic: the order of a row's sum depends on S only. p may lie on x: an element is read and written by one invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rows.glsl"
#include "scores.glsl"

layout(constant_id = 4) const int TYPE = 0;
layout(constant_id = 5) const int HAS_DOCUMENTS = 0;
layout(constant_id = 6) const int HAS_ROWS = 0;

layout(push_constant) uniform Args {
	uvec2 x, documents, rows, y, lse; // an absent operand has the address of x
	int N, S;
	int first; // row of the whole operand at which x starts
	int H, T;
	int window; // 0: none
	Scores score;
} p;

// The keys lo <= j < hi that row n of the whole operand sees.
void visible(int n, out int lo, out int hi) {
	lo = 0;
	hi = p.S;
	if (HAS_DOCUMENTS == 0) return;
	int t = n % p.T, query = n / p.T / p.H * p.T + t;
	int r = HAS_ROWS != 0 ? int(Words(p.rows).v[query]) : t;
	r = max(r, -1);
	lo = max(int(Words(p.documents).v[query]), 0);
	if (p.window > 0) lo = max(lo, r - p.window + 1);
	hi = min(r, p.S - 1) + 1;
}

// Scores of the visible keys, -Inf elsewhere.
vec4 scores(int row, int c, int lo, int hi) {
	vec4 z = scored(p.score, loadRow(p.x, row, c, p.S, TYPE));
	for (int j = 0; j < 4; j++)
		if (nth(c, j) < lo || nth(c, j) >= hi) z[j] = -infinity();
	return z;
}

void main() {
	int step = int(gl_NumWorkGroups.x) * ROWS;
	for (int n0 = int(gl_WorkGroupID.x) * ROWS; n0 < p.N; n0 += step) {
		bool live = n0 + slot() < p.N;
		int n = live ? n0 + slot() : n0, row = n * p.S, lo, hi;
		visible(p.first + n, lo, hi);
		ExpSum s = nothing();
		for (int c = column(0); c < p.S; c += STRIDE) include(s, scores(row, c, lo, hi));
		s = whole(s);
		if (live && lane() == 0) Floats(p.lse).v[n] = s.top + tail(s);
		float per = inverse(s);
		if (live)
			for (int c = column(0); c < p.S; c += STRIDE) {
				vec4 y = shares(s, per, scores(row, c, lo, hi));
				for (int j = 0; j < 4; j++)
					if (nth(c, j) < lo || nth(c, j) >= hi) y[j] = 0.0;
				storeRow(p.y, row, c, p.S, TYPE, y);
			}
	}
}
