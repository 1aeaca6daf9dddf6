package simd

import (
	"fmt"
	"strings"
)

// Tier is the kernels of one instruction set. Unless a field says otherwise,
// all slices have at least the length of the first, which is the number of
// elements, and outputs may be inputs but not overlap them in part.
type Tier struct {
	Name string

	// Gemm multiplies a packed panel of A (kc x MR) by one of B (kc x NR):
	// c[i*ldc+j] = sum over k of a[k*MR+i] * b[k*NR+j], added to c if acc is
	// set. Lengths: MR*kc, NR*kc, (MR-1)*ldc + NR.
	Gemm          func(kc int, a, b, c []float32, ldc int, acc bool)
	MR, NR, Lanes int // NR is a multiple of Lanes

	// GemmPart does so for the first 2(part/V) + 2 rows and Lanes (part%V + 1)
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
}

// all are the tiers of this architecture that the machine can run, the fastest
// first.
var all = append(native(), &portable)

// Tiers are those that this machine can run, the fastest first. Tests loop
// over them.
func Tiers() []*Tier { return all }

// Best is the fastest tier.
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
