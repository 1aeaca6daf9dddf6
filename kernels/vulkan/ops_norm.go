package vulkan

import (
	"math"

	"graft/kernels"
)

// narrow refuses rows that a kernel's signed indices cannot count.
func (x *expansion) narrow(columns int) error {
	if columns > maxPiece {
		return x.unsupported("rows of %d elements, at most %d", columns, maxPiece)
	}
	return nil
}

func expandRMSNorm(x *expansion) error {
	n, c := x.dims.Get('N'), x.dims.Get('C')
	if err := x.narrow(c); err != nil {
		return err
	}
	in, w := x.in.In[0], x.in.In[1]
	y, rstd := x.in.Out[0], x.in.Out[1]
	residual, has := kernels.In(x.in, "residual")
	sum, _ := kernels.Out(x.in, "sum")
	if !has {
		residual, sum = in, in
	}
	rows := rowsOf(c)
	spec := append(rows.spec(c, in, w, residual, y, sum), x.dtype(in), x.dtype(w), flag(has), flag(x.in.Attr.PlusOne))
	rowPieces(n, c, func(r, k int) {
		x.add(launch{kernel: "rms_norm", spec: spec,
			addrs:  []place{x.at(in, r*c), x.at(w, 0), x.at(residual, r*c), x.at(y, r*c), x.at(rstd, r), x.at(sum, r*c)},
			words:  []uint32{uint32(k), uint32(c), float(float32(1 / float64(c))), float(float32(x.in.Attr.Eps))},
			groups: linear(rows.groups(k), 1)})
	})
	return nil
}

// Bounds on the partial sums of a weight's gradient. How many there are depends on the
// shape alone.
const (
	normParts      = 512     // workgroups of a launch, each of which makes a row of them
	normPartsTotal = 4 << 20 // elements of a launch, beyond one row
)

func expandRMSNormBwd(x *expansion) error {
	n, c := x.dims.Get('N'), x.dims.Get('C')
	if err := x.narrow(c); err != nil {
		return err
	}
	in, w, rstd, dy := x.in.In[0], x.in.In[1], x.in.In[2], x.in.In[3]
	dx := x.in.Out[0]
	dsum, hasSum := kernels.In(x.in, "dsum")
	dw, hasDW := kernels.Out(x.in, "dw")
	if !hasSum {
		dsum = in
	}
	rows := rowsOf(c)
	spec := append(rows.spec(c, in, w, dy, dsum, dx), x.dtype(in), x.dtype(w), flag(hasSum), flag(hasDW), flag(x.in.Attr.PlusOne))
	reads := make([]kernels.Span, len(x.in.In))
	for i, v := range x.in.In {
		reads[i] = x.span(v)
	}
	parts := 0 // rows of partial sums
	rowPieces(n, c, func(r, k int) {
		groups := min(rows.groups(k), maxGroups)
		writes := []kernels.Span{x.span(dx)}
		part := x.at(in, 0)
		if hasDW {
			groups = min(groups, normParts, max(1, normPartsTotal/c))
			at := int64(4*c) * int64(parts)
			part = place{kernels.Scratch, at}
			writes = append(writes, kernels.Span{Slot: kernels.Scratch, Lo: at, Hi: at + int64(4*c)*int64(groups)})
			parts += groups
		}
		x.add(launch{kernel: "rms_norm_bwd", spec: spec,
			addrs:  []place{x.at(in, r*c), x.at(w, 0), x.at(rstd, r), x.at(dy, r*c), x.at(dsum, r*c), x.at(dx, r*c), part},
			words:  []uint32{uint32(k), uint32(c), float(float32(1 / float64(c)))},
			groups: [3]uint32{uint32(groups), 1, 1},
			reads:  reads, writes: writes})
	})
	if hasDW {
		if parts*c > math.MaxInt32 {
			return x.unsupported("%d rows of %d partial sums", parts, c)
		}
		x.scratch = int64(4*c) * int64(parts)
		x.sumParts(parts, dw)
	}
	return nil
}

// sumParts launches y = sum of parts rows of scratch, each as long as y, + Beta y.
func (x *expansion) sumParts(parts int, y kernels.View) {
	c, beta := y.Len(), x.in.Attr.Beta
	from := place{kernels.Scratch, 0}
	reads := []kernels.Span{from.bytes(4 * c * parts)}
	if beta != 0 {
		reads = append(reads, x.span(y))
	}
	x.add(launch{kernel: "sum_parts", spec: []uint32{float(beta)},
		addrs: []place{from, x.at(y, 0)}, words: []uint32{uint32(parts), uint32(c)},
		groups: linear(c, 32),
		reads:  reads, writes: []kernels.Span{x.span(y)}})
}

// bytes is the range of n bytes from a place on.
func (p place) bytes(n int) kernels.Span {
	return kernels.Span{Slot: p.slot, Lo: p.offset, Hi: p.offset + int64(n)}
}
