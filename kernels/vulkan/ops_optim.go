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
		to := place{kernels.Scratch, int64(4 * parts)}
		x.add(launch{kernel: "sum_sq", spec: append(flat(n, in), 0, float(0)),
			addrs: []place{x.at(in, start), to}, words: []uint32{uint32(n)},
			groups: [3]uint32{uint32(groups), 1, 1},
			reads:  []kernels.Span{x.at(in, start).bytes(4 * n)}, writes: []kernels.Span{to.bytes(4 * groups)}})
		parts += groups
	})
	x.scratch = int64(4 * parts)
	from := place{kernels.Scratch, 0}
	reads := []kernels.Span{from.bytes(4 * parts)}
	if kernels.Reads(x.in, 0) {
		reads = append(reads, x.span(out))
	}
	x.add(launch{kernel: "sum_sq", spec: append(flat(parts), 1, float(x.in.Attr.Beta)),
		addrs: []place{from, x.at(out, 0)}, words: []uint32{uint32(parts)},
		groups: [3]uint32{1, 1, 1},
		reads:  reads, writes: []kernels.Span{x.span(out)}})
	return nil
}

// flat gives the first specialisation constants of a kernel for which operands of n
// elements are one row.
func flat(n int, operands ...kernels.View) []uint32 {
	return rowGroup{lanes: 256, vecs: 1}.spec(n, operands...)
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
	w, m, v := x.in.Out[0], x.in.Out[1], x.in.Out[2]
	stored, has := kernels.Out(x.in, "store")
	typ := uint32(kernels.F32)
	if has {
		typ = x.dtype(stored)
	} else {
		stored = grad
	}
	a := x.in.Attr
	pieces(grad.Len(), func(start, n int) {
		words := append([]uint32{uint32(n)}, decays(a)...)
		// Pieces share nothing that they write: they may run at once.
		var writes []kernels.Span
		for _, o := range x.in.Out {
			writes = append(writes, x.part(o, start, start+n))
		}
		reads := append([]kernels.Span{x.part(grad, start, start+n), x.span(hyper), x.span(state)}, writes...)
		x.add(launch{kernel: "adamw", spec: append(flat(n, grad, w, m, v, stored), flag(has), typ),
			addrs: []place{x.at(grad, start), x.at(hyper, 0), x.at(state, 0), x.at(w, start),
				x.at(m, start), x.at(v, start), x.at(stored, start)},
			words: append(words, float(float32(a.Eps)), float(float32(a.Decay))), groups: linear(n, 1024),
			reads: reads, writes: writes})
	})
	return nil
}
