package cpu

import (
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// In a tier that has Pairs, products of two BF16 matrices are made of pairs: a
// word of a packed panel is elements k and k+1 (simd.Halves), with zero behind
// an odd k. The driver is that of F32 and counts words in the place of elements
// of k. Nothing is rounded in packing, so that alpha is applied to the sums.

// inPairs reports whether a product is made of pairs. Few rows are not worth
// packing: they are streamed, as F32.
func (p *product) inPairs(t *simd.Tier) bool {
	m, _, _ := p.dims()
	return t.Pairs != nil && p.a.dt == kernels.BF16 && p.b.dt == kernels.BF16 && m > smallM(t, p.transB)
}

// elements is how many elements of k lie in the first words.
func (g *gemmShape) elements(words int) int {
	if !g.pairs {
		return words
	}
	return min(2*words, g.depth)
}

// packPairRows packs n rows of size contiguous elements each, ld apart. buf holds
// eight columns of w words.
func packPairRows(dst []float32, x *array, off, ld, n, size, w int, buf []float32) {
	kc := blocks(size, 2)
	most := len(buf) / w // words of a row that are copied at once
	if most >= 16 {
		most = most / 16 * 16
	}
	words := array{tier: x.tier, dt: kernels.F32, f: buf}
	for i := 0; i < n; i += w {
		panel, rows := dst[i*kc:(i+w)*kc], min(w, n-i)
		for k := 0; k < kc; k += most {
			m := min(most, kc-k)
			for r := range rows {
				h, row := simd.Halves(buf[r*m:][:m]), x.h[off+(i+r)*ld:][:size]
				clear(h[copy(h, row[2*k:]):])
			}
			packRows(panel[k*w:][:m*w], &words, 0, m, rows, m, w, 1, nil)
		}
	}
}

// packPairColumns packs n columns out of size rows, ld apart. buf holds a row of
// words; with eight it is faster.
func packPairColumns(dst []float32, x *array, off, ld, n, size, w int, buf []float32) {
	t, kc := x.tier, blocks(size, 2)
	most := max(1, min(8, len(buf)/max(1, n)))
	for k := 0; k < kc; k += most {
		rows := min(most, kc-k)
		for r := range rows {
			words, row := buf[r*n:][:n], off+2*(k+r)*ld
			if 2*(k+r)+1 < size {
				t.PairBF16(words, x.h[row:][:n], x.h[row+ld:][:n])
				continue
			}
			h := simd.Halves(words)
			for j, v := range x.h[row:][:n] {
				h[2*j], h[2*j+1] = v, 0
			}
		}
		putColumns(dst, t, buf[:rows*n], rows, n, n, k, kc, w)
	}
}

// multiplyScaled is multiply for an alpha that is not packed: it adds alpha
// times the product.
func (x *gemm) multiplyScaled(w []float32, ldw int, a, bp []float32, m, n, kc int, acc bool, edge []float32) {
	nr := x.mk.NR
	for j := 0; j < n; j += nr {
		x.mk.Gemm(kc, 1, a, bp[j*kc:], edge, nr, false, address(bp), -stripBytes)
		for i := range m {
			row, sums := w[i*ldw+j:][:min(nr, n-j)], edge[i*nr:]
			if acc {
				x.mk.Axpy(row, sums, x.p.alpha)
			} else {
				x.mk.Scale(row, sums, x.p.alpha)
			}
		}
	}
}
