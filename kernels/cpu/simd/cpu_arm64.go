package simd

// native is NEON, which every arm64 has.
func native() []*Tier { return []*Tier{&tierNEON} }
