package vulkan

import (
	"slices"
	"testing"

	"graft/kernels"
)

// TestAdamWPart updates a part of flat memory that begins at a vector and ends inside of
// one, or the other way round: its neighbours must stay.
func TestAdamWPart(t *testing.T) {
	b := open(t)
	const size = 40
	for _, part := range [][2]int{{4, 11}, {8, 32}, {5, 32}, {7, 9}} {
		r := newRig(t, b)
		lo, n := part[0], part[1]-part[0]
		flat := func(name string, typ kernels.DType) kernels.View {
			v := r.slot(name, typ, slices.Repeat([]float64{2}, size), size)
			return kernels.Dense(v.Slot, lo, n)
		}
		hyper, state := make([]float64, kernels.HyperLen), make([]float64, kernels.StateLen)
		hyper[kernels.HyperLR] = 0.5
		for _, i := range []int{kernels.StateBC1, kernels.StateBC2, kernels.StateClip, kernels.StateApply} {
			state[i] = 1
		}
		out := []kernels.View{flat("w", kernels.F32), flat("m", kernels.F32), flat("v", kernels.F32), flat("store", kernels.BF16)}
		r.emit(kernels.AdamW, kernels.Attr{Beta1: 0.5, Beta2: 0.75, Opt: kernels.WithStore}, out, flat("grad", kernels.F32),
			r.slot("hyper", kernels.F32, hyper, kernels.HyperLen), r.slot("state", kernels.F32, state, kernels.StateLen))
		r.run(1)
		// m = 2, v = 0.75 * 2 + 0.25 * 4 = 2.5, w = 2 - 0.5 * 2 / sqrt(2.5)
		for k, want := range []float64{1.367544467966324, 2, 2.5, 1.3671875} {
			for i, got := range r.read(kernels.Dense(out[k].Slot, 0, size)) {
				expect := 2.0
				if i >= lo && i < lo+n {
					expect = want
				}
				if d := got - expect; d > 1e-6 || d < -1e-6 {
					t.Errorf("elements [%d, %d): %s[%d] is %v, want %v", lo, lo+n, r.prog.Slots[out[k].Slot].Name, i, got, expect)
				}
			}
		}
	}
}
