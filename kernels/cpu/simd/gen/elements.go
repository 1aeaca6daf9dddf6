package main

// each is y = f(x).
func each(f func(k *Kernel, x V) V) func(*Kernel) {
	return func(k *Kernel) {
		y, x := k.Out("y", F32), k.In("x", F32)
		k.Loop(2, func(int) { k.Store(y, f(k, k.Load(x))) })
	}
}

// elements is y = f(a, b).
func elements(f func(k *Kernel, a, b V) V) func(*Kernel) {
	return func(k *Kernel) {
		y, a, b := k.Out("y", F32), k.In("a", F32), k.In("b", F32)
		k.Loop(4, func(int) { k.Store(y, f(k, k.Load(a), k.Load(b))) })
	}
}

// affine is y = a x + b.
func affine(k *Kernel) {
	y, x := k.Out("y", F32), k.In("x", F32)
	a, b := k.Scalar("a"), k.Scalar("b")
	k.Loop(4, func(int) { k.Store(y, k.FMA(a, k.Load(x), b)) })
}

// mulAxpyDot is y += a x z, and sum x z w.
func mulAxpyDot(k *Kernel) {
	y, x, z, w := k.InOut("y", F32), k.In("x", F32), k.In("z", F32), k.In("w", F32)
	a := k.Scalar("a")
	acc := sums(k, 4)
	k.Loop(4, func(u int) {
		p := k.Mul(k.Load(x), k.Load(z))
		k.Store(y, k.FMA(p, a, k.Load(y)))
		k.FMAInto(acc[u], p, k.Load(w))
	})
	k.ResultSum("sum", total(k, acc))
}

// adamW updates weights and moments with the gradient x = clip g:
// m = b1 m + c1 x, v = b2 v + c2 x^2, w = keep w - rate m / (sqrt(root v) + eps).
func adamW(k *Kernel) {
	w, m, v := k.InOut("w", F32), k.InOut("m", F32), k.InOut("v", F32)
	g := k.In("grad", F32)
	clip := k.Scalar("clip")
	b1, c1, b2, c2 := k.Scalar("b1"), k.Scalar("c1"), k.Scalar("b2"), k.Scalar("c2")
	keep, rate, root, eps := k.Scalar("keep"), k.Scalar("rate"), k.Scalar("root"), k.Scalar("eps")
	k.Loop(1, func(int) {
		x := k.Mul(k.Load(g), clip)
		mi := k.FMA(b1, k.Load(m), k.Mul(c1, x))
		k.Store(m, mi)
		vi := k.FMA(b2, k.Load(v), k.Mul(c2, k.Mul(x, x)))
		k.Store(v, vi)
		step := k.Div(k.Mul(rate, mi), k.Add(k.Sqrt(k.Mul(vi, root)), eps))
		k.Store(w, k.Sub(k.Mul(k.Load(w), keep), step))
	})
}

// activation gives s and the rest of x s, with x s' = x s (1 - s) slope.
type activation func(k *Kernel, x V) (s, rest, slope V)

func silu(k *Kernel, x V) (s, rest, slope V) {
	s, rest = sigmoid(k, x)
	return s, rest, 0
}

// gelu is x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)). Past 100 the sigmoid is 0
// or 1, and the square must not overflow.
func gelu(k *Kernel, x V) (s, rest, slope V) {
	const root, cube = 2 * 0.7978845608028654, 0.044715
	c := k.Max(k.C(-100), k.Min(k.C(100), x))
	square := k.Mul(c, c)
	s, rest = sigmoid(k, k.Mul(c, k.FMA(square, k.C(root*cube), k.C(root))))
	return s, rest, k.FMA(square, k.C(3*root*cube), k.C(root))
}

// gate is y = act(gate) up.
func gate(act activation) func(*Kernel) {
	return func(k *Kernel) {
		y, g, u := k.Out("y", F32), k.In("gate", F32), k.In("up", F32)
		k.Loop(1, func(int) {
			x := k.Load(g)
			s, _, _ := act(k, x)
			k.Store(y, k.Mul(k.Mul(x, s), k.Load(u)))
		})
	}
}

// gateBwd is dgate = dy up act'(gate), dup = dy act(gate).
func gateBwd(act activation) func(*Kernel) {
	return func(k *Kernel) {
		dg, du := k.Out("dgate", F32), k.Out("dup", F32)
		g, u, dy := k.In("gate", F32), k.In("up", F32), k.In("dy", F32)
		k.Loop(1, func(int) {
			x := k.Load(g)
			s, rest, slope := act(k, x)
			t := k.Mul(s, rest)
			if slope != 0 {
				t = k.Mul(t, slope)
			}
			d, up := k.Load(dy), k.Load(u)
			k.Store(dg, k.Mul(k.Mul(d, up), k.FMA(x, t, s)))
			k.Store(du, k.Mul(d, k.Mul(x, s)))
		})
	}
}
