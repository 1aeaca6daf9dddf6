// Chunks: neighbouring elements of a matrix, as loaded, and their numbers. A wide chunk is
// one 128-bit load, of four F32 or eight 16-bit elements; another is four loads.

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Chunks { uvec4 v[]; };

// Elements of a chunk.
#define CHUNK(TYPE, WIDE) ((WIDE) != 0 && (TYPE) != F32 ? 8 : 4)

uint bits(uvec2 base, int i, int type) {
	return type == F32 ? Words(base).v[i] : uint(Halves(base).v[i]);
}

// The chunk from element start + line * ld + col of a matrix that begins at start and has
// lines of cols elements; zero outside of it. Where it is wide, start, ld, col and cols are
// multiples of its length.
uvec4 loadChunk(uvec2 base, int type, int wide, int start, int ld, int line, int lines, int col, int cols) {
	if (wide != 0) {
		bool inside = line < lines && col < cols;
		uvec4 x = Chunks(base).v[(inside ? start + line * ld + col : start) / CHUNK(type, wide)];
		return inside ? x : uvec4(0);
	}
	uvec4 x;
	[[unroll]] for (int j = 0; j < 4; j++) {
		bool inside = line < lines && col + j < cols;
		uint u = bits(base, inside ? start + line * ld + col + j : start, type);
		x[j] = inside ? u : 0u;
	}
	return x;
}

// The four numbers of a chunk from the h-th four on.
vec4 chunkFloats(uvec4 x, int type, int wide, int h) {
	if (type == F32) return uintBitsToFloat(x);
	uvec4 u = x;
	if (wide != 0) {
		uvec2 w = h == 0 ? x.xy : x.zw;
		u = uvec4(w.x & 0xffffu, w.x >> 16, w.y & 0xffffu, w.y >> 16);
	}
	if (type == BF16) return uintBitsToFloat(u << 16);
	return vec4(fromF16(u.x), fromF16(u.y), fromF16(u.z), fromF16(u.w));
}
