package cpu

import "graft/kernels"

func lowerGLU(b *builder, in kernels.Instr, d kernels.Dims) {
	gate, up, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0])
	n, f := d.Get('N'), d.Get('F')
	per := rowsPerTask(4 * f)
	act := b.tier.SiLU
	if in.Attr.Act == kernels.GELUTanh {
		act = b.tier.GELU
	}
	b.add(step{
		kernel: "glu", reads: []operand{gate, up}, writes: []operand{y}, tasks: blocks(n, per), local: 3 * f,
		bind: func(m *memory) task {
			ga, ua, ya := m.array(gate), m.array(up), m.array(y)
			return func(t int, local []float32) {
				b1, b2, b3 := carve(&local, f), carve(&local, f), carve(&local, f)
				for i := t * per; i < min((t+1)*per, n); i++ {
					g, u := ga.load(i*gate.stride[0], f, b1), ua.load(i*up.stride[0], f, b2)
					dst := ya.dst(i*y.stride[0], f, b3)
					act(dst, g, u)
					ya.store(i*y.stride[0], dst)
				}
			}
		},
	})
}

func lowerGLUBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	gate, up, dy := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2])
	dgate, dup := b.view(in.Out[0]), b.view(in.Out[1])
	n, f := d.Get('N'), d.Get('F')
	per := rowsPerTask(4 * f)
	act := b.tier.SiLUBwd
	if in.Attr.Act == kernels.GELUTanh {
		act = b.tier.GELUBwd
	}
	b.add(step{
		kernel: "glu_bwd", reads: []operand{gate, up, dy}, writes: []operand{dgate, dup}, tasks: blocks(n, per), local: 5 * f,
		bind: func(m *memory) task {
			ga, ua, dya, dga, dua := m.array(gate), m.array(up), m.array(dy), m.array(dgate), m.array(dup)
			return func(t int, local []float32) {
				b1, b2, b3, b4, b5 := carve(&local, f), carve(&local, f), carve(&local, f), carve(&local, f), carve(&local, f)
				for i := t * per; i < min((t+1)*per, n); i++ {
					g, u := ga.load(i*gate.stride[0], f, b1), ua.load(i*up.stride[0], f, b2)
					e := dya.load(i*dy.stride[0], f, b3)
					dg, du := dga.dst(i*dgate.stride[0], f, b4), dua.dst(i*dup.stride[0], f, b5)
					act(dg, du, g, u, e)
					dga.store(i*dgate.stride[0], dg)
					dua.store(i*dup.stride[0], du)
				}
			}
		},
	})
}
