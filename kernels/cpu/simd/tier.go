package simd

import (
	"fmt"
	"math"
	"strings"
)

// Tier is the kernels of one instruction set. Unless a field says otherwise,
// all slices have at least the length of the first, which is the number of
// elements, and outputs may be inputs but not overlap them in part.
type Tier struct {
	Name string

	// Gemm multiplies a packed panel of A (kc x MR) by panels > 0 of B (kc x
	// NR), which lie one behind another: c[i*ldc+j] = sum over k of a[k*MR+i] *
	// b[k*NR+j] for the first, and so on to the right, added to c if acc is
	// set. Lengths: MR*kc, panels*NR*kc, (MR-1)*ldc + panels*NR. GemmRows does
	// so with 1 to Rows rows of A as they lie in memory, and of c: a[i*lda+k]. It
	// gives the same bits.
	//
	// Meanwhile they ask the second cache for the lines from the address ahead on,
	// one for each four k of a panel: AheadLines that follow each other, then from
	// skip bytes further on. It may be any address.
	Gemm          func(kc, panels int, a, b, c []float32, ldc int, acc bool, ahead, skip int)
	GemmRows      func(rows, kc, panels int, a []float32, lda int, b, c []float32, ldc int, acc bool, ahead, skip int)
	MR, NR, Lanes int // NR is a multiple of Lanes
	Rows          int

	// Blocks of a product: k that the micro-kernel should see at once, columns
	// of B that are used together, and rows of c where they or those of A are
	// held aside; MC, at least NR, is both for tiles of small products. They are
	// constants of the tier, since KC decides how sums are rounded. Work is how
	// many products of elements make a task: those of a tenth of a millisecond
	// or less.
	KC, NC, MC, Work int

	// GemmPart is Gemm for the first 2(part/V) + 2 rows and Lanes (part%V + 1)
	// columns of the tile, V being NR/Lanes; nil where there is none. Edge
	// does it for any part.
	GemmPart func(part, kc int, a, b, c []float32, ldc int, acc bool)

	// PackRowsMR transposes MR rows of kc elements, ld apart, into a panel of
	// A; kc is a multiple of 16. PackRowsNR does so with Lanes
	// rows and as many columns of a panel of B; kc is a multiple of 4.
	PackRowsMR func(dst, src []float32, kc, ld int)
	PackRowsNR func(dst, src []float32, kc, ld int)

	// PackColumnsMR copies rows of panels*MR elements, ld apart, to panels of
	// A that are stride apart. PackColumnsNR does so with NR and
	// panels of B.
	PackColumnsMR func(dst, src []float32, rows, panels, ld, stride int)
	PackColumnsNR func(dst, src []float32, rows, panels, ld, stride int)

	// The same for a B in bf16; kc is a multiple of 8.
	PackRowsNRBF16    func(dst []float32, src []uint16, kc, ld int)
	PackColumnsNRBF16 func(dst []float32, src []uint16, rows, panels, ld, stride int)

	// Pairs is set in the mode avx512_bf16 alone: the same tier, but its Gemm,
	// GemmPart and Edge take panels whose words are pairs of bf16 (Halves), and kc
	// counts pairs. To each sum is added the product of the second elements of two
	// pairs, then that of the first, by fused products and sums for which
	// subnormal numbers are 0.
	Pairs *Tier

	// PairBF16 makes words of the elements of two rows; set where Pairs is.
	PairBF16 func(y []float32, lo, hi []uint16)

	// Fetch asks the second cache for the lines of size bytes from any address on.
	Fetch func(addr, size int)

	Dot   func(x, y []float32) (sum float32) // sum x y
	Axpy  func(y, x []float32, a float32)    // y += a x
	Scale func(y, x []float32, a float32)    // y = a x

	// Dots is out[j] = sum over k of x[k] w[j*ldw+k], k < n, for four rows of w,
	// and TileDots the same for DotRows rows of x: out[i*4+j], from x[i*ldx+k].
	Dots         func(out, x []float32, ldx int, w []float32, ldw, n int)
	DotsBF16     func(out, x []float32, ldx int, w []uint16, ldw, n int)
	TileDots     func(out, x []float32, ldx int, w []float32, ldw, n int)
	TileDotsBF16 func(out, x []float32, ldx int, w []uint16, ldw, n int)
	DotRows      int

	// Axpys is y[j] += sum over r of a[r] w[r*ld+j], for eight rows of w.
	Axpys     func(y, a []float32, w []float32, ld int)
	AxpysBF16 func(y, a []float32, w []uint16, ld int)

	// Conversions are those of internal/f16, bit by bit.
	WidenBF16  func(y []float32, x []uint16)
	NarrowBF16 func(y []uint16, x []float32)
	WidenF16   func(y []float32, x []uint16)
	NarrowF16  func(y []uint16, x []float32)

	Sum   func(x []float32) (sum float32)
	SumSq func(x []float32) (sum float32)  // sum x^2
	MaxOf func(x []float32) (most float32) // -Inf for none, NaN if one is

	Add   func(y, a, b []float32) // y = a + b
	Sub   func(y, a, b []float32) // y = a - b
	Mul   func(y, a, b []float32) // y = a b
	Div   func(y, a, b []float32) // y = a / b
	Max   func(y, a, b []float32) // y = the larger, NaN if one is
	Equal func(y, a, b []float32) // y = 1 for equal numbers, else 0

	Affine  func(y, x []float32, a, b float32) // y = a x + b
	ReLU    func(y, x []float32)               // y = 0 below 0, else x
	Step    func(y, x []float32)               // y = 1 above 0, else 0
	Sqrt    func(y, x []float32)
	Recip   func(y, x []float32)
	Exp     func(y, x []float32) // within 2 units in the last place, as the next three
	Log     func(y, x []float32)
	Tanh    func(y, x []float32)
	Sigmoid func(y, x []float32) // y = 1 / (1 + exp(-x)), within 4 units

	Scores      func(z, x []float32, a float32) (most float32)      // z = a x, and the largest, NaN if one is
	CapScores   func(z, x []float32, a, c float32) (most float32)   // z = c tanh(a x), and the largest
	CapSlope    func(y, x []float32, a float32)                     // y *= 1 - tanh(a x)^2
	ExpSum      func(y, x []float32, a, m float32) (sum float32)    // y = exp(a x - m), and sum y
	SumExp      func(x []float32, a, m float32) (sum float32)       // the sum alone
	SoftmaxGrad func(dx, p, dp []float32, a, delta float32)         // dx = a p (dp - delta)
	SiLU        func(y, gate, up []float32)                         // y = gate sigmoid(gate) up
	GELU        func(y, gate, up []float32)                         // the same of GELU's tanh form
	SiLUBwd     func(dgate, dup, gate, up, dy []float32)            // dgate = dy up act'(gate), dup = dy act(gate)
	GELUBwd     func(dgate, dup, gate, up, dy []float32)            // the same of GELU
	NormRow     func(y, x, w []float32, a float32)                  // y = a x w
	Dot3        func(x, y, z []float32) (sum float32)               // sum x y z
	NormBwd     func(dx, x, dy, w []float32, a, b float32)          // dx = a dy w + b x
	MulAxpyDot  func(y, x, z, w []float32, a float32) (sum float32) // y += a x z, and sum x z w

	// Turn is sin = a sin(pos freqs), cos = a cos(pos freqs), within 1e-7 a, and
	// the largest angle; where that is not below MostAngle the rest is
	// worthless. Angles looks after that.
	Turn func(sin, cos, freqs []float32, pos, a float32) (most float32)

	// Rotate turns heads > 0 rows of x, ld apart, by the angles of n cosines and
	// sines: y[k] = x[k] cos[k] - x[n+k] sin[k], y[n+k] = x[n+k] cos[k] +
	// x[k] sin[k]. Numbers from 2n on are left alone.
	Rotate func(y, x, cos, sin []float32, heads, ld int)

	// AdamW is one update with the gradient x = clip g: m = b1 m + c1 x,
	// v = b2 v + c2 x^2, w = keep w - rate m / (sqrt(root v) + eps).
	AdamW func(w, m, v, g []float32, clip, b1, c1, b2, c2, keep, rate, root, eps float32)

	// The softmax of attention works on panels of B: rows of NR scores, a row
	// for a key and a column for a query. m, l, f, lse and delta have a number
	// for each column.
	//
	// PanelSoftmax goes on with a softmax down the columns by more rows of
	// scores s, of which m is the largest so far and l the sum of exp(s - m):
	// s becomes exp(s - m) for the new m, and f the factor for what was summed
	// with the old one. A column of nothing but -Inf has weights of 0.
	PanelSoftmax func(rows int, s, m, l, f []float32)

	// PanelScale multiplies each column: s *= f.
	PanelScale func(rows int, s, f []float32)

	// PanelGrad sets s to p = exp(s - lse) and dp to p (dp - delta) scale.
	PanelGrad func(rows int, s, dp, lse, delta []float32, scale float32)
}

// AheadLines is how many cache lines that Gemm asks for follow each other.
const AheadLines = 8

// all are the tiers of this architecture that the machine can run, the fastest
// first, and behind it the mode that differs from it.
var all = append(native(), &portable)

// Tiers are those that this machine can run, the fastest first; behind avx512
// comes its mode avx512_bf16. Tests loop over them.
func Tiers() []*Tier { return all }

// Best is the fastest tier that rounds as the others do.
func Best() *Tier { return all[0] }

// Choose gives a tier by name, and the fastest for "".
func Choose(name string) (*Tier, error) {
	if name == "" {
		return Best(), nil
	}
	var have []string
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
		have = append(have, t.Name)
	}
	return nil, fmt.Errorf("simd: got %q, want one of %s", name, strings.Join(have, ", "))
}

// MostAngle is where Turn ends.
const MostAngle = 1 << 20

// Angles is Turn for any position and frequencies.
func (t *Tier) Angles(sin, cos, freqs []float32, pos float64, a float32) {
	// A float32 holds positions up to 2^24.
	if math.Abs(pos) > 1<<24 || !(t.Turn(sin, cos, freqs, float32(pos), a) < MostAngle) {
		anglesGo(sin, cos, freqs, pos, float64(a))
	}
}
