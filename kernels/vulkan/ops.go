package vulkan

import (
	"slices"

	"graft/internal/f16"
	"graft/kernels"
)

func expandFill(x *expansion) error {
	y := x.in.Out[0]
	typ, a := x.prog.DType(y), x.in.Attr.Alpha
	var bits uint32
	switch typ {
	case kernels.F32:
		bits = float(a)
	case kernels.BF16:
		bits = uint32(f16.ToBF16(a))
	case kernels.F16:
		bits = uint32(f16.ToF16(a))
	case kernels.I32:
		bits = uint32(int32(a))
	case kernels.U16:
		bits = uint32(uint16(a))
	default:
		return x.unsupported("%v", typ)
	}
	pieces(y.Len(), func(start, n int) {
		x.add(launch{kernel: "fill", spec: []uint32{uint32(typ.Size())},
			addrs: []place{x.at(y, start)}, words: []uint32{uint32(n), bits}, groups: linear(n, 256)})
	})
	return nil
}

// copyAxes is how many axes the copy kernel walks.
const copyAxes = 5

func expandCopy(x *expansion) error {
	in, out := x.in.In[0], x.in.Out[0]
	from, to := x.prog.DType(in), x.prog.DType(out)
	bits := uint32(0)
	if from == to {
		bits = uint32(from.Size())
	}
	if from.Size() == 1 {
		return x.unsupported("%v", from)
	}
	axes := collapse(in.Shape, in.Stride, out.Stride)
	if len(axes) > copyAxes {
		return x.unsupported("%d axes that do not collapse, at most %d", len(axes), copyAxes)
	}
	n := in.Len()
	if n > maxPiece {
		return x.unsupported("%d elements, at most %d", n, maxPiece)
	}
	if err := x.countable(in, out); err != nil {
		return err
	}
	words := []uint32{uint32(n)}
	for _, pick := range []func(axis) int{
		func(a axis) int { return a.size },
		func(a axis) int { return a.stride[0] },
		func(a axis) int { return a.stride[1] },
	} {
		for _, a := range pad(axes, copyAxes, 2) {
			words = append(words, uint32(pick(a)))
		}
	}
	x.add(launch{kernel: "copy", spec: []uint32{uint32(from), uint32(to), bits},
		addrs: []place{x.at(in, 0), x.at(out, 0)}, words: words, groups: linear(n, 256)})
	return nil
}

// axis is an axis that several operands share, each with its own stride.
type axis struct {
	size   int
	stride []int
}

// collapse joins neighbouring axes that every operand walks like one, and drops those of size 1.
func collapse(shape []int, strides ...[]int) []axis {
	var axes []axis
	for i, n := range shape {
		if n == 1 {
			continue
		}
		a := axis{size: n}
		for _, s := range strides {
			a.stride = append(a.stride, s[i])
		}
		if len(axes) > 0 {
			last := &axes[len(axes)-1]
			joins := true
			for k := range a.stride {
				joins = joins && last.stride[k] == a.stride[k]*n
			}
			if joins {
				last.size *= n
				last.stride = a.stride
				continue
			}
		}
		axes = append(axes, a)
	}
	return axes
}

// pad puts axes of size 1 before axes, up to n.
func pad(axes []axis, n, operands int) []axis {
	one := axis{size: 1, stride: make([]int, operands)}
	return append(slices.Repeat([]axis{one}, max(0, n-len(axes))), axes...)
}
