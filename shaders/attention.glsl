// What the attention kernels share: the tiles in shared memory and the two products.
//
// Grouped heads are packed: the queries of key head h are numbered x = t*G + g, for head
// h*G + g at position t, so that a workgroup reads a tile of keys once for all heads
// that share it. A workgroup of 16 x THREADS_Y invocations owns ROWS rows of the tile of
// scores, RM for each invocation and interleaved columns: invocation (tx, ty) has rows
// ty*RM + i and columns tx + 16*c, c < 4. Rows are packed queries and columns keys, or,
// where gradients of keys are made, the other way round.
//
// Head sizes of any length go through shared memory in slices, padded with zeros; the
// result's columns are held in registers, at most 256 of them, and larger heads take a
// workgroup for every 256. Where a head has fewer columns than 16 invocations can hold,
// they share them out.

#extension GL_EXT_control_flow_attributes : require

#include "attention_math.glsl"
#include "vector.glsl"
#include "attention_span.glsl"

const int COLS = 64;     // columns of the tile of scores
layout(local_size_x = 16, local_size_y_id = 0) in;
layout(constant_id = 0) const int THREADS_Y = 16;
layout(constant_id = 1) const int RM = 4;
layout(constant_id = 2) const int TYPE = 0;
layout(constant_id = 3) const int QUADS = 16; // vec4 in a row of the result that a workgroup makes: 2, 4, 8 or a multiple of 16
layout(constant_id = 4) const int VECTOR = 0; // 128-bit accesses are aligned
layout(constant_id = 5) const float CAP = 0;  // of the scores; 0 is none
layout(constant_id = 6) const int WINDOW = 0; // 0 is none

const int THREADS = 16 * THREADS_Y;
const int ROWS = THREADS_Y * RM;
const int WIDTH = 4 * QUADS;                  // columns of the result that a workgroup has
const int NC = (QUADS + 15) / 16;             // vec4 of them that an invocation has in a row
const int SHARES = QUADS < 16 ? 16 / QUADS : 1; // invocations that share such a vec4, each for some columns of the scores
const int VT = QUADS < 16 ? 16 : NC == 1 ? 8 : NC == 2 ? 4 : 2; // quadruples of columns in a step of weigh
const int SLICE = QUADS == 2 ? 8 : 16;        // of the head, per step of a score product
const int EIGHTS = SLICE / 8;
const int PITCH = SLICE / 4 + 1;              // vec4 from row to row of a slice: no bank conflicts
const int SLICES = (ROWS + COLS) * PITCH;
const int TILE = SLICES > VT * WIDTH ? SLICES : VT * WIDTH;

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Duos { uvec2 v[]; };

shared vec4 tile[TILE];
shared vec4 weights[ROWS * 17]; // (ROWS, 16): component c of column tx is column tx + 16*c of the tile
shared uint strange;            // the right-hand side of weigh has held an infinity or a NaN

vec4 prod[RM];           // results of scores
vec4 acc[ACCS * RM * NC]; // results of weigh

int lid, tx, ty;
int D, G;     // head size, heads to a key head
int blocks;   // of columns of the result
float factor; // of the scores

// Rows of an operand: packed queries with group G, keys with group 1.
struct Rows {
	uvec2 base;
	int at;     // first element of the sequence and head
	int stride; // elements from position to position
	int group;
	int end;    // rows at and beyond it are zero
};

int place(Rows o, int x) { return o.at + x / o.group * o.stride + x % o.group * D; }

// What column c of the tile sees or is, for sees.
ivec2 column(int c);

// The invocation's row i and a column of the tile see each other.
bool sees(int i, ivec2 col);

float half_(uint h) { return TYPE == BF16 ? uintBitsToFloat(h << 16) : fromF16(h); }

// Elements d to d + 7 of row x, zero outside of the head and of the rows.
void load8(Rows o, int x, int d, out vec4 a, out vec4 b) {
	int left = D - d;
	left = x < o.end ? left : 0;
	bool inside = left > 0;
	int i = place(o, max(min(x, o.end - 1), 0)) + d;
	i = inside ? i : o.at;
	if (VECTOR != 0) {
		if (TYPE == F32) {
			a = uintBitsToFloat(Quads(o.base).v[i >> 2]);
			b = uintBitsToFloat(Quads(o.base).v[(i >> 2) + 1]);
		} else {
			uvec4 u = Quads(o.base).v[i >> 3];
			a = vec4(half_(u.x & 0xffffu), half_(u.x >> 16), half_(u.y & 0xffffu), half_(u.y >> 16));
			b = vec4(half_(u.z & 0xffffu), half_(u.z >> 16), half_(u.w & 0xffffu), half_(u.w >> 16));
		}
		a = mix(vec4(0), a, bvec4(inside));
		b = mix(vec4(0), b, bvec4(inside));
		return;
	}
	[[unroll]] for (int e = 0; e < 4; e++) {
		bool in0 = e < left, in1 = e + 4 < left;
		int i0 = in0 ? i + e : o.at, i1 = in1 ? i + e + 4 : o.at;
		float x0 = load(o.base, i0, TYPE), x1 = load(o.base, i1, TYPE);
		a[e] = in0 ? x0 : 0.0;
		b[e] = in1 ? x1 : 0.0;
	}
}

// prod = products of ROWS rows of a, from a0, with COLS rows of b, from b0.
void scores(Rows a, int a0, Rows b, int b0) {
	[[unroll]] for (int i = 0; i < RM; i++) prod[i] = vec4(0);
	for (int d = 0; d < D; d += SLICE) {
		barrier(); // the tile has been read
		for (int n = lid; n < (ROWS + COLS) * EIGHTS; n += THREADS) {
			int r = n / EIGHTS, k = n % EIGHTS;
			bool first = r < ROWS;
			Rows o = Rows(first ? a.base : b.base, first ? a.at : b.at, first ? a.stride : b.stride, first ? a.group : b.group, first ? a.end : b.end);
			int x = first ? a0 + r : b0 + r - ROWS;
			vec4 lo, hi;
			load8(o, x, d + 8 * k, lo, hi);
			tile[r * PITCH + 2 * k] = lo;
			tile[r * PITCH + 2 * k + 1] = hi;
		}
		barrier();
		for (int k = 0; k < SLICE / 4; k++) {
			vec4 y[4];
			[[unroll]] for (int c = 0; c < 4; c++) y[c] = tile[(ROWS + tx + 16 * c) * PITCH + k];
			[[unroll]] for (int i = 0; i < RM; i++) {
				vec4 x = tile[(ty * RM + i) * PITCH + k];
				[[unroll]] for (int e = 0; e < 4; e++)
					prod[i] = fma(vec4(x[e]), vec4(y[0][e], y[1][e], y[2][e], y[3][e]), prod[i]);
			}
		}
	}
}

// Adds weights times the COLS rows of v from v0, columns d0 to d0 + WIDTH, to part `to`
// of acc. The weights are visible to all after the first barrier. A pair that does not
// see each other weighs zero; where the rows hold infinities or NaN it is left out. Where
// SHARES invocations have one vec4, each adds its share of the rows; join adds up.
void weigh(Rows v, int v0, int d0, int to) {
	for (int t0 = 0; t0 < 16; t0 += VT) {
		barrier(); // the tile has been read
		bool odd = false;
		for (int n = lid; n < VT * WIDTH / 2; n += THREADS) {
			int r = n / (WIDTH / 8), k = n % (WIDTH / 8);
			vec4 lo, hi;
			load8(v, v0 + t0 + r / 4 + 16 * (r & 3), d0 + 8 * k, lo, hi);
			tile[r * QUADS + 2 * k] = lo;
			tile[r * QUADS + 2 * k + 1] = hi;
			[[unroll]] for (int e = 0; e < 4; e++) odd = any(bvec3(odd, notFinite(lo[e]), notFinite(hi[e])));
		}
		if (odd) atomicOr(strange, 1u);
		barrier();
		if (strange == 0u) {
			for (int t = tx / QUADS; t < VT; t += SHARES) {
				vec4 w[RM];
				[[unroll]] for (int i = 0; i < RM; i++) w[i] = weights[(ty * RM + i) * 17 + t0 + t];
				[[unroll]] for (int c = 0; c < 4; c++)
					[[unroll]] for (int g = 0; g < NC; g++) {
						vec4 x = tile[(4 * t + c) * QUADS + tx % QUADS + 16 * g];
						[[unroll]] for (int i = 0; i < RM; i++) {
							int n = (to * RM + i) * NC + g;
							acc[n] = fma(vec4(w[i][c]), x, acc[n]);
						}
					}
			}
		} else {
			for (int t = tx / QUADS; t < VT; t += SHARES)
				[[dont_unroll]] for (int c = 0; c < 4; c++) {
					ivec2 col = column(t0 + t + 16 * c);
					vec4 x[NC];
					[[unroll]] for (int g = 0; g < NC; g++) x[g] = tile[(4 * t + c) * QUADS + tx % QUADS + 16 * g];
					[[unroll]] for (int i = 0; i < RM; i++) {
						float w = weights[(ty * RM + i) * 17 + t0 + t][c];
						bool seen = sees(i, col);
						[[unroll]] for (int g = 0; g < NC; g++) {
							int n = (to * RM + i) * NC + g;
							acc[n] = mix(acc[n], fma(vec4(w), x[g], acc[n]), bvec4(seen));
						}
					}
				}
		}
	}
}

// Adds up the shares of part `from_` of acc, in order, for those invocations whose columns
// exist. It uses the memory of the weights.
void join(int from_) {
	if (SHARES == 1) return;
	barrier(); // the weights have been read
	[[unroll]] for (int i = 0; i < RM; i++) weights[(ty * RM + i) * 17 + tx] = acc[from_ * RM + i];
	barrier();
	[[unroll]] for (int i = 0; i < RM; i++) {
		vec4 sum = vec4(0);
		[[dont_unroll]] for (int s = 0; s < SHARES; s++) sum += weights[(ty * RM + i) * 17 + tx % QUADS + s * QUADS];
		acc[from_ * RM + i] = sum;
	}
}

// Stores x as elements d to d + 3 of row r, those that exist.
void store4(Rows o, int r, int d, vec4 x) {
	if (r >= o.end || d >= D) return;
	int i = place(o, r) + d;
	if (VECTOR != 0) {
		if (TYPE == F32) {
			Quads(o.base).v[i >> 2] = floatBitsToUint(x);
			return;
		}
		uvec4 u = TYPE == BF16 ? uvec4(toBF16(x.x), toBF16(x.y), toBF16(x.z), toBF16(x.w))
		                       : uvec4(toF16(x.x), toF16(x.y), toF16(x.z), toF16(x.w));
		Duos(o.base).v[i >> 2] = uvec2(u.x | u.y << 16, u.z | u.w << 16);
		return;
	}
	[[unroll]] for (int e = 0; e < 4; e++)
		if (d + e < D) store(o.base, i + e, TYPE, x[e]);
}

// The score of a product of q and k, and its slope.
float score(float x, out float slope) {
	x *= factor;
	slope = 1;
	if (CAP == 0.0) return x;
	float y = tanhf(x / CAP);
	slope = 1.0 - y * y;
	return CAP * y;
}

void setUp(uint sizes, float scale) {
	D = int(sizes & 0xffffu);
	G = int(sizes >> 16);
	blocks = (D + WIDTH - 1) / WIDTH;
	factor = scale;
	tx = int(gl_LocalInvocationID.x);
	ty = int(gl_LocalInvocationID.y);
	lid = ty * 16 + tx;
	if (lid == 0) strange = 0u;
	[[unroll]] for (int n = 0; n < ACCS * RM * NC; n++) acc[n] = vec4(0);
}
