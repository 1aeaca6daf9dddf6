package vulkan

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"graft/kernels"
)

// sweep gives n floats, equally far apart as bits, from lo to hi, both of one sign.
func sweep(lo, hi float32, n int) []float32 {
	a, b := int64(math.Float32bits(lo)), int64(math.Float32bits(hi))
	xs := make([]float32, n)
	for i := range xs {
		xs[i] = math.Float32frombits(uint32(a + (b-a)*int64(i)/int64(n-1)))
	}
	return xs
}

func bytesOf(xs []float32) []byte {
	var b []byte
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// floats reads a slot of F32.
func (r *rig) floats(v kernels.View) []float32 {
	b := r.readBytes(v)
	xs := make([]float32, len(b)/4)
	for i := range xs {
		xs[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return xs
}

// ulps is how many units in the last place of a float32 lie between got and want. A
// result below the smallest normal number may be flushed to zero.
func ulps(got float32, want float64) float64 {
	const smallest = 0x1p-126
	d := math.Abs(float64(got) - want)
	if math.Abs(want) < smallest {
		if d <= smallest {
			return 0
		}
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return d / math.Ldexp(1, e-24)
}

// apply runs a function of one number.
func apply(t *testing.T, b *Backend, kind kernels.UnaryKind, xs []float32) []float32 {
	t.Helper()
	r := newRig(t, b)
	x := r.raw("x", kernels.F32, bytesOf(xs), len(xs))
	y := r.raw("y", kernels.F32, make([]byte, 4*len(xs)), len(xs))
	r.emit(kernels.Unary, kernels.Attr{Unary: kind}, []kernels.View{y}, x)
	r.run(1)
	return r.floats(y)
}

// TestFunctions sweeps the functions of shaders/math.glsl. The bound is in units in the
// last place: what they are made of, not what some driver measured gives.
func TestFunctions(t *testing.T) {
	const n = 1 << 17
	b := open(t)
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct {
		name   string
		kind   kernels.UnaryKind
		f      func(float64) float64
		lo, hi float32
		bound  float64
	}{
		{"exp", kernels.Exp, math.Exp, 1e-30, 88.72, 1.5},
		{"exp of negative numbers", kernels.Exp, math.Exp, -1e-30, -110, 1.5},
		{"log", kernels.Log, math.Log, 0x1p-149, math.MaxFloat32, 1.5},
		{"log near 1", kernels.Log, math.Log, 0.5, 2, 1.5},
		{"sqrt", kernels.Sqrt, math.Sqrt, 0x1p-62, 0x1p62, 0.51},
		{"recip", kernels.Recip, func(x float64) float64 { return 1 / x }, 0x1p-61, 0x1p61, 0.51},
		{"recip of negative numbers", kernels.Recip, func(x float64) float64 { return 1 / x }, -0x1p-61, -0x1p61, 0.51},
		{"tanh", kernels.Tanh, math.Tanh, 1e-30, 100, 1.5},
		{"tanh of negative numbers", kernels.Tanh, math.Tanh, -1e-3, -30, 1.5},
		{"sigmoid", kernels.Sigmoid, sigmoid, 1e-6, 100, 2},
		{"sigmoid of negative numbers", kernels.Sigmoid, sigmoid, -1e-6, -110, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			xs := sweep(c.lo, c.hi, n)
			worst, at := 0.0, float32(0)
			for i, y := range apply(t, b, c.kind, xs) {
				if d := ulps(y, c.f(float64(xs[i]))); !(d <= worst) {
					worst, at = d, xs[i]
				}
			}
			t.Logf("%.3f units at %v", worst, at)
			if !(worst <= c.bound) {
				t.Errorf("%.3f units in the last place at %v, want at most %v", worst, at, c.bound)
			}
		})
	}
}

// TestFunctionEdges has the numbers at which functions have edges, NaN and infinities.
func TestFunctionEdges(t *testing.T) {
	b := open(t)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	negative := math.Float32frombits(1 << 31)
	xs := []float32{0, negative, inf, -inf, nan, -nan, 1, -1, 88.8, 89, 1e30, -104, -1e30, 0x1p-149, math.MaxFloat32}
	for kind, want := range map[kernels.UnaryKind][]float32{
		kernels.Exp:     {1, 1, inf, 0, nan, nan, float32(math.E), 1 / float32(math.E), inf, inf, inf, 0, 0, 1, inf},
		kernels.Log:     {-inf, -inf, inf, nan, nan, nan, 0, nan, float32(math.Log(float64(xs[8]))), float32(math.Log(89)), 69.0775528, nan, nan, -103.278931, 88.7228394},
		kernels.Tanh:    {0, negative, 1, -1, nan, nan, 0.761594176, -0.761594176, 1, 1, 1, -1, -1, 0x1p-149, 1},
		kernels.Sigmoid: {0.5, 0.5, 1, 0, nan, nan, 0.731058598, 0.268941432, 1, 1, 1, 0, 0, 0.5, 1},
		kernels.Recip:   {inf, -inf, 0, negative, nan, nan, 1, -1, 1 / xs[8], 1. / 89, 1e-30, -1. / 104, -1e-30, inf, 0},
		kernels.Sqrt:    {0, negative, inf, nan, nan, nan, 1, nan, float32(math.Sqrt(float64(xs[8]))), float32(math.Sqrt(89)), 1e15, nan, nan, 3.74339207e-23, 1.84467435e19},
		kernels.ReLU:    {0, 0, inf, 0, nan, nan, 1, 0, 88.8, 89, 1e30, 0, 0, 0x1p-149, math.MaxFloat32},
		kernels.Step:    {0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1},
	} {
		for i, y := range apply(t, b, kind, xs) {
			w := want[i]
			switch {
			case w != w && y != y:
			case kind == kernels.Recip && xs[i] == 0x1p-149 && y == inf, kind == kernels.Sqrt && xs[i] == 0x1p-149 && y == 0: // flushed
			case math.IsInf(float64(w), 0) && y == w:
			case !(ulps(y, float64(w)) <= 1):
				t.Errorf("%v of %v: got %v, want %v", kind, xs[i], y, w)
			}
		}
	}
}

// TestQuotients divides numbers of all middling sizes.
func TestQuotients(t *testing.T) {
	const n = 1 << 16
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func() []float32 {
		xs := make([]float32, n)
		for i := range xs {
			xs[i] = math.Float32frombits(rnd.Uint32()&0x807fffff | uint32(97+rnd.IntN(60))<<23)
		}
		return xs
	}
	xs, zs := random(), random()
	r := newRig(t, open(t))
	x, z := r.raw("a", kernels.F32, bytesOf(xs), n), r.raw("b", kernels.F32, bytesOf(zs), n)
	y := r.raw("y", kernels.F32, make([]byte, 4*n), n)
	r.emit(kernels.Binary, kernels.Attr{Binary: kernels.Div}, []kernels.View{y}, x, z)
	r.run(1)
	worst := 0.0
	for i, q := range r.floats(y) {
		worst = max(worst, ulps(q, float64(xs[i])/float64(zs[i])))
	}
	if !(worst <= 0.51) {
		t.Errorf("%.3f units in the last place, want at most 0.51", worst)
	}
}

// TestAngles turns (1, 0) by positions and frequencies of all sizes, whose products are
// angles of up to 2^130: beside the error of the result, of half a unit of 1, there is
// one of the polynomials.
func TestAngles(t *testing.T) {
	const bound = 1.2e-7
	rnd := rand.New(rand.NewPCG(3, 4))
	var freqs []float32
	for i := range 64 {
		freqs = append(freqs, float32(math.Pow(10000, -float64(i)/64)), float32(math.Pow(500000, -float64(i)/64)))
	}
	for e := -149; e <= 100; e += 3 {
		freqs = append(freqs, float32(math.Ldexp(1+rnd.Float64(), e)))
	}
	freqs = append(freqs, -1, 0, math.Pi, math.Pi/2, 1, math.MaxFloat32)
	positions := []int32{0, 1, -1, 2, 3, 127, 4095, -131072, 1<<20 + 1, math.MaxInt32, math.MinInt32}
	for range 90 {
		positions = append(positions, int32(rnd.Uint32()>>rnd.IntN(31)))
	}
	n, f := len(positions), len(freqs)
	var pos []byte
	x := make([]float64, n*2*f)
	for i, p := range positions {
		pos = binary.LittleEndian.AppendUint32(pos, uint32(p))
		for k := range f {
			x[2*f*i+k] = 1
		}
	}
	r := newRig(t, open(t))
	in := r.slot("x", kernels.F32, x, n, 1, 2*f)
	out := r.slot("y", kernels.F32, make([]float64, len(x)), n, 1, 2*f)
	at := r.raw("positions", kernels.I32, pos, n)
	table := r.raw("freqs", kernels.F32, bytesOf(freqs), f)
	r.emit(kernels.RoPE, kernels.Attr{Sign: 1, Scale: 1}, []kernels.View{out}, in, at, table)
	r.run(1)
	y := r.floats(out)
	worst := 0.0
	for i, p := range positions {
		for k, fr := range freqs {
			s, c := math.Sincos(angle(p, fr))
			d := max(math.Abs(float64(y[2*f*i+k])-c), math.Abs(float64(y[2*f*i+f+k])-s))
			if !(d <= bound) {
				t.Fatalf("position %d, frequency %v: got (%v, %v), want (%v, %v)", p, fr, y[2*f*i+k], y[2*f*i+f+k], c, s)
			}
			worst = max(worst, d)
		}
	}
	t.Logf("off by at most %.3g", worst)
}

// angle is p f modulo 2 pi.
func angle(p int32, f float32) float64 {
	const digits = "6.28318530717958647692528676655900576839433879875021164194988918461563281257241799725606965068423413596429617302"
	real := func() *big.Float { return new(big.Float).SetPrec(400) }
	turn, _ := real().SetString(digits)
	x := real().Mul(real().SetInt64(int64(p)), real().SetFloat64(float64(f)))
	turns, _ := real().Quo(x, turn).Int(nil)
	rest, _ := x.Sub(x, real().Mul(turn, real().SetInt(turns))).Float64()
	return rest
}
