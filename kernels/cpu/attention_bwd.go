package cpu

import "graft/kernels"

// lowerAttentionBwd gives each task a key head of a sequence, so that dk and
// dv have one owner and their order of summation is fixed.
func lowerAttentionBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	q, k, v := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2])
	o, lse, do := b.view(in.In[4]), b.view(in.In[5]), b.view(in.In[6])
	dq, dk, dv := b.view(in.Out[0]), b.view(in.Out[1]), b.view(in.Out[2])
	reads, vis := b.visibility(in, d)
	nb, nt, ns, nh, nk, hd := d.Get('B'), d.Get('T'), d.Get('S'), d.Get('H'), d.Get('K'), d.Get('D')
	b.add(step{
		kernel: "attention_bwd", reads: append(reads, q, k, v, o, lse, do), writes: []operand{dq, dk, dv},
		tasks: nb * nk, local: 4*ns*hd + 4*hd + 2*ns,
		bind: func(m *memory) task {
			x := attentionBwd{
				attention: attention{q: m.array(q), k: m.array(k), v: m.array(v), o: m.array(o), lse: m.array(lse).f, vis: vis(m),
					heads: nh, kv: nk, nt: nt, hd: hd, scale: in.Attr.Scale, softCap: in.Attr.SoftCap},
				do: m.array(do), dq: m.array(dq), dk: m.array(dk), dv: m.array(dv), ns: ns,
			}
			return func(t int, local []float32) { x.head(t/nk, t%nk, local) }
		},
	})
}

type attentionBwd struct {
	attention
	do, dq, dk, dv *array
	ns             int
}

// head computes everything of key head kh in sequence b.
func (x *attentionBwd) head(b, kh int, local []float32) {
	hd, ns := x.hd, x.ns
	kt, vt := carve(&local, ns*hd), carve(&local, ns*hd)
	dkt, dvt := carve(&local, ns*hd), carve(&local, ns*hd)
	widen(kt, x.k, b, 0, ns, kh, hd)
	widen(vt, x.v, b, 0, ns, kh, hd)
	clear(dkt)
	clear(dvt)
	group := x.heads / x.kv
	for h := kh * group; h < (kh+1)*group; h++ {
		for t := range x.nt {
			lo, hi := x.vis.span(b, t)
			x.query(b, h, t, lo, hi, kt, vt, dkt, dvt, local)
		}
	}
	for j := range ns {
		x.dk.store(b*x.dk.stride[0]+j*x.dk.stride[1]+kh*hd, dkt[j*hd:(j+1)*hd])
		x.dv.store(b*x.dv.stride[0]+j*x.dv.stride[1]+kh*hd, dvt[j*hd:(j+1)*hd])
	}
}

// query adds one query's part to dk and dv and stores its dq.
func (x *attentionBwd) query(b, h, t, lo, hi int, k, v, dk, dv, local []float32) {
	hd := x.hd
	qb, gb, ob, dq := carve(&local, hd), carve(&local, hd), carve(&local, hd), carve(&local, hd)
	p, dp := carve(&local, x.ns), carve(&local, x.ns)
	clear(dq)
	if lo < hi {
		q := x.q.load(b*x.q.stride[0]+t*x.q.stride[1]+h*hd, hd, qb)
		g := x.do.load(b*x.do.stride[0]+t*x.do.stride[1]+h*hd, hd, gb)
		o := x.o.load(b*x.o.stride[0]+t*x.o.stride[1]+h*hd, hd, ob)
		delta := dot64(g, o)
		lse := float64(x.lse[(b*x.heads+h)*x.nt+t])
		p, dp = p[:hi-lo], dp[:hi-lo]
		dots(p, q, k[lo*hd:hi*hd])
		dots(dp, g, v[lo*hd:hi*hd])
		for j, s := range p {
			z, dc := capped(s*x.scale, x.softCap)
			e := exp(float64(z) - lse)
			ds := float32(e*(float64(dp[j])-delta)) * dc * x.scale
			at := (lo + j) * hd
			axpy(dv[at:at+hd], float32(e), g)
			axpy(dk[at:at+hd], ds, q)
			axpy(dq, ds, k[at:at+hd])
		}
	}
	x.dq.store(b*x.dq.stride[0]+t*x.dq.stride[1]+h*hd, dq)
}
