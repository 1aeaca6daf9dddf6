package f16

import (
	"math"
	"os"
	"testing"
)

// format describes a 16-bit binary floating-point type by its parameters, and
// derives values from the definition of IEEE 754 rather than from bit tricks.
type format struct {
	name    string
	expBits int
	manBits int
	widen   func(uint16) float32
	narrow  func(float32) uint16
}

var formats = []format{
	{"bf16", 8, 7, FromBF16, ToBF16},
	{"f16", 5, 10, FromF16, ToF16},
}

func (f format) maxExp() uint16   { return 1<<f.expBits - 1 }
func (f format) inf() uint16      { return f.maxExp() << f.manBits }
func (f format) quietBit() uint16 { return 1 << (f.manBits - 1) }

func (f format) isNaN(h uint16) bool { return h&0x7fff > f.inf() }

// value is (-1)^s * m * 2^(e - bias - manBits) from the definition; it is not
// called for NaN.
func (f format) value(h uint16) float64 {
	bias := 1<<(f.expBits-1) - 1
	exp := int(h & 0x7fff >> f.manBits)
	man := int(h & (1<<f.manBits - 1))
	v := 0.0
	switch {
	case exp == int(f.maxExp()):
		v = math.Inf(1)
	case exp == 0:
		v = math.Ldexp(float64(man), 1-bias-f.manBits)
	default:
		v = math.Ldexp(float64(man+1<<f.manBits), exp-bias-f.manBits)
	}
	if h&0x8000 != 0 {
		v = math.Copysign(v, -1)
	}
	return v
}

// above is the next value after a positive one, the one that the next exponent
// would have where infinity stands.
func (f format) above(h uint16) float64 {
	if h+1 == f.inf() {
		return 2*f.value(h) - f.value(h-1)
	}
	return f.value(h + 1)
}

// round finds the nearest value by comparing distances in float64, which are
// exact: it is the oracle for narrow. The result of overflow is decided as if
// the exponent range had no end (IEEE 754, 4.3.1).
func (f format) round(x float32) uint16 {
	sign := uint16(0)
	if math.Signbit(float64(x)) {
		sign = 0x8000
	}
	if math.IsNaN(float64(x)) {
		return sign | f.inf() | f.quietBit()
	}
	a := math.Abs(float64(x))
	lo, hi := uint16(0), f.inf() // value(lo) <= a; bisect for the last such
	for lo+1 < hi {
		if mid := (lo + hi) / 2; f.value(mid) <= a {
			lo = mid
		} else {
			hi = mid
		}
	}
	if math.IsInf(a, 1) {
		return sign | f.inf()
	}
	down, up := a-f.value(lo), f.above(lo)-a
	if down < up || down == up && lo&1 == 0 {
		return sign | lo
	}
	return sign | hi
}

func TestWidenAllValues(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for i := 0; i <= 0xffff; i++ {
				h := uint16(i)
				got := f.widen(h)
				if f.isNaN(h) {
					if !math.IsNaN(float64(got)) {
						t.Fatalf("widen(%#04x): got %v, want NaN", h, got)
					}
					continue
				}
				want := f.value(h)
				if float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want) {
					t.Fatalf("widen(%#04x): got %v, want %v", h, got, want)
				}
			}
		})
	}
}

func TestRoundTripAllValues(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for i := 0; i <= 0xffff; i++ {
				h := uint16(i)
				want := h
				if f.isNaN(h) {
					want |= f.quietBit() // payload and sign stay, signalling ends
				}
				if got := f.narrow(f.widen(h)); got != want {
					t.Fatalf("narrow(widen(%#04x)): got %#04x, want %#04x", h, got, want)
				}
			}
		})
	}
}

// Rounding can only change at a value of the format or half way between two,
// so the float32 at, just below and just above each of these decide them all.
func TestNarrowAtEveryBoundary(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			check := func(u uint32) {
				x := math.Float32frombits(u)
				if got, want := f.narrow(x), f.round(x); got != want {
					t.Fatalf("narrow(%v = %#08x): got %#04x, want %#04x", x, u, got, want)
				}
			}
			for h := uint16(0); h < f.inf(); h++ {
				v := f.value(h)
				for _, at := range []float64{v, (v + f.above(h)) / 2} {
					u := math.Float32bits(float32(at))
					if float64(float32(at)) != at {
						t.Fatalf("boundary %v is not a float32", at)
					}
					for _, sign := range []uint32{0, 1 << 31} {
						check(u | sign)
						check(u + 1 | sign)
						if u > 0 {
							check(u - 1 | sign)
						}
					}
				}
			}
			check(infF32)
			check(infF32 | 1<<31)
			check(infF32 - 1) // the largest finite float32
			check(1)          // the smallest subnormal one
		})
	}
}

// A spread over all bit patterns, the odd stride visiting every low half.
func TestNarrowSpread(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for i := uint64(0); i < 1<<32; i += 65521 {
				x := math.Float32frombits(uint32(i))
				got, want := f.narrow(x), f.round(x)
				if math.IsNaN(float64(x)) {
					got &= 0x8000 | f.inf() | f.quietBit() // payloads have their own test
				}
				if got != want {
					t.Fatalf("narrow(%v = %#08x): got %#04x, want %#04x", x, uint32(i), got, want)
				}
			}
		})
	}
}

// Every float32 there is, with GRAFT_F16_ALL set (about a minute): upwards from
// zero the result stays at one value until half way to the next.
func TestNarrowAll(t *testing.T) {
	if os.Getenv("GRAFT_F16_ALL") == "" {
		t.Skip("set GRAFT_F16_ALL=1 to check all 2^32 values")
	}
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			want, half := uint16(0), f.value(1)/2
			for u := uint32(0); u <= infF32; u++ {
				x := math.Float32frombits(u)
				for want < f.inf() && (float64(x) > half || float64(x) == half && want&1 == 1) {
					want++
					if half = math.Inf(1); want < f.inf() {
						half = (f.value(want) + f.above(want)) / 2
					}
				}
				if got := f.narrow(x); got != want {
					t.Fatalf("narrow(%v = %#08x): got %#04x, want %#04x", x, u, got, want)
				}
				if got := f.narrow(-x); got != want|0x8000 {
					t.Fatalf("narrow(%v): got %#04x, want %#04x", -x, got, want|0x8000)
				}
			}
			for u := uint32(infF32 + 1); u < 1<<31; u++ {
				for _, sign := range []uint32{0, 1 << 31} {
					got := f.narrow(math.Float32frombits(u | sign))
					if !f.isNaN(got) || got&f.quietBit() == 0 || uint32(got>>15) != sign>>31 {
						t.Fatalf("narrow(%#08x): got %#04x, want a quiet NaN of that sign", u|sign, got)
					}
				}
			}
		})
	}
}

func TestNaN(t *testing.T) {
	cases := []struct {
		name      string
		bits      uint32
		bf16, f16 uint16
	}{
		{"quiet", 0x7fc00000, 0x7fc0, 0x7e00},
		{"quiet negative", 0xffc00000, 0xffc0, 0xfe00},
		{"signalling, low bit only", 0x7f800001, 0x7fc0, 0x7e00},
		{"all ones must not wrap", 0x7fffffff, 0x7fff, 0x7fff},
		{"all ones negative must not wrap", 0xffffffff, 0xffff, 0xffff},
		{"payload kept from the top", 0x7fe10000, 0x7fe1, 0x7f08},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x := math.Float32frombits(c.bits)
			if got := ToBF16(x); got != c.bf16 {
				t.Errorf("ToBF16(%#08x): got %#04x, want %#04x", c.bits, got, c.bf16)
			}
			if got := ToF16(x); got != c.f16 {
				t.Errorf("ToF16(%#08x): got %#04x, want %#04x", c.bits, got, c.f16)
			}
		})
	}
	// A signalling half comes out quiet, as from VCVTPH2PS.
	if got := math.Float32bits(FromF16(0x7c01)); got != 0x7fc02000 {
		t.Errorf("FromF16(0x7c01): got %#08x, want 0x7fc02000", got)
	}
	if got := math.Float32bits(FromF16(0xfd55)); got != 0xffeaa000 {
		t.Errorf("FromF16(0xfd55): got %#08x, want 0xffeaa000", got)
	}
}

func TestSlicesEqualScalars(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	cases := []struct {
		name   string
		widen  func([]float32, []uint16)
		narrow func([]uint16, []float32)
		f      format
	}{
		{"bf16", BF16ToF32, F32ToBF16, formats[0]},
		{"f16", F16ToF32, F32ToF16, formats[1]},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wide := make([]float32, len(all)+1)
			wide[len(all)] = 42 // dst may be longer; the rest is not touched
			c.widen(wide, all)
			for i, h := range all {
				if got, want := math.Float32bits(wide[i]), math.Float32bits(c.f.widen(h)); got != want {
					t.Fatalf("widen[%d]: got %#08x, want %#08x", i, got, want)
				}
			}
			if wide[len(all)] != 42 {
				t.Errorf("element past src: got %v, want 42", wide[len(all)])
			}
			narrow := make([]uint16, len(all))
			src := make([]float32, len(all))
			for i := range src {
				src[i] = math.Float32frombits(uint32(i)*65537 + 0x8001)
			}
			c.narrow(narrow, src)
			for i, x := range src {
				if want := c.f.narrow(x); narrow[i] != want {
					t.Fatalf("narrow[%d]: got %#04x, want %#04x", i, narrow[i], want)
				}
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("short dst: got no panic, want one")
					}
				}()
				c.widen(make([]float32, 1), all)
			}()
		})
	}
}

func BenchmarkConvert(b *testing.B) {
	wide, narrow := make([]float32, 1<<16), make([]uint16, 1<<16)
	for i := range narrow {
		narrow[i] = uint16(i)
	}
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"BF16ToF32", func() { BF16ToF32(wide, narrow) }},
		{"F32ToBF16", func() { F32ToBF16(narrow, wide) }},
		{"F16ToF32", func() { F16ToF32(wide, narrow) }},
		{"F32ToF16", func() { F32ToF16(narrow, wide) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 << 16)
			for b.Loop() {
				c.run()
			}
		})
	}
}
