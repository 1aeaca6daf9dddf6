package cpu

import "graft/kernels"

// Both activations are x sigmoid(w): w = x for SiLU, and for GELU, since
// (1 + tanh u) / 2 = sigmoid(2 u), w = 2 sqrt(2/pi) (x + 0.044715 x^3). The
// derivative is s + x s (1 - s) w'.
const (
	geluSlope = 2 * 0.7978845608028654
	geluCube  = 0.044715
)

// gluRow is y = act(gate) * up.
func gluRow(y, gate, up []float32, a kernels.Activation) {
	y, up = y[:len(gate)], up[:len(gate)]
	for k, g := range gate {
		x := float64(g)
		w := x
		if a == kernels.GELUTanh {
			w = geluSlope * x * (1 + geluCube*x*x)
		}
		e := 0.0
		if w > -700 && w < 700 {
			e = expCore(-w)
		} else {
			e = exp(-w)
		}
		y[k] = float32(x / (1 + e) * float64(up[k]))
	}
}

// gluBwdRow is dgate = dy * up * act'(gate), dup = dy * act(gate). The outputs
// may be the inputs.
func gluBwdRow(dgate, dup, gate, up, dy []float32, a kernels.Activation) {
	dgate, dup, up, dy = dgate[:len(gate)], dup[:len(gate)], up[:len(gate)], dy[:len(gate)]
	for k, g := range gate {
		x := float64(g)
		w, slope := x, 1.0
		if a == kernels.GELUTanh {
			w = geluSlope * x * (1 + geluCube*x*x)
			slope = geluSlope * (1 + 3*geluCube*x*x)
		}
		e := 0.0
		if w > -700 && w < 700 {
			e = expCore(-w)
		} else {
			e = exp(-w)
		}
		s := 1 / (1 + e)
		d, u := float64(dy[k]), float64(up[k])
		dgate[k] = float32(d * u * (s + x*(s*(1-s))*slope))
		dup[k] = float32(d * x * s)
	}
}

func lowerGLU(b *builder, in kernels.Instr, d kernels.Dims) {
	gate, up, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0])
	n, f := d.Get('N'), d.Get('F')
	per := rowsPerTask(4 * f)
	act := in.Attr.Act
	b.add(step{
		kernel: "glu", reads: []operand{gate, up}, writes: []operand{y}, tasks: blocks(n, per), local: 3 * f,
		bind: func(m *memory) task {
			ga, ua, ya := m.array(gate), m.array(up), m.array(y)
			return func(t int, local []float32) {
				b1, b2, b3 := carve(&local, f), carve(&local, f), carve(&local, f)
				for i := t * per; i < min((t+1)*per, n); i++ {
					g, u := ga.load(i*gate.stride[0], f, b1), ua.load(i*up.stride[0], f, b2)
					dst := ya.dst(i*y.stride[0], f, b3)
					gluRow(dst, g, u, act)
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
	act := in.Attr.Act
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
					gluBwdRow(dg, du, g, u, e, act)
					dga.store(i*dgate.stride[0], dg)
					dua.store(i*dup.stride[0], du)
				}
			}
		},
	})
}
