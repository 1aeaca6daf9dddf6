package vulkan

import (
	"graft/kernels"
)

const (
	matmulTile = 16 // rows and columns of c that a workgroup makes
	matmulAxes = 3  // batch axes that the kernel walks; more are separate launches
)

// matmul is a MatMul on its way to launches. The batch strides are those of a, b,
// residual and c.
type matmul struct {
	x                  *expansion
	a, b, bias, res, c kernels.View
	hasRes             bool
	m, k, n            int
	lda, ldb, ldr, ldc int
	spec               []uint32
	reads, writes      []kernels.Span
}

func expandMatMul(x *expansion) error {
	in := x.in
	if err := x.countable(append(in.In[:len(in.In):len(in.In)], in.Out...)...); err != nil {
		return err
	}
	w := &matmul{x: x, a: in.In[0], b: in.In[1], c: in.Out[0]}
	w.m, w.k, w.n = kernels.MatMulShape(in)
	r := len(w.c.Shape) - 2
	var hasBias bool
	if w.bias, hasBias = kernels.In(in, "bias"); !hasBias {
		w.bias = w.a
	}
	if w.res, w.hasRes = kernels.In(in, "residual"); !w.hasRes {
		w.res = w.c // same shape and type; never read
	}
	w.lda, w.ldb, w.ldr, w.ldc = w.a.Stride[r], w.b.Stride[r], w.res.Stride[r], w.c.Stride[r]
	w.spec = []uint32{x.dtype(w.a), x.dtype(w.b), x.dtype(w.c), x.dtype(w.bias),
		flag(in.Attr.TransA), flag(in.Attr.TransB), flag(hasBias), flag(w.hasRes),
		float(in.Attr.Alpha), float(in.Attr.Beta)}
	w.reads, w.writes = x.whole()
	w.batch(collapse(w.c.Shape[:r], w.a.Stride[:r], w.b.Stride[:r], w.res.Stride[:r], w.c.Stride[:r]), [4]int{})
	return nil
}

// batch launches for every index of axes, from the elements base on. The grid holds
// the innermost axes, as many as fit; the outer ones are separate launches.
func (w *matmul) batch(axes []axis, base [4]int) {
	n := 1
	for _, a := range axes {
		n *= a.size
	}
	if len(axes) <= matmulAxes && n <= maxGroups {
		w.tiles(pad(axes, matmulAxes, 4), n, base)
		return
	}
	// Whole runs of the first axis when it is the only one, else single indices.
	first, step := axes[0], 1
	if len(axes) == 1 {
		step = maxGroups
	}
	for i := 0; i < first.size; i += step {
		at := base
		for k := range at {
			at[k] += i * first.stride[k]
		}
		if step == 1 {
			w.batch(axes[1:], at)
		} else {
			w.batch([]axis{{min(step, first.size-i), first.stride}}, at)
		}
	}
}

// tiles launches for all rows and columns of c, in pieces that fit the grid.
func (w *matmul) tiles(axes []axis, batches int, base [4]int) {
	const most = maxGroups * matmulTile
	for m := 0; m < w.m; m += most {
		for n := 0; n < w.n; n += most {
			rows, cols := min(most, w.m-m), min(most, w.n-n)
			a, b := base[0]+m*w.lda, base[1]+n
			if w.x.in.Attr.TransA {
				a = base[0] + m
			}
			if w.x.in.Attr.TransB {
				b = base[1] + n*w.ldb
			}
			bias := 0
			if w.spec[6] != 0 {
				bias = n
			}
			x := w.x
			words := []uint32{uint32(rows), uint32(cols), uint32(w.k),
				uint32(w.lda), uint32(w.ldb), uint32(w.ldr), uint32(w.ldc),
				uint32(axes[1].size), uint32(axes[2].size)}
			for operand := range 4 {
				for _, ax := range axes {
					words = append(words, uint32(ax.stride[operand]))
				}
			}
			x.add(launch{kernel: "matmul", spec: w.spec,
				addrs: []place{x.at(w.a, a), x.at(w.b, b), x.at(w.bias, bias),
					x.at(w.res, base[2]+m*w.ldr+n), x.at(w.c, base[3]+m*w.ldc+n)},
				words: words,
				groups: [3]uint32{uint32((cols + matmulTile - 1) / matmulTile),
					uint32((rows + matmulTile - 1) / matmulTile), uint32(batches)},
				reads: w.reads, writes: w.writes})
		}
	}
}
