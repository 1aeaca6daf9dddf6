package vulkan

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"graft/kernels"
)

// matmulCase is a shape with what is added to the product.
type matmulCase struct {
	name           string
	batch          []int
	m, k, n        int
	transA, transB bool
	bias, residual bool
	inPlace        bool // c is the residual
	alpha, beta    float32
	types          [4]kernels.DType // a, b, c and residual, bias
}

func matmulCases() []matmulCase {
	f, h, e := kernels.F32, kernels.BF16, kernels.F16
	cases := []matmulCase{
		{name: "one element", m: 1, k: 1, n: 1, alpha: 1},
		{name: "one tile", m: 16, k: 16, n: 16, alpha: 1},
		{name: "below a tile", m: 15, k: 15, n: 15, alpha: 1},
		{name: "above a tile", m: 17, k: 17, n: 17, alpha: 1},
		{name: "primes", m: 37, k: 101, n: 53, alpha: 1},
		{name: "long sum", m: 3, k: 4099, n: 5, alpha: 1},
		{name: "everything", batch: []int{2, 3}, m: 19, k: 33, n: 21, bias: true, residual: true, alpha: 0.5, beta: 1},
		{name: "residual in place", m: 19, k: 33, n: 21, residual: true, inPlace: true, alpha: 2},
		{name: "beta half", m: 18, k: 5, n: 40, alpha: 1, beta: 0.5},
		{name: "bf16", m: 33, k: 70, n: 31, bias: true, alpha: 1, types: [4]kernels.DType{h, h, h, h}},
		{name: "f16", m: 33, k: 70, n: 31, bias: true, alpha: 1, types: [4]kernels.DType{e, e, e, e}},
		{name: "mixed", m: 20, k: 21, n: 22, bias: true, residual: true, alpha: 1, beta: 1, types: [4]kernels.DType{h, f, e, f}},
		{name: "five batch axes", batch: []int{2, 3, 2, 2, 2}, m: 4, k: 5, n: 6, alpha: 1},
	}
	for i := range 4 {
		cases = append(cases, matmulCase{name: fmt.Sprintf("transposed %02b", i), batch: []int{2}, m: 23, k: 18, n: 35,
			transA: i&1 != 0, transB: i&2 != 0, alpha: 1})
	}
	return cases
}

func TestMatMul(t *testing.T) {
	b := open(t)
	for _, c := range matmulCases() {
		t.Run(c.name, func(t *testing.T) { testMatMul(t, b, c) })
	}
}

func testMatMul(t *testing.T, b *Backend, c matmulCase) {
	r := newRig(t, b)
	shape := func(x, y int) []int { return append(slices.Clone(c.batch), x, y) }
	batches := 1
	for _, n := range c.batch {
		batches *= n
	}
	as, bs := shape(c.m, c.k), shape(c.k, c.n)
	if c.transA {
		as = shape(c.k, c.m)
	}
	if c.transB {
		bs = shape(c.n, c.k)
	}
	va, vb, vc := values(1, batches*c.m*c.k), values(2, batches*c.k*c.n), values(3, batches*c.m*c.n)
	vbias, vres := values(4, c.n), values(5, batches*c.m*c.n)
	attr := kernels.Attr{Alpha: c.alpha, Beta: c.beta, TransA: c.transA, TransB: c.transB}
	in := []kernels.View{r.slot("a", c.types[0], va, as...), r.slot("b", c.types[1], vb, bs...)}
	if c.bias {
		attr.Opt |= kernels.WithBias
		in = append(in, r.slot("bias", c.types[3], vbias, c.n))
	}
	out := r.slot("c", c.types[2], vc, shape(c.m, c.n)...)
	if c.residual {
		attr.Opt |= kernels.WithResidual
		if res := out; c.inPlace {
			vres = slices.Clone(vc)
			in = append(in, res)
		} else {
			in = append(in, r.slot("residual", c.types[2], vres, shape(c.m, c.n)...))
		}
	}
	r.emit(kernels.MatMul, attr, []kernels.View{out}, in...)
	r.run(1)

	want, scale := make([]float64, len(vc)), make([]float64, len(vc))
	for i := range want {
		z, m, n := i/(c.m*c.n), i/c.n%c.m, i%c.n
		for k := range c.k {
			ai, bi := (z*c.m+m)*c.k+k, (z*c.k+k)*c.n+n
			if c.transA {
				ai = (z*c.k+k)*c.m + m
			}
			if c.transB {
				bi = (z*c.n+n)*c.k + k
			}
			want[i] += float64(c.alpha) * va[ai] * vb[bi]
			scale[i] += math.Abs(float64(c.alpha) * va[ai] * vb[bi])
		}
		for _, add := range []struct {
			on bool
			x  float64
		}{{c.bias, vbias[n]}, {c.residual, vres[i]}, {c.beta != 0, float64(c.beta) * vc[i]}} {
			if add.on {
				want[i] += add.x
				scale[i] += math.Abs(add.x)
			}
		}
	}
	near(t, "c", c.types[2], r.read(out), want, scale, kernels.Table[kernels.MatMul].C*math.Sqrt(float64(c.k)))
}

// TestMatMulStrides reads and writes columns of wider matrices and repeats a batch, as
// grouped heads do.
func TestMatMulStrides(t *testing.T) {
	r := newRig(t, open(t))
	const kv, groups, m, k, n, wide = 3, 2, 5, 7, 4, 40
	va, vb := values(1, m*kv*groups*k), values(2, kv*k*n)
	a := r.slot("a", kernels.F32, va, m, kv*groups*k)
	bb := r.slot("b", kernels.F32, vb, kv, k, n)
	vc := slices.Repeat([]float64{7}, kv*groups*m*wide)
	out := r.slot("c", kernels.F32, vc, kv*groups*m*wide)
	// a: (kv, groups, m, k) with heads inside a row; b: every group reads the same.
	av := kernels.View{Slot: a.Slot, Shape: []int{kv, groups, m, k}, Stride: []int{groups * k, k, kv * groups * k, 1}}
	bv := kernels.View{Slot: bb.Slot, Shape: []int{kv, groups, k, n}, Stride: []int{k * n, 0, n, 1}}
	cv := kernels.View{Slot: out.Slot, Offset: 3, Shape: []int{kv, groups, m, n}, Stride: []int{groups * m * wide, m * wide, wide, 1}}
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 1}, []kernels.View{cv}, av, bv)
	r.run(1)

	want, scale := slices.Repeat([]float64{7}, len(vc)), make([]float64, len(vc))
	for z := range kv * groups {
		for i := range m {
			for j := range n {
				at := z*m*wide + i*wide + j + 3
				want[at] = 0
				for x := range k {
					term := va[i*kv*groups*k+z*k+x] * vb[(z/groups)*k*n+x*n+j]
					want[at] += term
					scale[at] += math.Abs(term)
				}
			}
		}
	}
	near(t, "c", kernels.F32, r.read(out), want, scale, 2*math.Sqrt(k))
}

// TestMatMulBatchAxes has four batch axes that do not collapse, one more than the
// kernel walks: a is transposed among them, b repeats two of them.
func TestMatMulBatchAxes(t *testing.T) {
	r := newRig(t, open(t))
	dims := []int{2, 3, 2, 4}
	const k, m, n = 3, 2, 5
	va, vb := values(1, 48*m*k), values(2, 6*k*n)
	a, bb := r.slot("a", kernels.F32, va, 48*m*k), r.slot("b", kernels.F32, vb, 6*k*n)
	out := r.slot("c", kernels.F32, make([]float64, 48*m*n), append(slices.Clone(dims), m, n)...)
	sa, sb := []int{6, 12, 144, 36}, []int{0, 15, 45, 0}
	view := func(v kernels.View, strides []int, rows, cols int) kernels.View {
		return kernels.View{Slot: v.Slot, Shape: append(slices.Clone(dims), rows, cols), Stride: append(slices.Clone(strides), cols, 1)}
	}
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 1}, []kernels.View{out}, view(a, sa, m, k), view(bb, sb, k, n))
	r.run(1)
	want, scale := make([]float64, 48*m*n), make([]float64, 48*m*n)
	for i := range want {
		rest, fa, fb := i/(m*n), i/n%m*k, i%n
		for x := 3; x >= 0; x-- {
			fa, fb = fa+rest%dims[x]*sa[x], fb+rest%dims[x]*sb[x]
			rest /= dims[x]
		}
		for x := range k {
			want[i] += va[fa+x] * vb[fb+x*n]
			scale[i] += math.Abs(va[fa+x] * vb[fb+x*n])
		}
	}
	near(t, "c", kernels.F32, r.read(out), want, scale, 2*math.Sqrt(k))
}

// TestMatMulSplit holds launches for shapes beyond the grid to a list: every one starts
// where the one before it ended. It needs no device.
func TestMatMulSplit(t *testing.T) {
	type want struct {
		a, b, c int // first elements
		groups  [3]uint32
	}
	for _, c := range []struct {
		name  string
		shape [3][]int // a, b, c
		trans bool     // both
		want  []want
	}{
		{"batches", [3][]int{{70000, 2, 3}, {70000, 3, 4}, {70000, 2, 4}}, false, []want{
			{0, 0, 0, [3]uint32{1, 1, 65535}},
			{65535 * 6, 65535 * 12, 65535 * 8, [3]uint32{1, 1, 4465}}}},
		{"rows", [3][]int{{65535*16 + 17, 3}, {3, 4}, {65535*16 + 17, 4}}, false, []want{
			{0, 0, 0, [3]uint32{1, 65535, 1}},
			{65535 * 16 * 3, 0, 65535 * 16 * 4, [3]uint32{1, 2, 1}}}},
		{"columns of a transposed product", [3][]int{{3, 2}, {65535*16 + 1, 3}, {2, 65535*16 + 1}}, true, []want{
			{0, 0, 0, [3]uint32{65535, 1, 1}},
			{0, 65535 * 16 * 3, 65535 * 16, [3]uint32{1, 1, 1}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			a, b := r.add("a", kernels.F32, kernels.Input, c.shape[0]...), r.add("b", kernels.F32, kernels.Input, c.shape[1]...)
			out := r.add("c", kernels.F32, kernels.Output, c.shape[2]...)
			x, err := expandInstr(target{}, &r.prog, 0, kernels.Instr{Op: kernels.MatMul, In: []kernels.View{a, b}, Out: []kernels.View{out},
				Attr: kernels.Attr{Alpha: 1, TransA: c.trans, TransB: c.trans}})
			if err != nil {
				t.Fatal(err)
			}
			var got []want
			for _, l := range x.launches {
				got = append(got, want{int(l.addrs[0].offset / 4), int(l.addrs[1].offset / 4), int(l.addrs[4].offset / 4), l.groups})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

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
