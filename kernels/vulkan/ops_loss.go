package vulkan

import (
	"math"

	"graft/kernels"
)

// Most kernels below read their rows a second time instead of keeping them: rows of
// scores are long, and a function of them would have to be kept beside.
func (r rowGroup) again() rowGroup { return rowGroup{lanes: r.lanes} }

// scores gives the words of the Scores that a kernel is pushed (shaders/scores.glsl) and
// the specialisation constant that comes with them.
func scores(a kernels.Attr) (words []uint32, hasCap uint32) {
	perCap := float32(0)
	if a.SoftCap != 0 {
		perCap = 1 / a.SoftCap
	}
	return []uint32{float(a.Scale), float(a.SoftCap), float(perCap)}, flag(a.SoftCap != 0)
}

// matrixRows gives the number of rows and columns of a dense view by its last axis.
func matrixRows(v kernels.View) (n, c int) {
	c = v.Shape[len(v.Shape)-1]
	return v.Len() / c, c
}

func expandSoftmax(x *expansion) error {
	in, p, lse := x.in.In[0], x.in.Out[0], x.in.Out[1]
	documents, hasDocuments := kernels.In(x.in, "documents")
	rows, hasRows := kernels.In(x.in, "rows")
	if !hasDocuments {
		documents = in
	}
	if !hasRows {
		rows = in
	}
	n, s := matrixRows(in)
	if err := x.narrow(s); err != nil {
		return err
	}
	if n > math.MaxInt32 {
		return x.unsupported("%d rows, at most 2^31 - 1", n)
	}
	group := rowsOf(s).again()
	score, hasCap := scores(x.in.Attr)
	spec := append(group.spec(s, in, p), hasCap, x.dtype(in), flag(hasDocuments), flag(hasRows))
	window := uint32(min(x.in.Attr.Window, math.MaxInt32))
	rowPieces(n, s, func(r, k int) {
		x.add(launch{kernel: "softmax", spec: spec,
			addrs: []place{x.at(in, r*s), x.at(documents, 0), x.at(rows, 0), x.at(p, r*s), x.at(lse, r)},
			words: append([]uint32{uint32(k), uint32(s), uint32(r), uint32(x.dims.Get('H')), uint32(x.dims.Get('T')), window},
				score...),
			groups: linear(group.groups(k), 1)})
	})
	return nil
}

func expandSoftmaxBwd(x *expansion) error {
	in, p, dp, dx := x.in.In[0], x.in.In[1], x.in.In[2], x.in.Out[0]
	n, s := matrixRows(in)
	if err := x.narrow(s); err != nil {
		return err
	}
	group := rowsOf(s).again()
	score, hasCap := scores(x.in.Attr)
	spec := append(group.spec(s, in, p, dp, dx), hasCap, x.dtype(in))
	rowPieces(n, s, func(r, k int) {
		x.add(launch{kernel: "softmax_bwd", spec: spec,
			addrs:  []place{x.at(in, r*s), x.at(p, r*s), x.at(dp, r*s), x.at(dx, r*s)},
			words:  append([]uint32{uint32(k), uint32(s)}, score...),
			groups: linear(group.groups(k), 1)})
	})
	return nil
}

func expandCrossEntropy(x *expansion) error {
	in, targets, loss, lse := x.in.In[0], x.in.In[1], x.in.Out[0], x.in.Out[1]
	n, v := x.dims.Get('N'), x.dims.Get('V')
	if err := x.narrow(v); err != nil {
		return err
	}
	group := rowsOf(v).again()
	score, hasCap := scores(x.in.Attr)
	spec := append(group.spec(v, in), hasCap, x.dtype(in), 1, 0)
	rowPieces(n, v, func(r, k int) {
		logits := x.at(in, r*v)
		x.add(launch{kernel: "cross_entropy", spec: spec,
			addrs:  []place{logits, x.at(targets, r), x.at(loss, r), x.at(lse, r), logits, logits},
			words:  append([]uint32{uint32(k), uint32(v), 0}, score...),
			groups: linear(group.groups(k), 1)})
	})
	return nil
}

func expandCrossEntropyBwd(x *expansion) error {
	in, targets, lse, dloss, dx := x.in.In[0], x.in.In[1], x.in.In[2], x.in.In[3], x.in.Out[0]
	n, v := x.dims.Get('N'), x.dims.Get('V')
	if err := x.narrow(v); err != nil {
		return err
	}
	if err := x.strided(dloss); err != nil {
		return err
	}
	group := rowsOf(v).again()
	score, hasCap := scores(x.in.Attr)
	spec := append(group.spec(v, in, dx), hasCap, x.dtype(in))
	step := dloss.Stride[0]
	rowPieces(n, v, func(r, k int) {
		x.add(launch{kernel: "cross_entropy_bwd", spec: spec,
			addrs:  []place{x.at(in, r*v), x.at(targets, r), x.at(lse, r), x.at(dloss, r*step), x.at(dx, r*v)},
			words:  append([]uint32{uint32(k), uint32(v), uint32(step)}, score...),
			groups: linear(group.groups(k), 1)})
	})
	return nil
}
