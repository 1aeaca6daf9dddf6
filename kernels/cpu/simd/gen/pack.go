package main

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Packing puts the operands of a product into the panels that the micro-kernel
// reads: for each k the elements of MR rows of A, or of NR columns of B, side
// by side. Where k runs along the rows in memory this transposes.

// at is an operand on x86, with @0, @1 ... in its place of registers.
func (k *Kernel) at(text string, gs ...G) string {
	for i, g := range gs {
		text = strings.ReplaceAll(text, "@"+strconv.Itoa(i), k.General()[g-1])
	}
	return text
}

// interleave takes the low, or else the high halves of each 128 bits of a and
// b and gives their elements in turn; those are F32, or else pairs of them.
func (k *Kernel) interleave(a, b V, high, pairs bool) V {
	d := k.newV()
	if k.Tier() == "neon" {
		word, name := uint32(0x4e803800), "ZIP"
		if high {
			word |= 0x4000
		}
		if pairs {
			word |= 0x400000
		}
		k.Word(word, name, d, false, a, b)
		return d
	}
	name := map[[2]bool]string{{false, false}: "VUNPCKLPS", {true, false}: "VUNPCKHPS", {false, true}: "VUNPCKLPD", {true, true}: "VUNPCKHPD"}[[2]bool{high, pairs}]
	r := k.letter()
	k.Extra(fmt.Sprintf("%s %s%%[3]d, %s%%[2]d, %s%%[1]d", name, r, r, r), d, false, 0, 0, a, b)
	return d
}

// letter is that of vector registers on x86.
func (k *Kernel) letter() string {
	if k.Lanes() == 16 {
		return "Z"
	}
	return "Y"
}

// transpose4 transposes the 4x4 matrices that four vectors have in each 128
// bits.
func (k *Kernel) transpose4(v [4]V) [4]V {
	t0, t1 := k.interleave(v[0], v[1], false, false), k.interleave(v[0], v[1], true, false)
	t2, t3 := k.interleave(v[2], v[3], false, false), k.interleave(v[2], v[3], true, false)
	return [4]V{k.interleave(t0, t2, false, true), k.interleave(t0, t2, true, true),
		k.interleave(t1, t3, false, true), k.interleave(t1, t3, true, true)}
}

// rows is addresses of rows in memory that are ld bytes apart.
type rows struct {
	*Kernel
	ptr     []G // on x86 of every fourth or third row, on NEON of each
	step    int
	ld, ld3 G
}

// newRows points to n rows from src on. Three quarters of them are reached by
// index, where addresses may have one.
func newRows(k *Kernel, src, ld *Param, n, step int) *rows {
	x := &rows{Kernel: k, step: step, ld: k.Reg()}
	if k.Tier() == "neon" {
		x.step = 1
	}
	k.LoadArg(x.ld, ld)
	k.ShlImm(x.ld, bits.TrailingZeros(uint(src.kind.size())))
	for i := 0; i < n; i += x.step {
		x.ptr = append(x.ptr, k.Reg())
	}
	x.point(src)
	if x.step == 4 {
		x.ld3 = k.Reg()
		k.MoveG(x.ld3, x.ld)
		k.AddG(x.ld3, x.ld)
		k.AddG(x.ld3, x.ld)
	}
	return x
}

// point points to the beginnings of the rows.
func (x *rows) point(src *Param) {
	x.LoadArg(x.ptr[0], src)
	for i, p := range x.ptr[1:] {
		x.MoveG(p, x.ptr[i])
		for range x.step {
			x.AddG(p, x.ld)
		}
	}
}

// address is that of row i on x86.
func (x *rows) address(i int) string {
	p := x.ptr[i/x.step]
	return x.at([]string{"(@0)", "(@0)(@1*1)", "(@0)(@1*2)", "(@0)(@2*1)"}[i%x.step], p, x.ld, max(x.ld3, 1))
}

// broadcast is an element of row i in all lanes.
func (x *rows) broadcast(i, off int) V {
	if x.Tier() == "neon" {
		return x.BroadcastAt(x.ptr[i], off)
	}
	d := x.newV()
	x.Extra(fmt.Sprintf("VBROADCASTSS %d%s, %s%%d", off, x.address(i), x.letter()), d, false, 0, 0)
	return d
}

// load is the next elements of row i.
func (x *rows) load(i int) V {
	if x.Tier() == "neon" {
		return x.LoadAt(x.ptr[i], 0)
	}
	d := x.newV()
	x.Extra(fmt.Sprintf("VMOVUPS %s, %s%%d", x.address(i), x.letter()), d, false, 0, 0)
	return d
}

// quads is n times 128 bits of each of so many rows, one behind another: vectors q and i
// have in their 128-bit parts those of rows i, i+4, ... All of a row is read before the next
// one, since rows that are a multiple of 4 KiB apart share one place in the first
// cache, which holds fewer lines than there are rows.
func (x *rows) quads(n, rows int) [][4]V {
	all := make([][4]V, n)
	insert := map[string]string{"Z": "VINSERTF32X4", "Y": "VINSERTF128"}
	for i := range rows {
		for q := range all {
			v := &all[q][i%4]
			switch {
			case x.Tier() == "neon":
				*v = x.LoadAt(x.ptr[i], 16*q)
			case i < 4:
				*v = x.newV()
				x.Extra(fmt.Sprintf("VMOVUPS %d%s, X%%d", 16*q, x.address(i)), *v, false, 0, 0)
			default:
				z := x.letter()
				x.Extra(fmt.Sprintf("%s $%d, %d%s, %s%%[1]d, %s%%[1]d", insert[z], i/4, 16*q, x.address(i), z, z), *v, true, 0, 0)
			}
		}
	}
	return all
}

// advance moves on by n elements of 32 bits.
func (x *rows) advance(n int) {
	for _, p := range x.ptr {
		x.AddImm(p, 4*n)
	}
}

// packRowsNR transposes as many rows as a vector has lanes into a part of a
// panel of B.
func packRowsNR(k *Kernel) {
	packRows(k, F32, 4, func(to G, row int, v V) { k.StoreAt(to, row, v) })
}

// packRowsNRBF16 does so with two elements as one of 32 bits, and widens them.
func packRowsNRBF16(k *Kernel) {
	bytes := tileVecs(k.ISA) * k.Lanes() * 4
	packRows(k, U16, 8, func(to G, row int, v V) {
		k.StoreAt(to, 2*row, k.Shl(v, 16))
		k.StoreAt(to, 2*row+bytes, k.And(v, k.Bits(0xffff0000)))
	})
}

// packRows transposes 128 bits of each row at a time, columns of elements, and gives
// the vectors of 32 bits from each to put at a row of the panel.
func packRows(k *Kernel, kind Kind, columns int, put func(to G, row int, v V)) {
	lanes, nr := k.Lanes(), tileVecs(k.ISA)*k.Lanes()
	dst := k.Out("dst", F32).Need(fmt.Sprintf("max(0, (kc-1)*%d+%d)", nr, lanes)).Rows("kc", strconv.Itoa(nr), strconv.Itoa(lanes))
	src := k.In("src", kind).Need(fmt.Sprintf("%d*ld+kc", lanes-1)).Rows(strconv.Itoa(lanes), "ld", "kc")
	transpose(k, dst, src, lanes, columns, nr*4, put)
}

// transpose is packRows for some number of rows, a multiple of 4 that fits in a vector,
// into a panel of which one k takes so many bytes.
func transpose(k *Kernel, dst, src *Param, rows, columns, bytes int, put func(to G, row int, v V)) {
	kc, ld := k.Arg("kc", Int), k.Arg("ld", Int)
	x := newRows(k, src, ld, rows, 4)
	to, count := k.Reg(), k.Reg()
	k.LoadArg(to, dst)
	k.LoadArg(count, kc)
	for _, quads := range turns(k.ISA) {
		again, done := k.Label(), k.Label()
		k.SubJump(count, quads*columns, Less, done)
		k.Bind(again)
		for _, v := range x.quads(quads, rows) {
			for i, r := range k.transpose4(v) {
				put(to, i*bytes, r)
			}
			k.AddImm(to, columns*bytes)
		}
		x.advance(4 * quads)
		k.SubJump(count, quads*columns, GreaterEqual, again)
		k.Bind(done)
		k.AddImm(count, quads*columns)
	}
}

// turns is how many times 128 bits of each row a turn of packing takes: with AVX-512,
// whose registers hold them, whole lines of the cache as long as there are some.
func turns(isa ISA) []int {
	if isa.Lanes() == 16 {
		return []int{4, 1}
	}
	return []int{1}
}

// packRowsMR transposes the rows of a panel of A.
func packRowsMR(k *Kernel) {
	lanes, mr := k.Lanes(), tileRows(k.ISA)
	dst := k.Out("dst", F32).Need(fmt.Sprintf("%d*kc", mr))
	src := k.In("src", F32).Need(fmt.Sprintf("%d*ld+kc", mr-1)).Rows(strconv.Itoa(mr), "ld", "kc")
	if lanes == 16 {
		k.maskPanel()
		transpose(k, dst, src, mr, 4, mr*4, k.storePanel)
		return
	}
	kc, ld := k.Arg("kc", Int), k.Arg("ld", Int)
	x := newRows(k, src, ld, mr, 3)
	to, count := k.Reg(), k.Reg()
	k.LoadArg(to, dst)
	k.LoadArg(count, kc)
	again, done := k.Label(), k.Label()
	k.SubJump(count, lanes, Less, done)
	k.Bind(again)
	var v [6]V
	for i := range v {
		v[i] = x.load(i)
	}
	for i, r := range k.transpose4([4]V(v[:4])) {
		for q := range lanes / 4 {
			k.storeQuad(to, (4*q+i)*mr*4, r, q)
		}
	}
	for i := range 2 {
		pairs := k.interleave(v[4], v[5], i == 1, false)
		for q := range lanes / 4 {
			k.storePairs(to, (4*q+2*i)*mr*4+16, mr*4, pairs, q)
		}
	}
	x.advance(lanes)
	k.AddImm(to, lanes*mr*4)
	k.SubJump(count, lanes, GreaterEqual, again)
	k.Bind(done)
}

// maskPanel makes K1 the lanes that a panel of A has, for storePanel and what reads as
// many. R12 is nobody's.
func (k *Kernel) maskPanel() {
	k.Extra(fmt.Sprintf("MOVL $%#x, R12", 1<<tileRows(k.ISA)-1), 0, false, 0, 0)
	k.Extra("KMOVW R12, K1", 0, false, 0, 0)
}

// storePanel stores as many lanes as a panel of A has.
func (k *Kernel) storePanel(to G, off int, v V) {
	k.Extra("VMOVUPS Z%d, K1, %m", 0, false, to, off, v)
}

// quad is 128 bits of v, which has at most two of them, as a vector of their own.
func (k *Kernel) quad(v V, q int) V {
	if q == 0 {
		return v
	}
	d := k.newV()
	k.Extra(fmt.Sprintf("VEXTRACTF128 $%d, Y%%[2]d, X%%[1]d", q), d, false, 0, 0, v)
	return d
}

// storeQuad stores 128 bits of v, which has at most two of them.
func (k *Kernel) storeQuad(to G, off int, v V, q int) {
	switch {
	case k.Tier() == "neon":
		k.StoreAt(to, off, v)
	case q == 0:
		k.Extra("VMOVUPS X%d, %m", 0, false, to, off, v)
	default:
		k.Extra(fmt.Sprintf("VEXTRACTF128 $%d, Y%%d, %%m", q), 0, false, to, off, v)
	}
}

// storePairs stores the two pairs of 128 bits of v, apart bytes from each
// other.
func (k *Kernel) storePairs(to G, off, apart int, v V, q int) {
	if k.Tier() == "neon" {
		k.half(0xfd000000, "STR D", to, off, v, true)
		high := k.newV()
		k.Word(0x4e180400, "DUP D[1]", high, false, v)
		k.half(0xfd000000, "STR D", to, off+apart, high, true)
		return
	}
	v = k.quad(v, q)
	k.Extra("VMOVLPS X%d, %m", 0, false, to, off, v)
	k.Extra("VMOVHPS X%d, %m", 0, false, to, off+apart, v)
}

// half is a load or store of 64 bits on NEON.
func (k *Kernel) half(word uint32, name string, base G, off int, v V, read bool) {
	k.Word(word|uint32(off/8)<<10|number(k.General()[base-1])<<5, fmt.Sprintf("%s [%s+%d]", name, k.General()[base-1], off), v, read)
}

// packColumns copies rows of whole panels side by side. Panels are stride
// elements apart.
func packColumns(k *Kernel, kind Kind, width int, body func(from, to G)) {
	w := strconv.Itoa(width)
	dst := k.Out("dst", F32).Need("max(0, (panels-1)*stride+rows*"+w+")").Rows("panels", "stride", "rows*"+w)
	src := k.In("src", kind).Need("max(0, (rows-1)*ld+panels*"+w+")").Rows("rows", "ld", "panels*"+w)
	height, panels, ldArg, strideArg := k.Arg("rows", Int), k.Arg("panels", Int), k.Arg("ld", Int), k.Arg("stride", Int)
	from, to, column, panel := k.Reg(), k.Reg(), k.Reg(), k.Reg()
	ld, stride, count, left := k.Reg(), k.Reg(), k.Reg(), k.Reg()
	k.LoadArg(column, src)
	k.LoadArg(panel, dst)
	k.LoadArg(left, panels)
	k.LoadArg(ld, ldArg)
	k.ShlImm(ld, bits.TrailingZeros(uint(kind.size())))
	k.LoadArg(stride, strideArg)
	k.ShlImm(stride, 2)
	next, again, done, none := k.Label(), k.Label(), k.Label(), k.Label()
	k.SubJump(left, 1, Less, none)
	k.Bind(next)
	k.MoveG(from, column)
	k.MoveG(to, panel)
	k.LoadArg(count, height)
	k.SubJump(count, 1, Less, done)
	k.Bind(again)
	body(from, to)
	k.AddG(from, ld)
	k.AddImm(to, width*4)
	k.SubJump(count, 1, GreaterEqual, again)
	k.Bind(done)
	k.AddImm(column, width*kind.size())
	k.AddG(panel, stride)
	k.SubJump(left, 1, GreaterEqual, next)
	k.Bind(none)
}

// packColumnsNR copies rows of B.
func packColumnsNR(k *Kernel) {
	vecs := tileVecs(k.ISA)
	packColumns(k, F32, vecs*k.Lanes(), func(from, to G) {
		for j := range vecs {
			k.StoreAt(to, j*k.Lanes()*4, k.LoadAt(from, j*k.Lanes()*4))
		}
	})
}

// packColumnsNRBF16 widens them.
func packColumnsNRBF16(k *Kernel) {
	vecs := tileVecs(k.ISA)
	packColumns(k, U16, vecs*k.Lanes(), func(from, to G) {
		for j := range vecs {
			k.StoreAt(to, j*k.Lanes()*4, k.Shl(k.HalvesAt(from, j*k.Lanes()*2), 16))
		}
	})
}

// packColumnsMR copies rows of A. As many lanes as a panel has, or else four and two
// elements, are read and written, so that nothing beside them is touched.
func packColumnsMR(k *Kernel) {
	if k.Lanes() == 16 {
		k.maskPanel()
	}
	packColumns(k, F32, tileRows(k.ISA), func(from, to G) {
		if k.Lanes() == 16 {
			v := k.newV()
			k.Extra("VMOVUPS.Z %m, K1, Z%d", v, false, from, 0)
			k.storePanel(to, 0, v)
			return
		}
		four, two := k.newV(), k.newV()
		if k.Tier() == "neon" {
			k.StoreAt(to, 0, k.LoadAt(from, 0))
			k.half(0xfd400000, "LDR D", from, 16, two, false)
			k.half(0xfd000000, "STR D", to, 16, two, true)
			return
		}
		k.Extra("VMOVUPS %m, X%d", four, false, from, 0)
		k.Extra("VMOVSD %m, X%d", two, false, from, 16)
		k.Extra("VMOVUPS X%d, %m", 0, false, to, 0, four)
		k.Extra("VMOVSD X%d, %m", 0, false, to, 16, two)
	})
}
