package cpu

// Packed panels hold w consecutive rows (of A) or columns (of B) side by side
// for each k: panel p, element k*w + i is row p*w + i, column k. What is past
// the edge is zero.

// packRows packs n rows of kc contiguous elements each, ld apart, times alpha.
func packRows(dst []float32, x *array, off, ld, n, kc, w int, alpha float32, buf []float32) {
	for i := range blocks(n, w) * w {
		panel := dst[i/w*w*kc+i%w:]
		if i >= n {
			for k := range kc {
				panel[k*w] = 0
			}
			continue
		}
		row := x.load(off+i*ld, kc, buf)
		if alpha == 1 {
			for k, v := range row {
				panel[k*w] = v
			}
			continue
		}
		for k, v := range row {
			panel[k*w] = alpha * v
		}
	}
}

// packColumns packs n columns out of kc rows, ld apart, times alpha.
func packColumns(dst []float32, x *array, off, ld, n, kc, w int, alpha float32, buf []float32) {
	for k := range kc {
		row := x.load(off+k*ld, n, buf)
		for i := 0; i < n; i += w {
			to := dst[i*kc+k*w:][:w]
			got := copy(to, row[i:])
			clear(to[got:])
			if alpha != 1 {
				for r := range to {
					to[r] *= alpha
				}
			}
		}
	}
}
