// Copies of bits, whatever they mean, in units of 16, 4, 2 or 1 bytes; needs vector.glsl.

// A byte at any address. Devices need not have 8-bit storage.
uint loadByte(uvec2 base, int i) {
	uint at = (base.x & 3u) + uint(i);
	return Words(uvec2(base.x & ~3u, base.y)).v[at >> 2] >> 8u * (at & 3u) & 255u;
}

// Other bytes of the word may be stored by others at the same time: only atomic
// operations on bits leave those alone.
void storeByte(uvec2 base, int i, uint x) {
	uint at = (base.x & 3u) + uint(i), by = 8u * (at & 3u);
	Words word = Words(uvec2(base.x & ~3u, base.y));
	atomicAnd(word.v[at >> 2], ~(255u << by));
	atomicOr(word.v[at >> 2], x << by);
}

// Copies unit xi of x, or zeros unless exists, to unit yi of y.
void copyUnit(uvec2 y, int yi, uvec2 x, int xi, bool exists, int unit) {
	if (unit == 16) {
		uvec4 v = Quads(x).v[xi];
		Quads(y).v[yi] = exists ? v : uvec4(0u);
	} else if (unit == 4) {
		uint v = Words(x).v[xi];
		Words(y).v[yi] = exists ? v : 0u;
	} else if (unit == 2) {
		uint v = uint(Halves(x).v[xi]);
		Halves(y).v[yi] = uint16_t(exists ? v : 0u);
	} else {
		uint v = loadByte(x, xi);
		storeByte(y, yi, exists ? v : 0u);
	}
}
