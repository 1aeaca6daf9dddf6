package simd

import (
	"slices"
	"testing"
)

// TestDetect asks made-up processors and systems.
func TestDetect(t *testing.T) {
	const (
		sub1  = 1<<12 | 1<<27 | 1<<28 | 1<<29               // FMA, OSXSAVE, AVX, F16C
		sub7  = 1<<5 | 1<<8 | 1<<16 | 1<<17 | 1<<30 | 1<<31 // AVX2, BMI2, AVX512 F, DQ, BW, VL
		bf16  = 1 << 5                                      // leaf 7, subleaf 1, EAX
		saved = 1<<1 | 1<<2 | 1<<5 | 1<<6 | 1<<7            // XMM, YMM, masks, Z
	)
	type cpu struct{ top, leaf1, subs, leaf7, leaf71, saved uint32 }
	full := cpu{top: 31, leaf1: sub1, subs: 1, leaf7: sub7, leaf71: bf16, saved: saved}
	for _, c := range []struct {
		name string
		cpu  func(c *cpu)
		want []string
	}{
		{"all", func(*cpu) {}, []string{"avx512", "avx512_bf16", "avx2"}},
		{"no AVX512_BF16", func(c *cpu) { c.leaf71 = ^uint32(bf16) }, []string{"avx512", "avx2"}},
		{"no subleaf 1", func(c *cpu) { c.subs = 0 }, []string{"avx512", "avx2"}},
		{"no AVX512BW", func(c *cpu) { c.leaf7 &^= 1 << 30 }, []string{"avx2"}},
		{"upper registers are not saved", func(c *cpu) { c.saved &^= 1 << 7 }, []string{"avx2"}},
		{"masks are not saved", func(c *cpu) { c.saved &^= 1 << 5 }, []string{"avx2"}},
		{"YMM are not saved", func(c *cpu) { c.saved &^= 1 << 2 }, nil},
		{"no OSXSAVE", func(c *cpu) { c.leaf1 &^= 1 << 27 }, nil},
		{"no leaf 7", func(c *cpu) { c.top = 6 }, nil},
	} {
		x := full
		c.cpu(&x)
		f := detect(func(leaf, sub uint32) (eax, ebx, ecx, edx uint32) {
			switch [2]uint32{leaf, sub} {
			case [2]uint32{0, 0}:
				return x.top, 0, 0, 0
			case [2]uint32{1, 0}:
				return 0, 0, x.leaf1, 0
			case [2]uint32{7, 0}:
				return x.subs, x.leaf7, 0, 0
			case [2]uint32{7, 1}:
				return x.leaf71, 0, 0, 0
			}
			t.Errorf("%s: leaf %d, subleaf %d", c.name, leaf, sub)
			return
		}, func() uint32 { return x.saved })
		var got []string
		for _, tier := range tiersOf(f) {
			got = append(got, tier.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestPairBF16AVX512: of the mode's kernels, this one needs no AVX512_BF16.
func TestPairBF16AVX512(t *testing.T) {
	if detect(cpuid, xgetbv).avx512 {
		testPairBF16(t, "avx512", pairBF16AVX512BF16)
	}
}
