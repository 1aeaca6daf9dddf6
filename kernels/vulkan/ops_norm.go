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
		x.sumParts(partSums{at: place{kernels.Scratch, 0}, parts: parts, n: c, y: x.at(dw, 0), typ: kernels.F32, beta: x.in.Attr.Beta})
	}
	return nil
}

// partSums is y = sum of parts rows of n elements in scratch, + beta y.
type partSums struct {
	at       place
	parts, n int
	y        place
	typ      kernels.DType // of y
	beta     float32
}

func (x *expansion) sumParts(s partSums) {
	y := s.y.bytes(s.n * s.typ.Size())
	reads := []kernels.Span{s.at.bytes(4 * s.parts * s.n)}
	if s.beta != 0 {
		reads = append(reads, y)
	}
	x.add(launch{kernel: "sum_parts", spec: []uint32{uint32(s.typ), float(s.beta)},
		addrs: []place{s.at, s.y}, words: []uint32{uint32(s.parts), uint32(s.n)},
		groups: linear(s.n, 32),
		reads:  reads, writes: []kernels.Span{y}})
}

// bytes is the range of n bytes from a place on.
func (p place) bytes(n int) kernels.Span {
	return kernels.Span{Slot: p.slot, Lo: p.offset, Hi: p.offset + int64(n)}
}
