package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// rowsCase is a product of m rows of x and r of w, n long and ld apart. What
// lies between the rows is NaN: nobody may read it.
type rowsCase struct {
	n, ld int
	x, w  []float32
	h     []uint16 // w in bf16
}

func newRowsCase(n, gap int) rowsCase {
	r := rand.New(rand.NewPCG(uint64(n), uint64(gap)))
	c := rowsCase{n: n, ld: n + gap}
	fill := func(rows int) []float32 {
		out := make([]float32, max(0, (rows-1)*c.ld+n))
		for i := range out {
			out[i] = float32(math.NaN())
			if i%max(1, c.ld) < n {
				out[i] = math.Float32frombits(math.Float32bits(float32(r.NormFloat64())) &^ 0xffff)
			}
		}
		return out
	}
	c.x, c.w = fill(8), fill(8)
	for _, v := range c.w {
		c.h = append(c.h, uint16(math.Float32bits(v)>>16))
	}
	return c
}

// dot is row i of x times row j of w, and the sum of the terms' magnitudes.
func (c *rowsCase) dot(i, j int) (sum, scale float64) {
	for k := range c.n {
		t := float64(c.x[i*c.ld+k]) * float64(c.w[j*c.ld+k])
		sum += t
		scale += math.Abs(t)
	}
	return sum, scale
}

// bound is that of kernels' MatMul: 2 u sqrt(terms) scale.
func bound(terms int, scale float64) float64 {
	return 2 * 0x1p-24 * math.Sqrt(float64(terms)) * scale
}

func TestDots(t *testing.T) {
	for _, tier := range Tiers() {
		for _, k := range []struct {
			name string
			rows int
			run  func(out []float32, c *rowsCase)
		}{
			{"Dots", 1, func(out []float32, c *rowsCase) { tier.Dots(out, c.x, c.ld, c.w, c.ld, c.n) }},
			{"DotsBF16", 1, func(out []float32, c *rowsCase) { tier.DotsBF16(out, c.x, c.ld, c.h, c.ld, c.n) }},
			{"TileDots", tier.DotRows, func(out []float32, c *rowsCase) { tier.TileDots(out, c.x, c.ld, c.w, c.ld, c.n) }},
			{"TileDotsBF16", tier.DotRows, func(out []float32, c *rowsCase) { tier.TileDotsBF16(out, c.x, c.ld, c.h, c.ld, c.n) }},
		} {
			t.Run(tier.Name+"/"+k.name, func(t *testing.T) {
				for n := range 100 {
					c := newRowsCase(n, n%3)
					out := make([]float32, 4*k.rows+1)
					out[4*k.rows] = 17
					k.run(out, &c)
					for i := range 4 * k.rows {
						want, scale := c.dot(i/4, i%4)
						if !(math.Abs(float64(out[i])-want) <= bound(n, scale)) {
							t.Fatalf("n = %d: product %d: got %v, want %v", n, i, out[i], want)
						}
					}
					if out[4*k.rows] != 17 {
						t.Fatalf("n = %d: wrote past the end", n)
					}
				}
			})
		}
	}
}

// TestRowsAgree demands that a row's product is the same bits however many
// rows of x are multiplied at once.
func TestRowsAgree(t *testing.T) {
	for _, tier := range Tiers() {
		for n := range 100 {
			c := newRowsCase(n, 5)
			tile, one := make([]float32, 4*tier.DotRows), make([]float32, 4)
			tier.TileDotsBF16(tile, c.x, c.ld, c.h, c.ld, n)
			for i := range tier.DotRows {
				tier.DotsBF16(one, c.x[i*c.ld:], c.ld, c.h, c.ld, n)
				if got, want := fmt.Sprint(tile[4*i:4*i+4]), fmt.Sprint(one); got != want {
					t.Errorf("%s: n = %d, row %d: got %v, want %v", tier.Name, n, i, got, want)
				}
			}
		}
	}
}

func TestAxpys(t *testing.T) {
	for _, tier := range Tiers() {
		for _, k := range []struct {
			name string
			run  func(y []float32, c *rowsCase)
		}{
			{"Axpys", func(y []float32, c *rowsCase) { tier.Axpys(y, axpyFactors, c.w, c.ld) }},
			{"AxpysBF16", func(y []float32, c *rowsCase) { tier.AxpysBF16(y, axpyFactors, c.h, c.ld) }},
		} {
			t.Run(tier.Name+"/"+k.name, func(t *testing.T) {
				for n := range 100 {
					c := newRowsCase(n, n%3)
					y := make([]float32, n+1)
					for j := range y {
						y[j] = float32(j) / 8
					}
					k.run(y[:n], &c)
					for j := range n {
						want := float64(j) / 8
						scale := want
						for r, f := range axpyFactors {
							v := float64(f) * float64(c.w[r*c.ld+j])
							want += v
							scale += math.Abs(v)
						}
						if !(math.Abs(float64(y[j])-want) <= bound(9, scale)) {
							t.Fatalf("n = %d: element %d: got %v, want %v", n, j, y[j], want)
						}
					}
					if y[n] != float32(n)/8 {
						t.Fatalf("n = %d: wrote past the end", n)
					}
				}
			})
		}
	}
}

var axpyFactors = []float32{0.5, -1.25, 3, 0.001, -7, 1, 0, 2.5}

// BenchmarkRows multiplies rows of x by a matrix of bf16 that is larger than
// the caches, and, to tell what the kernel itself can do, by one that is not.
func BenchmarkRows(b *testing.B) {
	const k = 576
	x := make([]float32, 8*k)
	out := make([]float32, 16)
	for _, tier := range Tiers() {
		for _, c := range []struct {
			name string
			rows int
		}{{"cached", 256}, {"streamed", 1 << 17}} {
			w := make([]uint16, c.rows*k)
			for i := range w {
				w[i] = uint16(i & 0x3fff)
			}
			for _, m := range []int{1, tier.DotRows} {
				b.Run(fmt.Sprintf("%s/%s/%d", tier.Name, c.name, m), func(b *testing.B) {
					b.SetBytes(int64(len(w) * 2))
					for b.Loop() {
						for j := 0; j < c.rows; j += 4 {
							if m == 1 {
								tier.DotsBF16(out, x, k, w[j*k:], k, k)
							} else {
								tier.TileDotsBF16(out, x, k, w[j*k:], k, k)
							}
						}
					}
				})
			}
		}
	}
}
