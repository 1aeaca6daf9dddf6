//go:build amd64 || arm64

package vulkan

import (
	"slices"
	"testing"

	"graft/kernels"
)

// TestHugeViews plans operands of more elements than a kernel's signed indices count:
// they are split where the kernel's row says so. It needs no device and no memory.
func TestHugeViews(t *testing.T) {
	r := newRig(t, nil)
	const n = 5 << 30
	big, s := r.add("big", kernels.F32, kernels.Persistent, n), r.add("s", kernels.F32, kernels.Persistent, 1)
	for _, c := range []struct {
		in   kernels.Instr
		want []int64 // first elements of big
	}{
		{kernels.Instr{Op: kernels.Fill, Out: []kernels.View{big}}, []int64{0, 4 << 30}},
		{kernels.Instr{Op: kernels.SumSq, In: []kernels.View{big}, Out: []kernels.View{s}}, []int64{0, 1 << 30, 2 << 30, 3 << 30, 4 << 30}},
	} {
		x, err := expandInstr(target{}, &r.prog, 0, c.in)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, l := range x.launches {
			if l.addrs[0].slot == big.Slot {
				got = append(got, l.addrs[0].offset/4)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: launches start at %v, want %v", c.in.Op, got, c.want)
		}
	}
}
