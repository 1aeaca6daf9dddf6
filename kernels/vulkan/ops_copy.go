package vulkan

import (
	"graft/kernels"
)

func expandCopy(x *expansion) error {
	in, out := x.in.In[0], x.in.Out[0]
	split(collapse(in.Shape, in.Stride, out.Stride), kernelAxes, []int{0, 0}, x.copy)
	return nil
}

// copy launches for a part of the operands.
func (x *expansion) copy(axes []axis, at []int) {
	in, out := x.in.In[0], x.in.Out[0]
	from, to := x.prog.DType(in), x.prog.DType(out)
	src, dst := x.at(in, at[0]), x.at(out, at[1])
	l := launch{kernel: "copy", addrs: []place{src, dst},
		reads:  []kernels.Span{x.part(in, at[0], at[0]+reach(axes, 0)+1)},
		writes: []kernels.Span{x.part(out, at[1], at[1]+reach(axes, 1)+1)}}
	unit, vectors := 0, false
	if from == to {
		unit = from.Size()
		for _, u := range []int{16, 4} {
			if wide, ok := widen(axes, max(1, u/from.Size()), []bool{false, false}); ok && u > unit && unitOf(l.addrs, u) == u {
				axes, unit = wide, u
				break
			}
		}
	} else if wide, ok := widen(axes, vector, []bool{false, false}); ok && quads(src, dst) {
		axes, vectors = wide, true
	}
	n := count(axes)
	l.spec = []uint32{uint32(unit), uint32(from), uint32(to), flag(vectors), uint32(max(1, len(axes)))}
	l.words = append([]uint32{uint32(n)}, axesWords(axes, 2)...)
	l.groups = linear(n, 256)
	x.add(l)
}
