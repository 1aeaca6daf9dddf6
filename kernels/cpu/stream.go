package cpu

import "graft/kernels"

// dots sets out[4 i + j] to the product of row i of x with row j of four rows
// of a. The rows are k long, those of x ldx apart, those of a ld, from off on.
// x has one row or as many as the tier's DotRows; buf holds four of a.
func (a *array) dots(out, x []float32, ldx, rows, off, ld, k int, buf []float32) {
	wide := a.f
	switch {
	case a.dt == kernels.BF16 && rows == 1:
		a.tier.DotsBF16(out, x, ldx, a.h[off:], ld, k)
		return
	case a.dt == kernels.BF16:
		a.tier.TileDotsBF16(out, x, ldx, a.h[off:], ld, k)
		return
	case a.dt == kernels.F16:
		wide = buf
		for r := range 4 {
			a.load(off+r*ld, k, wide[r*k:])
		}
		off, ld = 0, k
	}
	if rows == 1 {
		a.tier.Dots(out, x, ldx, wide[off:], ld, k)
	} else {
		a.tier.TileDots(out, x, ldx, wide[off:], ld, k)
	}
}

// products sets out[i*ldo+j] to the product of row i of x with row j of a, for
// m rows of x and n of a. Four rows of a are read at once, a quarter of n
// apart: the processor fetches four long streams ahead, faster than it does
// one. buf holds four rows of a and 4 DotRows besides.
func (a *array) products(out []float32, ldo int, x []float32, ldx, m, off, ld, n, k int, buf []float32) {
	some := carve(&buf, 4*a.tier.DotRows)
	q := n / 4
	for j := range q {
		for i := 0; i < m; {
			rows := 1
			switch tile, left := a.tier.DotRows, m-i; {
			case left >= tile:
				rows = tile
			case 2*left > tile && m >= tile: // some rows again, to the same bits
				i, rows = m-tile, tile
			}
			a.dots(some, x[i*ldx:], ldx, rows, off+j*ld, q*ld, k, buf)
			for r, sum := range some[:4*rows] {
				out[(i+r/4)*ldo+j+r%4*q] = sum
			}
			i += rows
		}
	}
	for j := 4 * q; j < n; j++ {
		row := a.load(off+j*ld, k, buf)
		for i := range m {
			out[i*ldo+j] = a.tier.Dot(x[i*ldx:i*ldx+k], row)
		}
	}
}

// axpys adds to y the rows of a, from off on and ld apart, each times its
// factor in f. buf holds a row.
func (a *array) axpys(y, f []float32, off, ld int, buf []float32) {
	for ; len(f) >= 8 && a.dt != kernels.F16; f = f[8:] {
		if a.dt == kernels.BF16 {
			a.tier.AxpysBF16(y, f, a.h[off:], ld)
		} else {
			a.tier.Axpys(y, f, a.f[off:], ld)
		}
		off += 8 * ld
	}
	for _, v := range f {
		a.tier.Axpy(y, a.load(off, len(y), buf), v)
		off += ld
	}
}
