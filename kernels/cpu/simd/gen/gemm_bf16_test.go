package main

import (
	"strings"
	"testing"
)

// TestVDPBF16PS holds the encoding to that of GNU as 2.40, which LLVM 14 agrees
// with; the registers differ in every bit of their numbers.
func TestVDPBF16PS(t *testing.T) {
	for _, c := range []struct {
		d, a, b int
		want    [6]byte
	}{
		{0, 0, 0, [6]byte{0x62, 0xf2, 0x7e, 0x48, 0x52, 0xc0}},
		{1, 2, 3, [6]byte{0x62, 0xf2, 0x6e, 0x48, 0x52, 0xcb}},
		{7, 8, 15, [6]byte{0x62, 0xd2, 0x3e, 0x48, 0x52, 0xff}},
		{8, 7, 16, [6]byte{0x62, 0x32, 0x46, 0x48, 0x52, 0xc0}},
		{15, 16, 23, [6]byte{0x62, 0x32, 0x7e, 0x40, 0x52, 0xff}},
		{16, 15, 24, [6]byte{0x62, 0x82, 0x06, 0x48, 0x52, 0xc0}},
		{23, 24, 31, [6]byte{0x62, 0x82, 0x3e, 0x40, 0x52, 0xff}},
		{24, 23, 7, [6]byte{0x62, 0x62, 0x46, 0x40, 0x52, 0xc7}},
		{31, 31, 31, [6]byte{0x62, 0x02, 0x06, 0x40, 0x52, 0xff}},
		{31, 0, 17, [6]byte{0x62, 0x22, 0x7e, 0x48, 0x52, 0xf9}},
		{9, 30, 5, [6]byte{0x62, 0x72, 0x0e, 0x40, 0x52, 0xcd}},
		{20, 11, 26, [6]byte{0x62, 0x82, 0x26, 0x48, 0x52, 0xe2}},
	} {
		if got := vdpbf16ps(c.d, c.a, c.b); got != c.want {
			t.Errorf("VDPBF16PS Z%d, Z%d, Z%d: got % x, want % x", c.b, c.a, c.d, got, c.want)
		}
	}
}

// TestPairsText checks that the bytes reach the assembly in their order, and
// that the kernels of pairs differ from the others in that instruction alone.
func TestPairsText(t *testing.T) {
	x := bf16{x86{true}}
	w := &writer{out: &strings.Builder{}, regs: []int{0, 20, 11, 26}}
	x.write(w, &ins{op: opDotPairs, d: 1, s: [4]V{2, 3, 1}})
	if got, want := w.out.String(), "\tLONG $0x48268262; WORD $0xe252 // VDPBF16PS Z26, Z11, Z20\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	pairs, plain := describe(x), describe(x.x86)
	for i, k := range pairs.kernels[:2] {
		got := strings.Count(k.text(&pool{lanes: 16}), "VDPBF16PS")
		want := strings.Count(plain.kernels[i].text(&pool{lanes: 16}), "VFMADD231PS")
		if got != want || got == 0 {
			t.Errorf("%s: got %d products, want the %d of %s", k.name, got, want, plain.kernels[i].name)
		}
	}
}
