//go:build amd64 || arm64

package vulkan

import (
	"math"
	"testing"

	"graft/kernels"
)

// TestMatMulIndices plans products of more elements than signed indices count. Every launch
// must stay below 2^31, inside its operands, and all together must make every term once. It
// needs no device and no memory.
func TestMatMulIndices(t *testing.T) {
	const big = 3 << 20
	for _, c := range []struct {
		name           string
		a, b, c        []int
		transA, transB bool
		launches       int // at least
	}{
		{"rows", []int{big, 2048}, []int{2048, 64}, []int{big, 64}, false, false, 3},
		{"columns", []int{8, 2048}, []int{2048, big}, []int{8, big}, false, false, 3},
		{"vocabulary, one row", []int{1, 2048}, []int{big, 2048}, []int{1, big}, false, true, 3},
		{"c alone", []int{1 << 20, 16}, []int{4096, 16}, []int{1 << 20, 4096}, false, true, 2},
		{"gradient over many tokens", []int{big, 2048}, []int{big, 512}, []int{2048, 512}, true, false, 4},
		{"gradient of a large weight", []int{1 << 19, 16384}, []int{1 << 19, 16384}, []int{16384, 16384}, true, false, 5},
		{"one sum", []int{1, 5 << 30}, []int{5 << 30, 1}, []int{1, 1}, false, false, 4},
		{"long work", []int{1 << 16, 8192}, []int{1 << 16, 8192}, []int{1 << 16, 1 << 16}, false, true, 64},
		{"batches", []int{5, 1 << 15, 1 << 15}, []int{5, 1 << 15, 128}, []int{5, 1 << 15, 128}, false, false, 5},
		{"small batches", []int{1 << 17, 256, 256}, []int{1 << 17, 256, 8}, []int{1 << 17, 256, 8}, false, false, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			a, b := r.add("a", kernels.BF16, kernels.Input, c.a...), r.add("b", kernels.BF16, kernels.Input, c.b...)
			out := r.add("c", kernels.BF16, kernels.Output, c.c...)
			in := kernels.Instr{Op: kernels.MatMul, In: []kernels.View{a, b}, Out: []kernels.View{out},
				Attr: kernels.Attr{Alpha: 1, TransA: c.transA, TransB: c.transB}}
			x, err := expandInstr(target{sharedMemory: 32 << 10, invocations: 256, units: 96}, &r.prog, 0, in)
			if err != nil {
				t.Fatal(err)
			}
			m, k, n := kernels.MatMulShape(in)
			terms := int64(m) * int64(k) * int64(n)
			if len(c.c) == 3 {
				terms *= int64(c.c[0])
			}
			if len(x.launches) < c.launches || len(x.launches) > 1000 {
				t.Errorf("%d launches, want at least %d", len(x.launches), c.launches)
			}
			for _, l := range x.launches {
				terms -= checkIndices(t, x, l, c.transA, c.transB)
			}
			if terms != 0 {
				t.Errorf("%d terms too few", terms)
			}
		})
	}
}

// checkIndices holds a launch to what its words let it touch, and returns how many terms
// it multiplies.
func checkIndices(t *testing.T, x *expansion, l launch, transA, transB bool) int64 {
	t.Helper()
	w := make([]int64, len(l.words))
	for i, u := range l.words {
		w[i] = int64(u)
	}
	m, n, k, n1, n2 := w[0], w[1], w[2], w[7], w[8]
	if l.kernel == "matmul_sum" {
		if k*int64(l.groups[2])*m*n > maxPiece {
			t.Errorf("%d parts of %dx%d", k, m, n)
		}
		return 0
	}
	parts := (k-1)/w[21] + 1
	count := int64(l.groups[2]) / parts
	// reach is the highest index of an operand of rows with a stride, and strides of batches.
	reach := func(rows, cols, ld, batch int64) int64 {
		top := (rows-1)*ld + cols - 1
		return top + (n2-1)*w[batch+2] + (n1-1)*w[batch+1] + (count/n1/n2-1)*w[batch]
	}
	swap := func(on bool, x, y int64) (int64, int64) {
		if on {
			return y, x
		}
		return x, y
	}
	am, ak := swap(transA, m, k)
	bk, bn := swap(transB, k, n)
	for i, o := range []struct {
		name string
		span kernels.Span
		size int64
		top  int64
	}{
		{"a", l.reads[0], 2, reach(am, ak, w[3], 9)},
		{"b", l.reads[1], 2, reach(bk, bn, w[4], 12)},
		{"c", l.writes[0], 2, reach(m, n, w[6], 18) + (parts-1)*count*m*n},
	} {
		if o.span.Slot == kernels.Scratch {
			o.size = 4
		}
		at := l.addrs[[]int{opA, opB, opC}[i]]
		if want := (kernels.Span{Slot: at.slot, Lo: at.offset, Hi: at.offset + (o.top+1)*o.size}); o.span != want {
			t.Errorf("%s: declares %v, touches %v", o.name, o.span, want)
		}
		if limit := x.scratch; o.span.Slot == kernels.Scratch && o.span.Hi > limit ||
			o.span.Slot != kernels.Scratch && o.span.Hi > x.prog.Slots[o.span.Slot].Bytes() {
			t.Errorf("%s: %v lies outside of its slot", o.name, o.span)
		}
		if o.top > math.MaxInt32 {
			t.Errorf("%s: index %d", o.name, o.top)
		}
	}
	for _, g := range l.groups {
		if g > maxGroups {
			t.Errorf("a grid of %v", l.groups)
		}
	}
	if work := 2 * float64(m*n*k*count); work > mostWork*float64(x.target.units) {
		t.Errorf("a launch of %.3g FLOP", work)
	}
	return m * n * k * count
}
