package main

import (
	"fmt"
	"math"
)

// Attention keeps a tile of scores as panels of the micro-kernel's right
// operand: a row for each key, and in it the queries side by side. The softmax
// over keys then runs down the lanes, with nothing to add up across them, and
// its result is multiplied as it lies.

// panel walks over rows of a panel while a kernel is described.
type panel struct {
	*Kernel
	vecs  int
	rows  *Param
	count G
}

func newPanel(k *Kernel) *panel {
	return &panel{Kernel: k, vecs: tileVecs(k.ISA), rows: k.Arg("rows", Int), count: k.Reg()}
}

// matrix and row are parameters: rows of a panel, and one number for each query.
func (x *panel) matrix(p *Param) *Param { return p.Need(fmt.Sprintf("rows*%d", x.vecs*x.Lanes())) }
func (x *panel) row(p *Param) *Param    { return p.Need(fmt.Sprint(x.vecs * x.Lanes())) }

// at is a register that holds the address of a slice.
func (x *panel) at(p *Param) G {
	g := x.Reg()
	x.LoadArg(g, p)
	return g
}

// vector is the offset of vector v of a row.
func (x *panel) vector(v int) int { return v * x.Lanes() * 4 }

// each runs body for every row; the registers in step go on by a row each time.
func (x *panel) each(body func(), step ...G) {
	again, done := x.Label(), x.Label()
	x.LoadArg(x.count, x.rows)
	x.SubJump(x.count, 1, Less, done)
	x.Bind(again)
	body()
	for _, g := range step {
		x.AddImm(g, x.vecs*x.Lanes()*4)
	}
	x.SubJump(x.count, 1, GreaterEqual, again)
	x.Bind(done)
}

// load gives the vectors of a row.
func (x *panel) load(g G) []V {
	vs := make([]V, x.vecs)
	for v := range vs {
		vs[v] = x.LoadAt(g, x.vector(v))
	}
	return vs
}

func (x *panel) fill(c V) []V {
	vs := make([]V, x.vecs)
	for v := range vs {
		vs[v] = x.Copy(c)
	}
	return vs
}

// panelSoftmax goes on with the softmax of each query by some more keys.
func panelSoftmax(k *Kernel) {
	x := newPanel(k)
	s, m, l, f := x.matrix(k.InOut("s", F32)), x.row(k.InOut("m", F32)), x.row(k.InOut("l", F32)), x.row(k.Out("f", F32))
	gs, gm := x.at(s), x.at(m)
	most, bad := x.fill(k.C(math.Inf(-1))), x.fill(k.C(0))
	x.each(func() {
		for v := range x.vecs {
			e := k.LoadAt(gs, x.vector(v))
			k.Set(most[v], k.Max(most[v], e)) // which forgets a NaN
			k.Set(bad[v], k.Select(e, Unordered, e, e, bad[v]))
		}
	}, gs)
	gl, gf := x.at(l), x.at(f)
	base, sum := make([]V, x.vecs), x.fill(k.C(0))
	for v := range x.vecs {
		old := k.LoadAt(gm, x.vector(v))
		now := k.Max(most[v], old)
		now = k.Select(bad[v], Unordered, bad[v], bad[v], now)
		k.StoreAt(gm, x.vector(v), now)
		// Nothing seen yet: any finite number makes all weights 0.
		base[v] = k.Select(now, Equal, k.C(math.Inf(-1)), k.C(0), now)
		k.StoreAt(gf, x.vector(v), weight(k, k.Sub(old, base[v])))
	}
	k.LoadArg(gs, s)
	x.each(func() {
		for v := range x.vecs {
			e := weight(k, k.Sub(k.LoadAt(gs, x.vector(v)), base[v]))
			k.StoreAt(gs, x.vector(v), e)
			k.AddInto(sum[v], e)
		}
	}, gs)
	for v := range x.vecs {
		k.StoreAt(gl, x.vector(v), k.FMA(k.LoadAt(gl, x.vector(v)), k.LoadAt(gf, x.vector(v)), sum[v]))
	}
}

// panelScale multiplies each column by its own number.
func panelScale(k *Kernel) {
	x := newPanel(k)
	s, f := x.matrix(k.InOut("s", F32)), x.row(k.In("f", F32))
	gs := x.at(s)
	by := x.load(x.at(f))
	x.each(func() {
		for v := range x.vecs {
			k.StoreAt(gs, x.vector(v), k.Mul(by[v], k.LoadAt(gs, x.vector(v))))
		}
	}, gs)
}

// panelGrad is the gradient of a softmax whose log sum exp is known.
func panelGrad(k *Kernel) {
	x := newPanel(k)
	s, dp := x.matrix(k.InOut("s", F32)), x.matrix(k.InOut("dp", F32))
	lse, delta := x.row(k.In("lse", F32)), x.row(k.In("delta", F32))
	scale := k.Scalar("scale")
	gs, gd, gl, gt := x.at(s), x.at(dp), x.at(lse), x.at(delta)
	x.each(func() {
		for v := range x.vecs {
			p := weight(k, k.Sub(k.LoadAt(gs, x.vector(v)), k.LoadAt(gl, x.vector(v))))
			k.StoreAt(gs, x.vector(v), p)
			d := k.Sub(k.LoadAt(gd, x.vector(v)), k.LoadAt(gt, x.vector(v)))
			k.StoreAt(gd, x.vector(v), k.Mul(k.Mul(p, d), scale))
		}
	}, gs, gd)
}
