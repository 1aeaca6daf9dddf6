// Access to eight elements at once and to rows far apart.

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Quads { uvec4 v[]; };

// Elements [8i, 8i + 8) of a base at a multiple of 16 bytes, in one or two loads of 128 bits.
void load8(uvec2 base, int i, int type, out float x[8]) {
	if (type == F32) {
		vec4 a = uintBitsToFloat(Quads(base).v[2 * i]), b = uintBitsToFloat(Quads(base).v[2 * i + 1]);
		for (int k = 0; k < 4; k++) {
			x[k] = a[k];
			x[4 + k] = b[k];
		}
		return;
	}
	uvec4 w = Quads(base).v[i];
	for (int k = 0; k < 4; k++) {
		if (type == BF16) {
			x[2 * k] = uintBitsToFloat(w[k] << 16);
			x[2 * k + 1] = uintBitsToFloat(w[k] & 0xffff0000u);
		} else {
			x[2 * k] = fromF16(w[k] & 0xffffu);
			x[2 * k + 1] = fromF16(w[k] >> 16);
		}
	}
}

void store8(uvec2 base, int i, int type, float x[8]) {
	if (type == F32) {
		Quads(base).v[2 * i] = floatBitsToUint(vec4(x[0], x[1], x[2], x[3]));
		Quads(base).v[2 * i + 1] = floatBitsToUint(vec4(x[4], x[5], x[6], x[7]));
		return;
	}
	uvec4 w;
	for (int k = 0; k < 4; k++) {
		if (type == BF16) w[k] = toBF16(x[2 * k]) | toBF16(x[2 * k + 1]) << 16;
		else w[k] = toF16(x[2 * k]) | toF16(x[2 * k + 1]) << 16;
	}
	Quads(base).v[i] = w;
}

// base + n * bytes, in 64 bits: rows may lie further apart than an index counts.
uvec2 moved(uvec2 base, uint n, uint bytes) {
	uint hi, lo, carry;
	umulExtended(n, bytes, hi, lo);
	uint sum = uaddCarry(base.x, lo, carry);
	return uvec2(sum, base.y + hi + carry);
}

// Bytes of an element of a storage type.
uint sizeOf(int type) { return type == F32 ? 4u : 2u; }

// n / d for n below 2^31, by what the host made of d: Granlund and Montgomery, 1994.
int quotient(int n, uint magic, uint shift) {
	uint hi, lo;
	umulExtended(uint(n), magic, hi, lo);
	return int((hi + uint(n)) >> shift);
}
