package main

import (
	"fmt"
	"strconv"
)

// The micro-kernel keeps a tile of c of tileRows rows in registers: 6x64 on
// AVX-512, 6x16 on AVX2 and NEON. A wide tile loads less for each product than
// a tall one: an element of A takes a load, as a whole vector of B does.
const tileRows = 6

// tileVecs is the number of vectors in a row of the tile.
func tileVecs(isa ISA) int {
	if isa.Lanes() == 8 {
		return 2
	}
	return 4
}

// Blocks of k and of columns: of B they are to stay in the second cache, of
// which another thread of the core may hold half, and in which rows of A and c come
// and go. Processors with AVX-512 have at least 512 KiB there, others 256.
const (
	blockM   = 256
	taskWork = 1 << 22
)

func blockN(isa ISA) int {
	if isa.Lanes() == 16 {
		return 128
	}
	return 256
}

func blockK(isa ISA) int {
	if isa.Lanes() == 16 {
		return 512
	}
	return 352
}

// product is one micro-kernel while it is described.
type product struct {
	*Kernel
	a          []G // a panel of A, or a pointer to each of its rows
	b, c, row  G   // a panel of B, the tile of c, a row of it
	next       G   // the panel of A behind this one, if it is to be fetched
	count, ld  G   // k to come, bytes from row to row
	rows, vecs int
	sums       []V
	mulAdd     func(sum, a, b V) // of words of the panels
}

func (x *product) sum(i, j int) V { return x.sums[i*x.vecs+j] }

// columnBytes is what one k takes in a panel of B.
func (x *product) columnBytes() int { return tileVecs(x.ISA) * x.Lanes() * 4 }

// step adds the products of copies consecutive k.
func (x *product) step(copies int) {
	packed := len(x.a) == 1
	for u := 0; u < copies; u++ {
		if x.Tier() == "neon" && copies > 1 && packed {
			x.pair(u)
			u++
			continue
		}
		b := x.columns(u)
		for i := range x.rows {
			var a V
			if packed {
				a = x.BroadcastAt(x.a[0], (u*tileRows+i)*4)
			} else {
				a = x.BroadcastAt(x.a[i], u*4)
			}
			for j := range x.vecs {
				x.mulAdd(x.sum(i, j), a, b[j])
			}
		}
	}
	if x.next > 0 && copies > 1 {
		for at := 0; at < copies*tileRows*4; at += 64 {
			x.Prefetch(x.next, at)
		}
		x.AddImm(x.next, copies*tileRows*4)
	}
	for _, a := range x.a {
		x.AddImm(a, copies*tileRows/len(x.a)*4)
	}
	x.AddImm(x.b, copies*x.columnBytes())
}

// columns loads the vectors of B of one k.
func (x *product) columns(u int) []V {
	b := make([]V, x.vecs)
	for j := range b {
		b[j] = x.LoadAt(x.b, u*x.columnBytes()+j*x.Lanes()*4)
	}
	return b
}

// pair is two k on NEON, which multiplies by an element of a register: their
// twelve elements of A are three loads.
func (x *product) pair(u int) {
	var a [3]V
	for v := range 2 {
		b := x.columns(u + v)
		for i := range x.rows {
			e := v*tileRows + i
			if a[e/4] == 0 {
				a[e/4] = x.LoadAt(x.a[0], u*tileRows*4+e/4*16)
			}
			lane := uint32(e % 4)
			for j := range x.vecs {
				x.Word(0x4f801000|lane&1<<21|lane>>1<<11, fmt.Sprintf("FMLA by element %d,", lane), x.sum(i, j), true, b[j], a[e/4])
			}
		}
	}
}

// describe emits the kernel from its loop to what it stores.
func (x *product) describe(unroll int, acc *Param) {
	x.MoveG(x.row, x.c)
	for i := range x.rows { // c is needed last: it may come in meanwhile
		for v := 0; v < x.vecs*x.Lanes()*4; v += 64 {
			x.Prefetch(x.row, v)
		}
		if i+1 < x.rows {
			x.AddG(x.row, x.ld)
		}
	}
	x.sums = make([]V, x.rows*x.vecs)
	for i := range x.sums {
		x.sums[i] = x.Zero()
	}
	for _, copies := range []int{unroll, 1} {
		again, done := x.Label(), x.Label()
		x.SubJump(x.count, copies, Less, done)
		x.Bind(again)
		x.step(copies)
		x.SubJump(x.count, copies, GreaterEqual, again)
		x.Bind(done)
		x.AddImm(x.count, copies)
	}
	store := x.Label()
	x.JumpUnless(acc, store)
	x.MoveG(x.row, x.c)
	for i := range x.rows {
		for j := range x.vecs {
			x.AddInto(x.sum(i, j), x.LoadAt(x.row, j*x.Lanes()*4))
		}
		x.AddG(x.row, x.ld)
	}
	x.Bind(store)
	x.MoveG(x.row, x.c)
	for i := range x.rows {
		for j := range x.vecs {
			x.StoreAt(x.row, j*x.Lanes()*4, x.sum(i, j))
		}
		x.AddG(x.row, x.ld)
	}
}

// params are those of a micro-kernel. Which part of c it touches, they say as
// Go expressions.
type params struct{ kc, panels, a, lda, b, c, ldc, acc *Param }

// declare declares the parameters of a kernel for a row of tiles. Rows of A
// that lie in memory are lda apart, those of a panel are side by side.
func (x *product) declare(packed bool) (p params) {
	x.rows, x.vecs = tileRows, tileVecs(x.ISA)
	width := fmt.Sprintf("panels*%d", x.vecs*x.Lanes())
	p.kc, p.panels = x.Arg("kc", Int), x.Arg("panels", Int)
	p.a = x.In("a", F32)
	if packed {
		p.a.Need(fmt.Sprintf("%d*kc", tileRows))
	} else {
		p.a.Need(fmt.Sprintf("%d*lda+kc", tileRows-1)).Rows(strconv.Itoa(tileRows), "lda", "kc")
		p.lda = x.Arg("lda", Int)
	}
	p.b = x.In("b", F32).Need(width + "*kc")
	p.c = x.InOut("c", F32).Need(fmt.Sprintf("%d*ldc+%s", tileRows-1, width)).Rows(strconv.Itoa(tileRows), "ldc", width)
	p.ldc, p.acc = x.Arg("ldc", Int), x.Arg("acc", Bool)
	return p
}

// begin takes registers for what all micro-kernels have, and sets those that
// go on from tile to tile.
func (x *product) begin(p params) {
	x.b, x.c, x.row, x.count, x.ld = x.Reg(), x.Reg(), x.Reg(), x.Reg(), x.Reg()
	x.LoadArg(x.b, p.b)
	x.LoadArg(x.c, p.c)
	x.LoadArg(x.ld, p.ldc)
	x.ShlImm(x.ld, 2)
}

// gemm is the micro-kernel of whole tiles.
func gemm(k *Kernel) { wholeTiles(&product{Kernel: k, mulAdd: k.FMAInto}, true) }

// gemmRows is gemm on rows of A in memory.
func gemmRows(k *Kernel) { wholeTiles(&product{Kernel: k, mulAdd: k.FMAInto}, false) }

func wholeTiles(x *product, packed bool) {
	k, p := x.Kernel, x.declare(packed)
	left, again := k.Reg(), k.Label()
	x.begin(p)
	k.LoadArg(left, p.panels)
	x.a = make([]G, 1, tileRows)
	x.a[0] = k.Reg()
	if packed {
		x.next = k.Reg()
	} else {
		for range tileRows - 1 {
			x.a = append(x.a, k.Reg())
		}
	}
	k.Bind(again)
	k.LoadArg(x.a[0], p.a)
	k.LoadArg(x.count, p.kc)
	if packed {
		k.MoveG(x.next, x.a[0])
		for range tileRows * 4 {
			k.AddG(x.next, x.count)
		}
	} else {
		k.LoadArg(x.row, p.lda)
		k.ShlImm(x.row, 2)
		for i := 1; i < tileRows; i++ {
			k.MoveG(x.a[i], x.a[i-1])
			k.AddG(x.a[i], x.row)
		}
	}
	x.describe(4, p.acc)
	k.AddImm(x.c, x.columnBytes())
	k.SubJump(left, 1, Greater, again)
}

// gemmPart is a micro-kernel for each size that a tile may have at an edge: 2,
// 4 or all rows, and any number of vectors. The argument part tells them apart:
// 0 is two rows of one vector, 1 two rows of two.
func gemmPart(k *Kernel) { partOfTile(&product{Kernel: k, mulAdd: k.FMAInto}) }

func partOfTile(x *product) {
	k, vecs := x.Kernel, tileVecs(x.ISA)
	part := k.Arg("part", Int)
	rows, width := fmt.Sprintf("(part/%d*2+2)", vecs), fmt.Sprintf("(part%%%d+1)*%d", vecs, k.Lanes())
	p := params{kc: k.Arg("kc", Int)}
	p.a = k.In("a", F32).Need(fmt.Sprintf("%d*kc", tileRows))
	p.b = k.In("b", F32).Need(fmt.Sprintf("%d*kc", vecs*k.Lanes()))
	p.c = k.InOut("c", F32).Need(fmt.Sprintf("(%s-1)*ldc+%s", rows, width)).Rows(rows, "ldc", width)
	p.ldc, p.acc = k.Arg("ldc", Int), k.Arg("acc", Bool)
	x.begin(p)
	x.a = []G{k.Reg()}
	k.LoadArg(x.a[0], p.a)
	k.LoadArg(x.count, p.kc)
	choice, end := k.Reg(), k.Label()
	k.LoadArg(choice, part)
	for x.rows = 2; x.rows <= tileRows; x.rows += 2 {
		for x.vecs = 1; x.vecs <= vecs; x.vecs++ {
			next := k.Label()
			k.SubJump(choice, 1, GreaterEqual, next)
			x.describe(2, p.acc)
			k.SubJump(x.count, 0, GreaterEqual, end) // always: no k is left
			k.Bind(next)
		}
	}
	k.Bind(end)
}
