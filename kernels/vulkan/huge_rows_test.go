//go:build amd64 || arm64

package vulkan

import (
	"slices"
	"testing"

	"graft/kernels"
)

// TestHugeRows plans matrices of 3 * 2^30 elements: every launch begins with the row that
// follows the one before it, in every operand, and counts no more than it can. It needs
// no device and no memory.
func TestHugeRows(t *testing.T) {
	const n, c = 3 << 20, 1024
	const row, one, none = 4 * c, 4, 0 // bytes of an operand for each row
	for _, test := range []struct {
		op     kernels.Op
		attr   kernels.Attr
		in     []kernels.Slot
		out    []kernels.Slot
		perRow []int64 // of the addresses that a launch is pushed
	}{
		{kernels.RMSNorm, kernels.Attr{Eps: 1e-5}, []kernels.Slot{{Shape: []int{n, c}}, {Shape: []int{c}}},
			[]kernels.Slot{{Shape: []int{n, c}}, {Shape: []int{n}}}, []int64{row, none, row, row, one, row}},
		{kernels.RMSNormBwd, kernels.Attr{}, []kernels.Slot{{Shape: []int{n, c}}, {Shape: []int{c}}, {Shape: []int{n}}, {Shape: []int{n, c}}},
			[]kernels.Slot{{Shape: []int{n, c}}}, []int64{row, none, one, row, row, row}},
		{kernels.Softmax, kernels.Attr{Scale: 1}, []kernels.Slot{{Shape: []int{1, 3, n / 3, c}}},
			[]kernels.Slot{{Shape: []int{1, 3, n / 3, c}}, {Shape: []int{1, 3, n / 3}}}, []int64{row, none, none, row, one}},
		{kernels.SoftmaxBwd, kernels.Attr{Scale: 1}, []kernels.Slot{{Shape: []int{1, 3, n / 3, c}}, {Shape: []int{1, 3, n / 3, c}}, {Shape: []int{1, 3, n / 3, c}}},
			[]kernels.Slot{{Shape: []int{1, 3, n / 3, c}}}, []int64{row, row, row, row}},
		{kernels.CrossEntropy, kernels.Attr{Scale: 1}, []kernels.Slot{{Shape: []int{n, c}}, {Shape: []int{n}, DType: kernels.I32}},
			[]kernels.Slot{{Shape: []int{n}}, {Shape: []int{n}}}, []int64{row, one, one, one, row, row}},
		{kernels.CrossEntropyBwd, kernels.Attr{Scale: 1}, []kernels.Slot{{Shape: []int{n, c}}, {Shape: []int{n}, DType: kernels.I32}, {Shape: []int{n}}, {Shape: []int{n}}},
			[]kernels.Slot{{Shape: []int{n, c}}}, []int64{row, one, one, one, row}},
	} {
		t.Run(test.op.String(), func(t *testing.T) {
			r := newRig(t, nil)
			views := func(slots []kernels.Slot) (vs []kernels.View) {
				for _, s := range slots {
					vs = append(vs, r.add("x", s.DType, kernels.Persistent, s.Shape...))
				}
				return vs
			}
			x, err := expandInstr(target{}, &r.prog, 0, kernels.Instr{Op: test.op, Attr: test.attr, In: views(test.in), Out: views(test.out)})
			if err != nil {
				t.Fatal(err)
			}
			first := int64(0)
			for i, l := range x.launches {
				var got, want []int64
				for k, per := range test.perRow {
					got, want = append(got, l.addrs[k].offset), append(want, per*first)
				}
				if !slices.Equal(got, want) {
					t.Errorf("launch %d, from row %d on: operands start at bytes %v, want %v", i, first, got, want)
				}
				if test.op == kernels.Softmax && int64(l.words[2]) != first {
					t.Errorf("launch %d is told to begin at row %d, want %d", i, l.words[2], first)
				}
				if int(l.words[0])*c > maxPiece || l.words[1] != c {
					t.Errorf("launch %d counts %d rows of %d", i, l.words[0], l.words[1])
				}
				first += int64(l.words[0])
			}
			if first != n {
				t.Errorf("%d rows, want %d", first, n)
			}
		})
	}
}
