package cpu

// microKernel multiplies a packed panel of A (kc x mr) by one of B (kc x nr):
// c[i*ldc+j] = sum over k of a[k*mr+i] * b[k*nr+j], added to c when acc is
// set. It is the seam for assembly: everything above it is the same for all.
type microKernel struct {
	name   string
	mr, nr int
	run    func(kc int, a, b, c []float32, ldc int, acc bool)
}

// portable is the micro-kernel in Go.
var portable = microKernel{name: "portable", mr: 4, nr: 2, run: micro4x2}

// micro4x2 keeps its eight sums in registers.
func micro4x2(kc int, a, b, c []float32, ldc int, acc bool) {
	var c00, c01, c10, c11, c20, c21, c30, c31 float32
	a, b = a[:4*kc], b[:2*kc]
	for len(a) >= 4 && len(b) >= 2 {
		b0, b1 := b[0], b[1]
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		a, b = a[4:], b[2:]
	}
	r0, r1, r2, r3 := c[:2], c[ldc:][:2], c[2*ldc:][:2], c[3*ldc:][:2]
	if acc {
		c00, c01 = c00+r0[0], c01+r0[1]
		c10, c11 = c10+r1[0], c11+r1[1]
		c20, c21 = c20+r2[0], c21+r2[1]
		c30, c31 = c30+r3[0], c31+r3[1]
	}
	r0[0], r0[1] = c00, c01
	r1[0], r1[1] = c10, c11
	r2[0], r2[1] = c20, c21
	r3[0], r3[1] = c30, c31
}
