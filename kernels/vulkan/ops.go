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

func expandRMSNorm(x *expansion) error {
	n, c := x.dims.Get('N'), x.dims.Get('C')
	in, w := x.in.In[0], x.in.In[1]
	y, rstd := x.in.Out[0], x.in.Out[1]
	residual, has := kernels.In(x.in, "residual")
	sum, _ := kernels.Out(x.in, "sum")
	if !has {
		residual, sum = in, in
	}
	spec := []uint32{x.dtype(in), x.dtype(w), flag(has), flag(x.in.Attr.PlusOne)}
	if c > maxPiece {
		return x.unsupported("rows of %d elements, at most %d", c, maxPiece)
	}
	rows := max(1, maxPiece/c)
	for r := 0; r < n; r += rows {
		k := min(rows, n-r)
		x.add(launch{kernel: "rms_norm", spec: spec,
			addrs: []place{x.at(in, r*c), x.at(w, 0), x.at(residual, r*c), x.at(y, r*c), x.at(rstd, r), x.at(sum, r*c)},
			words: []uint32{uint32(k), uint32(c), float(float32(x.in.Attr.Eps))}, groups: linear(k, 1)})
	}
	return nil
}

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
