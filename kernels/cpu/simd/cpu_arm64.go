package simd

// native is NEON, which every arm64 has.
func native() []*Tier { return []*Tier{&tierNEON} }

// HasBF16 reports whether the processor has AVX512_BF16.
func HasBF16() bool { return false }
