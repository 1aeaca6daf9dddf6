package main

import (
	"fmt"
	"math"
)

// V is a vector register that has no number yet; below 0 it is a constant and
// 0 is none. Each operation gives a new one. Only Set, FMAInto and what is
// named so change one that exists.
type V int

// G is a general register: a pointer or a count.
type G int

// Kind is the type of the elements of a slice or a scalar.
type Kind int

// Kinds. F32 is loaded and stored as it is, F16 is converted, and a U16 is the
// low half of a lane: bf16 needs a shift besides.
const (
	F32 Kind = iota
	U16
	F16
	Int
	Bool
)

func (k Kind) size() int { return [...]int{4, 2, 2, 8, 1}[k] }

// Param is a parameter of a kernel: a slice, whose address and not its length
// goes to the assembly, or a scalar.
type Param struct {
	name  string
	kind  Kind
	slice bool
	out   bool   // written (slices)
	inout bool   // read as well
	need  string // Go expression: elements of a slice; "" is n
	rows  string // of a slice that is touched in rows only: their number,
	ld    string // distance
	width string // and length, for the race detector
	reg   G      // that holds a slice's address inside of Loop
	off   int    // from FP
}

// Kernel is one routine for one instruction set while it is described.
type Kernel struct {
	ISA
	name    string // as the field of simd.Tier: "Dot"
	params  []*Param
	results []string // names of F32 results
	code    []ins
	consts  []uint32
	vregs   int
	gregs   int
	labels  int
	loops   [][2]int // code ranges that a jump backwards repeats
	marks   map[int]int
	rows    []*Param // that Loop walks along besides
	// While Loop describes its body:
	unroll int // which copy
	tail   bool
	mask   V
	count  G // elements left
}

type op int

// The operations that an instruction set must know.
const (
	opLoad op = iota
	opStore
	opBroadcast // an F32 in memory
	opScalar    // an F32 argument, in all lanes
	opMove
	opAdd
	opSub
	opMul
	opDiv
	opMax
	opMin
	opFMA  // d = s0 s1 + s2
	opFNMA // d = s2 - s0 s1
	opSqrt
	opFloat // of 32-bit integers
	opAnd
	opOr
	opXor
	opAddI
	opSubI
	opShl // by imm
	opShr // logical
	opSar
	opSelect   // d = s0 cond s1 ? s2 : s3
	opTailMask // for h lanes of the tail
	opOnly     // d = lane of the tail ? s0 : s1
	opSum      // all lanes to an F32 result
	opMost
	opArg   // general register from argument
	opMoveG // g = h
	opAddG
	opAddImm
	opShlImm
	opSubJump  // g -= imm, jump to label if cond
	opTestArg  // jump to label if the Bool argument is false
	opTestJump // jump to label if g has one of the bits of imm
	opPrefetch
	opLabel
	opExtra // an instruction of x86 that has no operation of its own
	opWord  // the same of NEON
	opDotPairs
)

// Cond compares F32 lanes, or a general register with 0. With a NaN in it all
// but Unordered are false.
type Cond int

// Conditions.
const (
	Greater Cond = iota
	GreaterEqual
	Equal
	Less // of general registers only
	Unordered
)

type mem struct {
	base G
	off  int // bytes
}

type ins struct {
	op    op
	d     V
	upd   bool // d is read, too
	s     [4]V
	g, h  G
	mem   mem
	kind  Kind
	imm   int
	cond  Cond
	tail  bool
	param *Param
	label int
	text  string
}

func (k *Kernel) emit(in ins) V {
	k.code = append(k.code, in)
	return in.d
}

func (k *Kernel) newV() V { k.vregs++; return V(k.vregs) }

// Reg takes a general register for good.
func (k *Kernel) Reg() G {
	if k.gregs++; k.gregs > len(k.General()) {
		panic(fmt.Sprintf("%s: out of general registers", k.name))
	}
	return G(k.gregs)
}

// ---- parameters ----

func (k *Kernel) param(p *Param) *Param {
	k.params = append(k.params, p)
	return p
}

// In is a slice that is read. All slices have the length n of the first, if
// Need does not say otherwise.
func (k *Kernel) In(name string, kind Kind) *Param {
	return k.param(&Param{name: name, kind: kind, slice: true})
}

// Out is a slice that is written.
func (k *Kernel) Out(name string, kind Kind) *Param {
	return k.param(&Param{name: name, kind: kind, slice: true, out: true})
}

// InOut is a slice that is read and written.
func (k *Kernel) InOut(name string, kind Kind) *Param {
	return k.param(&Param{name: name, kind: kind, slice: true, out: true, inout: true})
}

// Need says how many elements of a slice are touched, as a Go expression of
// other parameters.
func (p *Param) Need(elements string) *Param { p.need = elements; return p }

// Rows says that only rows of width elements, ld apart, are touched.
func (p *Param) Rows(rows, ld, width string) *Param {
	p.rows, p.ld, p.width = rows, ld, width
	return p
}

// Arg is a scalar parameter.
func (k *Kernel) Arg(name string, kind Kind) *Param {
	return k.param(&Param{name: name, kind: kind})
}

// Scalar is an F32 parameter in all lanes. It belongs in front of loops.
func (k *Kernel) Scalar(name string) V {
	return k.emit(ins{op: opScalar, d: k.newV(), param: k.Arg(name, F32)})
}

// ---- vectors ----

// C is a constant.
func (k *Kernel) C(x float64) V { return k.Bits(math.Float32bits(float32(x))) }

// Bits is a constant given by its bits.
func (k *Kernel) Bits(u uint32) V {
	for i, c := range k.consts {
		if c == u {
			return V(-1 - i)
		}
	}
	k.consts = append(k.consts, u)
	return V(-len(k.consts))
}

// Zero is a new vector of zeros that may be changed.
func (k *Kernel) Zero() V { return k.Copy(k.C(0)) }

// Copy is a new vector that may be changed.
func (k *Kernel) Copy(a V) V { return k.emit(ins{op: opMove, d: k.newV(), s: [4]V{a}}) }

// Set changes d to a.
func (k *Kernel) Set(d, a V) { k.emit(ins{op: opMove, d: d, s: [4]V{a}}) }

func (k *Kernel) binary(o op, a, b V) V { return k.emit(ins{op: o, d: k.newV(), s: [4]V{a, b}}) }

// Add and the following are those of F32 lanes.
func (k *Kernel) Add(a, b V) V { return k.binary(opAdd, a, b) }

// Sub is a - b.
func (k *Kernel) Sub(a, b V) V { return k.binary(opSub, a, b) }

// Mul is a b.
func (k *Kernel) Mul(a, b V) V { return k.binary(opMul, a, b) }

// Div is a / b.
func (k *Kernel) Div(a, b V) V { return k.binary(opDiv, a, b) }

// Max is the larger. It is NaN where b is; a must not be NaN.
func (k *Kernel) Max(a, b V) V { return k.binary(opMax, a, b) }

// Min is the smaller. It is NaN where b is; a must not be NaN.
func (k *Kernel) Min(a, b V) V { return k.binary(opMin, a, b) }

// FMA is a b + c, rounded once.
func (k *Kernel) FMA(a, b, c V) V { return k.emit(ins{op: opFMA, d: k.newV(), s: [4]V{a, b, c}}) }

// FNMA is c - a b, rounded once.
func (k *Kernel) FNMA(a, b, c V) V { return k.emit(ins{op: opFNMA, d: k.newV(), s: [4]V{a, b, c}}) }

// FMAInto adds a b to d.
func (k *Kernel) FMAInto(d, a, b V) { k.emit(ins{op: opFMA, d: d, s: [4]V{a, b, d}}) }

// AddInto adds a to d.
func (k *Kernel) AddInto(d, a V) { k.emit(ins{op: opAdd, d: d, s: [4]V{d, a}}) }

// Sqrt is the square root.
func (k *Kernel) Sqrt(a V) V { return k.emit(ins{op: opSqrt, d: k.newV(), s: [4]V{a}}) }

// Float makes F32 of 32-bit integers.
func (k *Kernel) Float(a V) V { return k.emit(ins{op: opFloat, d: k.newV(), s: [4]V{a}}) }

// And and the following work on bits.
func (k *Kernel) And(a, b V) V { return k.binary(opAnd, a, b) }

// Or is a | b.
func (k *Kernel) Or(a, b V) V { return k.binary(opOr, a, b) }

// Xor is a ^ b.
func (k *Kernel) Xor(a, b V) V { return k.binary(opXor, a, b) }

// AddI adds 32-bit integers.
func (k *Kernel) AddI(a, b V) V { return k.binary(opAddI, a, b) }

// SubI subtracts 32-bit integers.
func (k *Kernel) SubI(a, b V) V { return k.binary(opSubI, a, b) }

func (k *Kernel) shift(o op, a V, by int) V {
	return k.emit(ins{op: o, d: k.newV(), s: [4]V{a}, imm: by})
}

// Shl shifts 32-bit integers left.
func (k *Kernel) Shl(a V, by int) V { return k.shift(opShl, a, by) }

// Shr shifts zeros in from the left.
func (k *Kernel) Shr(a V, by int) V { return k.shift(opShr, a, by) }

// Sar shifts the sign in from the left.
func (k *Kernel) Sar(a V, by int) V { return k.shift(opSar, a, by) }

// Select is x where a cond b holds, else y.
func (k *Kernel) Select(a V, cond Cond, b, x, y V) V {
	return k.emit(ins{op: opSelect, d: k.newV(), s: [4]V{a, b, x, y}, cond: cond})
}

// Only is x, but in the lanes of a tail that no element is in: there it is y.
func (k *Kernel) Only(x, y V) V {
	if !k.tail {
		return x
	}
	return k.emit(ins{op: opOnly, d: k.newV(), s: [4]V{x, y, k.mask}})
}

// ResultSum returns the sum of all lanes of v as an F32 result.
func (k *Kernel) ResultSum(name string, v V) { k.result(opSum, name, v) }

// SumAt puts the sum of all lanes of v at off bytes from a register.
func (k *Kernel) SumAt(base G, off int, v V) { k.emit(ins{op: opSum, s: [4]V{v}, mem: mem{base, off}}) }

// ResultMax returns the largest lane of v, NaN if one is.
func (k *Kernel) ResultMax(name string, v V) { k.result(opMost, name, v) }

func (k *Kernel) result(o op, name string, v V) {
	k.results = append(k.results, name)
	k.emit(ins{op: o, s: [4]V{v}, imm: len(k.results) - 1})
}

// ---- memory ----

// Load is the next lanes of a slice, 0 where a tail has no element.
func (k *Kernel) Load(p *Param) V {
	in := k.access(opLoad, p)
	in.d = k.newV()
	return k.emit(in)
}

// Store puts v where Load would read.
func (k *Kernel) Store(p *Param, v V) {
	in := k.access(opStore, p)
	in.s[0] = v
	k.emit(in)
}

func (k *Kernel) access(o op, p *Param) ins {
	in := ins{op: o, kind: p.kind, mem: mem{p.reg, k.unroll * k.Lanes() * p.kind.size()}, tail: k.tail, h: k.count}
	if k.tail {
		in.s[3] = k.mask
	}
	return in
}

// LoadAt is all lanes of F32 at off bytes from a register.
func (k *Kernel) LoadAt(base G, off int) V {
	return k.emit(ins{op: opLoad, d: k.newV(), mem: mem{base, off}})
}

// HalvesAt is as many numbers of 16 bits as there are lanes, at off bytes from a
// register.
func (k *Kernel) HalvesAt(base G, off int) V {
	return k.emit(ins{op: opLoad, d: k.newV(), kind: U16, mem: mem{base, off}})
}

// StoreAt is the counterpart of LoadAt.
func (k *Kernel) StoreAt(base G, off int, v V) {
	k.emit(ins{op: opStore, s: [4]V{v}, mem: mem{base, off}})
}

// BroadcastAt is one F32 of memory in all lanes.
func (k *Kernel) BroadcastAt(base G, off int) V {
	return k.emit(ins{op: opBroadcast, d: k.newV(), mem: mem{base, off}})
}

// Prefetch asks for a cache line.
func (k *Kernel) Prefetch(base G, off int) { k.emit(ins{op: opPrefetch, mem: mem{base, off}}) }

// PrefetchSecond asks the second cache for it.
func (k *Kernel) PrefetchSecond(base G, off int) {
	k.emit(ins{op: opPrefetch, imm: 1, mem: mem{base, off}})
}

// Extra emits an instruction that this instruction set alone has. In text, %d
// stands for the registers of d and s in turn (d first; d < 1 is none), and %m
// for the memory operand. upd says that d is read.
func (k *Kernel) Extra(text string, d V, upd bool, base G, off int, s ...V) {
	in := ins{op: opExtra, d: d, upd: upd, mem: mem{base, off}, text: text}
	copy(in.s[:], s)
	k.emit(in)
}

// Word is Extra for NEON: word with the registers of d, s[0] and s[1] filled in
// at bits 0, 5 and 16. upd says that d is read.
func (k *Kernel) Word(word uint32, text string, d V, upd bool, s ...V) {
	in := ins{op: opWord, d: d, upd: upd, imm: int(word), text: text}
	copy(in.s[:], s)
	k.emit(in)
}

// ---- general registers and jumps ----

// LoadArg sets g to an argument: the address of a slice, or an Int.
func (k *Kernel) LoadArg(g G, p *Param) { k.emit(ins{op: opArg, g: g, param: p}) }

// MoveG sets g to h.
func (k *Kernel) MoveG(g, h G) { k.emit(ins{op: opMoveG, g: g, h: h}) }

// AddG adds h to g.
func (k *Kernel) AddG(g, h G) { k.emit(ins{op: opAddG, g: g, h: h}) }

// AddImm adds a constant to g.
func (k *Kernel) AddImm(g G, x int) { k.emit(ins{op: opAddImm, g: g, imm: x}) }

// ShlImm shifts g left.
func (k *Kernel) ShlImm(g G, by int) { k.emit(ins{op: opShlImm, g: g, imm: by}) }

// Row is a row of elements that g points to. Loop walks along it, too.
func (k *Kernel) Row(g G, kind Kind) *Param {
	p := &Param{kind: kind, slice: true, reg: g}
	k.rows = append(k.rows, p)
	return p
}

// Label makes a label that Bind places.
func (k *Kernel) Label() int { k.labels++; return k.labels }

// Bind places a label.
func (k *Kernel) Bind(label int) {
	k.marks[label] = len(k.code)
	k.emit(ins{op: opLabel, label: label})
}

// SubJump subtracts x from g and jumps if the difference compares so with 0.
func (k *Kernel) SubJump(g G, x int, c Cond, label int) {
	if at, bound := k.marks[label]; bound {
		k.loops = append(k.loops, [2]int{at, len(k.code)})
	}
	k.emit(ins{op: opSubJump, g: g, imm: x, cond: c, label: label})
}

// TestJump jumps forward if g has one of some bits.
func (k *Kernel) TestJump(g G, bits, label int) {
	k.emit(ins{op: opTestJump, g: g, imm: bits, label: label})
}

// JumpUnless jumps if a Bool argument is false.
func (k *Kernel) JumpUnless(p *Param, label int) {
	k.emit(ins{op: opTestArg, param: p, label: label})
}

// Loop runs body over n elements of all slices of default length: in the main
// part unroll times for each turn (body learns which copy it is, to use sums
// of its own), then for single vectors, then for what is left, with loads and
// stores of the lanes that exist.
func (k *Kernel) Loop(unroll int, body func(u int)) {
	var at []*Param
	n := k.length()
	for _, p := range k.params {
		if p.slice && p.need == "" {
			if p.reg == 0 {
				p.reg = k.Reg()
			}
			k.LoadArg(p.reg, p)
			at = append(at, p)
		}
	}
	at = append(at, k.rows...)
	if k.count == 0 {
		k.count = k.Reg()
	}
	k.LoadArg(k.count, n)
	advance := func(copies int) {
		for _, p := range at {
			k.AddImm(p.reg, copies*k.Lanes()*p.kind.size())
		}
	}
	part := func(copies int) {
		again, done := k.Label(), k.Label()
		step := copies * k.Lanes()
		k.SubJump(k.count, step, Less, done)
		k.Bind(again)
		for k.unroll = 0; k.unroll < copies; k.unroll++ {
			body(k.unroll)
		}
		k.unroll = 0
		advance(copies)
		k.SubJump(k.count, step, GreaterEqual, again)
		k.Bind(done)
		k.AddImm(k.count, step)
	}
	if unroll > 1 {
		part(unroll)
	}
	part(1)
	end := k.Label()
	k.SubJump(k.count, 0, Equal, end)
	k.mask = k.newV()
	k.emit(ins{op: opTailMask, d: k.mask, h: k.count})
	k.tail = true
	body(0)
	k.tail = false
	k.Bind(end)
}

// length is the parameter n of the assembly, after those that are declared.
func (k *Kernel) length() *Param {
	for _, p := range k.params {
		if p.name == "n" {
			return p
		}
	}
	return k.Arg("n", Int)
}
