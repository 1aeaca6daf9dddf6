package main

import "math"

// sum is sum x.
func sum(k *Kernel) {
	x := k.In("x", F32)
	acc := sums(k, 4)
	k.Loop(4, func(u int) { k.AddInto(acc[u], k.Load(x)) })
	k.ResultSum("sum", total(k, acc))
}

// sumSq is sum x^2.
func sumSq(k *Kernel) {
	x := k.In("x", F32)
	acc := sums(k, 4)
	k.Loop(4, func(u int) {
		v := k.Load(x)
		k.FMAInto(acc[u], v, v)
	})
	k.ResultSum("sum", total(k, acc))
}

// most keeps the largest of what it is given, NaN if there was one.
type most struct {
	k   *Kernel
	acc []V
}

func newMost(k *Kernel, n int) most {
	m := most{k: k}
	for range n {
		m.acc = append(m.acc, k.Copy(k.C(math.Inf(-1))))
	}
	return m
}

func (m most) add(u int, x V) {
	x = m.k.Only(x, m.k.C(math.Inf(-1)))
	m.k.Set(m.acc[u], maxNaN(m.k, m.acc[u], x))
}

func (m most) result() {
	x := m.acc[0]
	for _, y := range m.acc[1:] {
		x = maxNaN(m.k, x, y)
	}
	m.k.ResultMax("most", x)
}

// maxOf is the largest of x.
func maxOf(k *Kernel) {
	x := k.In("x", F32)
	m := newMost(k, 4)
	k.Loop(4, func(u int) { m.add(u, k.Load(x)) })
	m.result()
}

// scores is z = scale x, and the largest.
func scores(k *Kernel) {
	z, x := k.Out("z", F32), k.In("x", F32)
	a := k.Scalar("a")
	m := newMost(k, 4)
	k.Loop(4, func(u int) {
		v := k.Mul(a, k.Load(x))
		k.Store(z, v)
		m.add(u, v)
	})
	m.result()
}

// capScores is z = c tanh(a x), and the largest.
func capScores(k *Kernel) {
	z, x := k.Out("z", F32), k.In("x", F32)
	a, c := k.Scalar("a"), k.Scalar("c")
	m := newMost(k, 1)
	k.Loop(1, func(u int) {
		v := k.Mul(c, tanh(k, k.Mul(a, k.Load(x))))
		k.Store(z, v)
		m.add(u, v)
	})
	m.result()
}

// capSlope is y *= 1 - tanh(a x)^2, as 4 e / (1 + e)^2 with e = exp(-2 |a x|).
func capSlope(k *Kernel) {
	y, x := k.InOut("y", F32), k.In("x", F32)
	a := k.Scalar("a")
	k.Loop(1, func(int) {
		v := k.Mul(a, k.Load(x))
		e, q := decay(k, k.Add(v, v))
		k.Store(y, k.Mul(k.Load(y), k.Mul(k.Mul(k.C(4), e), k.Mul(q, q))))
	})
}

// expSum is y = exp(a x - m), and the sum.
func expSum(k *Kernel) {
	y := k.Out("y", F32)
	exponentials(k, func(e V) { k.Store(y, e) })
}

// sumExp is the sum of expSum alone.
func sumExp(k *Kernel) { exponentials(k, func(V) {}) }

// ahead is how many bytes further the exponentials of a row ask for memory: they take
// the time that it takes to come.
const ahead = 8192

// exponentials gives each exp(a x - m) to use, and returns their sum.
func exponentials(k *Kernel, use func(e V)) {
	x := k.In("x", F32)
	a, m := k.Scalar("a"), k.Scalar("m")
	m = k.Sub(k.C(0), m)
	acc := sums(k, 2)
	k.Loop(2, func(u int) {
		k.Prefetch(x.reg, u*k.Lanes()*4+ahead)
		e := weight(k, k.FMA(a, k.Load(x), m))
		use(e)
		k.AddInto(acc[u], k.Only(e, k.C(0)))
	})
	k.ResultSum("sum", total(k, acc))
}

// softmaxGrad is dx = a p (dp - delta).
func softmaxGrad(k *Kernel) {
	dx, p, dp := k.Out("dx", F32), k.In("p", F32), k.In("dp", F32)
	a, delta := k.Scalar("a"), k.Scalar("delta")
	k.Loop(2, func(int) { k.Store(dx, k.Mul(k.Mul(a, k.Load(p)), k.Sub(k.Load(dp), delta))) })
}

// normRow is y = a x w.
func normRow(k *Kernel) {
	y, x, w := k.Out("y", F32), k.In("x", F32), k.In("w", F32)
	a := k.Scalar("a")
	k.Loop(4, func(int) { k.Store(y, k.Mul(k.Mul(a, k.Load(x)), k.Load(w))) })
}

// dot3 is sum x y z.
func dot3(k *Kernel) {
	x, y, z := k.In("x", F32), k.In("y", F32), k.In("z", F32)
	acc := sums(k, 4)
	k.Loop(4, func(u int) { k.FMAInto(acc[u], k.Mul(k.Load(x), k.Load(y)), k.Load(z)) })
	k.ResultSum("sum", total(k, acc))
}

// normBwd is dx = a dy w + b x.
func normBwd(k *Kernel) {
	dx, x, dy, w := k.Out("dx", F32), k.In("x", F32), k.In("dy", F32), k.In("w", F32)
	a, b := k.Scalar("a"), k.Scalar("b")
	k.Loop(2, func(int) {
		g := k.Mul(k.Mul(a, k.Load(dy)), k.Load(w))
		k.Store(dx, k.FMA(b, k.Load(x), g))
	})
}

// rotate turns pairs of heads, ld apart: the first n numbers of each with those
// n further.
func rotate(k *Kernel) {
	need := "(heads-1)*ld+2*len(cos)"
	y := k.Out("y", F32).Need(need).Rows("heads", "ld", "2*len(cos)")
	x := k.In("x", F32).Need(need).Rows("heads", "ld", "2*len(cos)")
	cos, sin := k.In("cos", F32), k.In("sin", F32)
	heads, ld, n := k.Arg("heads", Int), k.Arg("ld", Int), k.length()
	to, from, half, left, step := k.Reg(), k.Reg(), k.Reg(), k.Reg(), k.Reg()
	k.LoadArg(to, y)
	k.LoadArg(from, x)
	k.LoadArg(half, n)
	k.ShlImm(half, 2)
	k.LoadArg(left, heads)
	k.LoadArg(step, ld)
	k.ShlImm(step, 2)
	row := func() *Param { return k.Row(k.Reg(), F32) }
	ya, yb, a, b := row(), row(), row(), row()
	head := k.Label()
	k.Bind(head)
	k.MoveG(ya.reg, to)
	k.MoveG(yb.reg, to)
	k.AddG(yb.reg, half)
	k.MoveG(a.reg, from)
	k.MoveG(b.reg, from)
	k.AddG(b.reg, half)
	k.Loop(1, func(int) {
		p, q, c, s := k.Load(a), k.Load(b), k.Load(cos), k.Load(sin)
		k.Store(ya, k.FNMA(q, s, k.Mul(p, c)))
		k.Store(yb, k.FMA(p, s, k.Mul(q, c)))
	})
	k.AddG(to, step)
	k.AddG(from, step)
	k.SubJump(left, 1, Greater, head)
}

// turn is the sines and cosines of pos freqs, times a, and the largest angle.
func turn(k *Kernel) {
	sin, cos, freqs := k.Out("sin", F32), k.Out("cos", F32), k.In("freqs", F32)
	pos, a := k.Scalar("pos"), k.Scalar("a")
	m := newMost(k, 1)
	k.Loop(1, func(u int) {
		f := k.Load(freqs)
		hi := k.Mul(pos, f)
		lo := k.Sub(k.C(0), k.FNMA(pos, f, hi))
		m.add(u, abs(k, hi))
		s, c := sincos(k, hi, lo)
		k.Store(sin, k.Mul(a, s))
		k.Store(cos, k.Mul(a, c))
	})
	m.result()
}
