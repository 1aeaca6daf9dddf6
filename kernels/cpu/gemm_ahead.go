package cpu

import "graft/kernels/cpu/simd"

// While the micro-kernel multiplies by one block of B, it asks the second cache for
// the next one, so that packing does not wait for memory. What it asks for changes
// no result.

// stripBytes is how much of a row the micro-kernel asks for before it goes on to the
// next one.
const stripBytes = simd.AheadLines * 64

// ahead is rows of memory that will be needed soon, in strips of stripBytes: all rows
// of the first strip, then all of the next.
type ahead struct {
	addr   int // of the first row
	ld     int // bytes from row to row
	rows   int
	strips int
	taken  int // pieces of stripBytes
	each   int // pieces that a call of the micro-kernel takes
	wait   int // calls that take nothing, so that what is fetched is not driven out again
	rest   int // an address that costs nothing
}

// upcoming is what follows the block of task t at k0: the next block of k, or the first
// one of the task that this goroutine is likely to take next.
func (x *gemm) upcoming(t, k0 int) (f ahead) {
	if k0 += x.kc; k0 >= x.k {
		k0, t = 0, t+x.threads
	}
	if t >= x.mt*x.nt*x.batch.count {
		return f
	}
	batch, j0 := t/(x.mt*x.nt), t%(x.mt*x.nt)/x.mt*x.tn
	kc, n := min(x.kc, x.k-k0), min(x.tn, x.n-j0)
	if x.gemmShape.packB {
		nr := x.mk.NR
		size := blocks(n, nr) * nr * kc * 4
		at := k0*(blocks(x.n, nr)*nr) + j0*kc
		return ahead{addr: address(x.pb) + 4*at, ld: stripBytes, rows: blocks(size, stripBytes), strips: 1}
	}
	size := x.p.b.dt.Size()
	k, to := x.elements(k0), x.elements(k0+kc)
	rows, columns, at := to-k, n, k*x.ldb+j0
	if x.p.transB {
		rows, columns, at = n, to-k, j0*x.ldb+k
	}
	at += x.batch.offset(1, batch)
	return ahead{addr: address(x.b.b) + at*size, ld: x.ldb * size, rows: rows, strips: blocks(columns*size, stripBytes)}
}

// spread prepares for so many calls of the micro-kernel with a number of panels, of
// which the last ones take all there is.
func (f *ahead) spread(calls, panels, kc int, panel []float32) {
	f.each, f.rest = panels*(kc/4)/simd.AheadLines, address(panel)
	if f.each > 0 {
		f.wait = max(0, calls-blocks(f.rows*f.strips, f.each)-2)
	}
}

// take is what the next call asks for.
func (f *ahead) take() (addr, skip int) {
	if f.wait > 0 || f.taken >= f.rows*f.strips {
		f.wait--
		return f.rest, -stripBytes
	}
	at := f.addr + f.taken/f.rows*stripBytes + f.taken%f.rows*f.ld
	f.taken += f.each
	return at, f.ld - stripBytes
}
