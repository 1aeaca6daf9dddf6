package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"graft/kernels"
)

// RandomProgram gives a whole program, the same for the same seed: a walk over
// operations whose operands are results of earlier ones, accumulations, views
// on columns and several outputs. Values stay moderate, so that rounding is
// all that can go wrong.
func RandomProgram(seed uint64) *kernels.Program {
	r := rand.New(rand.NewPCG(seed, 3))
	w := &walk{r: r, p: &kernels.Program{Name: fmt.Sprintf("random %d", seed)}, act: reals[r.IntN(len(reals))]}
	for range 3 {
		w.values = append(w.values, w.input(w.act, 1+r.IntN(40), 8*(1+r.IntN(5))))
	}
	steps := []func(){w.unary, w.sum, w.product, w.matMul, w.matMul, w.scores, w.norm, w.glu, w.softmax,
		w.mean, w.gather, w.transpose, w.accumulate, w.attention, w.loss, w.twice, w.gluBwd, w.linear, w.put, w.update}
	for range 6 + r.IntN(30) {
		steps[r.IntN(len(steps))]()
	}
	w.accumulate()
	for range 3 {
		w.output(w.pick())
	}
	return w.p
}

// walk is a random program in the making.
type walk struct {
	r      *rand.Rand
	p      *kernels.Program
	act    kernels.DType
	values []kernels.View // (n, c), c a multiple of 8
}

func (w *walk) slot(t kernels.DType, role kernels.Role, shape ...int) kernels.View {
	name := fmt.Sprintf("%v%d", role, len(w.p.Slots))
	return kernels.Dense(w.p.AddSlot(kernels.Slot{Name: name, DType: t, Shape: shape, Role: role}), 0, shape...)
}

func (w *walk) input(t kernels.DType, shape ...int) kernels.View {
	return w.slot(t, kernels.Input, shape...)
}

func (w *walk) temp(shape ...int) kernels.View { return w.slot(w.act, kernels.Temp, shape...) }

func (w *walk) emit(op kernels.Op, at kernels.Attr, out []kernels.View, in ...kernels.View) {
	w.p.Code = append(w.p.Code, kernels.Instr{Op: op, Attr: at, In: in, Out: out})
}

// output copies a value to an output of the program.
func (w *walk) output(v kernels.View) {
	w.emit(kernels.Copy, kernels.Attr{}, []kernels.View{w.slot(w.p.DType(v), kernels.Output, v.Shape...)}, v)
}

// pick gives a value.
func (w *walk) pick() kernels.View { return w.values[w.r.IntN(len(w.values))] }

func (w *walk) add(v kernels.View) { w.values = append(w.values, v) }

// like gives a value of the same shape as v, v itself if there is no other.
func (w *walk) like(v kernels.View) kernels.View {
	start := w.r.IntN(len(w.values))
	for i := range w.values {
		u := w.values[(start+i)%len(w.values)]
		if u.Slot != v.Slot && u.Shape[0] == v.Shape[0] && u.Shape[1] == v.Shape[1] {
			return u
		}
	}
	return v
}

func (w *walk) apply(at kernels.Attr, x kernels.View) kernels.View {
	y := w.temp(x.Shape...)
	w.emit(kernels.Unary, at, []kernels.View{y}, x)
	return y
}

func (w *walk) unary() {
	kinds := []kernels.Attr{{Unary: kernels.Tanh}, {Unary: kernels.Sigmoid}, {Unary: kernels.ReLU}, {Alpha: -0.75, Beta: 0.5}}
	w.add(w.apply(kinds[w.r.IntN(len(kinds))], w.pick()))
}

// half halves, so that sums do not grow.
func (w *walk) half(x kernels.View) kernels.View { return w.apply(kernels.Attr{Alpha: 0.5}, x) }

func (w *walk) sum() {
	a := w.pick()
	y := w.temp(a.Shape...)
	w.emit(kernels.Binary, kernels.Attr{Binary: kernels.Sub}, []kernels.View{y}, a, w.like(a))
	w.add(w.half(y))
}

func (w *walk) product() {
	a := w.pick()
	y := w.temp(a.Shape...)
	w.emit(kernels.Binary, kernels.Attr{Binary: kernels.Mul}, []kernels.View{y}, w.apply(kernels.Attr{Unary: kernels.Tanh}, a), w.like(a))
	w.add(y)
}

// matMul multiplies by a weight, with a residual when one fits.
func (w *walk) matMul() {
	x := w.pick()
	n, c, k := x.Shape[0], x.Shape[1], 8*(1+w.r.IntN(5))
	at := kernels.Attr{Alpha: float32(1 / math.Sqrt(float64(c))), TransB: w.r.IntN(2) == 0}
	weight := w.input(reals[w.r.IntN(len(reals))], c, k)
	if at.TransB {
		weight.Shape[0], weight.Shape[1] = k, c
		weight = kernels.Dense(weight.Slot, 0, k, c)
	}
	y := w.temp(n, k)
	in := []kernels.View{x, weight}
	if res := w.like(y); res.Slot != y.Slot && w.r.IntN(2) == 0 {
		at.Opt = kernels.WithResidual
		in = append(in, res)
	}
	w.emit(kernels.MatMul, at, []kernels.View{y}, in...)
	w.add(w.half(y))
}

// scores multiplies two values of one width, then normalises.
func (w *walk) scores() {
	a := w.pick()
	b := w.like(a)
	s := w.temp(a.Shape[1], b.Shape[1])
	w.emit(kernels.MatMul, kernels.Attr{Alpha: 0.125, TransA: true}, []kernels.View{s}, a, b)
	w.add(w.apply(kernels.Attr{Unary: kernels.Tanh}, s))
}

func (w *walk) norm() {
	x := w.pick()
	n, c := x.Shape[0], x.Shape[1]
	y, rstd, sum := w.temp(n, c), w.slot(kernels.F32, kernels.Temp, n), w.temp(n, c)
	weight := w.input(w.act, c)
	if res := w.like(x); res.Slot != x.Slot {
		w.emit(kernels.RMSNorm, kernels.Attr{Eps: 1e-5, Opt: kernels.WithResidual}, []kernels.View{y, rstd, sum}, x, weight, res)
		w.add(w.half(sum))
	} else {
		w.emit(kernels.RMSNorm, kernels.Attr{Eps: 1e-5}, []kernels.View{y, rstd}, x, weight)
	}
	w.add(y)
	if w.r.IntN(2) == 0 {
		dx := w.temp(n, c)
		w.emit(kernels.RMSNormBwd, kernels.Attr{}, []kernels.View{dx}, x, weight, rstd, y)
		w.add(w.apply(kernels.Attr{Unary: kernels.Tanh}, dx))
	}
}

func (w *walk) glu() {
	gate := w.apply(kernels.Attr{Unary: kernels.Tanh}, w.pick())
	y := w.temp(gate.Shape...)
	w.emit(kernels.GLU, kernels.Attr{Act: kernels.Activation(w.r.IntN(2))}, []kernels.View{y}, gate, w.like(gate))
	w.add(y)
}

func (w *walk) softmax() {
	x := w.pick()
	n, c := x.Shape[0], x.Shape[1]
	y := w.temp(n, c)
	w.emit(kernels.Softmax, kernels.Attr{Scale: 1, SoftCap: float32(5 * w.r.IntN(2))},
		[]kernels.View{kernels.Dense(y.Slot, 0, 1, 1, n, c), w.slot(kernels.F32, kernels.Temp, 1, 1, n)}, kernels.Dense(x.Slot, 0, 1, 1, n, c))
	w.add(y)
}

// mean subtracts the mean of each column.
func (w *walk) mean() {
	x := w.pick()
	n, c := x.Shape[0], x.Shape[1]
	s, m, y := w.temp(1, c), w.temp(1, c), w.temp(n, c)
	w.emit(kernels.Reduce, kernels.Attr{}, []kernels.View{s}, x)
	w.emit(kernels.Unary, kernels.Attr{Alpha: 1 / float32(n)}, []kernels.View{m}, s)
	every := kernels.View{Slot: m.Slot, Shape: []int{n, c}, Stride: []int{0, 1}}
	w.emit(kernels.Binary, kernels.Attr{Binary: kernels.Sub}, []kernels.View{y}, x, every)
	w.add(w.half(y))
}

func (w *walk) gather() {
	x := w.pick()
	n := 1 + w.r.IntN(20)
	y := w.temp(n, x.Shape[1])
	w.emit(kernels.Gather, kernels.Attr{}, []kernels.View{y}, x, w.input(kernels.I32, n))
	w.add(y)
}

func (w *walk) transpose() {
	x := w.pick()
	n, c := x.Shape[0], x.Shape[1]
	if n%8 != 0 {
		return
	}
	y := w.temp(c, n)
	w.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y}, kernels.View{Slot: x.Slot, Shape: []int{c, n}, Stride: []int{1, c}})
	w.add(y)
}

// accumulate adds two products into one F32 gradient, which is an output.
func (w *walk) accumulate() {
	x := w.pick()
	y := w.like(x)
	g := w.slot(kernels.F32, kernels.Temp, x.Shape[1], x.Shape[1])
	w.emit(kernels.Fill, kernels.Attr{}, []kernels.View{g})
	at := kernels.Attr{Alpha: 0.125, Beta: 1, TransA: true}
	w.emit(kernels.MatMul, at, []kernels.View{g}, x, y)
	w.emit(kernels.MatMul, at, []kernels.View{g}, y, x)
	w.output(g)
}

// attention reads queries, keys and values as columns of one matrix.
func (w *walk) attention() {
	x := w.pick()
	n, c := x.Shape[0], x.Shape[1]
	if c%24 != 0 {
		x = w.wide(x)
		c = 24
	}
	h := c / 24
	part := func(i int) kernels.View {
		return kernels.View{Slot: x.Slot, Offset: i * h * 8, Shape: []int{1, n, h, 8}, Stride: []int{n * c, c, 8, 1}}
	}
	documents := w.slot(kernels.I32, kernels.Temp, 2, 1, n) // one: rows 0 to n
	row := func(i int) kernels.View { return kernels.Dense(documents.Slot, i*n, n) }
	w.emit(kernels.Fill, kernels.Attr{Alpha: 0}, []kernels.View{row(0)})
	w.emit(kernels.Fill, kernels.Attr{Alpha: float32(n)}, []kernels.View{row(1)})
	y := w.temp(n, h*8)
	w.emit(kernels.Attention, kernels.Attr{Scale: 0.35, Window: 5 * w.r.IntN(2)},
		[]kernels.View{kernels.Dense(y.Slot, 0, 1, n, h, 8), w.slot(kernels.F32, kernels.Temp, 1, h, n)}, part(0), part(1), part(2), documents)
	w.add(y)
}

// wide projects to 24 columns.
func (w *walk) wide(x kernels.View) kernels.View {
	c := x.Shape[1]
	y := w.temp(x.Shape[0], 24)
	w.emit(kernels.MatMul, kernels.Attr{Alpha: float32(1 / math.Sqrt(float64(c)))}, []kernels.View{y}, x, w.input(w.act, c, 24))
	return y
}

// loss is cross entropy over the columns, and its gradient.
func (w *walk) loss() {
	x := w.pick()
	n, c := x.Shape[0], x.Shape[1]
	targets, loss, lse := w.input(kernels.I32, n), w.slot(kernels.F32, kernels.Temp, n), w.slot(kernels.F32, kernels.Temp, n)
	at := kernels.Attr{Scale: 1}
	w.emit(kernels.CrossEntropy, at, []kernels.View{loss, lse}, x, targets)
	dx := w.temp(n, c)
	w.emit(kernels.CrossEntropyBwd, at, []kernels.View{dx}, x, targets, lse, loss)
	w.output(loss)
	w.add(dx)
}

// twice writes one slot, uses it, and writes it again.
func (w *walk) twice() {
	x := w.pick()
	y := w.apply(kernels.Attr{Unary: kernels.Sigmoid}, x)
	w.add(w.apply(kernels.Attr{Alpha: 2}, y))
	w.emit(kernels.Unary, kernels.Attr{Unary: kernels.Tanh}, []kernels.View{y}, w.like(x))
	w.add(y)
}

func (w *walk) gluBwd() {
	gate := w.apply(kernels.Attr{Unary: kernels.Tanh}, w.pick())
	up, dy := w.like(gate), w.like(gate)
	dgate, dup := w.temp(gate.Shape...), w.temp(gate.Shape...)
	w.emit(kernels.GLUBwd, kernels.Attr{}, []kernels.View{dgate, dup}, gate, up, dy)
	w.add(w.apply(kernels.Attr{Unary: kernels.Tanh}, dgate))
	w.add(w.half(dup))
}

// linear is the loss of a head, with both gradients.
func (w *walk) linear() {
	h := w.apply(kernels.Attr{Unary: kernels.Tanh}, w.pick())
	n, c, v := h.Shape[0], h.Shape[1], 2+w.r.IntN(70)
	loss, scale := w.slot(kernels.F32, kernels.Temp, n), w.slot(kernels.F32, kernels.Temp, 1)
	dh, dhead := w.temp(n, c), w.slot(kernels.F32, kernels.Temp, v, c)
	w.emit(kernels.Fill, kernels.Attr{Alpha: 0.5}, []kernels.View{scale})
	w.emit(kernels.Fill, kernels.Attr{Alpha: 1}, []kernels.View{dhead})
	w.emit(kernels.LinearCEGrad, kernels.Attr{Scale: 0.3, Beta: 1, Opt: kernels.WithDW}, []kernels.View{loss, dh, dhead},
		h, w.input(w.act, v, c), w.input(kernels.I32, n), kernels.View{Slot: scale.Slot, Shape: []int{n}, Stride: []int{0}})
	w.output(dhead)
	w.add(dh)
}

// put writes rows into a copy of a value.
func (w *walk) put() {
	x := w.pick()
	y := w.temp(x.Shape...)
	w.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y}, x)
	row := kernels.Dense(x.Slot, 0, 1, x.Shape[1])
	w.emit(kernels.PutRows, kernels.Attr{}, []kernels.View{y}, row, w.input(kernels.I32, 1))
	w.add(y)
}

// update is an optimizer step on weights of its own.
func (w *walk) update() {
	const n = 77
	at := kernels.Attr{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1}
	filled := func(x float32, n int) kernels.View {
		v := w.slot(kernels.F32, kernels.Temp, n)
		w.emit(kernels.Fill, kernels.Attr{Alpha: x}, []kernels.View{v})
		return v
	}
	grad, sum := w.input(kernels.F32, n), filled(0, 1)
	w.emit(kernels.SumSq, kernels.Attr{Beta: 1}, []kernels.View{sum}, grad)
	hyper, state := filled(0.25, kernels.HyperLen), filled(0, kernels.StateLen)
	w.emit(kernels.Advance, kernels.Attr{Beta1: at.Beta1, Beta2: at.Beta2}, []kernels.View{state}, filled(2.5, 1), sum, hyper)
	weights, m, v, store := filled(0.7, n), filled(0, n), filled(0, n), w.temp(n)
	w.emit(kernels.Copy, kernels.Attr{}, []kernels.View{store}, weights)
	at.Opt = kernels.WithStore
	w.emit(kernels.AdamW, at, []kernels.View{weights, m, v, store}, grad, hyper, state)
	w.output(weights)
	w.output(store)
}
