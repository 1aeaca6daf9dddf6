package simd

// cpuid and xgetbv (of register 0) are the instructions.
func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)

func xgetbv() (eax uint32)

// features are what decides about tiers: the processor has the instructions
// and the system saves the registers (Intel, Software Developer's Manual 1,
// 14.3 and 15.2).
type features struct{ avx2, avx512, bf16 bool }

// detect asks the instructions, or what a test has in their place.
func detect(cpuid func(leaf, sub uint32) (eax, ebx, ecx, edx uint32), xgetbv func() uint32) (f features) {
	top, _, _, _ := cpuid(0, 0)
	if top < 7 {
		return f
	}
	_, _, c, _ := cpuid(1, 0)
	has := func(word uint32, bits ...int) bool {
		for _, b := range bits {
			if word>>b&1 == 0 {
				return false
			}
		}
		return true
	}
	const fma, osxsave, avx, f16c = 12, 27, 28, 29
	if !has(c, fma, osxsave, avx, f16c) {
		return f
	}
	saved := xgetbv()
	if !has(saved, 1, 2) { // XMM, YMM
		return f
	}
	subs, b, _, _ := cpuid(7, 0)
	const bmi2, avx2, avx512f, avx512dq, avx512bw, avx512vl = 8, 5, 16, 17, 30, 31
	f.avx2 = has(b, avx2)
	// Masks, the upper halves of Z0 to Z15, and Z16 to Z31.
	f.avx512 = f.avx2 && has(saved, 5, 6, 7) && has(b, bmi2, avx512f, avx512dq, avx512bw, avx512vl)
	if f.avx512 && subs >= 1 {
		a, _, _, _ := cpuid(7, 1)
		f.bf16 = has(a, 5)
	}
	return f
}

func native() []*Tier { return tiersOf(detect(cpuid, xgetbv)) }

// tiersOf are the tiers for some features. The mode stands behind the tier from
// which it differs, so that it is never the first.
func tiersOf(f features) []*Tier {
	var ts []*Tier
	if f.avx512 {
		ts = append(ts, &tierAVX512)
	}
	if f.bf16 {
		ts = append(ts, tierAVX512.withPairs("avx512_bf16", gemmPairsAVX512BF16, gemmPairsPartAVX512BF16, pairBF16AVX512BF16))
	}
	if f.avx2 {
		ts = append(ts, &tierAVX2)
	}
	return ts
}
