package cpu

import "graft/kernels"

// Packed panels hold w consecutive rows (of A) or columns (of B) side by side
// for each k: panel p, element k*w + i is row p*w + i, column k. What is past
// the edge is zero.

// packRows packs n rows of kc contiguous elements each, ld apart, times alpha.
// buf holds a row.
func packRows(dst []float32, x *array, off, ld, n, kc, w int, alpha float32, buf []float32) {
	i := 0
	if x.dt == kernels.F32 && (w == 2 || w == 4) {
		for ; i+w <= n; i += w {
			src := x.f[off+i*ld:]
			if w == 2 {
				interleave2(dst[i*kc:(i+2)*kc], src, ld, alpha)
			} else {
				interleave4(dst[i*kc:(i+4)*kc], src, ld, alpha)
			}
		}
	}
	for ; i < blocks(n, w)*w; i++ {
		panel := dst[i/w*w*kc+i%w:]
		if i >= n {
			for k := range kc {
				panel[k*w] = 0
			}
			continue
		}
		for k, v := range x.load(off+i*ld, kc, buf) {
			panel[k*w] = alpha * v
		}
	}
}

// interleave2 fills a panel of two rows, ld apart.
func interleave2(dst, src []float32, ld int, alpha float32) {
	kc := len(dst) / 2
	a, b := src[:kc], src[ld:][:kc]
	for k, v := range a {
		d := dst[2*k:][:2]
		d[0], d[1] = alpha*v, alpha*b[k]
	}
}

// interleave4 fills a panel of four rows, ld apart.
func interleave4(dst, src []float32, ld int, alpha float32) {
	kc := len(dst) / 4
	a, b, c, e := src[:kc], src[ld:][:kc], src[2*ld:][:kc], src[3*ld:][:kc]
	for k, v := range a {
		d := dst[4*k:][:4]
		d[0], d[1], d[2], d[3] = alpha*v, alpha*b[k], alpha*c[k], alpha*e[k]
	}
}

// packColumns packs n columns out of kc rows, ld apart, times alpha. buf holds
// a row.
func packColumns(dst []float32, x *array, off, ld, n, kc, w int, alpha float32, buf []float32) {
	for k := range kc {
		row := x.load(off+k*ld, n, buf)
		at := k * w // in its panel
		switch w {
		case 2:
			for len(row) >= 2 {
				d := dst[at:][:2]
				d[0], d[1] = alpha*row[0], alpha*row[1]
				row, at = row[2:], at+2*kc
			}
		case 4:
			for len(row) >= 4 {
				d := dst[at:][:4]
				d[0], d[1], d[2], d[3] = alpha*row[0], alpha*row[1], alpha*row[2], alpha*row[3]
				row, at = row[4:], at+4*kc
			}
		}
		for len(row) > 0 {
			d := dst[at:][:w]
			got := copy(d, row)
			for i := range d[:got] {
				d[i] *= alpha
			}
			clear(d[got:])
			row, at = row[got:], at+w*kc
		}
	}
}
