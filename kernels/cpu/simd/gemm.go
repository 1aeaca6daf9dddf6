package simd

// Edge works like Gemm for the first m rows and n columns of the tile and
// touches no others of c. buf holds a tile, MR*NR.
func (t *Tier) Edge(m, n, kc int, a, b, c []float32, ldc int, acc bool, buf []float32) {
	if t.GemmPart == nil {
		t.Gemm(kc, a, b, buf, t.NR, false)
	} else {
		vecs := t.NR / t.Lanes
		part := (m-1)/2*vecs + (n-1)/t.Lanes
		if m%2 == 0 && n%t.Lanes == 0 {
			t.GemmPart(part, kc, a, b, c, ldc, acc)
			return
		}
		t.GemmPart(part, kc, a, b, buf, t.NR, false)
	}
	for i := range m {
		row, sums := c[i*ldc:][:n], buf[i*t.NR:][:n]
		if !acc {
			copy(row, sums)
			continue
		}
		for j, s := range sums {
			row[j] += s
		}
	}
}

// gemmGo keeps its eight sums in registers.
func gemmGo(kc int, a, b, c []float32, ldc int, acc bool) {
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

// packRowsMRGo fills a panel of four rows.
func packRowsMRGo(dst, src []float32, kc, ld int) {
	a, b, c, e := src[:kc], src[ld:][:kc], src[2*ld:][:kc], src[3*ld:][:kc]
	for k, v := range a {
		d := dst[4*k:][:4]
		d[0], d[1], d[2], d[3] = v, b[k], c[k], e[k]
	}
}

// packRowsNRGo fills a panel of two rows.
func packRowsNRGo(dst, src []float32, kc, ld int) {
	a, b := src[:kc], src[ld:][:kc]
	for k, v := range a {
		d := dst[2*k:][:2]
		d[0], d[1] = v, b[k]
	}
}

func packColumnsMRGo(dst, src []float32, rows, panels, ld, stride int) {
	for r := range rows {
		row, at := src[r*ld:][:4*panels], 4*r
		for len(row) >= 4 {
			d := dst[at:][:4]
			d[0], d[1], d[2], d[3] = row[0], row[1], row[2], row[3]
			row, at = row[4:], at+stride
		}
	}
}

func packColumnsNRGo(dst, src []float32, rows, panels, ld, stride int) {
	for r := range rows {
		row, at := src[r*ld:][:2*panels], 2*r
		for len(row) >= 2 {
			d := dst[at:][:2]
			d[0], d[1] = row[0], row[1]
			row, at = row[2:], at+stride
		}
	}
}
