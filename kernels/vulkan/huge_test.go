//go:build amd64 || arm64

package vulkan

import (
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/plan"
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

// TestHugePiecesAtOnce demands that the pieces of a huge operand have no barriers between
// them: each declares what it writes itself.
func TestHugePiecesAtOnce(t *testing.T) {
	r := newRig(t, nil)
	const n = 5 << 30
	add := func(name string, typ kernels.DType, n int) kernels.View {
		return r.add(name, typ, kernels.Persistent, n)
	}
	w, g, m, v := add("w", kernels.F32, n), add("g", kernels.F32, n), add("m", kernels.F32, n), add("v", kernels.F32, n)
	half, hyper, state := add("half", kernels.BF16, n), add("hyper", kernels.F32, kernels.HyperLen), add("state", kernels.F32, kernels.StateLen)
	s := add("s", kernels.F32, 1)
	for _, c := range []struct {
		name   string
		in     kernels.Instr
		groups []int
	}{
		{"fill", kernels.Instr{Op: kernels.Fill, Out: []kernels.View{w}}, []int{0}},
		{"copy", kernels.Instr{Op: kernels.Copy, In: []kernels.View{g}, Out: []kernels.View{half}}, []int{0}},
		{"unary", kernels.Instr{Op: kernels.Unary, In: []kernels.View{g}, Out: []kernels.View{w}}, []int{0}},
		{"in place", kernels.Instr{Op: kernels.Unary, In: []kernels.View{w}, Out: []kernels.View{w}}, []int{0}},
		{"binary", kernels.Instr{Op: kernels.Binary, In: []kernels.View{g, m}, Out: []kernels.View{w}}, []int{0}},
		{"adamw", kernels.Instr{Op: kernels.AdamW, In: []kernels.View{g, hyper, state}, Out: []kernels.View{w, m, v, half},
			Attr: kernels.Attr{Opt: kernels.WithStore, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}}, []int{0}},
		{"sum_sq", kernels.Instr{Op: kernels.SumSq, In: []kernels.View{g}, Out: []kernels.View{s}}, []int{0, 5}},
	} {
		x, err := expandInstr(target{}, &r.prog, 0, c.in)
		if err != nil {
			t.Fatal(err)
		}
		var ds []kernels.Dispatch
		for _, l := range x.launches {
			ds = append(ds, kernels.Dispatch{Reads: l.reads, Writes: l.writes})
		}
		if got := plan.Barriers(&r.prog, ds, make([]int64, len(r.prog.Slots))); !slices.Equal(got, c.groups) || len(ds) < 2 {
			t.Errorf("%s: groups start at %v of %d launches, want %v", c.name, got, len(ds), c.groups)
		}
	}
}
