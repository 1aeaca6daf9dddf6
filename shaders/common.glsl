// Storage types and typed access through device addresses; included by every kernel.
//
// Addresses are uvec2 push constants, so that no 64-bit integers are needed. Element
// indices are signed and stay below 2^31: the host moves the base for larger tensors.
// A load must be safe even where its result is not used (drivers run loads that control
// flow skips): callers clamp the index to one that exists and select zero afterwards.

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_16bit_storage : require

// The values of kernels.DType; types are specialisation constants.
const int F32 = 0;
const int BF16 = 1;
const int F16 = 2;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer Halves { uint16_t v[]; };

// Tests on bits: a driver may assume that floats are never NaN.
bool notFinite(float x) { return (floatBitsToUint(x) & 0x7f800000u) == 0x7f800000u; }

// To bfloat16, nearest, ties to even; a NaN stays one.
uint toBF16(float x) {
	uint u = floatBitsToUint(x);
	if ((u & 0x7fffffffu) > 0x7f800000u) return (u >> 16) | 0x40u;
	return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

float fromF16(uint h) {
	uint sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
	if (rest >= 0x7c00u) return uintBitsToFloat(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
	if (rest < 0x400u) return uintBitsToFloat(sign | floatBitsToUint(float(rest) * 5.9604644775390625e-8)); // 2^-24
	return uintBitsToFloat(sign | ((rest << 13) + 0x38000000u));
}

// To binary16, nearest, ties to even, in integers: packHalf2x16 may flush subnormals.
uint toF16(float x) {
	uint u = floatBitsToUint(x), sign = (u >> 16) & 0x8000u, rest = u & 0x7fffffffu;
	if (rest > 0x7f800000u) return sign | 0x7e00u | (rest >> 13 & 0x3ffu);
	if (rest >= 0x477ff000u) return sign | 0x7c00u; // 65520 and above
	if (rest < 0x33000000u) return sign;            // below half the smallest subnormal
	if (rest < 0x38800000u) {                       // subnormal: shift the whole mantissa
		uint shift = 126u - (rest >> 23), m = (rest & 0x7fffffu) | 0x800000u;
		uint q = m >> shift, low = m & ((1u << shift) - 1u), half_ = 1u << (shift - 1u);
		return sign | (q + uint(low > half_ || (low == half_ && (q & 1u) == 1u)));
	}
	rest -= 0x38000000u;
	return sign | (rest + 0xfffu + (rest >> 13 & 1u)) >> 13;
}

float load(uvec2 base, int i, int type) {
	if (type == F32) return Floats(base).v[i];
	uint h = uint(Halves(base).v[i]);
	if (type == BF16) return uintBitsToFloat(h << 16);
	return fromF16(h);
}

void store(uvec2 base, int i, int type, float x) {
	if (type == F32) Floats(base).v[i] = x;
	else Halves(base).v[i] = uint16_t(type == BF16 ? toBF16(x) : toF16(x));
}
