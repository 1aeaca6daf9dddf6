package vulkan

import (
	"slices"

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
	l := launch{addrs: []place{src, dst},
		reads:  []kernels.Span{x.part(in, at[0], at[0]+reach(axes, 0)+1)},
		writes: []kernels.Span{x.part(out, at[1], at[1]+reach(axes, 1)+1)}}
	unit := 0 // bytes that are copied as bits
	if from == to {
		unit = from.Size()
	}
	if i, j, ok := crossed(axes); ok {
		x.transpose(l, axes, i, j, []uint32{uint32(unit), uint32(from), uint32(to)})
		return
	}
	vectors := false
	if from != to {
		if wide, ok := widen(axes, vector, []bool{false, false}); ok && quads(src, dst) {
			axes, vectors = wide, true
		}
	} else {
		for _, u := range []int{16, 4} {
			if u <= unit || unitOf(l.addrs, u) < u {
				continue
			}
			if wide, ok := widen(axes, u/unit, []bool{false, false}); ok {
				axes, unit = wide, u
				break
			}
		}
	}
	n := count(axes)
	l.kernel = "copy"
	l.spec = []uint32{uint32(unit), uint32(from), uint32(to), flag(vectors), uint32(max(1, len(axes)))}
	l.words = append([]uint32{uint32(n)}, axesWords(axes, 2)...)
	l.groups = linear(n, 256)
	x.add(l)
}

const (
	transposeTile = 64 // rows and columns of the kernel's tile
	transposeFrom = 16 // a shorter axis would leave most of a tile empty
)

// crossed finds axes i and j, contiguous in x and in y, that are worth a transposition.
func crossed(axes []axis) (i, j int, ok bool) {
	i = slices.IndexFunc(axes, func(a axis) bool { return a.stride[0] == 1 })
	j = slices.IndexFunc(axes, func(a axis) bool { return a.stride[1] == 1 })
	return i, j, i >= 0 && j >= 0 && i != j && min(axes[i].size, axes[j].size) >= transposeFrom
}

func (x *expansion) transpose(l launch, axes []axis, i, j int, spec []uint32) {
	var outer []axis
	for k, a := range axes {
		if k != i && k != j {
			outer = append(outer, a)
		}
	}
	tiles := func(n int) int { return (n + transposeTile - 1) / transposeTile }
	ti, tj := tiles(axes[i].size), tiles(axes[j].size)
	all := ti * tj * count(outer)
	outer = pad(outer, kernelAxes-2, 2)
	l.kernel, l.spec = "transpose", spec
	l.words = []uint32{uint32(axes[i].size), uint32(axes[j].size), uint32(axes[j].stride[0]), uint32(axes[i].stride[1]),
		uint32(ti), uint32(tj), uint32(all), uint32(outer[1].size), uint32(outer[2].size)}
	for operand := range 2 {
		for _, a := range outer {
			l.words = append(l.words, uint32(a.stride[operand]))
		}
	}
	l.groups = linear(all, 1)
	x.add(l)
}
