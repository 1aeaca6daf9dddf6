package main

import "encoding/binary"

// In the mode avx512_bf16 the words of panels are pairs of bf16: elements k and
// k+1 of a row of A or a column of B, the first in the low half. A word is as
// wide as an F32, so that panels, tiles and the kernels that pack are those of
// AVX-512; the micro-kernel alone is another, and what joins two rows of memory.

// bf16 is AVX-512 with AVX512_BF16.
type bf16 struct{ x86 }

func (bf16) Tier() string   { return "avx512_bf16" }
func (bf16) Suffix() string { return "AVX512BF16" }

func (x bf16) write(w *writer, in *ins) {
	if in.op == opDotPairs {
		d, a, b := w.reg(in.d), w.reg(in.s[0]), w.reg(in.s[1])
		code := vdpbf16ps(d, a, b)
		w.line("LONG $%#08x; WORD $%#04x // VDPBF16PS Z%d, Z%d, Z%d", binary.LittleEndian.Uint32(code[:4]), binary.LittleEndian.Uint16(code[4:]), b, a, d)
		return
	}
	x.x86.write(w, in)
}

// vdpbf16ps encodes VDPBF16PS Zb, Za, Zd, for which Go's assembler has no name: EVEX.512.F3.0F38.W0 52 /r (Intel, Software Developer's Manual 2, 2.7).
// The upper bits of the registers' numbers are stored inverted.
func vdpbf16ps(d, a, b int) [6]byte {
	const (
		escape  = 2      // 0F38
		prefix  = 2      // F3
		vector  = 2 << 5 // 512 bits
		fixed   = 1 << 2
		between = 0xc0 // registers
	)
	not := func(n, bit int) byte { return byte(^n >> bit & 1) }
	return [6]byte{
		0x62,
		not(d, 3)<<7 | not(b, 4)<<6 | not(b, 3)<<5 | not(d, 4)<<4 | escape,
		byte(^a&15)<<3 | fixed | prefix,
		vector | not(a, 4)<<3,
		0x52,
		between | byte(d&7)<<3 | byte(b&7),
	}
}

// DotPairsInto adds to the F32 lanes of d the products of the bf16 in the upper
// halves of a and b, then those in the lower halves.
func (k *Kernel) DotPairsInto(d, a, b V) { k.emit(ins{op: opDotPairs, d: d, s: [4]V{a, b, d}}) }

// gemmPairs is gemm on panels of pairs.
func gemmPairs(k *Kernel) { wholeTiles(&product{Kernel: k, mulAdd: k.DotPairsInto}) }

// gemmPairsPart is gemmPart on panels of pairs.
func gemmPairsPart(k *Kernel) { partOfTile(&product{Kernel: k, mulAdd: k.DotPairsInto}) }

// pairBF16 makes words of two rows.
func pairBF16(k *Kernel) {
	y, lo, hi := k.Out("y", F32), k.In("lo", U16), k.In("hi", U16)
	k.Loop(4, func(int) { k.Store(y, k.Or(k.Load(lo), k.Shl(k.Load(hi), 16))) })
}
