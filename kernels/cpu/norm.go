package cpu

import (
	"math"

	"graft/kernels"
)

// normWeight widens w, or gives 1 + w.
func normWeight(dst []float32, w *array, plusOne bool) {
	copy(dst, w.load(0, len(dst), dst))
	if plusOne {
		for i := range dst {
			dst[i]++
		}
	}
}

func lowerRMSNorm(b *builder, in kernels.Instr, d kernels.Dims) {
	x, w, y, rstd := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0]), b.view(in.Out[1])
	res, hasRes := b.in(in, "residual")
	sum, _ := b.out(in, "sum")
	n, c := d.Get('N'), d.Get('C')
	per := rowsPerTask(c)
	eps, plusOne := in.Attr.Eps, in.Attr.PlusOne
	s := step{
		kernel: "rms_norm", reads: []operand{x, w}, writes: []operand{y, rstd}, tasks: blocks(n, per), local: 3 * c,
		bind: func(m *memory) task {
			xa, wa, ya, ra := m.array(x), m.array(w), m.array(y), m.array(rstd).f
			var resA, sumA *array
			if hasRes {
				resA, sumA = m.array(res), m.array(sum)
			}
			return func(t int, local []float32) {
				wf, a, buf := carve(&local, c), carve(&local, c), carve(&local, c)
				normWeight(wf, wa, plusOne)
				for i := t * per; i < min((t+1)*per, n); i++ {
					row := xa.load(i*c, c, a)
					if hasRes {
						// The outputs may lie where the inputs do: the row is
						// added up aside.
						r := resA.load(i*c, c, buf)
						for k, v := range row {
							a[k] = v + r[k]
						}
						row = a
					}
					rs := 1 / math.Sqrt(dot64(row, row)/float64(c)+eps)
					ra[i] = float32(rs)
					if hasRes {
						sumA.store(i*c, row)
					}
					dst := ya.dst(i*c, c, buf)
					scale := float32(rs)
					for k, v := range row {
						dst[k] = v * scale * wf[k]
					}
					ya.store(i*c, dst)
				}
			}
		},
	}
	if hasRes {
		s.reads, s.writes = append(s.reads, res), append(s.writes, sum)
	}
	b.add(s)
}

// lowerRMSNormBwd gives dx row by row; dw is summed in blocks of rows, which
// a second step adds up in order.
func lowerRMSNormBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	x, w, rstd, dy := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.In[3])
	dsum, hasSum := b.in(in, "dsum")
	dx := b.view(in.Out[0])
	dw, hasDW := b.out(in, "dw")
	n, c := d.Get('N'), d.Get('C')
	per := max(rowsPerTask(c), blocks(n, 256)) // bounds the scratch by 256 rows
	parts := blocks(n, per)
	plusOne := in.Attr.PlusOne
	s := step{
		kernel: "rms_norm_bwd", reads: []operand{x, w, rstd, dy}, writes: []operand{dx}, tasks: parts, local: 5 * c,
	}
	var part operand
	if hasSum {
		s.reads = append(s.reads, dsum)
	}
	if hasDW {
		part = b.temp(parts, c)
		s.writes = append(s.writes, part)
	}
	s.bind = func(m *memory) task {
		xa, wa, ra, dya, dxa := m.array(x), m.array(w), m.array(rstd).f, m.array(dy), m.array(dx)
		var sumA *array
		var pf []float32
		if hasSum {
			sumA = m.array(dsum)
		}
		if hasDW {
			pf = m.array(part).f
		}
		return func(t int, local []float32) {
			wf, xb, gb, g, out := carve(&local, c), carve(&local, c), carve(&local, c), carve(&local, c), carve(&local, c)
			normWeight(wf, wa, plusOne)
			var dwp []float32
			if hasDW {
				dwp = pf[t*c : (t+1)*c]
				clear(dwp)
			}
			for i := t * per; i < min((t+1)*per, n); i++ {
				xr, dyr := xa.load(i*c, c, xb), dya.load(i*c, c, gb)
				rs := ra[i]
				for k := range dwp {
					dwp[k] += dyr[k] * xr[k] * rs
				}
				for k, v := range dyr {
					g[k] = v * wf[k]
				}
				mean := dot64(g, xr) / float64(c)
				f := float32(float64(rs) * mean)
				// dx may be dy or dsum: element k is read before it is written.
				dst := dxa.dst(i*c, c, out)
				if hasSum {
					sr := sumA.load(i*c, c, gb)
					for k, v := range xr {
						dst[k] = rs*(g[k]-v*rs*f) + sr[k]
					}
				} else {
					for k, v := range xr {
						dst[k] = rs * (g[k] - v*rs*f)
					}
				}
				dxa.store(i*c, dst)
			}
		}
	}
	b.add(s)
	if hasDW {
		b.sumParts("rms_norm_bwd_dw", part, dw, in.Attr.Beta)
	}
}

// sumParts adds the step y = sum over p of part[p] + beta y, in order of p.
func (b *builder) sumParts(name string, part, y operand, beta float32) {
	parts, n := part.dim(0), part.dim(1)
	reads := []operand{part}
	if beta != 0 {
		reads = append(reads, y)
	}
	const width = 256
	b.add(step{
		kernel: name, reads: reads, writes: []operand{y}, tasks: blocks(n, width), local: width,
		bind: func(m *memory) task {
			pf, yf := m.array(part).f, m.array(y).f
			return func(t int, local []float32) {
				lo := t * width
				acc := local[:min(width, n-lo)]
				clear(acc)
				for p := range parts {
					addTo(acc, pf[p*n+lo:p*n+lo+len(acc)])
				}
				for k, v := range acc {
					if beta != 0 {
						v += beta * yf[lo+k]
					}
					yf[lo+k] = v
				}
			}
		},
	})
}
