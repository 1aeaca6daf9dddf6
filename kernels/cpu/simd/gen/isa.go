package main

import (
	"fmt"
	"strings"
)

// ISA is an instruction set: what it has, and how it writes an operation.
type ISA interface {
	Tier() string      // "avx512"
	Suffix() string    // of function names: "AVX512"
	Lanes() int        // F32 in a vector
	Vectors() int      // vector registers
	General() []string // general registers that kernels may take
	// Scratch is the number of vector registers that writing in needs
	// besides its operands. They are the last ones.
	Scratch(in *ins) int
	// EarlyClobber gives the sources that are read after d was written.
	EarlyClobber(in *ins) []V
	// write appends the assembly of an instruction.
	write(w *writer, in *ins)
	// enter and leave are what stands around the code.
	enter(w *writer)
	leave(w *writer)
}

// writer turns the code of a kernel into text.
type writer struct {
	k       *Kernel
	out     *strings.Builder
	regs    []int
	consts  []int // registers of constants, or -1
	pool    *pool
	results []int // offsets from FP
	locals  int   // labels for instructions of several
}

// line writes an instruction.
func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w.out, "\t"+format+"\n", args...)
}

// local is a label inside an instruction.
func (w *writer) local() string { w.locals++; return fmt.Sprintf("t%d", w.locals) }

// reg is the number of a vector's register; -1 for a constant that has none.
func (w *writer) reg(v V) int {
	if v < 0 {
		return w.consts[-1-v]
	}
	return w.regs[v]
}

func (w *writer) general(g G) string { return w.k.General()[g-1] }

// poolAt is the place of a constant in the pool.
func (w *writer) poolAt(v V) int { return w.pool.at(w.k.consts[-1-v]) }

// pool is the constants of a file. Each fills a vector.
type pool struct {
	name  string
	lanes int
	words []uint32
}

func (p *pool) at(u uint32) int {
	for i, w := range p.words {
		if w == u {
			return i * p.lanes * 4
		}
	}
	p.words = append(p.words, u)
	return (len(p.words) - 1) * p.lanes * 4
}

// text is the pool, and the table from which tail masks are cut: as many ones
// as zeros.
func (p *pool) text() string {
	var b strings.Builder
	for i := range p.lanes {
		fmt.Fprintf(&b, "DATA ·%sMask<>+%d(SB)/4, $0xffffffff\n", p.name, i*4)
	}
	for i := range p.lanes {
		fmt.Fprintf(&b, "DATA ·%sMask<>+%d(SB)/4, $0\n", p.name, (p.lanes+i)*4)
	}
	fmt.Fprintf(&b, "GLOBL ·%sMask<>(SB), RODATA|NOPTR, $%d\n", p.name, p.lanes*8)
	if len(p.words) == 0 {
		return b.String()
	}
	for i, u := range p.words {
		for l := range p.lanes {
			fmt.Fprintf(&b, "DATA ·%sPool<>+%d(SB)/4, $%#08x\n", p.name, (i*p.lanes+l)*4, u)
		}
	}
	fmt.Fprintf(&b, "GLOBL ·%sPool<>(SB), RODATA|NOPTR, $%d\n", p.name, len(p.words)*p.lanes*4)
	return b.String()
}

// layout gives every parameter and result its offset from FP: Go's rules for
// the arguments of assembly.
func (k *Kernel) layout() (args int, results []int) {
	off := 0
	place := func(size int) int {
		off = (off + size - 1) / size * size
		at := off
		off += size
		return at
	}
	for _, p := range k.params {
		if p.slice {
			p.off = place(8)
		} else {
			p.off = place(p.kind.size())
		}
	}
	if len(k.results) > 0 {
		off = (off + 7) / 8 * 8
	}
	for range k.results {
		results = append(results, place(4))
	}
	return off, results
}

// frame is the room on the stack for tails that go through memory.
const frame = 64

// text is the kernel's assembly.
func (k *Kernel) text(p *pool) string {
	args, results := k.layout()
	var b strings.Builder
	k.prune()
	regs, consts := k.allocate()
	w := &writer{k: k, out: &b, regs: regs, consts: consts, pool: p, results: results}
	fmt.Fprintf(&b, "// %s\nTEXT ·%s(SB), NOSPLIT, $%d-%d\n", k.goDecl(), k.asmName(), frame, args)
	k.enter(w)
	for i := range k.code {
		in := &k.code[i]
		if in.op == opLabel && in.label == 0 {
			continue
		}
		if in.op == opLabel {
			fmt.Fprintf(&b, "l%d:\n", in.label)
			continue
		}
		k.write(w, in)
	}
	k.leave(w)
	b.WriteString("\tRET\n")
	return b.String()
}

// sumTo is where the sum or maximum of all lanes goes: to memory or a result.
func (w *writer) sumTo(in *ins, address func(*writer, mem) string) string {
	if in.mem.base > 0 {
		return address(w, in.mem)
	}
	return fmt.Sprintf("%s+%d(FP)", w.k.results[in.imm], w.results[in.imm])
}

func (k *Kernel) asmName() string { return lower(k.name) + k.Suffix() + "Asm" }

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
