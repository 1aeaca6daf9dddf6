package main

// sums makes accumulators, one for each copy of a loop's body.
func sums(k *Kernel, n int) []V {
	acc := make([]V, n)
	for i := range acc {
		acc[i] = k.Zero()
	}
	return acc
}

// total adds accumulators up in pairs.
func total(k *Kernel, acc []V) V {
	for len(acc) > 1 {
		h := len(acc) / 2
		for i := range h {
			acc[i] = k.Add(acc[i], acc[i+h])
		}
		acc = acc[:h]
	}
	return acc[0]
}

// dot is sum x y.
func dot(k *Kernel) {
	x, y := k.In("x", F32), k.In("y", F32)
	acc := sums(k, 4)
	k.Loop(4, func(u int) { k.FMAInto(acc[u], k.Load(x), k.Load(y)) })
	k.ResultSum("sum", total(k, acc))
}

// axpy is y += a x.
func axpy(k *Kernel) {
	y, x := k.InOut("y", F32), k.In("x", F32)
	a := k.Scalar("a")
	k.Loop(4, func(int) { k.Store(y, k.FMA(a, k.Load(x), k.Load(y))) })
}

// scale is y = a x.
func scale(k *Kernel) {
	y, x := k.Out("y", F32), k.In("x", F32)
	a := k.Scalar("a")
	k.Loop(4, func(int) { k.Store(y, k.Mul(a, k.Load(x))) })
}

// widenBF16 is exact: a bf16 is the upper half of an f32.
func widenBF16(k *Kernel) {
	y, x := k.Out("y", F32), k.In("x", U16)
	k.Loop(4, func(int) { k.Store(y, k.Shl(k.Load(x), 16)) })
}

// roundBF16 gives the bits of the nearest bf16 in the low halves of the lanes;
// a NaN keeps its upper half and becomes quiet.
func roundBF16(k *Kernel, x V) V {
	odd := k.And(k.Shr(x, 16), k.Bits(1))
	up := k.AddI(k.AddI(x, k.Bits(0x7fff)), odd)
	quiet := k.Or(x, k.Bits(1<<22))
	return k.Shr(k.Select(x, Unordered, x, quiet, up), 16)
}

func narrowBF16(k *Kernel) {
	y, x := k.Out("y", U16), k.In("x", F32)
	k.Loop(2, func(int) { k.Store(y, roundBF16(k, k.Load(x))) })
}

func widenF16(k *Kernel) {
	y, x := k.Out("y", F32), k.In("x", F16)
	k.Loop(4, func(int) { k.Store(y, k.Load(x)) })
}

func narrowF16(k *Kernel) {
	y, x := k.Out("y", F16), k.In("x", F32)
	k.Loop(4, func(int) { k.Store(y, k.Load(x)) })
}

// fetch asks the second cache for the lines of size bytes from an address on.
func fetch(k *Kernel) {
	addr, size := k.Arg("addr", Int), k.Arg("size", Int)
	at, left := k.Reg(), k.Reg()
	k.LoadArg(at, addr)
	k.LoadArg(left, size)
	again, done := k.Label(), k.Label()
	k.SubJump(left, 64, Less, done)
	k.Bind(again)
	k.PrefetchSecond(at, 0)
	k.AddImm(at, 64)
	k.SubJump(left, 64, GreaterEqual, again)
	k.Bind(done)
}
