package cpu

import "graft/kernels"

// lowerRoPE computes the angles of a token once for all its heads.
func lowerRoPE(b *builder, in kernels.Instr, d kernels.Dims) {
	x, pos, freqs, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0])
	n, h, hd, r := d.Get('N'), d.Get('H'), d.Get('D'), d.Get('R')
	per := rowsPerTask(h * hd)
	scale, sign := in.Attr.Scale, float64(in.Attr.Sign)
	b.add(step{
		kernel: "rope", reads: []operand{x, pos, freqs}, writes: []operand{y},
		tasks: blocks(n, per), local: 2*r + 2*h*hd,
		bind: func(m *memory) task {
			xa, pf, ff, ya := m.array(x), m.array(pos).i, m.array(freqs).f, m.array(y)
			return func(t int, local []float32) {
				cos, sin := carve(&local, r), carve(&local, r)
				in, out := carve(&local, h*hd), carve(&local, h*hd)
				for i := t * per; i < min((t+1)*per, n); i++ {
					b.tier.Angles(sin, cos, ff[:r], sign*float64(pf[i]), scale)
					src := xa.load(i*x.stride[0], h*hd, in)
					dst := ya.dst(i*y.stride[0], h*hd, out)
					b.tier.Rotate(dst, src, cos, sin, h, hd)
					if 2*r < hd {
						for k := 0; k < h*hd; k += hd {
							copy(dst[k+2*r:k+hd], src[k+2*r:k+hd])
						}
					}
					ya.store(i*y.stride[0], dst)
				}
			}
		},
	})
}
