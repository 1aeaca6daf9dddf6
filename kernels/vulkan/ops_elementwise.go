package vulkan

import (
	"math"

	"graft/internal/f16"
	"graft/kernels"
)

// vector is how many elements an invocation loads at once where operands are aligned.
const vector = 8

// quads reports whether vectors of 16 bytes may start at the places: slots and scratch
// themselves start at multiples of minAlign.
func quads(places ...place) bool {
	for _, p := range places {
		if p.offset%16 != 0 {
			return false
		}
	}
	return true
}

// part is the span of elements [lo, hi) behind a view's first.
func (x *expansion) part(v kernels.View, lo, hi int) kernels.Span {
	size := int64(x.prog.DType(v).Size())
	return kernels.Span{Slot: v.Slot, Lo: int64(v.Offset+lo) * size, Hi: int64(v.Offset+hi) * size}
}

func expandFill(x *expansion) error {
	y := x.in.Out[0]
	typ, a := x.prog.DType(y), x.in.Attr.Alpha
	var bits uint32
	switch typ {
	case kernels.F32:
		bits = float(a)
	case kernels.BF16:
		bits = uint32(f16.ToBF16(a)) * 0x10001
	case kernels.F16:
		bits = uint32(f16.ToF16(a)) * 0x10001
	case kernels.I32:
		bits = uint32(int32(a))
	case kernels.U16:
		bits = uint32(uint16(int64(a))) * 0x10001
	case kernels.U8:
		bits = uint32(uint8(int64(a))) * 0x1010101
	default:
		return x.unsupported("%v", typ)
	}
	// Units of 16 bytes, then what is left; or elements alone.
	n, whole := y.Len(), 0
	fill := func(from, to, unit int) {
		per := max(1, unit/typ.Size())
		pieces((to-from)/per, func(start, count int) {
			lo := from + start*per
			x.add(launch{kernel: "fill", spec: []uint32{uint32(unit)},
				addrs: []place{x.at(y, lo)}, words: []uint32{uint32(count), bits}, groups: linear(count, 256),
				writes: []kernels.Span{x.part(y, lo, lo+count*per)}})
		})
	}
	if per := 16 / typ.Size(); quads(x.at(y, 0)) {
		whole = n / per * per
		fill(0, whole, 16)
	}
	fill(whole, n, typ.Size())
	return nil
}

func expandUnary(x *expansion) error {
	in, out, a := x.in.In[0], x.in.Out[0], x.in.Attr
	pieces(in.Len(), func(start, n int) {
		from, to := x.at(in, start), x.at(out, start)
		vectors := quads(from, to)
		units := n
		if vectors {
			units = (n + vector - 1) / vector
		}
		x.add(launch{kernel: "unary",
			spec:  []uint32{x.dtype(in), uint32(a.Unary), float(a.Alpha), float(a.Beta), flag(vectors)},
			addrs: []place{from, to}, words: []uint32{uint32(n)}, groups: linear(units, 256),
			reads: []kernels.Span{x.part(in, start, start+n)}, writes: []kernels.Span{x.part(out, start, start+n)}})
	})
	return nil
}

func expandBinary(x *expansion) error {
	a, b, y := x.in.In[0], x.in.In[1], x.in.Out[0]
	split(collapse(y.Shape, a.Stride, b.Stride, y.Stride), kernelAxes, []int{0, 0, 0}, x.binary)
	return nil
}

// binary launches for a part of the operands.
func (x *expansion) binary(axes []axis, at []int) {
	views := []kernels.View{x.in.In[0], x.in.In[1], x.in.Out[0]}
	if len(axes) == 1 && axes[0].size > vector && axes[0].size%vector != 0 {
		// Whole vectors, then the rest.
		whole := axes[0].size / vector * vector
		split([]axis{{whole, axes[0].stride}}, kernelAxes, at, x.binary)
		rest := make([]int, len(at))
		for k := range at {
			rest[k] = at[k] + whole*axes[0].stride[k]
		}
		split([]axis{{axes[0].size - whole, axes[0].stride}}, kernelAxes, rest, x.binary)
		return
	}
	l := launch{kernel: "binary"}
	repeats := make([]bool, len(views))
	fit := true
	for k, v := range views {
		l.addrs = append(l.addrs, x.at(v, at[k]))
		repeats[k] = len(axes) > 0 && axes[len(axes)-1].stride[k] == 0
		fit = fit && (repeats[k] || quads(l.addrs[k]))
		s := x.part(v, at[k], at[k]+reach(axes, k)+1)
		if k < len(views)-1 {
			l.reads = append(l.reads, s)
		} else {
			l.writes = append(l.writes, s)
		}
	}
	wide, vectors := widen(axes, vector, repeats)
	if vectors = vectors && fit; vectors {
		axes = wide
	}
	n := count(axes)
	l.spec = []uint32{x.dtype(views[0]), uint32(x.in.Attr.Binary), uint32(max(1, len(axes))),
		flag(vectors), flag(repeats[0]), flag(repeats[1])}
	l.words = append([]uint32{uint32(n)}, axesWords(axes, len(views))...)
	l.groups = linear(n, 256)
	x.add(l)
}

func expandGLU(x *expansion) error {
	x.rowwise("glu", []uint32{x.dtype(x.in.In[0]), uint32(x.in.Attr.Act)})
	return nil
}

func expandGLUBwd(x *expansion) error {
	x.rowwise("glu_bwd", []uint32{x.dtype(x.in.In[0]), uint32(x.in.Attr.Act)})
	return nil
}

// rowwise launches a kernel that takes every element of (N, F) operands of one type by
// itself. Its last specialisation constant says whether it may use vectors.
func (x *expansion) rowwise(kernel string, spec []uint32) {
	views := append(x.in.In[:len(x.in.In):len(x.in.In)], x.in.Out...)
	n, f := views[0].Shape[0], views[0].Shape[1]
	size := x.prog.DType(views[0]).Size()
	dense, far := true, 0
	for _, v := range views {
		dense = dense && v.IsDense()
		far = max(far, v.Stride[0])
	}
	if dense {
		n, f = 1, n*f
	}
	rows(n, far*size, func(r, k int) {
		pieces(f, func(c, w int) {
			l := launch{kernel: kernel, words: []uint32{uint32(k), uint32(w)}}
			vectors := true
			for i, v := range views {
				lo, row := r*v.Stride[0]+c, v.Stride[0]
				if k == 1 {
					row = 0
				}
				l.addrs = append(l.addrs, x.at(v, lo))
				l.words = append(l.words, uint32(row*size))
				vectors = vectors && quads(l.addrs[i]) && row*size%16 == 0
				s := x.part(v, lo, lo+(k-1)*row+w)
				if i < len(x.in.In) {
					l.reads = append(l.reads, s)
				} else {
					l.writes = append(l.writes, s)
				}
			}
			l.spec = append(spec[:len(spec):len(spec)], flag(vectors))
			units := w
			if vectors {
				units = (w + vector - 1) / vector
			}
			l.groups = linear(units, 256)
			l.groups[1] = uint32(min(k, maxGroups))
			x.add(l)
		})
	})
}

// rows calls f for runs of n rows whose distance a kernel's moved can multiply: all of
// them, but for rows 4 GiB apart, which come one by one.
func rows(n, rowBytes int, f func(start, count int)) {
	if int64(rowBytes) <= math.MaxUint32 {
		pieces(n, f)
		return
	}
	for i := range n {
		f(i, 1)
	}
}
