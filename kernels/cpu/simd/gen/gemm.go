package main

import (
	"fmt"
	"strconv"
)

// The micro-kernel keeps a tile of c in registers: 12x32 on AVX-512, 6x16 on AVX2 and
// NEON. A tall one needs less of B from the second cache. What makes up for its many
// elements of A is that AVX-512 can multiply by an element in memory: on a core that
// another thread shares, the number of instructions decides.

// tileRows is the number of rows of the tile, those of a panel of A.
func tileRows(isa ISA) int {
	if isa.Lanes() == 16 {
		return 12
	}
	return 6
}

// rowsInPlace is how many rows of A in memory a tile takes at most. With more, rows
// that are a multiple of 4 KiB apart would drive each other out of the first cache.
func rowsInPlace(isa ISA) int {
	if isa.Lanes() == 16 {
		return 8
	}
	return 6
}

// tileVecs is the number of vectors in a row of the tile.
func tileVecs(isa ISA) int {
	if isa.Lanes() == 4 {
		return 4
	}
	return 2
}

// Blocks of k and of columns: of B they are to stay in the second cache, of
// which another thread of the core may hold half, beside the part of the next block
// that is fetched ahead and rows of A and c that come and go. Servers with AVX-512 have
// at least 1 MiB there, its smallest laptops 512 KiB, processors without it 256 KiB.
const (
	blockM   = 256
	taskWork = 1 << 22
)

func blockN(isa ISA) int {
	if isa.Lanes() == 16 {
		return 256
	}
	return 128
}

func blockK(isa ISA) int {
	if isa.Lanes() == 16 {
		return 384
	}
	return 352
}

// product is one micro-kernel while it is described.
type product struct {
	*Kernel
	a           G     // a panel of A,
	inPlace     *rows // or its rows in memory
	b, c, row   G     // a panel of B, the tile of c, a row of it
	next        G     // the panel of A behind this one, if it is to be fetched
	ahead, skip G     // what else is to be fetched, if anything
	count, ld   G     // k to come, bytes from row to row
	rows, vecs  int
	sums        []V
	mulAdd      func(sum, a, b V) // of words of the panels
	fromMemory  bool              // most elements of A are read by what multiplies
}

func (x *product) sum(i, j int) V { return x.sums[i*x.vecs+j] }

// columnBytes is what one k takes in a panel of B.
func (x *product) columnBytes() int { return tileVecs(x.ISA) * x.Lanes() * 4 }

// panelBytes is what one k takes in a panel of A.
func (x *product) panelBytes() int { return tileRows(x.ISA) * 4 }

// multiplyRow adds the products of row i of A and the vectors b for copy u.
func (x *product) multiplyRow(i, u int, b []V) {
	var a V
	switch {
	case x.inPlace != nil:
		a = x.inPlace.broadcast(i, u*4)
	case x.fromMemory && i%4 > 0: // every fourth row is read once, for all vectors: loads are not free either
		for j := range x.vecs {
			x.Extra("VFMADD231PS.BCST %m, Z%[2]d, Z%[1]d", x.sum(i, j), true, x.a, u*x.panelBytes()+i*4, b[j])
		}
		return
	default:
		a = x.BroadcastAt(x.a, u*x.panelBytes()+i*4)
	}
	for j := range x.vecs {
		x.mulAdd(x.sum(i, j), a, b[j])
	}
}

// step adds the products of copies consecutive k.
func (x *product) step(copies int) {
	packed := x.inPlace == nil
	for u := 0; u < copies; u++ {
		if x.Tier() == "neon" && copies > 1 && packed {
			x.pair(u)
			u++
			continue
		}
		b := x.columns(u)
		for i := range x.rows {
			x.multiplyRow(i, u, b)
		}
	}
	if x.next > 0 && copies > 1 {
		for at := 0; at < copies*x.panelBytes(); at += 64 {
			x.Prefetch(x.next, at)
		}
		x.AddImm(x.next, copies*x.panelBytes())
	}
	if x.ahead > 0 && copies > 1 {
		x.fetch(copies)
	}
	if packed {
		x.AddImm(x.a, copies*x.panelBytes())
	} else {
		x.inPlace.advance(copies)
	}
	x.AddImm(x.b, copies*x.columnBytes())
}

// aheadLines is how many cache lines follow each other in what is fetched ahead.
const aheadLines = 8

// fetch asks the second cache for a line of what is needed after this product, and
// goes on to the next line: skip bytes further after each aheadLines.
func (x *product) fetch(copies int) {
	x.PrefetchSecond(x.ahead, 0)
	x.AddImm(x.ahead, 64)
	same := x.Label()
	x.TestJump(x.count, (aheadLines-1)*copies, same)
	x.AddG(x.ahead, x.skip)
	x.Bind(same)
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
			e := v*tileRows(x.ISA) + i
			if a[e/4] == 0 {
				a[e/4] = x.LoadAt(x.a, u*x.panelBytes()+e/4*16)
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
type params struct{ rows, kc, panels, a, lda, b, c, ldc, acc, ahead, skip *Param }

// declare declares the parameters of a kernel for a row of tiles. Rows of A
// that lie in memory are lda apart and may be fewer than those of the tile; those
// of a panel are side by side.
func (x *product) declare(packed bool) (p params) {
	x.rows, x.vecs = tileRows(x.ISA), tileVecs(x.ISA)
	width, rows := fmt.Sprintf("panels*%d", x.vecs*x.Lanes()), strconv.Itoa(x.rows)
	if !packed {
		rows = "rows"
		p.rows = x.Arg(rows, Int)
	}
	p.kc, p.panels = x.Arg("kc", Int), x.Arg("panels", Int)
	p.a = x.In("a", F32)
	if packed {
		p.a.Need(rows + "*kc")
	} else {
		p.a.Need("(rows-1)*lda+kc").Rows(rows, "lda", "kc")
		p.lda = x.Arg("lda", Int)
	}
	p.b = x.In("b", F32).Need(width + "*kc")
	p.c = x.InOut("c", F32).Need(fmt.Sprintf("(%s-1)*ldc+%s", rows, width)).Rows(rows, "ldc", width)
	p.ldc, p.acc = x.Arg("ldc", Int), x.Arg("acc", Bool)
	p.ahead, p.skip = x.Arg("ahead", Int), x.Arg("skip", Int)
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
	if p.ahead != nil {
		x.ahead, x.skip = x.Reg(), x.Reg()
		x.LoadArg(x.ahead, p.ahead)
		x.LoadArg(x.skip, p.skip)
	}
}

// gemm is the micro-kernel of whole tiles.
func gemm(k *Kernel) { wholeTiles(&product{Kernel: k, mulAdd: k.FMAInto, fromMemory: k.Lanes() == 16}) }

func wholeTiles(x *product) {
	k, p := x.Kernel, x.declare(true)
	x.begin(p)
	left := k.Reg()
	k.LoadArg(left, p.panels)
	x.a = k.Reg()
	if k.Lanes() < 16 { // else it would not stay in the first cache
		x.next = k.Reg()
	}
	again := k.Label()
	k.Bind(again)
	k.LoadArg(x.a, p.a)
	k.LoadArg(x.count, p.kc)
	if x.next > 0 {
		k.MoveG(x.next, x.a)
		for range x.panelBytes() {
			k.AddG(x.next, x.count)
		}
	}
	x.describe(4, p.acc)
	k.AddImm(x.c, x.columnBytes())
	k.SubJump(left, 1, Greater, again)
}

// gemmRows is gemm on rows of A in memory, as many as a tile has or fewer.
func gemmRows(k *Kernel) {
	x := &product{Kernel: k, mulAdd: k.FMAInto}
	p := x.declare(false)
	x.begin(p)
	left, end := k.Reg(), k.Label()
	k.LoadArg(left, p.panels)
	x.inPlace = newRows(k, p.a, p.lda, rowsInPlace(k.ISA), 3)
	k.LoadArg(x.count, p.rows)
	for x.rows = 1; x.rows <= rowsInPlace(k.ISA); x.rows++ {
		again, next := k.Label(), k.Label()
		k.SubJump(x.count, 1, Greater, next)
		k.Bind(again)
		x.inPlace.point(p.a)
		k.LoadArg(x.count, p.kc)
		x.describe(4, p.acc)
		k.AddImm(x.c, x.columnBytes())
		k.SubJump(left, 1, Greater, again)
		k.SubJump(x.count, 0, GreaterEqual, end) // always: no k is left
		k.Bind(next)
	}
	k.Bind(end)
}

// gemmPart is a micro-kernel for each size that a tile may have at an edge: an even
// number of rows, and any number of vectors. The argument part tells them apart:
// 0 is two rows of one vector, 1 two rows of two.
func gemmPart(k *Kernel) {
	partOfTile(&product{Kernel: k, mulAdd: k.FMAInto, fromMemory: k.Lanes() == 16})
}

func partOfTile(x *product) {
	k, vecs := x.Kernel, tileVecs(x.ISA)
	part := k.Arg("part", Int)
	rows, width := fmt.Sprintf("(part/%d*2+2)", vecs), fmt.Sprintf("(part%%%d+1)*%d", vecs, k.Lanes())
	p := params{kc: k.Arg("kc", Int)}
	p.a = k.In("a", F32).Need(fmt.Sprintf("%d*kc", tileRows(k.ISA)))
	p.b = k.In("b", F32).Need(fmt.Sprintf("%d*kc", vecs*k.Lanes()))
	p.c = k.InOut("c", F32).Need(fmt.Sprintf("(%s-1)*ldc+%s", rows, width)).Rows(rows, "ldc", width)
	p.ldc, p.acc = k.Arg("ldc", Int), k.Arg("acc", Bool)
	x.begin(p)
	x.a = k.Reg()
	k.LoadArg(x.a, p.a)
	k.LoadArg(x.count, p.kc)
	choice, end := k.Reg(), k.Label()
	k.LoadArg(choice, part)
	for x.rows = 2; x.rows <= tileRows(k.ISA); x.rows += 2 {
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
