package simd

import (
	"math"
	"unsafe"
)

// Halves is the bf16 in words of packed panels: elements 2i and 2i+1 are the
// pair of word i. Words are passed as float32, but are no numbers: they must
// only be copied.
func Halves(words []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(words))), 2*len(words))
}

// withPairs is a tier by another name that has Pairs.
func (t *Tier) withPairs(name string, gemm func(kc, panels int, a, b, c []float32, ldc int, acc bool, ahead, skip int),
	part func(part, kc int, a, b, c []float32, ldc int, acc bool), pair func(y []float32, lo, hi []uint16)) *Tier {
	mode, pairs := *t, *t
	mode.Name, pairs.Name = name, name
	pairs.Gemm, pairs.GemmRows, pairs.GemmPart = gemm, nil, part // rows are not pairs
	mode.Pairs, mode.PairBF16 = &pairs, pair
	return &mode
}

// WithPairsGo is the tier with the twins in Go of what the mode avx512_bf16 has:
// for tests on machines without it.
func (t *Tier) WithPairsGo() *Tier {
	whole := func(kc, panels int, a, b, c []float32, ldc int, acc bool, _, _ int) {
		for p := range panels {
			gemmPairsGo(t.MR, t.NR, t, kc, a, b[p*t.NR*kc:], c[p*t.NR:], ldc, acc)
		}
	}
	part := func(part, kc int, a, b, c []float32, ldc int, acc bool) {
		vecs := t.NR / t.Lanes
		gemmPairsGo(part/vecs*2+2, (part%vecs+1)*t.Lanes, t, kc, a, b, c, ldc, acc)
	}
	if t.GemmPart == nil {
		part = nil
	}
	return t.withPairs(t.Name+"_bf16", whole, part, pairBF16Go)
}

// gemmPairsGo computes m rows and n columns of a tile of the tier.
func gemmPairsGo(m, n int, t *Tier, kc int, a, b, c []float32, ldc int, acc bool) {
	x, y := Halves(a), Halves(b)
	for i := range m {
		for j := range n {
			var sum float32
			for k := range kc {
				p, q := x[2*(k*t.MR+i):][:2], y[2*(k*t.NR+j):][:2]
				sum = fmaBF16(p[1], q[1], sum)
				sum = fmaBF16(p[0], q[0], sum)
			}
			if acc {
				sum += c[i*ldc+j]
			}
			c[i*ldc+j] = sum
		}
	}
}

// fmaBF16 is a b + c, rounded once, to nearest even; subnormal operands and
// results are 0 (Intel, Software Developer's Manual 2, VDPBF16PS).
func fmaBF16(a, b uint16, c float32) float32 {
	const normal, sign = 0x1p-126, 1 << 15
	if a&^sign < 1<<7 {
		a &= sign
	}
	if b&^sign < 1<<7 {
		b &= sign
	}
	if u := math.Float32bits(c); u<<1 < 1<<24 {
		c = math.Float32frombits(u &^ (1<<23 - 1))
	}
	// The product is exact in float64, the sum is rounded to 53 bits. To round it
	// again errs only if it is then in the middle between two float32 and was not
	// before.
	x, y := float64(fromBF16(a))*float64(fromBF16(b)), float64(c)
	s := x + y
	if math.Float64bits(s)&(1<<29-1) == 1<<28 {
		up := s - x
		if rest := (x - (s - up)) + (y - up); rest != 0 {
			s = math.Nextafter(s, math.Inf(int(math.Copysign(1, rest))))
		}
	}
	// What is subnormal is decided after rounding to 24 bits.
	if math.Abs(s) < normal-normal/(1<<25) {
		return float32(math.Copysign(0, s))
	}
	return float32(s)
}

// pairBF16Go works like PairBF16 says.
func pairBF16Go(y []float32, lo, hi []uint16) {
	h := Halves(y)
	lo, hi = lo[:len(y)], hi[:len(y)]
	for i, v := range lo {
		h[2*i], h[2*i+1] = v, hi[i]
	}
}
