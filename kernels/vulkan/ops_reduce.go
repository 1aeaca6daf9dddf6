package vulkan

import (
	"math/bits"

	"graft/kernels"
)

const (
	reduceAxes   = 3       // kept axes, and reduced ones, that the kernel walks
	reduceGroups = 512     // workgroups that fill a large device
	reduceTerms  = 16      // terms, or vectors of them, that are worth a lane
	reduceParts  = 1 << 28 // partial results of an instruction: 1 GiB of scratch
)

// array is memory from a place on, of a view or of scratch.
type array struct {
	place
	typ kernels.DType
}

func (a array) move(elements int) array {
	a.offset += int64(elements) * int64(a.typ.Size())
	return a
}

// span is the bytes of elements [lo, hi).
func (a array) span(lo, hi int) kernels.Span {
	return kernels.Span{Slot: a.slot, Lo: a.move(lo).offset, Hi: a.move(hi).offset}
}

// reduction is one pass of a Reduce: what it reads and what it writes. The strides of kept
// axes are those of from and to, the stride of reduced axes is from's.
type reduction struct {
	x             *expansion
	from, to      array
	kept, reduced []axis
	beta          float32
	chunks        int // of the terms; chunk c writes row elements behind chunk c - 1
	row           int
}

func expandReduce(x *expansion) error {
	in, y := x.in.In[0], x.in.Out[0]
	var shape [2][]int // of kept and reduced axes
	var sx, sy [2][]int
	for i, n := range in.Shape {
		k := 0
		if y.Shape[i] != n {
			k = 1
		}
		shape[k], sx[k], sy[k] = append(shape[k], n), append(sx[k], in.Stride[i]), append(sy[k], y.Stride[i])
	}
	r := reduction{x: x, from: array{x.at(in, 0), x.prog.DType(in)}, to: array{x.at(y, 0), x.prog.DType(y)},
		kept: collapse(shape[0], sx[0], sy[0]), beta: x.in.Attr.Beta}
	outs := count(r.kept)

	// The terms in parts that a kernel can count, each in chunks that fill a device.
	var passes []reduction
	parts := 0
	split(collapse(shape[1], sx[1]), reduceAxes, []int{0}, func(axes []axis, at []int) {
		pass := r
		pass.from, pass.reduced = r.from.move(at[0]), axes
		pass.chunks, pass.row = pass.fill(), outs
		passes = append(passes, pass)
		parts += pass.chunks
	})
	if parts == 1 {
		passes[0].launch()
		return nil
	}
	if outs > reduceParts/parts {
		return x.unsupported("%d outputs in %d parts, at most %d partial results", outs, parts, reduceParts)
	}
	scratch := array{x.take(4 * int64(parts) * int64(outs)), kernels.F32}
	first := 0
	for _, pass := range passes {
		pass.to, pass.beta = scratch.move(first*outs), 0
		first += pass.chunks
		pass.launch()
	}
	r.from, r.reduced, r.chunks = scratch, []axis{{parts, []int{outs}}}, 1
	r.kept = collapse([]int{outs}, []int{1}, []int{1})
	r.launch()
	return nil
}

// grid is how a workgroup shares its work out: lanes to an output, neighbouring
// invocations to neighbouring outputs (across) or terms, vectors of terms (1) or of
// outputs (2). kept and reduced count those vectors.
type grid struct {
	lanes         int
	across        bool
	vectors       int
	kept, reduced []axis
}

// power is the least power of two from n on, at most 256.
func power(n int) int { return min(256, 1<<bits.Len(uint(max(n, 1)-1))) }

func contiguous(axes []axis) bool { return len(axes) > 0 && axes[len(axes)-1].stride[0] == 1 }

// share chooses by the shape.
func (r *reduction) share(from array, kept []axis) grid {
	g := grid{kept: kept, reduced: r.reduced}
	g.across = contiguous(kept) || len(r.reduced) == 0
	// The other axes' strides must keep vectors aligned.
	inner, other := &g.reduced, &g.kept
	if g.across {
		inner, other = other, inner
	}
	steps := func(axes []axis) bool {
		for _, a := range axes {
			if a.stride[0]%vector != 0 {
				return false
			}
		}
		return true
	}
	if wide, ok := widenFirst(*inner); ok && quads(from.place) && steps(*other) {
		g.vectors = 1
		if g.across {
			g.vectors = 2
		}
		*inner, *other = wide, narrow(*other)
	}
	outs, terms := count(g.kept), count(g.reduced)
	if g.across {
		g.lanes = min(256/min(power(outs), 32), power(terms))
	} else {
		g.lanes = power((terms + 3) / 4)
	}
	return g
}

// widenFirst is widen for the first operand, by vectors; the second one's stride is of the
// first element of each.
func widenFirst(axes []axis) ([]axis, bool) {
	repeats := []bool{false}
	first := make([]axis, len(axes))
	for i, a := range axes {
		first[i] = axis{a.size, a.stride[:1]}
	}
	wide, ok := widen(first, vector, repeats)
	for i := range wide {
		if wide[i].stride = append(wide[i].stride, axes[i].stride[1:]...); i == len(wide)-1 && len(axes[i].stride) > 1 {
			wide[i].stride[1] *= vector
		}
	}
	return wide, ok
}

// narrow counts the first operand's strides in vectors.
func narrow(axes []axis) []axis {
	out := make([]axis, len(axes))
	for i, a := range axes {
		out[i] = axis{a.size, append([]int{a.stride[0] / vector}, a.stride[1:]...)}
	}
	return out
}

// fill is the number of chunks of the terms that fill a device with workgroups and leave
// each lane enough to do.
func (r *reduction) fill() int {
	g := r.share(r.from, r.kept)
	side := 256 / g.lanes
	groups := (count(g.kept) + side - 1) / side
	return max(1, min(reduceGroups/groups, count(g.reduced)/(g.lanes*reduceTerms)))
}

// launch launches for all outputs, in parts that a kernel can count.
func (r *reduction) launch() {
	kind := uint32(r.x.in.Attr.Reduce)
	split(r.kept, reduceAxes, []int{0, 0}, func(kept []axis, at []int) {
		from, to := r.from.move(at[0]), r.to.move(at[1])
		g := r.share(from, kept)
		m, k := count(g.kept), count(g.reduced)
		chunk := (k + r.chunks - 1) / r.chunks
		l := launch{kernel: "reduce",
			spec: []uint32{uint32(from.typ), uint32(to.typ), kind, float(r.beta), uint32(g.lanes), flag(g.across), uint32(g.vectors),
				uint32(max(1, len(kept))), uint32(max(1, len(r.reduced)))},
			addrs: []place{from.place, to.place}, words: []uint32{uint32(m), uint32(k), uint32(chunk), uint32(r.row)}}
		for _, axes := range [][]axis{g.kept, g.reduced} {
			l.words = append(l.words, threeAxes(axes)...)
		}
		for operand := range 2 {
			for _, a := range pad(g.kept, reduceAxes, 2) {
				l.words = append(l.words, uint32(a.stride[operand]))
			}
		}
		for _, a := range pad(g.reduced, reduceAxes, 1) {
			l.words = append(l.words, uint32(a.stride[0]))
		}
		side := 256 / g.lanes
		l.groups = linear(m, side)
		l.groups[1] = uint32(r.chunks)
		l.reads = []kernels.Span{from.span(0, reach(kept, 0)+reach(r.reduced, 0)+1)}
		l.writes = []kernels.Span{to.span(0, (r.chunks-1)*r.row+reach(kept, 1)+1)}
		if r.beta != 0 {
			l.reads = append(l.reads, l.writes...)
		}
		r.x.add(l)
	})
}

// threeAxes is the Axes of reduce.comp.
func threeAxes(axes []axis) []uint32 {
	axes = pad(axes, reduceAxes, 2)[1:]
	m0, s0 := divisor(axes[0].size)
	m1, s1 := divisor(axes[1].size)
	return []uint32{uint32(axes[0].size), uint32(axes[1].size), m0, m1, s0 | s1<<5}
}
