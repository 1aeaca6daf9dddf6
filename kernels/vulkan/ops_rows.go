package vulkan

import (
	"math"

	"graft/kernels"
)

// unitOf is the largest number of bytes in which everything of the given sizes and at the
// given places can be copied.
func unitOf(places []place, bytes ...int) int {
	all := int64(0)
	for _, p := range places {
		all |= p.offset
	}
	for _, n := range bytes {
		all |= int64(n)
	}
	for _, unit := range []int64{16, 4, 2} {
		if all%unit == 0 {
			return int(unit)
		}
	}
	return 1
}

func expandGather(x *expansion) error {
	return x.gather(x.in.In[0], x.in.In[1], x.in.Out[0])
}

func expandEmbed(x *expansion) error {
	return x.gather(x.in.In[1], x.in.In[0], x.in.Out[0])
}

// gather launches for y[n] = x[ids[n]], all dense.
func (x *expansion) gather(from, ids, y kernels.View) error {
	r, c, n := from.Shape[0], from.Shape[1], ids.Shape[0]
	xType, yType := x.prog.DType(from), x.prog.DType(y)
	if err := x.adjacent(r, c*xType.Size()); err != nil {
		return err
	}
	rows(n, c*yType.Size(), func(first, k int) {
		src, dst := x.at(from, 0), x.at(y, first*c)
		unit, per, vectors := 0, 1, false
		if xType == yType {
			unit = unitOf([]place{src, dst}, c*xType.Size())
			per = max(1, unit/xType.Size())
		} else if vectors = quads(src, dst) && c%vector == 0; vectors {
			per = vector
		}
		pieces(c/per, func(u, w int) {
			l := launch{kernel: "gather", spec: []uint32{uint32(unit), uint32(xType), uint32(yType), flag(vectors)},
				addrs:  []place{x.at(from, u*per), x.at(ids, first), x.at(y, first*c+u*per)},
				words:  []uint32{uint32(r), uint32(k), uint32(w), uint32(c * xType.Size()), uint32(c * yType.Size())},
				reads:  []kernels.Span{x.span(from), x.part(ids, first, first+k)},
				writes: []kernels.Span{x.part(y, first*c+u*per, (first+k-1)*c+(u+w)*per)}}
			l.groups = linear(w, 256)
			l.groups[1] = uint32(min(k, maxGroups))
			x.add(l)
		})
	})
	return nil
}

// adjacent refuses rows that are chosen at run time and that no kernel can count or reach.
func (x *expansion) adjacent(n, rowBytes int) error {
	if n > math.MaxInt32 || int64(rowBytes) > math.MaxUint32 {
		return x.unsupported("%d rows of %d bytes, at most 2^31 - 1 of 2^32 - 1", n, rowBytes)
	}
	return nil
}

func expandPutRows(x *expansion) error {
	from, ids, y := x.in.In[0], x.in.In[1], x.in.Out[0]
	n, c, r := from.Shape[0], from.Shape[1], y.Shape[0]
	size := x.prog.DType(y).Size()
	if err := x.adjacent(r, c*size); err != nil {
		return err
	}
	step := from.Stride[0]
	rows(n, step*size, func(first, k int) {
		row := step
		if k == 1 {
			row = 0
		}
		unit := unitOf([]place{x.at(from, first*step), x.at(y, 0)}, c*size, row*size)
		per := max(1, unit/size)
		pieces(c/per, func(u, w int) {
			l := launch{kernel: "put_rows", spec: []uint32{uint32(unit)},
				addrs: []place{x.at(from, first*step+u*per), x.at(ids, first), x.at(y, u*per)},
				words: []uint32{uint32(r), uint32(k), uint32(w), uint32(row * size), uint32(c * size)}}
			l.groups = linear(w, 256)
			l.groups[1] = uint32(min(k, maxGroups))
			x.add(l)
		})
	})
	return nil
}

func expandEmbedBwd(x *expansion) error {
	dy, table := x.in.In[0], x.in.Out[0]
	n, c, v := dy.Shape[0], dy.Shape[1], table.Shape[0]
	size := x.prog.DType(dy).Size()
	if err := x.adjacent(max(n+1, v), 4*c); err != nil {
		return err
	}
	vectors := quads(x.at(dy, 0), x.at(table, 0)) && c%vector == 0
	per := 1
	if vectors {
		per = vector
	}
	pieces(c/per, func(u, w int) {
		l := launch{kernel: "embed_bwd", spec: []uint32{x.dtype(dy), flag(vectors)},
			addrs: []place{x.at(dy, u*per), x.at(x.in.In[1], 0), x.at(x.in.In[2], 0), x.at(x.in.In[3], 0), x.at(table, u*per)},
			words: []uint32{uint32(n), uint32(v), uint32(w), uint32(c * size), uint32(4 * c)}}
		l.groups = linear(w, 64)
		l.groups[1] = uint32(min(n, maxGroups))
		x.add(l)
	})
	return nil
}

// ropeInvocations is how many invocations fill a large device: so many that heads are
// taken together, which computes an angle once for all of them, only beyond it.
const ropeInvocations = 1 << 17

func expandRoPE(x *expansion) error {
	in, positions, freqs, y := x.in.In[0], x.in.In[1], x.in.In[2], x.in.Out[0]
	n, h, d, r := x.dims.Get('N'), x.dims.Get('H'), x.dims.Get('D'), x.dims.Get('R')
	if h*d > maxPiece {
		return x.unsupported("tokens of %d elements, at most %d", h*d, maxPiece)
	}
	size := x.prog.DType(in).Size()
	rows(n, max(in.Stride[0], y.Stride[0])*size, func(first, k int) {
		// Runs in which the pairs of all tokens can be counted.
		for most := max(1, maxPiece/d); k > 0; {
			part := min(most, k)
			x.rope(in, positions, freqs, y, first, part, h, d, r, size)
			first, k = first+part, k-part
		}
	})
	return nil
}

// rope launches for tokens [first, first + n).
func (x *expansion) rope(in, positions, freqs, y kernels.View, first, n, h, d, r, size int) {
	xRow, yRow := in.Stride[0], y.Stride[0]
	src, dst := x.at(in, first*xRow), x.at(y, first*yRow)
	lo := [2]int{first * xRow, first * yRow}
	if n == 1 {
		xRow, yRow = 0, 0
	}
	vectors := quads(src, dst) && d%vector == 0 && r%vector == 0 && xRow*size%16 == 0 && yRow*size%16 == 0
	j := d - r
	if vectors {
		j /= vector
	}
	heads := max(min(n*j*h/ropeInvocations, h), (h+maxGroups-1)/maxGroups, 1)
	magic, shift := divisor(j)
	l := launch{kernel: "rope", spec: []uint32{x.dtype(in), flag(vectors)},
		addrs: []place{src, x.at(positions, first), x.at(freqs, 0), dst},
		words: []uint32{uint32(n), uint32(h), uint32(d), uint32(r), uint32(heads), uint32(j), magic, shift,
			uint32(xRow * size), uint32(yRow * size), float(x.in.Attr.Scale), float(x.in.Attr.Sign)},
		reads:  []kernels.Span{x.part(in, lo[0], lo[0]+(n-1)*xRow+h*d), x.part(positions, first, first+n), x.span(freqs)},
		writes: []kernels.Span{x.part(y, lo[1], lo[1]+(n-1)*yRow+h*d)}}
	l.groups = linear(n*j, 128)
	l.groups[1] = uint32((h + heads - 1) / heads)
	x.add(l)
}
