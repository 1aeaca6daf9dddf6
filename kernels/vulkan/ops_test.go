package vulkan

import (
	"math"
	"slices"
	"testing"

	"graft/kernels"
)

func TestRMSNorm(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		name     string
		n, c     int
		act, w   kernels.DType
		residual bool
		plusOne  bool
		inPlace  bool
		eps      float64
	}{
		{name: "one element", n: 1, c: 1, eps: 1e-5},
		{name: "below a workgroup", n: 3, c: 127, eps: 1e-5},
		{name: "above a workgroup", n: 3, c: 129, eps: 1e-5},
		{name: "plus one", n: 5, c: 64, plusOne: true, eps: 1e-6},
		{name: "residual", n: 4, c: 300, residual: true, eps: 1e-5},
		{name: "residual in place", n: 4, c: 300, residual: true, inPlace: true, eps: 1e-5},
		{name: "in place", n: 4, c: 65, inPlace: true, eps: 1e-5},
		{name: "bf16 residual in place", n: 4, c: 130, act: kernels.BF16, w: kernels.BF16, residual: true, inPlace: true, eps: 1e-5},
		{name: "f16 on f32 weight", n: 4, c: 130, act: kernels.F16, eps: 1e-5},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, b)
			vx, vw, vr := values(1, c.n*c.c), values(2, c.c), values(3, c.n*c.c)
			zero := make([]float64, c.n*c.c)
			x, w := r.slot("x", c.act, vx, c.n, c.c), r.slot("w", c.w, vw, c.c)
			attr := kernels.Attr{Eps: c.eps, PlusOne: c.plusOne}
			in := []kernels.View{x, w}
			y, sum := x, x
			if !c.inPlace {
				y = r.slot("y", c.act, zero, c.n, c.c)
			}
			rstd := r.slot("rstd", kernels.F32, make([]float64, c.n), c.n)
			outs := []kernels.View{y, rstd}
			if c.residual {
				attr.Opt = kernels.WithResidual
				res := r.slot("residual", c.act, vr, c.n, c.c)
				in = append(in, res)
				if sum = res; !c.inPlace {
					sum = r.slot("sum", c.act, slices.Clone(zero), c.n, c.c)
				}
				outs = append(outs, sum)
			}
			r.emit(kernels.RMSNorm, attr, outs, in...)
			r.run(1)

			wantY, wantR, wantS := make([]float64, c.n*c.c), make([]float64, c.n), make([]float64, c.n*c.c)
			for n := range c.n {
				ms := 0.0
				for i := range c.c {
					s := vx[n*c.c+i]
					if c.residual {
						s += vr[n*c.c+i]
					}
					wantS[n*c.c+i] = s
					ms += s * s / float64(c.c)
				}
				wantR[n] = 1 / math.Sqrt(ms+c.eps)
				for i := range c.c {
					f := vw[i]
					if c.plusOne {
						f++
					}
					wantY[n*c.c+i] = wantS[n*c.c+i] * wantR[n] * f
				}
			}
			abs := func(v []float64) []float64 {
				out := make([]float64, len(v))
				for i := range v {
					out[i] = math.Abs(v[i])
				}
				return out
			}
			k := 4 * math.Sqrt(float64(c.c))
			scaleY := abs(wantY)
			for i := range scaleY { // terms: x, residual and 1 + w may cancel
				f := math.Abs(vw[i%c.c])
				if c.plusOne {
					f++
				}
				s := math.Abs(vx[i])
				if c.residual {
					s += math.Abs(vr[i])
				}
				scaleY[i] = s * f * wantR[i/c.c]
			}
			near(t, "rstd", kernels.F32, r.read(rstd), wantR, abs(wantR), k)
			near(t, "y", c.act, r.read(y), wantY, scaleY, k)
			if c.residual {
				near(t, "sum", c.act, r.read(sum), wantS, scaleY, 8)
			}
		})
	}
}

// TestRMSNormOfTheExactSum holds rstd and y to the sum before it is rounded for storage:
// a thousand added to a small number loses it in bf16.
func TestRMSNormOfTheExactSum(t *testing.T) {
	r := newRig(t, open(t))
	vx, vr := []float64{1000, -1000}, []float64{1, 1}
	x, w := r.slot("x", kernels.BF16, vx, 1, 2), r.slot("w", kernels.F32, []float64{1, 1}, 2)
	res := r.slot("residual", kernels.BF16, vr, 1, 2)
	y := r.slot("y", kernels.BF16, []float64{0, 0}, 1, 2)
	rstd := r.slot("rstd", kernels.F32, []float64{0}, 1)
	r.emit(kernels.RMSNorm, kernels.Attr{Opt: kernels.WithResidual}, []kernels.View{y, rstd, res}, x, w, res)
	r.run(1)
	want := 1 / math.Sqrt((1001.*1001+999*999)/2)
	near(t, "rstd", kernels.F32, r.read(rstd), []float64{want}, []float64{want}, 4)
}

// update builds the program of an optimizer step: norm, Advance and AdamW.
type update struct {
	*rig
	grad, w, m, v, stored, state, hyper, loss, sumsq kernels.View
	attr                                             kernels.Attr
}

func newUpdate(t testing.TB, b *Backend, n int, store kernels.DType) *update {
	u := &update{rig: newRig(t, b)}
	u.attr = kernels.Attr{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1}
	u.grad = u.slot("grad", kernels.F32, values(1, n), n)
	u.w = u.slot("w", kernels.F32, values(2, n), n)
	u.m = u.slot("m", kernels.F32, make([]float64, n), n)
	u.v = u.slot("v", kernels.F32, make([]float64, n), n)
	u.stored = u.slot("store", store, make([]float64, n), n)
	u.state = u.slot("state", kernels.F32, make([]float64, kernels.StateLen), kernels.StateLen)
	u.hyper = u.add("hyper", kernels.F32, kernels.Input, kernels.HyperLen)
	u.loss = u.add("loss", kernels.F32, kernels.Input, 1)
	u.sumsq = u.add("sumsq", kernels.F32, kernels.Temp, 1)
	u.emit(kernels.SumSq, kernels.Attr{}, []kernels.View{u.sumsq}, u.grad)
	u.emit(kernels.Advance, kernels.Attr{Beta1: 0.9, Beta2: 0.95}, []kernels.View{u.state}, u.loss, u.sumsq, u.hyper)
	a := u.attr
	a.Opt = kernels.WithStore
	u.emit(kernels.AdamW, a, []kernels.View{u.w, u.m, u.v, u.stored}, u.grad, u.hyper, u.state)
	return u
}

// set writes the inputs of a step.
func (u *update) set(ex kernels.Exec, lr, maxNorm, loss float32) {
	h := ex.Input(u.hyper.Slot)
	put(kernels.F32, h[4*kernels.HyperLR:], lr)
	put(kernels.F32, h[4*kernels.HyperMaxNorm:], maxNorm)
	put(kernels.F32, ex.Input(u.loss.Slot), loss)
}
