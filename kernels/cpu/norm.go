package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
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
	eps, plusOne, tier := in.Attr.Eps, in.Attr.PlusOne, b.tier
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
						tier.Add(a, row, resA.load(i*c, c, buf))
						row = a
					}
					rs := float32(1 / math.Sqrt(float64(tier.SumSq(row))/float64(c)+eps))
					ra[i] = rs
					if hasRes {
						sumA.store(i*c, row)
					}
					dst := ya.dst(i*c, c, buf)
					tier.NormRow(dst, row, wf, rs)
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
	s := step{
		kernel: "rms_norm_bwd", reads: []operand{x, w, rstd, dy}, writes: []operand{dx}, tasks: parts, local: 4 * c,
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
		r := normBwd{tier: b.tier, x: m.array(x), w: m.array(w), dy: m.array(dy), dx: m.array(dx), rstd: m.array(rstd).f,
			n: n, c: c, per: per, plusOne: in.Attr.PlusOne}
		if hasSum {
			r.dsum = m.array(dsum)
		}
		if hasDW {
			r.part = m.array(part).f
		}
		return r.rows
	}
	b.add(s)
	if hasDW {
		b.sumParts("rms_norm_bwd_dw", part, dw, in.Attr.Beta)
	}
}

// normBwd is the gradient of RMSNorm bound to memory.
type normBwd struct {
	tier               *simd.Tier
	x, w, dy, dx, dsum *array    // (N, C), w (C); dsum may be nil
	rstd, part         []float32 // (N), (parts, C) or nil
	n, c, per          int
	plusOne            bool
}

// rows is the task of block t of the rows.
func (r *normBwd) rows(t int, local []float32) {
	c := r.c
	wf, xb, gb, g := carve(&local, c), carve(&local, c), carve(&local, c), carve(&local, c)
	normWeight(wf, r.w, r.plusOne)
	var dw []float32
	if r.part != nil {
		dw = r.part[t*c : (t+1)*c]
		clear(dw)
	}
	for i := t * r.per; i < min((t+1)*r.per, r.n); i++ {
		x, dy := r.x.load(i*c, c, xb), r.dy.load(i*c, c, gb)
		rs := r.rstd[i]
		var mean float64
		if dw != nil {
			mean = float64(r.tier.MulAxpyDot(dw, dy, x, wf, rs)) / float64(c)
		} else {
			mean = float64(r.tier.Dot3(dy, x, wf)) / float64(c)
		}
		// dx may be dy, or dsum, which is read before it is written.
		dst := r.dx.dst(i*c, c, g)
		if r.dsum != nil {
			dst = g
		}
		r.tier.NormBwd(dst, x, dy, wf, rs, -float32(float64(rs)*float64(rs)*float64(rs)*mean))
		if r.dsum != nil {
			dst = r.dx.dst(i*c, c, g)
			r.tier.Add(dst, g, r.dsum.load(i*c, c, gb))
		}
		r.dx.store(i*c, dst)
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
	tier := b.tier
	b.add(step{
		kernel: name, reads: reads, writes: []operand{y}, tasks: blocks(n, width), local: width,
		bind: func(m *memory) task {
			pf, yf := m.array(part).f, m.array(y).f
			return func(t int, local []float32) {
				lo := t * width
				acc := local[:min(width, n-lo)]
				clear(acc)
				for p := range parts {
					tier.Add(acc, acc, pf[p*n+lo:p*n+lo+len(acc)])
				}
				y := yf[lo : lo+len(acc)]
				if beta != 0 {
					tier.Axpy(acc, y, beta)
				}
				copy(y, acc)
			}
		},
	})
}
