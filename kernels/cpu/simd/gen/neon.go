package main

import "fmt"

// neon is the vector unit that every arm64 has. Go's assembler knows few of
// its instructions on F32, so all of them are written as words.
type neon struct{}

func (neon) Tier() string   { return "neon" }
func (neon) Suffix() string { return "NEON" }
func (neon) Lanes() int     { return 4 }
func (neon) Vectors() int   { return 32 }

// General leaves R14 to R17 to instructions of several.
func (neon) General() []string {
	return []string{"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "R19", "R20", "R21", "R22"}
}

// number is that of a general register.
func number(name string) uint32 {
	var n uint32
	fmt.Sscanf(name, "R%d", &n)
	return n
}

// Scratch is two: both sources may be constants in memory.
func (neon) Scratch(in *ins) int { return 2 }

func (neon) EarlyClobber(in *ins) []V {
	switch in.op {
	case opSelect:
		return []V{in.s[2], in.s[3]}
	case opOnly:
		return []V{in.s[0], in.s[1]}
	case opFMA, opFNMA:
		return []V{in.s[0], in.s[1]}
	}
	return nil
}

func (n neon) enter(w *writer) {
	if len(w.k.consts) == 0 {
		return
	}
	w.line("MOVD $·%sPool<>(SB), R14", w.pool.name)
	for i, r := range w.consts {
		if r >= 0 {
			n.constant(w, V(-1-i), uint32(r))
		}
	}
}

func (neon) leave(*writer) {}

// constant loads from the pool, whose address is in R14.
func (n neon) constant(w *writer, v V, to uint32) {
	n.word(w, 0x3dc00000|uint32(w.poolAt(v)/16)<<10|14<<5|to, "LDR Q%d, [pool+%d]", to, w.poolAt(v))
}

// word writes an instruction as its number.
func (neon) word(w *writer, u uint32, format string, args ...any) {
	w.line("WORD $%#08x // %s", u, fmt.Sprintf(format, args...))
}

// reg is the register of source i; constants that have none are loaded to the
// scratch register of that source.
func (n neon) reg(w *writer, in *ins, i int) uint32 {
	if r := w.reg(in.s[i]); r >= 0 {
		return uint32(r)
	}
	to := uint32(30 + i%2)
	n.constant(w, in.s[i], to)
	return to
}

// three-operand instructions on four lanes.
var neonBinary = map[op]struct {
	word uint32
	name string
}{
	opAdd: {0x4e20d400, "FADD"}, opSub: {0x4ea0d400, "FSUB"}, opMul: {0x6e20dc00, "FMUL"}, opDiv: {0x6e20fc00, "FDIV"},
	opMax: {0x4e20f400, "FMAX"}, opMin: {0x4ea0f400, "FMIN"},
	opAnd: {0x4e201c00, "AND"}, opOr: {0x4ea01c00, "ORR"}, opXor: {0x6e201c00, "EOR"},
	opAddI: {0x4ea08400, "ADD"}, opSubI: {0x6ea08400, "SUB"},
	opFMA: {0x4e20cc00, "FMLA"}, opFNMA: {0x4ea0cc00, "FMLS"},
}

func (n neon) three(w *writer, o op, d, a, b uint32) {
	x := neonBinary[o]
	n.word(w, x.word|b<<16|a<<5|d, "%s V%d.4S, V%d.4S, V%d.4S", x.name, d, a, b)
}

func (n neon) move(w *writer, d, a uint32) {
	if d != a {
		n.word(w, 0x4ea01c00|a<<16|a<<5|d, "MOV V%d.16B, V%d.16B", d, a)
	}
}

func (n neon) write(w *writer, in *ins) {
	d := uint32(0)
	if in.d > 0 {
		d = uint32(w.reg(in.d))
	}
	switch in.op {
	case opLoad:
		n.load(w, in, d)
	case opStore:
		n.store(w, in)
	case opBroadcast:
		r := n.address(w, in.mem)
		n.word(w, 0x4d40c800|r<<5|d, "LD1R {V%d.4S}, [R%d]", d, r)
	case opScalar:
		w.line("FMOVS %s+%d(FP), F%d", in.param.name, in.param.off, d)
		n.word(w, 0x4e040400|d<<5|d, "DUP V%d.4S, V%d.S[0]", d, d)
	case opMove:
		if w.reg(in.s[0]) < 0 {
			n.constant(w, in.s[0], d)
		} else {
			n.move(w, d, n.reg(w, in, 0))
		}
	case opAdd, opSub, opMul, opDiv, opMax, opMin, opAnd, opOr, opXor, opAddI, opSubI:
		n.three(w, in.op, d, n.reg(w, in, 0), n.reg(w, in, 1))
	case opFMA, opFNMA:
		a, b := n.reg(w, in, 0), n.reg(w, in, 1)
		if w.reg(in.s[2]) < 0 {
			n.constant(w, in.s[2], d)
		} else {
			n.move(w, d, uint32(w.reg(in.s[2])))
		}
		n.three(w, in.op, d, a, b)
	case opSqrt:
		n.word(w, 0x6ea1f800|n.reg(w, in, 0)<<5|d, "FSQRT V%d.4S", d)
	case opFloat:
		n.word(w, 0x4e21d800|n.reg(w, in, 0)<<5|d, "SCVTF V%d.4S", d)
	case opShl:
		n.word(w, 0x4f005400|uint32(32+in.imm)<<16|n.reg(w, in, 0)<<5|d, "SHL V%d.4S, #%d", d, in.imm)
	case opShr:
		n.word(w, 0x6f000400|uint32(64-in.imm)<<16|n.reg(w, in, 0)<<5|d, "USHR V%d.4S, #%d", d, in.imm)
	case opSar:
		n.word(w, 0x4f000400|uint32(64-in.imm)<<16|n.reg(w, in, 0)<<5|d, "SSHR V%d.4S, #%d", d, in.imm)
	case opSelect:
		n.choose(w, in, d)
	case opTailMask:
		w.line("MOVD $·%sMask<>+16(SB), R15", w.pool.name)
		w.line("SUB %s<<2, R15, R15", w.general(in.h))
		n.word(w, 0x3dc00000|15<<5|d, "LDR Q%d, [R15]", d)
	case opOnly:
		a, b := n.reg(w, in, 0), n.reg(w, in, 1)
		n.move(w, d, uint32(w.reg(in.s[2])))
		n.word(w, 0x6e601c00|b<<16|a<<5|d, "BSL V%d.16B, V%d.16B, V%d.16B", d, a, b)
	case opSum, opMost:
		n.across(w, in)
	case opExtra:
		panic(w.k.name + ": Extra has no text for NEON; use Word")
	case opWord:
		u := uint32(in.imm)
		for i, at := range []uint{5, 16} {
			if in.s[i] != 0 {
				u |= n.reg(w, in, i) << at
			}
		}
		n.word(w, u|d, "%s V%d", in.text, d)
	default:
		n.scalar(w, in)
	}
}

func (n neon) scalar(w *writer, in *ins) {
	g := ""
	if in.g > 0 {
		g = w.general(in.g)
	}
	switch in.op {
	case opArg:
		w.line("MOVD %s+%d(FP), %s", in.param.name, in.param.off, g)
	case opMoveG:
		w.line("MOVD %s, %s", w.general(in.h), g)
	case opAddG:
		w.line("ADD %s, %s", w.general(in.h), g)
	case opAddImm:
		w.line("ADD $%d, %s", in.imm, g)
	case opShlImm:
		w.line("LSL $%d, %s", in.imm, g)
	case opSubJump:
		w.line("SUBS $%d, %s, %s", in.imm, g, g)
		w.line("%s l%d", map[Cond]string{Greater: "BGT", GreaterEqual: "BGE", Equal: "BEQ", Less: "BLT"}[in.cond], in.label)
	case opTestArg:
		w.line("MOVBU %s+%d(FP), R15", in.param.name, in.param.off)
		w.line("CBZ R15, l%d", in.label)
	case opPrefetch:
		w.line("PRFM %d(%s), PLDL%dKEEP", in.mem.off, w.general(in.mem.base), in.imm+1)
	case opTestJump:
		w.line("TST $%d, %s", in.imm, g)
		w.line("BNE l%d", in.label)
	default:
		panic(fmt.Sprintf("%s: neon cannot write operation %d", w.k.name, in.op))
	}
}

// choose puts the mask into d, which then becomes one or the other.
func (n neon) choose(w *writer, in *ins, d uint32) {
	a, b := n.reg(w, in, 0), n.reg(w, in, 1)
	switch in.cond {
	case Unordered: // both equal themselves, turned round
		if a != b {
			panic(w.k.name + ": Unordered compares a vector with itself")
		}
		n.word(w, 0x4e20e400|a<<16|a<<5|d, "FCMEQ V%d.4S, V%d.4S, V%d.4S", d, a, a)
		x, y := n.reg(w, in, 2), n.reg(w, in, 3)
		n.word(w, 0x6e601c00|x<<16|y<<5|d, "BSL V%d.16B, V%d.16B, V%d.16B", d, y, x)
		return
	case Greater:
		n.word(w, 0x6ea0e400|b<<16|a<<5|d, "FCMGT V%d.4S, V%d.4S, V%d.4S", d, a, b)
	case GreaterEqual:
		n.word(w, 0x6e20e400|b<<16|a<<5|d, "FCMGE V%d.4S, V%d.4S, V%d.4S", d, a, b)
	case Equal:
		n.word(w, 0x4e20e400|b<<16|a<<5|d, "FCMEQ V%d.4S, V%d.4S, V%d.4S", d, a, b)
	}
	x, y := n.reg(w, in, 2), n.reg(w, in, 3)
	n.word(w, 0x6e601c00|y<<16|x<<5|d, "BSL V%d.16B, V%d.16B, V%d.16B", d, x, y)
}

// address is the number of a register that holds it.
func (neon) address(w *writer, m mem) uint32 {
	if m.off == 0 {
		return number(w.general(m.base))
	}
	w.line("ADD $%d, %s, R15", m.off, w.general(m.base))
	return 15
}

// access loads or stores a vector of 4 or, of 16-bit elements, 8 bytes.
func (n neon) access(w *writer, name string, word uint32, scale int, m mem, v uint32) {
	base := number(w.general(m.base))
	off := m.off
	if off < 0 || off%scale != 0 {
		base, off = n.address(w, m), 0
	}
	n.word(w, word|uint32(off/scale)<<10|base<<5|v, "%s%d, [R%d+%d]", name, v, base, off)
}

func (n neon) load(w *writer, in *ins, d uint32) {
	m, base := in.mem, ""
	if in.tail {
		base = n.bounce(w, in, true)
	}
	if in.kind == F32 {
		if in.tail {
			n.word(w, 0x3dc00000|17<<5|d, "LDR Q%d, [%s]", d, base)
		} else {
			n.access(w, "LDR Q", 0x3dc00000, 16, m, d)
		}
		return
	}
	if in.tail {
		n.word(w, 0xfd400000|17<<5|d, "LDR D%d, [%s]", d, base)
	} else {
		n.access(w, "LDR D", 0xfd400000, 8, m, d)
	}
	if in.kind == F16 {
		n.word(w, 0x0e217800|d<<5|d, "FCVTL V%d.4S, V%d.4H", d, d)
	} else {
		n.word(w, 0x2f10a400|d<<5|d, "UXTL V%d.4S, V%d.4H", d, d)
	}
}

func (n neon) store(w *writer, in *ins) {
	s := n.reg(w, in, 0)
	word, name, scale := uint32(0x3d800000), "STR Q", 16
	if in.kind != F32 {
		word, name, scale = 0xfd000000, "STR D", 8
		if in.kind == F16 {
			n.word(w, 0x0e216800|s<<5|31, "FCVTN V31.4H, V%d.4S", s)
		} else {
			n.word(w, 0x0e612800|s<<5|31, "XTN V31.4H, V%d.4S", s)
		}
		s = 31
	}
	if !in.tail {
		n.access(w, name, word, scale, in.mem, s)
		return
	}
	w.line("MOVD $tail-64(SP), R17")
	n.word(w, word|17<<5|s, "%s%d, [R17]", name, s)
	n.bounce(w, in, false)
}

// bounce copies the elements of a tail to the stack or from there, whose
// address it leaves in R17.
func (n neon) bounce(w *writer, in *ins, load bool) string {
	move, store, shift := "MOVWU", "MOVW", 2
	if in.kind != F32 {
		move, store, shift = "MOVHU", "MOVH", 1
	}
	from, to := "R17", w.general(in.mem.base)
	if load {
		w.line("MOVD $tail-64(SP), R17")
		w.line("STP (ZR, ZR), (R17)")
		from, to = to, from
	}
	if in.mem.off != 0 {
		panic(w.k.name + ": a tail begins at its pointer")
	}
	again := w.local()
	w.line("MOVD %s, R15", w.general(in.h))
	w.out.WriteString(again + ":\n")
	w.line("SUB $1, R15")
	w.line("%s (%s)(R15<<%d), R16", move, from, shift)
	w.line("%s R16, (%s)(R15<<%d)", store, to, shift)
	w.line("CBNZ R15, %s", again)
	return "R17"
}

func (n neon) across(w *writer, in *ins) {
	s := n.reg(w, in, 0)
	if in.op == opMost {
		n.word(w, 0x6e30f800|s<<5|s, "FMAXV S%d, V%d.4S", s, s)
	} else {
		for range 2 {
			n.word(w, 0x6e20d400|s<<16|s<<5|s, "FADDP V%d.4S, V%d.4S, V%d.4S", s, s, s)
		}
	}
	w.line("FMOVS F%d, %s", s, w.sumTo(in, func(w *writer, m mem) string { return fmt.Sprintf("%d(%s)", m.off, w.general(m.base)) }))
}
