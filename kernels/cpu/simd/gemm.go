package simd

import "graft/internal/f16"

// Edge works like Gemm with one panel, for the first m rows and n columns of the tile and
// touches no others of c. buf holds a tile, MR*NR.
func (t *Tier) Edge(m, n, kc int, a, b, c []float32, ldc int, acc bool, buf []float32) {
	if t.GemmPart == nil {
		t.Gemm(kc, 1, a, b, buf, t.NR, false, 0, 0)
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

func gemmGo(kc, panels int, a, b, c []float32, ldc int, acc bool, _, _ int) {
	for p := range panels {
		tileGo(kc, a, b[p*2*kc:], c[p*2:], ldc, acc)
	}
}

func gemmRowsGo(rows, kc, panels int, a []float32, lda int, b, c []float32, ldc int, acc bool, _, _ int) {
	for p := range panels {
		if rows == 4 {
			tileRowsGo(kc, a, lda, b[p*2*kc:], c[p*2:], ldc, acc)
			continue
		}
		for i := range rows {
			rowGo(a[i*lda:][:kc], b[p*2*kc:], c[i*ldc+p*2:][:2], acc)
		}
	}
}

// rowGo is one row of a tile.
func rowGo(a, b, c []float32, acc bool) {
	var c0, c1 float32
	for k, v := range a {
		c0 += v * b[2*k]
		c1 += v * b[2*k+1]
	}
	if acc {
		c0, c1 = c0+c[0], c1+c[1]
	}
	c[0], c[1] = c0, c1
}

// tileGo keeps its eight sums in registers.
func tileGo(kc int, a, b, c []float32, ldc int, acc bool) {
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
	storeGo(c, ldc, acc, [8]float32{c00, c01, c10, c11, c20, c21, c30, c31})
}

func tileRowsGo(kc int, a []float32, lda int, b, c []float32, ldc int, acc bool) {
	var c00, c01, c10, c11, c20, c21, c30, c31 float32
	x0, x1, x2, x3 := a[:kc], a[lda:][:kc], a[2*lda:][:kc], a[3*lda:][:kc]
	b = b[:2*kc]
	for k, a0 := range x0 {
		b0, b1 := b[2*k], b[2*k+1]
		a1, a2, a3 := x1[k], x2[k], x3[k]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
	}
	storeGo(c, ldc, acc, [8]float32{c00, c01, c10, c11, c20, c21, c30, c31})
}

func storeGo(c []float32, ldc int, acc bool, sums [8]float32) {
	for i := range 4 {
		row := c[i*ldc:][:2]
		if acc {
			row[0], row[1] = sums[2*i]+row[0], sums[2*i+1]+row[1]
		} else {
			row[0], row[1] = sums[2*i], sums[2*i+1]
		}
	}
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

func packRowsNRBF16Go(dst []float32, src []uint16, kc, ld int) {
	a, b := src[:kc], src[ld:][:kc]
	for k, v := range a {
		d := dst[2*k:][:2]
		d[0], d[1] = f16.FromBF16(v), f16.FromBF16(b[k])
	}
}

func packColumnsNRBF16Go(dst []float32, src []uint16, rows, panels, ld, stride int) {
	for r := range rows {
		row, at := src[r*ld:][:2*panels], 2*r
		for len(row) >= 2 {
			d := dst[at:][:2]
			d[0], d[1] = f16.FromBF16(row[0]), f16.FromBF16(row[1])
			row, at = row[2:], at+stride
		}
	}
}
