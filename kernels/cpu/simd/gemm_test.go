package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"graft/internal/f16"
)

// normal is n numbers that are normally distributed.
func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// tile is a part of c in the middle of memory that must not change.
type tile struct {
	m, n, ldc int
	mem, was  []float32
}

func newTile(r *rand.Rand, m, n int) *tile {
	x := &tile{m: m, n: n, ldc: n + 3}
	x.mem = normal(r, x.ldc*(m+2))
	x.was = append(x.was, x.mem...)
	return x
}

// c is the tile and nothing behind it.
func (x *tile) c() []float32 { at := x.ldc + 1; return x.mem[at : at+(x.m-1)*x.ldc+x.n] }

// check compares the tile with the product of panels.
func (x *tile) check(t *Tier, kc int, a, b []float32, acc bool) error {
	for at, got := range x.mem {
		i, j := at/x.ldc-1, at%x.ldc-1
		if i < 0 || i >= x.m || j < 0 || j >= x.n {
			if got != x.was[at] {
				return fmt.Errorf("row %d column %d beside the tile changed", i, j)
			}
			continue
		}
		want, scale := 0.0, 0.0
		if acc {
			want = float64(x.was[at])
			scale = math.Abs(want)
		}
		for k := range kc {
			p := float64(a[k*t.MR+i]) * float64(b[k*t.NR+j])
			want += p
			scale += math.Abs(p)
		}
		if math.Abs(float64(got)-want) > 1e-6*scale {
			return fmt.Errorf("row %d column %d: got %v, want %v", i, j, got, want)
		}
	}
	return nil
}

// TestGemm multiplies whole tiles and every size of a tile at an edge.
func TestGemm(t *testing.T) {
	for _, tier := range Tiers() {
		t.Run(tier.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			buf := make([]float32, tier.MR*tier.NR)
			for _, kc := range []int{0, 1, 2, 3, 4, 5, 7, 8, 33, 70} {
				a, b := normal(r, kc*tier.MR), normal(r, kc*tier.NR)
				for _, acc := range []bool{false, true} {
					x := newTile(r, tier.MR, tier.NR)
					tier.Gemm(kc, 1, a, b, x.c(), x.ldc, acc, 0, 0)
					if err := x.check(tier, kc, a, b, acc); err != nil {
						t.Fatalf("kc %d, acc %v: %v", kc, acc, err)
					}
					if kc > 8 {
						continue
					}
					for m := 1; m <= tier.MR; m++ {
						for n := 1; n <= tier.NR; n++ {
							x := newTile(r, m, n)
							tier.Edge(m, n, kc, a, b, x.c(), x.ldc, acc, buf)
							if err := x.check(tier, kc, a, b, acc); err != nil {
								t.Fatalf("kc %d, acc %v, %d x %d: %v", kc, acc, m, n, err)
							}
						}
					}
				}
			}
		})
	}
}

// TestEdgeBits holds tiles at an edge to the bits of whole ones: where a
// product is cut must not matter.
func TestEdgeBits(t *testing.T) {
	for _, tier := range Tiers() {
		r := rand.New(rand.NewPCG(3, 4))
		const kc = 57
		mr, nr := tier.MR, tier.NR
		a, b := normal(r, kc*mr), normal(r, kc*nr)
		whole, buf := normal(r, mr*nr), make([]float32, mr*nr)
		start := append([]float32{}, whole...)
		tier.Gemm(kc, 1, a, b, whole, nr, true, 0, 0)
		for m := 1; m <= mr; m++ {
			for n := 1; n <= nr; n++ {
				got := append([]float32{}, start...)
				tier.Edge(m, n, kc, a, b, got, nr, true, buf)
				for i := range m {
					for j := range n {
						if got[i*nr+j] != whole[i*nr+j] {
							t.Fatalf("%s, %d x %d: row %d column %d: got %v, want %v", tier.Name, m, n, i, j, got[i*nr+j], whole[i*nr+j])
						}
					}
				}
			}
		}
	}
}

// packCase is a way to pack: element k of column i of panel p comes from
// row(p, k, i) of the source.
type packCase struct {
	name   string
	width  int // elements of a panel for one k
	part   int // that are written
	panels int
	kc     int
	run    func(dst, src []float32, ld, stride int)
	from   func(ld, p, k, i int) int
	source func(ld int) int // length of the source
	ld     int
}

func packCases(t *Tier) []packCase {
	var all []packCase
	for _, kc := range []int{0, 16, 48, 352} {
		all = append(all, packCase{name: "rows MR", width: t.MR, part: t.MR, panels: 1, kc: kc, ld: kc + 5,
			run:    func(dst, src []float32, ld, _ int) { t.PackRowsMR(dst, src, kc, ld) },
			from:   func(ld, _, k, i int) int { return i*ld + k },
			source: func(ld int) int { return (t.MR-1)*ld + kc }})
	}
	for _, kc := range []int{0, 4, 8, 44} {
		all = append(all, packCase{name: "rows NR", width: t.NR, part: t.Lanes, panels: 1, kc: kc, ld: kc + 3,
			run:    func(dst, src []float32, ld, _ int) { t.PackRowsNR(dst, src, kc, ld) },
			from:   func(ld, _, k, i int) int { return i*ld + k },
			source: func(ld int) int { return (t.Lanes-1)*ld + kc }})
	}
	for _, kc := range []int{0, 8, 16, 72} {
		all = append(all, packCase{name: "rows NR BF16", width: t.NR, part: t.Lanes, panels: 1, kc: kc, ld: kc + 3,
			run:    func(dst, src []float32, ld, _ int) { t.PackRowsNRBF16(dst, halves(src), kc, ld) },
			from:   func(ld, _, k, i int) int { return i*ld + k },
			source: func(ld int) int { return (t.Lanes-1)*ld + kc }})
	}
	for _, panels := range []int{0, 1, 3} {
		for _, kc := range []int{0, 1, 8} {
			from := func(w int) func(ld, p, k, i int) int {
				return func(ld, p, k, i int) int { return k*ld + p*w + i }
			}
			source := func(w int) func(int) int {
				return func(ld int) int { return max(0, (kc-1)*ld+panels*w) }
			}
			all = append(all,
				packCase{name: "columns MR", width: t.MR, part: t.MR, panels: panels, kc: kc, ld: 3*t.MR + 1,
					run:    func(dst, src []float32, ld, stride int) { t.PackColumnsMR(dst, src, kc, panels, ld, stride) },
					from:   from(t.MR),
					source: source(t.MR)},
				packCase{name: "columns NR", width: t.NR, part: t.NR, panels: panels, kc: kc, ld: 3*t.NR + 1,
					run:    func(dst, src []float32, ld, stride int) { t.PackColumnsNR(dst, src, kc, panels, ld, stride) },
					from:   from(t.NR),
					source: source(t.NR)},
				packCase{name: "columns NR BF16", width: t.NR, part: t.NR, panels: panels, kc: kc, ld: 3*t.NR + 1,
					run: func(dst, src []float32, ld, stride int) {
						t.PackColumnsNRBF16(dst, halves(src), kc, panels, ld, stride)
					},
					from:   from(t.NR),
					source: source(t.NR)})
		}
	}
	return all
}

// halves is a source in bf16, which holds its numbers exactly.
func halves(src []float32) []uint16 {
	h := make([]uint16, len(src))
	f16.F32ToBF16(h, src)
	return h
}

// TestPack holds packed panels to where their elements come from, bit by bit,
// and everything between and behind them to what it was.
func TestPack(t *testing.T) {
	for _, tier := range Tiers() {
		for _, c := range packCases(tier) {
			t.Run(fmt.Sprintf("%s/%s %d %d", tier.Name, c.name, c.kc, c.panels), func(t *testing.T) {
				r := rand.New(rand.NewPCG(5, 6))
				stride := c.kc*c.width + 7
				need := max(0, (c.panels-1)*stride+c.kc*c.width)
				if c.kc > 0 {
					need -= c.width - c.part
				}
				src, mem := normal(r, c.source(c.ld)), normal(r, need+40)
				f16.BF16ToF32(src, halves(src))
				want := append([]float32{}, mem...)
				for p := range c.panels {
					for k := range c.kc {
						for i := range c.part {
							want[20+p*stride+k*c.width+i] = src[c.from(c.ld, p, k, i)]
						}
					}
				}
				c.run(mem[20:20+need:20+need], src, c.ld, stride)
				for i := range mem {
					if mem[i] != want[i] {
						t.Fatalf("element %d: got %v, want %v", i-20, mem[i], want[i])
					}
				}
			})
		}
	}
}

// TestGemmRow multiplies by several panels at once, from a panel of A and from
// its rows in memory, all of a tile or fewer: the bits are those of one tile after
// another, whatever is fetched ahead.
func TestGemmRow(t *testing.T) {
	for _, tier := range Tiers() {
		r := rand.New(rand.NewPCG(5, 6))
		mr, nr := tier.MR, tier.NR
		for _, kc := range []int{0, 1, 3, 4, 21, 70} {
			for panels := 1; panels <= 3; panels++ {
				lda := kc + 5
				rows, b := normal(r, (mr-1)*lda+kc), normal(r, panels*nr*kc)
				a := make([]float32, mr*kc)
				for i := range mr {
					for k := range kc {
						a[k*mr+i] = rows[i*lda+k]
					}
				}
				for _, acc := range []bool{false, true} {
					want := newTile(r, mr, panels*nr)
					start := slices.Clone(want.mem)
					for p := range panels {
						tier.Gemm(kc, 1, a, b[p*nr*kc:], want.c()[p*nr:], want.ldc, acc, 0, 0)
					}
					got := &tile{m: mr, n: panels * nr, ldc: want.ldc, mem: slices.Clone(start), was: start}
					tier.Gemm(kc, panels, a, b, got.c(), got.ldc, acc, r.Int(), r.Int())
					if !slices.Equal(got.mem, want.mem) {
						t.Fatalf("%s, kc %d, %d panels, acc %v: from a panel: got %v, want %v", tier.Name, kc, panels, acc, got.mem, want.mem)
					}
					for m := 1; m <= tier.Rows; m++ {
						got := &tile{m: m, n: panels * nr, ldc: want.ldc, mem: slices.Clone(start), was: start}
						tier.GemmRows(m, kc, panels, rows[:(m-1)*lda+kc], lda, b, got.c(), got.ldc, acc, r.Int(), -r.Int())
						end := got.ldc + 1 + (m-1)*got.ldc + got.n
						if !slices.Equal(got.mem[:end], want.mem[:end]) || !slices.Equal(got.mem[end:], start[end:]) {
							t.Fatalf("%s, kc %d, %d panels, acc %v, %d rows in memory: got %v, want %v",
								tier.Name, kc, panels, acc, m, got.mem, want.mem)
						}
					}
				}
			}
		}
	}
}
