// Four neighbouring elements at a time: 128-bit accesses of F32, 64-bit ones of 16-bit types.
//
// Only for addresses and indices that are multiples of four elements: the host looks at
// the operands' offsets and chooses element-wise access otherwise.

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Vec4s { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Pairs { uvec2 v[]; };

vec4 load4(uvec2 base, int i, int type) {
	if (type == F32) return Vec4s(base).v[i >> 2];
	uvec2 h = Pairs(base).v[i >> 2];
	uvec4 u = uvec4(h.x & 0xffffu, h.x >> 16, h.y & 0xffffu, h.y >> 16);
	if (type == BF16) return uintBitsToFloat(u << 16);
	return vec4(fromF16(u.x), fromF16(u.y), fromF16(u.z), fromF16(u.w));
}

void store4(uvec2 base, int i, int type, vec4 x) {
	if (type == F32) {
		Vec4s(base).v[i >> 2] = x;
		return;
	}
	uvec4 u = type == BF16 ? uvec4(toBF16(x.x), toBF16(x.y), toBF16(x.z), toBF16(x.w))
	                       : uvec4(toF16(x.x), toF16(x.y), toF16(x.z), toF16(x.w));
	Pairs(base).v[i >> 2] = uvec2(u.x | u.y << 16, u.z | u.w << 16);
}
