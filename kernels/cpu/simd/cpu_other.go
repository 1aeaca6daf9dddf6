//go:build !amd64 && !arm64

package simd

func native() []*Tier { return nil }

// HasBF16 reports whether the processor has AVX512_BF16.
func HasBF16() bool { return false }
