package main

import (
	"fmt"
	"strings"
)

// x86 is AVX-512 (F, BW, DQ, VL) or AVX2 with FMA and F16C. Go writes the
// operands of an instruction from last to first.
type x86 struct{ wide bool }

func (x x86) Tier() string {
	if x.wide {
		return "avx512"
	}
	return "avx2"
}

func (x x86) Suffix() string { return strings.ToUpper(x.Tier()) }

func (x x86) Lanes() int {
	if x.wide {
		return 16
	}
	return 8
}

func (x x86) Vectors() int { return 2 * x.Lanes() }

// General leaves R12 and R13 to instructions of several.
func (x x86) General() []string {
	return []string{"AX", "BX", "CX", "DX", "SI", "DI", "R8", "R9", "R10", "R11", "R14", "R15", "BP"}[:12]
}

func (x x86) Scratch(in *ins) int {
	switch in.op {
	case opMove, opLabel, opBroadcast, opArg, opMoveG, opAddG, opAddImm, opShlImm, opSubJump, opTestArg, opTestJump, opPrefetch, opExtra, opScalar, opTailMask:
		return 0
	case opLoad:
		return b2i(!x.wide && in.kind != F32 && in.tail)
	case opStore:
		return b2i(!x.wide && in.kind == U16 || in.s[0] < 0)
	case opFMA, opFNMA, opAdd, opMul, opAnd, opOr, opXor, opAddI:
		return b2i(in.s[0] < 0 && in.s[1] < 0)
	case opSum:
		return 1
	case opMost:
		return 2
	}
	return b2i(in.s[0] < 0 || in.op == opSelect || in.op == opOnly)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (x x86) EarlyClobber(in *ins) []V {
	switch in.op {
	case opSelect:
		if x.wide {
			return nil
		}
		return []V{in.s[2], in.s[3]}
	}
	return nil
}

func (x x86) vec(n int) string { return fmt.Sprintf("%c%d", x.letter(), n) }

func (x x86) letter() byte {
	if x.wide {
		return 'Z'
	}
	return 'Y'
}

// operand is a source that may lie in memory.
func (x x86) operand(w *writer, v V) string {
	if r := w.reg(v); r >= 0 {
		return x.vec(r)
	}
	return fmt.Sprintf("·%sPool<>+%d(SB)", w.pool.name, w.poolAt(v))
}

// register is a source that must not lie in memory.
func (x x86) register(w *writer, v V) string {
	if r := w.reg(v); r >= 0 {
		return x.vec(r)
	}
	s := x.vec(x.Vectors() - 1)
	w.line("VMOVUPS %s, %s", x.operand(w, v), s)
	return s
}

func (x x86) address(w *writer, m mem) string {
	return fmt.Sprintf("%d(%s)", m.off, w.general(m.base))
}

// bits names instructions that AVX-512 has in sizes.
func (x x86) bits(name string) string {
	if x.wide {
		return name + "D"
	}
	return name
}

func (x x86) enter(w *writer) {
	for i, r := range w.consts {
		if r >= 0 {
			w.line("VMOVUPS ·%sPool<>+%d(SB), %s", w.pool.name, w.poolAt(V(-1-i)), x.vec(r))
		}
	}
}

func (x x86) leave(w *writer) { w.line("VZEROUPPER") }

func (x x86) write(w *writer, in *ins) {
	d := ""
	if in.d > 0 {
		d = x.vec(w.reg(in.d))
	}
	switch in.op {
	case opLoad:
		x.load(w, in, d)
	case opStore:
		x.store(w, in)
	case opBroadcast:
		w.line("VBROADCASTSS %s, %s", x.address(w, in.mem), d)
	case opScalar:
		w.line("VBROADCASTSS %s+%d(FP), %s", in.param.name, in.param.off, d)
	case opMove:
		if s := x.operand(w, in.s[0]); s != d {
			w.line("VMOVUPS %s, %s", s, d)
		}
	case opAdd, opMul, opAnd, opOr, opXor, opAddI:
		a, b := in.s[0], in.s[1]
		if w.reg(a) < 0 { // a constant in memory comes second
			a, b = b, a
		}
		w.line("%s %s, %s, %s", x.mnemonic(in.op), x.operand(w, b), x.register(w, a), d)
	case opSub, opDiv, opMax, opMin, opSubI:
		w.line("%s %s, %s, %s", x.mnemonic(in.op), x.operand(w, in.s[1]), x.register(w, in.s[0]), d)
	case opFMA, opFNMA:
		x.fma(w, in, d)
	case opSqrt:
		w.line("VSQRTPS %s, %s", x.operand(w, in.s[0]), d)
	case opFloat:
		w.line("VCVTDQ2PS %s, %s", x.operand(w, in.s[0]), d)
	case opShl, opShr, opSar:
		w.line("%s $%d, %s, %s", map[op]string{opShl: "VPSLLD", opShr: "VPSRLD", opSar: "VPSRAD"}[in.op], in.imm, x.register(w, in.s[0]), d)
	case opSelect:
		x.choose(w, in, d)
	case opTailMask:
		x.tailMask(w, in, d)
	case opOnly:
		if x.wide {
			w.line("VBLENDMPS %s, %s, K1, %s", x.operand(w, in.s[0]), x.register(w, in.s[1]), d)
		} else {
			w.line("VBLENDVPS %s, %s, %s, %s", x.vec(w.reg(in.s[2])), x.operand(w, in.s[0]), x.register(w, in.s[1]), d)
		}
	case opSum, opMost:
		x.across(w, in)
	case opExtra:
		x.extra(w, in)
	default:
		x.scalar(w, in)
	}
}

func (x x86) mnemonic(o op) string {
	switch o {
	case opAnd, opOr, opXor:
		return x.bits(map[op]string{opAnd: "VPAND", opOr: "VPOR", opXor: "VPXOR"}[o])
	}
	return map[op]string{opAdd: "VADDPS", opSub: "VSUBPS", opMul: "VMULPS", opDiv: "VDIVPS", opMax: "VMAXPS",
		opMin: "VMINPS", opAddI: "VPADDD", opSubI: "VPSUBD"}[o]
}

// scalar writes what works on general registers.
func (x x86) scalar(w *writer, in *ins) {
	g := ""
	if in.g > 0 {
		g = w.general(in.g)
	}
	switch in.op {
	case opArg:
		w.line("MOVQ %s+%d(FP), %s", in.param.name, in.param.off, g)
	case opMoveG:
		w.line("MOVQ %s, %s", w.general(in.h), g)
	case opAddG:
		w.line("ADDQ %s, %s", w.general(in.h), g)
	case opAddImm:
		w.line("ADDQ $%d, %s", in.imm, g)
	case opShlImm:
		w.line("SHLQ $%d, %s", in.imm, g)
	case opSubJump:
		w.line("SUBQ $%d, %s", in.imm, g)
		w.line("%s l%d", map[Cond]string{Greater: "JGT", GreaterEqual: "JGE", Equal: "JEQ", Less: "JLT"}[in.cond], in.label)
	case opTestArg:
		w.line("CMPB %s+%d(FP), $0", in.param.name, in.param.off)
		w.line("JEQ l%d", in.label)
	case opPrefetch:
		w.line("PREFETCHT%d %s", in.imm, x.address(w, in.mem))
	case opTestJump:
		w.line("TESTQ $%d, %s", in.imm, g)
		w.line("JNE l%d", in.label)
	default:
		panic(fmt.Sprintf("%s: %s cannot write operation %d", w.k.name, x.Tier(), in.op))
	}
}

// fma takes the form of the instruction that overwrites the right operand.
func (x x86) fma(w *writer, in *ins, d string) {
	a, b, c := in.s[0], in.s[1], in.s[2]
	name := "VFMADD"
	if in.op == opFNMA {
		name = "VFNMADD"
	}
	if w.reg(a) < 0 {
		a, b = b, a
	}
	is := func(v V) bool { return w.reg(v) >= 0 && x.vec(w.reg(v)) == d }
	switch {
	case is(c):
		w.line("%s231PS %s, %s, %s", name, x.operand(w, b), x.register(w, a), d)
	case is(a) && w.reg(b) >= 0:
		w.line("%s213PS %s, %s, %s", name, x.operand(w, c), x.vec(w.reg(b)), d)
	case is(a):
		w.line("%s132PS %s, %s, %s", name, x.operand(w, b), x.register(w, c), d)
	case is(b):
		w.line("%s213PS %s, %s, %s", name, x.operand(w, c), x.register(w, a), d)
	default:
		w.line("VMOVUPS %s, %s", x.operand(w, c), d)
		w.line("%s231PS %s, %s, %s", name, x.operand(w, b), x.register(w, a), d)
	}
}

// choose is d = a cond b ? x : y. The predicates are quiet: false with NaN but
// for Unordered.
func (x x86) choose(w *writer, in *ins, d string) {
	pred := map[Cond]int{Greater: 0x1e, GreaterEqual: 0x1d, Equal: 0, Unordered: 3}[in.cond]
	a, b := x.register(w, in.s[0]), x.operand(w, in.s[1])
	if x.wide {
		w.line("VCMPPS $%d, %s, %s, K2", pred, b, a)
		w.line("VBLENDMPS %s, %s, K2, %s", x.operand(w, in.s[2]), x.register(w, in.s[3]), d)
		return
	}
	w.line("VCMPPS $%d, %s, %s, %s", pred, b, a, d)
	w.line("VBLENDVPS %s, %s, %s, %s", d, x.operand(w, in.s[2]), x.register(w, in.s[3]), d)
}

// tailMask makes K1, or a vector of ones up to the count.
func (x x86) tailMask(w *writer, in *ins, d string) {
	if x.wide {
		w.line("MOVQ $-1, R12")
		w.line("BZHIQ %s, R12, R12", w.general(in.h))
		w.line("KMOVW R12, K1")
		return
	}
	w.line("LEAQ ·%sMask<>+%d(SB), R12", w.pool.name, x.Lanes()*4)
	w.line("MOVQ %s, R13", w.general(in.h))
	w.line("SHLQ $2, R13")
	w.line("SUBQ R13, R12")
	w.line("VMOVUPS (R12), %s", d)
}

func (x x86) load(w *writer, in *ins, d string) {
	at := x.address(w, in.mem)
	name := map[Kind]string{F32: "VMOVUPS", U16: "VPMOVZXWD", F16: "VCVTPH2PS"}[in.kind]
	switch {
	case !in.tail:
		w.line("%s %s, %s", name, at, d)
	case x.wide:
		w.line("%s.Z %s, K1, %s", name, at, d)
	case in.kind == F32:
		w.line("VMASKMOVPS %s, %s, %s", at, x.vec(w.reg(in.s[3])), d)
	default:
		again, s := w.local(), x.Vectors()-1
		w.line("VPXOR X%d, X%d, X%d", s, s, s)
		w.line("VMOVDQU X%d, tail-64(SP)", s)
		w.line("MOVQ %s, R12", w.general(in.h))
		w.out.WriteString(again + ":\n")
		w.line("MOVWLZX %d(%s)(R12*2), R13", in.mem.off-2, w.general(in.mem.base))
		w.line("MOVW R13, tail-66(SP)(R12*2)")
		w.line("DECQ R12")
		w.line("JNE %s", again)
		w.line("%s tail-64(SP), %s", name, d)
	}
}

func (x x86) store(w *writer, in *ins) {
	at, s := x.address(w, in.mem), x.register(w, in.s[0])
	half := "Y"
	if !x.wide {
		half = "X"
	}
	scratch := fmt.Sprintf("%s%d", half, x.Vectors()-1)
	narrow := func(to string) {
		switch {
		case in.kind == F16:
			w.line("VCVTPS2PH $0, %s, %s", s, to)
		case x.wide:
			w.line("VPMOVDW %s, %s", s, to)
		default: // pack both halves; lanes are below 65536
			w.line("VEXTRACTI128 $1, %s, %s", s, scratch)
			w.line("VPACKUSDW %s, X%s, %s", scratch, s[1:], scratch)
			w.line("VMOVDQU %s, %s", scratch, to)
		}
	}
	switch {
	case in.kind == F32 && !in.tail:
		w.line("VMOVUPS %s, %s", s, at)
	case in.kind == F32 && x.wide:
		w.line("VMOVUPS %s, K1, %s", s, at)
	case in.kind == F32:
		w.line("VMASKMOVPS %s, %s, %s", s, x.vec(w.reg(in.s[3])), at)
	case !in.tail:
		narrow(at)
	case in.kind == F16 && x.wide:
		w.line("VCVTPS2PH $0, %s, K1, %s", s, at)
	case x.wide:
		w.line("VPMOVDW %s, K1, %s", s, at)
	default:
		narrow("tail-64(SP)")
		again := w.local()
		w.line("MOVQ %s, R12", w.general(in.h))
		w.out.WriteString(again + ":\n")
		w.line("MOVWLZX tail-66(SP)(R12*2), R13")
		w.line("MOVW R13, %d(%s)(R12*2)", in.mem.off-2, w.general(in.mem.base))
		w.line("DECQ R12")
		w.line("JNE %s", again)
	}
}

// across folds a vector in halves, so that the order of the sum is fixed.
func (x x86) across(w *writer, in *ins) {
	n, t := w.reg(in.s[0]), x.Vectors()-1
	fold := func(letter byte) {
		s, h, u := fmt.Sprintf("%c%d", letter, n), fmt.Sprintf("%c%d", letter, t), fmt.Sprintf("%c%d", letter, t-1)
		if in.op == opSum {
			w.line("VADDPS %s, %s, %s", h, s, s)
			return
		}
		// Each maximum loses a NaN of one side.
		w.line("VMAXPS %s, %s, %s", h, s, u)
		w.line("VMAXPS %s, %s, %s", s, h, h)
		w.line("VORPS %s, %s, %s", h, u, s)
	}
	if x.wide {
		w.line("VEXTRACTF64X4 $1, Z%d, Y%d", n, t)
		fold('Y')
	}
	if x.wide {
		w.line("VEXTRACTF32X4 $1, Y%d, X%d", n, t)
	} else {
		w.line("VEXTRACTF128 $1, Y%d, X%d", n, t)
	}
	fold('X')
	for _, order := range []int{0x4e, 0xb1} {
		w.line("VPERMILPS $%#x, X%d, X%d", order, n, t)
		fold('X')
	}
	w.line("VMOVSS X%d, %s", n, w.sumTo(in, x.address))
}

// extra fills in the registers and the address of an instruction.
func (x x86) extra(w *writer, in *ins) {
	var args []any
	for _, v := range append([]V{in.d}, in.s[:]...) {
		if v != 0 {
			args = append(args, w.reg(v))
		}
	}
	text := in.text
	if strings.Contains(text, "%m") {
		text = strings.ReplaceAll(text, "%m", x.address(w, in.mem))
	}
	w.line(text, args...)
}
