package vulkan

import "graft/kernels"

// sumParts is the most partial sums that sum_sq makes of a piece; how many depends on
// the size alone.
const sumParts = 1024

func expandSumSq(x *expansion) error {
	in, out := x.in.In[0], x.in.Out[0]
	parts := 0
	pieces(in.Len(), func(start, n int) {
		groups := min((n+4095)/4096, sumParts)
		x.add(launch{kernel: "sum_sq", spec: []uint32{0, float(0)},
			addrs: []place{x.at(in, start), {kernels.Scratch, int64(4 * parts)}}, words: []uint32{uint32(n)},
			groups: [3]uint32{uint32(groups), 1, 1},
			reads:  []kernels.Span{x.span(in)}})
		parts += groups
	})
	x.scratch = int64(4 * parts)
	scratch := kernels.Span{Slot: kernels.Scratch, Hi: x.scratch}
	for i := range x.launches {
		x.launches[i].writes = []kernels.Span{scratch}
	}
	reads := []kernels.Span{scratch}
	if kernels.Reads(x.in, 0) {
		reads = append(reads, x.span(out))
	}
	x.add(launch{kernel: "sum_sq", spec: []uint32{1, float(x.in.Attr.Beta)},
		addrs: []place{{kernels.Scratch, 0}, x.at(out, 0)}, words: []uint32{uint32(parts)},
		groups: [3]uint32{1, 1, 1},
		reads:  reads, writes: []kernels.Span{x.span(out)}})
	return nil
}

// decays gives the factors of the moments, 1 - beta rounded once.
func decays(a kernels.Attr) []uint32 {
	return []uint32{float(float32(a.Beta1)), float(float32(1 - a.Beta1)),
		float(float32(a.Beta2)), float(float32(1 - a.Beta2))}
}

func expandAdvance(x *expansion) error {
	x.add(launch{kernel: "advance", words: decays(x.in.Attr), groups: [3]uint32{1, 1, 1},
		addrs: []place{x.at(x.in.In[0], 0), x.at(x.in.In[1], 0), x.at(x.in.In[2], 0), x.at(x.in.Out[0], 0)}})
	return nil
}

func expandAdamW(x *expansion) error {
	grad, hyper, state := x.in.In[0], x.in.In[1], x.in.In[2]
	stored, has := kernels.Out(x.in, "store")
	spec := []uint32{flag(has), uint32(kernels.F32)}
	if has {
		spec[1] = x.dtype(stored)
	} else {
		stored = grad
	}
	a := x.in.Attr
	pieces(grad.Len(), func(start, n int) {
		words := append([]uint32{uint32(n)}, decays(a)...)
		x.add(launch{kernel: "adamw", spec: spec,
			addrs: []place{x.at(grad, start), x.at(hyper, 0), x.at(state, 0), x.at(x.in.Out[0], start),
				x.at(x.in.Out[1], start), x.at(x.in.Out[2], start), x.at(stored, start)},
			words: append(words, float(float32(a.Eps)), float(float32(a.Decay))), groups: linear(n, 256)})
	})
	return nil
}
