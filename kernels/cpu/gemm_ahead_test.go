package cpu

import (
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// fetched is the cache lines that the micro-kernel asks for while it multiplies by a
// block, as simd.Tier.Gemm says.
func fetched(f ahead, calls, panels, kc int, panel []float32) map[int]bool {
	lines := map[int]bool{}
	f.spread(calls, panels, kc, panel)
	for range calls {
		addr, skip := f.take()
		for range panels {
			for k := kc - 4; k >= 0; k -= 4 {
				lines[addr/64] = true
				if addr += 64; k/4%simd.AheadLines == 0 {
					addr += skip
				}
			}
		}
	}
	delete(lines, address(panel)/64)
	for i := range simd.AheadLines {
		delete(lines, address(panel)/64+i)
	}
	return lines
}

// TestAhead holds what is fetched while one block of B is used to the lines of memory
// in which the next one lies: nearly all of them, and little else. A row that does not
// begin with a line has one line more, which may be missed.
func TestAhead(t *testing.T) {
	tier := *simd.Best()
	tier.KC, tier.NC = 128, 4*tier.NR
	for _, c := range []struct {
		name    string
		m, n, k int
		transB  bool
		dt      kernels.DType
		packed  bool
	}{
		{"NN", 300, 12 * tier.NR, 512, false, f32, false},
		{"NT", 300, 12 * tier.NR, 512, true, f32, false},
		{"NN, blocks that do not fit", 299, 12*tier.NR + 5, 500, false, f32, false},
		{"NT, blocks that do not fit", 299, 12*tier.NR + 5, 500, true, f32, false},
		{"NN, bf16", 300, 12 * tier.NR, 512, false, b16, false},
		{"NT, bf16", 300, 12 * tier.NR, 512, true, b16, false},
		{"packed before", 300, 12 * tier.NR, 512, false, f32, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, columns := c.k, c.n
			if c.transB {
				rows, columns = c.n, c.k
			}
			ldb := columns + 3*64
			view := func(dt kernels.DType, rows, columns, ld int) operand {
				return operand{dt: dt, shape: []int{rows, columns}, stride: []int{ld, 1}}
			}
			p := product{a: view(f32, c.m, c.k, c.k), b: view(c.dt, rows, columns, ldb), c: view(f32, c.m, c.n, c.n), transB: c.transB, alpha: 1}
			g := newGemmShape(&p, &tier, 1)
			g.packB = c.packed
			mem, err := alloc(int64(rows*ldb+64*1024) * int64(c.dt.Size()))
			if err != nil {
				t.Fatal(err)
			}
			defer mem.Close()
			x := &gemm{gemmShape: g, p: p, mk: &tier, b: &array{dt: c.dt, b: mem.mem}, pb: cast[float32](mem.mem), ldb: ldb, threads: 1}
			panel := make([]float32, 1024)
			for task := range g.mt * g.nt {
				for k0 := 0; k0 < g.k; k0 += g.kc {
					last := k0+g.kc >= g.k
					if last && task == g.mt*g.nt-1 {
						break
					}
					next, nextTask := k0+g.kc, task
					if last {
						next, nextTask = 0, task+1
					}
					n := min(g.tn, g.n-task/g.mt*g.tn)
					got := fetched(x.upcoming(task, k0), blocks(g.tm, tier.MR), n/tier.NR, min(g.kc, g.k-k0), panel)
					want := x.linesOf(nextTask, next)
					both := 0
					for l := range want {
						if got[l] {
							both++
						}
					}
					if min(g.kc, g.k-k0)%(4*simd.AheadLines) != 0 {
						continue // the kernel's runs of lines and those that are wanted part company
					}
					if n/tier.NR == 4 && both*6 < len(want)*5 {
						t.Errorf("task %d, k %d: %d lines of %d are fetched", task, k0, both, len(want))
					}
					if most := len(want)*5/4 + 8*64; len(got) > most && c.dt == f32 {
						t.Errorf("task %d, k %d: %d lines are fetched, want at most %d", task, k0, len(got), most)
					}
				}
			}
		})
	}
}

// linesOf is the cache lines that packing the block at k0 of a task reads, or that the
// micro-kernel reads of what was packed before.
func (x *gemm) linesOf(task, k0 int) map[int]bool {
	lines := map[int]bool{}
	j0, kc := task/x.mt*x.tn, min(x.kc, x.k-k0)
	n := min(x.tn, x.n-j0)
	if x.gemmShape.packB {
		nr := x.mk.NR
		for i := range blocks(n, nr) * nr * kc {
			lines[(address(x.pb)+4*(k0*blocks(x.n, nr)*nr+j0*kc+i))/64] = true
		}
		return lines
	}
	for k := k0; k < k0+kc; k++ {
		for j := j0; j < j0+n; j++ {
			at := k*x.ldb + j
			if x.p.transB {
				at = j*x.ldb + k
			}
			lines[(address(x.b.b)+at*x.b.dt.Size())/64] = true
		}
	}
	return lines
}
