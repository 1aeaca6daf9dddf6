package cpu

// smallM is the most rows of c for which packing B costs more than it saves:
// generation multiplies one token, or a few, by every weight.
const smallM = 4

// smallProduct adds a step that streams b once and packs only a.
func (b *builder) smallProduct(s step, p product, g gemmShape) {
	width := max(8, min(g.n, blocks(2*grain, g.k)))
	nt := blocks(g.n, width)
	s.kernel += "_small"
	s.tasks = nt * g.batch.count
	s.local = g.m*g.k + g.m*width + max(g.k, width)
	s.bind = func(m *memory) task {
		x := bindGemm(m, p, g, b.tier)
		return func(t int, local []float32) {
			batch, j0 := t/nt, t%nt*width
			n := min(width, g.n-j0)
			a := carve(&local, g.m*g.k)
			w := carve(&local, g.m*width)
			x.rowsOfA(a, batch)
			if !x.begin(w, width, batch, 0, j0, g.m, n, local) {
				clear(w)
			}
			bo := x.batch.offset(1, batch)
			if p.transB {
				for j := range n {
					row := x.b.load(bo+(j0+j)*x.ldb, g.k, local)
					for i := range g.m {
						w[i*width+j] += dot(a[i*g.k:(i+1)*g.k], row)
					}
				}
			} else {
				for k := range g.k {
					row := x.b.load(bo+k*x.ldb+j0, n, local)
					for i := range g.m {
						axpy(w[i*width:i*width+n], a[i*g.k+k], row)
					}
				}
			}
			co := x.batch.offset(2, batch) + j0
			for i := range g.m {
				x.c.store(co+i*x.ldc, w[i*width:i*width+n])
			}
		}
	}
	b.add(s)
}

// rowsOfA sets dst to alpha op(a), row by row.
func (x *gemm) rowsOfA(dst []float32, batch int) {
	ao := x.batch.offset(0, batch)
	for i := range x.m {
		row := dst[i*x.k : (i+1)*x.k]
		rs, cs := x.lda, 1
		if x.p.transA {
			rs, cs = 1, x.lda
		}
		copy(row, x.a.gather(ao+i*rs, x.k, cs, row))
		if x.p.alpha != 1 {
			for k := range row {
				row[k] *= x.p.alpha
			}
		}
	}
}

// dot is sum x y in eight lanes.
func dot(x, y []float32) float32 {
	var a, b, c, d, e, f, g, h float32
	y = y[:len(x)]
	for len(x) >= 8 && len(y) >= 8 {
		a += x[0] * y[0]
		b += x[1] * y[1]
		c += x[2] * y[2]
		d += x[3] * y[3]
		e += x[4] * y[4]
		f += x[5] * y[5]
		g += x[6] * y[6]
		h += x[7] * y[7]
		x, y = x[8:], y[8:]
	}
	for i, v := range x {
		a += v * y[i]
	}
	return ((a + b) + (c + d)) + ((e + f) + (g + h))
}

// axpy is y += a x.
func axpy(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += a * v
	}
}
