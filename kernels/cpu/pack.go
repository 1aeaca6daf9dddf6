package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// Packed panels hold w consecutive rows (of A) or columns (of B) side by side
// for each k: panel p, element k*w + i is row p*w + i, column k. What is past
// the edge is zero. The width w is the tier's MR or NR.

// packRows packs n rows of kc contiguous elements each, ld apart, times alpha.
// buf holds a row; with 16 rows it is faster for 16-bit types and at the edge.
func packRows(dst []float32, x *array, off, ld, n, kc, w int, alpha float32, buf []float32) {
	t := x.tier
	group := t.MR // rows that are transposed at once
	if w == t.NR {
		group = t.Lanes
	}
	for i := 0; i < n; i += w {
		panel := dst[i*kc : (i+w)*kc]
		if n-i < w {
			clear(panel)
		}
		for r := 0; r < min(w, n-i); r += group {
			at := off + (i+r)*ld
			switch left := n - i - r; {
			case left >= group:
				packGroup(panel[r:], x, at, ld, kc, w, buf)
			case group*kc <= len(buf):
				rows := x.padded(at, ld, left, group, kc, buf)
				packGroup(panel[r:], &rows, 0, kc, kc, w, nil)
			default:
				packByOne(panel[r:], x, at, ld, left, 0, kc, w, buf)
			}
		}
		if alpha != 1 {
			t.Scale(panel, panel, alpha)
		}
	}
}

// packGroup packs the rows that a kernel takes at once.
func packGroup(dst []float32, x *array, off, ld, kc, w int, buf []float32) {
	t := x.tier
	rows, step := t.MR, 16
	if w == t.NR {
		rows, step = t.Lanes, 4
	}
	if w == t.NR && x.dt == kernels.BF16 {
		whole := kc / 8 * 8
		t.PackRowsNRBF16(dst, x.h[off:], whole, ld)
		packByOne(dst, x, off, ld, rows, whole, kc, w, buf)
		return
	}
	whole := kc / step * step
	most := whole
	if x.dt != kernels.F32 { // widened in pieces that fit
		most = len(buf) / rows / step * step
	}
	done := 0
	for done < whole && most > 0 {
		n := min(most, whole-done)
		src, lds := x.block(off+done, ld, rows, n, buf)
		if w == t.NR {
			t.PackRowsNR(dst[done*w:], src, n, lds)
		} else {
			t.PackRowsMR(dst[done*w:], src, n, lds)
		}
		done += n
	}
	packByOne(dst, x, off, ld, rows, done, kc, w, buf)
}

// padded is n rows of kc elements each, and behind them rows of zeros up to group, in buf.
func (a *array) padded(off, ld, n, group, kc int, buf []float32) array {
	for i := range n {
		row := buf[i*kc:][:kc]
		copy(row, a.load(off+i*ld, kc, row))
	}
	clear(buf[n*kc : group*kc])
	return array{tier: a.tier, dt: kernels.F32, f: buf}
}

// packByOne packs columns [from, to) of n rows element by element.
func packByOne(dst []float32, x *array, off, ld, n, from, to, w int, buf []float32) {
	if from == to {
		return
	}
	for i := range n {
		panel := dst[from*w+i:]
		for k, v := range x.load(off+i*ld+from, to-from, buf) {
			panel[k*w] = v
		}
	}
}

// block returns rows of n elements each as f32, and how far apart they are:
// the memory itself, or widened copies in buf.
func (a *array) block(off, ld, rows, n int, buf []float32) ([]float32, int) {
	if a.dt == kernels.F32 {
		return a.f[off : off+(rows-1)*ld+n], ld
	}
	for i := range rows {
		a.load(off+i*ld, n, buf[i*n:])
	}
	return buf[:rows*n], n
}

// packColumns packs n columns out of kc rows, ld apart, times alpha. buf holds
// a row; with eight it is faster for 16-bit types.
func packColumns(dst []float32, x *array, off, ld, n, kc, w int, alpha float32, buf []float32) {
	t := x.tier
	// Each row of memory is a stream for the cache, and has a page of its own.
	most := 8
	halves := w == t.NR && x.dt == kernels.BF16
	if x.dt != kernels.F32 && !halves {
		most = max(1, min(most, len(buf)/max(1, n)))
	}
	for k := 0; k < kc; k += most {
		rows := min(most, kc-k)
		if !halves {
			src, lds := x.block(off+k*ld, ld, rows, n, buf)
			putColumns(dst, t, src, rows, n, lds, k, kc, w)
			continue
		}
		whole := n / w * w
		t.PackColumnsNRBF16(dst[k*w:], x.h[off+k*ld:], rows, n/w, ld, w*kc)
		if whole < n {
			src, lds := x.block(off+k*ld+whole, ld, rows, n-whole, buf)
			putColumns(dst[whole*kc:], t, src, rows, n-whole, lds, k, kc, w)
		}
	}
	if alpha != 1 {
		all := dst[:blocks(n, w)*w*kc]
		t.Scale(all, all, alpha)
	}
}

// putColumns packs rows of n elements, ld apart, as rows k and on of kc.
func putColumns(dst []float32, t *simd.Tier, src []float32, rows, n, ld, k, kc, w int) {
	panels, rest := n/w, n%w
	switch {
	case panels == 0:
	case w == t.NR:
		t.PackColumnsNR(dst[k*w:], src, rows, panels, ld, w*kc)
	default:
		t.PackColumnsMR(dst[k*w:], src, rows, panels, ld, w*kc)
	}
	if rest == 0 {
		return
	}
	for r := range rows {
		row := dst[panels*w*kc+(k+r)*w:][:w]
		clear(row[copy(row, src[r*ld+panels*w:][:rest]):])
	}
}
