package cpu

import (
	"math"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

var negInf = float32(math.Inf(-1))

// scores sets z to cap(scale x) and returns the largest, NaN if any is. z may
// be x.
func scores(t *simd.Tier, z, x []float32, scale, softCap float32) float32 {
	if softCap == 0 {
		return t.Scores(z, x, scale)
	}
	return t.CapScores(z, x, scale/softCap, softCap)
}

// scored returns s and a such that a s are the scores cap(scale x), and the largest
// of these, NaN if any is. s is x or, where that does not do, z, which may be x.
func scored(t *simd.Tier, z, x []float32, scale, softCap float32) (s []float32, a, largest float32) {
	if softCap == 0 && scale > 0 {
		return x, scale, scale * t.MaxOf(x)
	}
	return z, 1, scores(t, z, x, scale, softCap)
}

func lowerSoftmax(b *builder, in kernels.Instr, d kernels.Dims) {
	x, p, lse := b.view(in.In[0]), b.view(in.Out[0]), b.view(in.Out[1])
	reads, vis := b.visibility(in, d)
	h, tt, s := d.Get('H'), d.Get('T'), d.Get('S')
	n := d.Get('B') * h * tt
	per := rowsPerTask(4 * s)
	scale, softCap, tier := in.Attr.Scale, in.Attr.SoftCap, b.tier
	b.add(step{
		kernel: "softmax", reads: append(reads, x), writes: []operand{p, lse}, tasks: blocks(n, per), local: 2 * s,
		bind: func(m *memory) task {
			xa, pa, la, v := m.array(x), m.array(p), m.array(lse).f, vis(m)
			return func(t int, local []float32) {
				for i := t * per; i < min((t+1)*per, n); i++ {
					lo, hi := v.span(i/(h*tt), i%tt)
					row := xa.load(i*s, s, local)
					z := pa.dst(i*s, s, local[s:])
					la[i] = softmaxRow(tier, z, row, lo, hi, scale, softCap)
					pa.store(i*s, z)
				}
			}
		},
	})
}

// softmaxRow sets p to the softmax of cap(scale x) over [lo, hi), else 0, and
// returns log sum exp. p may be x.
func softmaxRow(t *simd.Tier, p, x []float32, lo, hi int, scale, softCap float32) float32 {
	if hi <= lo {
		clear(p)
		return negInf
	}
	z := p[lo:hi]
	s, a, largest := scored(t, z, x[lo:hi], scale, softCap)
	// Where the largest is infinite, log sum exp is that infinity, z becomes
	// the shares (NaN for itself, 0 for what is finite), and the sum says
	// nothing.
	sum := t.ExpSum(z, s, a, largest)
	clear(p[:lo])
	clear(p[hi:])
	if math.IsInf(float64(largest), 0) {
		return largest
	}
	t.Scale(z, z, 1/sum)
	return float32(float64(largest) + math.Log(float64(sum)))
}

func lowerSoftmaxBwd(b *builder, in kernels.Instr, d kernels.Dims) {
	x, p, dp, dx := b.view(in.In[0]), b.view(in.In[1]), b.view(in.In[2]), b.view(in.Out[0])
	s := d.Get('S')
	n := d.Get('B') * d.Get('H') * d.Get('T')
	per := rowsPerTask(4 * s)
	scale, softCap, tier := in.Attr.Scale, in.Attr.SoftCap, b.tier
	b.add(step{
		kernel: "softmax_bwd", reads: []operand{x, p, dp}, writes: []operand{dx}, tasks: blocks(n, per), local: 4 * s,
		bind: func(m *memory) task {
			xa, pa, dpa, dxa := m.array(x), m.array(p), m.array(dp), m.array(dx)
			return func(t int, local []float32) {
				b1, b2, b3, b4 := carve(&local, s), carve(&local, s), carve(&local, s), carve(&local, s)
				for i := t * per; i < min((t+1)*per, n); i++ {
					xr, pr, g := xa.load(i*s, s, b1), pa.load(i*s, s, b2), dpa.load(i*s, s, b3)
					dst := dxa.dst(i*s, s, b4)
					tier.SoftmaxGrad(dst, pr, g, scale, tier.Dot(pr, g))
					if softCap != 0 {
						tier.CapSlope(dst, xr, scale/softCap)
					}
					dxa.store(i*s, dst)
				}
			}
		},
	})
}
