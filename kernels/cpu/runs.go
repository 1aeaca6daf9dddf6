package cpu

import "slices"

// runs walks operands of one shape together: as outer positions, each with a
// run of n elements at a constant stride per operand.
type runs struct {
	n      int     // elements of a run
	count  int     // runs
	inner  []int   // per operand: stride inside a run
	sizes  []int   // outer axes
	stride [][]int // per operand: strides of the outer axes
}

// newRuns collapses the axes of shape as far as all operands allow; shape ()
// is one run of one element.
func newRuns(shape []int, strides ...[]int) runs {
	var sizes []int
	st := make([][]int, len(strides))
	for i, d := range shape {
		if d == 1 {
			continue
		}
		last := len(sizes) - 1
		merge := last >= 0
		for k := range strides {
			merge = merge && st[k][last] == strides[k][i]*d
		}
		if merge {
			sizes[last] *= d
			for k := range strides {
				st[k][last] = strides[k][i]
			}
			continue
		}
		sizes = append(sizes, d)
		for k := range strides {
			st[k] = append(st[k], strides[k][i])
		}
	}
	r := runs{n: 1, count: 1, inner: make([]int, len(strides)), stride: st}
	if k := len(sizes) - 1; k >= 0 {
		r.n = sizes[k]
		for o := range st {
			r.inner[o] = st[o][k]
			r.stride[o] = st[o][:k]
		}
		sizes = sizes[:k]
	}
	r.sizes = sizes
	for _, d := range sizes {
		r.count *= d
	}
	return r
}

// newPositions is newRuns with runs of one element.
func newPositions(shape []int, strides ...[]int) runs {
	r := newRuns(shape, strides...)
	if r.n > 1 {
		r.sizes = append(slices.Clone(r.sizes), r.n)
		for o := range r.stride {
			r.stride[o] = append(slices.Clone(r.stride[o]), r.inner[o])
		}
		r.count *= r.n
		r.n = 1
	}
	return r
}

// offset is where run i of operand o starts.
func (r *runs) offset(o, i int) int {
	off := 0
	for k := len(r.sizes) - 1; k >= 0 && i > 0; k-- {
		q := i / r.sizes[k]
		off += (i - q*r.sizes[k]) * r.stride[o][k]
		i = q
	}
	return off
}

// piece is the longest part of a run that is worked on at once: widened
// copies of it stay in the first cache.
const piece = 1024

// grid cuts runs into tasks: several short runs, or a part of a long one.
type grid struct {
	runs
	perTask int // runs of a task
	pieces  int // tasks of a run; 1 when perTask > 1
	tasks   int
}

func newGrid(shape []int, strides ...[]int) grid {
	g := grid{runs: newRuns(shape, strides...)}
	g.pieces = blocks(g.n, grain)
	g.perTask = rowsPerTask(g.n)
	g.tasks = blocks(g.count, g.perTask) * g.pieces
	return g
}
