package vulkan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

// ints adds a persistent slot of I32.
func (r *rig) ints(name string, v ...int) kernels.View {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(int32(x)))
	}
	return r.raw(name, kernels.I32, b, len(v))
}

// someIDs are n row numbers of r rows, some of them outside.
func someIDs(n, r int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = (i*7919+3)%(r+2) - 1
	}
	return ids
}

// TestRowPaths holds the ways to move whole rows to the oracle. The path column is the
// unit in bytes, or whether vectors are cast or added.
func TestRowPaths(t *testing.T) {
	b := open(t)
	f, h, e, u16 := kernels.F32, kernels.BF16, kernels.F16, kernels.U16
	for _, c := range []struct {
		op       kernels.Op
		from, to kernels.DType
		offset   int
		n, rows  int
		columns  int
		stride   int // of PutRows' x
		constant int // index of the specialisation constant
		path     int
	}{
		{kernels.Gather, f, f, 4, 9, 7, 20, 0, 0, 16},
		{kernels.Gather, h, h, 8, 9, 7, 600, 0, 0, 16},
		{kernels.Gather, h, h, 2, 9, 7, 20, 0, 0, 4},
		{kernels.Gather, u16, u16, 0, 9, 7, 21, 0, 0, 2},
		{kernels.PutRows, f, f, 0, 5, 12, 16, 24, 0, 16},
		{kernels.PutRows, h, h, 0, 5, 12, 16, 18, 0, 4},
		{kernels.PutRows, e, e, 3, 5, 12, 2100, 2104, 0, 2},
		{kernels.Embed, h, f, 0, 9, 7, 24, 0, 3, 1},
		{kernels.Embed, f, e, 4, 9, 7, 2200, 0, 3, 0},
		{kernels.Embed, e, e, 0, 9, 7, 24, 0, 0, 16},
		{kernels.EmbedBwd, f, f, 0, 50, 7, 24, 0, 1, 1},
		{kernels.EmbedBwd, h, f, 8, 50, 7, 520, 0, 1, 1},
		{kernels.EmbedBwd, h, f, 4, 50, 7, 24, 0, 1, 0},
	} {
		t.Run(fmt.Sprintf("%v/%v to %v/offset %d, %d columns", c.op, c.from, c.to, c.offset, c.columns), func(t *testing.T) {
			r := newRig(t, b)
			data := func(seed uint64, typ kernels.DType, n int) []float64 {
				v := values(seed, n)
				for i := range v {
					if !typ.Float() {
						v[i] = float64(i * 37 % 251)
					}
				}
				return v
			}
			ids := someIDs(c.n, c.rows)
			x, y := c.rows, c.n // rows of each
			switch c.op {
			case kernels.PutRows:
				x, y, ids = c.n, c.rows, []int{3, -1, 11, 12, 0}
			case kernels.EmbedBwd:
				x, y = c.n, c.rows
			}
			stride := max(c.columns, c.stride)
			in := r.strided("x", c.from, c.offset, data(1, c.from, x*c.columns), []int{x, c.columns}, []int{stride, 1})
			out := r.operand("y", c.to, c.offset, data(2, c.to, y*c.columns), y, c.columns)
			views := []kernels.View{in, r.ints("ids", ids...)}
			switch c.op {
			case kernels.Embed:
				slices.Reverse(views)
			case kernels.EmbedBwd:
				order, starts := runs(ids)
				views = append(views, r.ints("order", order...), r.ints("starts", starts...))
			}
			r.emit(c.op, kernels.Attr{}, []kernels.View{out}, views...)
			l := must(expandInstr(b.target(), &r.prog, 0, r.prog.Code[0])).launches
			if len(l) != 1 || l[0].spec[c.constant] != uint32(c.path) {
				t.Errorf("%d launches, the first by %d, want one by %d", len(l), l[0].spec[c.constant], c.path)
			}
			r.holdToOracle(t)
			r.untouched(t, out)
		})
	}
}

// runs sorts tokens by id, stably, and gives where the runs of each id start.
func runs(ids []int) (order, starts []int) {
	for i := range ids {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return ids[a] - ids[b] })
	for i, t := range order {
		if i == 0 || ids[t] != ids[order[i-1]] {
			starts = append(starts, i)
		}
	}
	for len(starts) <= len(ids) {
		starts = append(starts, len(ids))
	}
	return order, starts
}

// TestStridedRows holds the kernels that take rows at a stride to the oracle, with and
// without vectors.
func TestStridedRows(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	for _, typ := range []kernels.DType{kernels.F32, kernels.BF16} {
		for _, c := range []struct {
			name          string
			offset, width int
			gap           int
			vectors       uint32
		}{
			{"dense", 8, 48, 0, 1},
			{"dense and a rest", 0, 49, 0, 1},
			{"gaps", 8, 48, 16, 1},
			{"gaps and a rest", 8, 45, 19, 1},
			{"odd gaps", 8, 48, 3, 0},
			{"odd offset", 1, 48, 16, 0},
			{"wide", 0, 2200, 8, 1},
		} {
			const n = 5
			operands := func(r *rig, count int) (vs []kernels.View) {
				for k := range count {
					vs = append(vs, r.strided(fmt.Sprint(k), typ, c.offset, values(uint64(k), n*c.width), []int{n, c.width}, []int{c.width + c.gap, 1}))
				}
				return vs
			}
			check := func(t *testing.T, r *rig, constant int, vectors uint32) {
				t.Helper()
				for _, l := range must(expandInstr(b.target(), &r.prog, 0, r.prog.Code[0])).launches {
					if l.spec[constant] != vectors {
						t.Errorf("vectors: got %d, want %d", l.spec[constant], vectors)
					}
				}
				r.holdToOracle(t)
				for _, y := range r.prog.Code[0].Out {
					r.untouched(t, y)
				}
			}
			for act := range kernels.NumActivations {
				t.Run(fmt.Sprintf("%v/%v/%v", typ, c.name, act), func(t *testing.T) {
					r := newRig(t, b)
					v := operands(r, 3)
					r.emit(kernels.GLU, kernels.Attr{Act: act}, v[:1], v[1:]...)
					check(t, r, 2, c.vectors)
					r = newRig(t, b)
					v = operands(r, 5)
					r.emit(kernels.GLUBwd, kernels.Attr{Act: act}, v[:2], v[2:]...)
					check(t, r, 2, c.vectors)
				})
			}
			if c.width%2 != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%v/%v/rope", typ, c.name), func(t *testing.T) {
				r := newRig(t, b)
				heads := func(v kernels.View) kernels.View {
					v.Shape, v.Stride = []int{n, 2, c.width / 2}, []int{v.Stride[0], c.width / 2, 1}
					return v
				}
				v := operands(r, 2)
				freqs := r.slot("freqs", kernels.F32, []float64{1, 0.5, 0.25, 0.1, 0.01, 1e-3, 1e-4, 3}, 8)
				r.emit(kernels.RoPE, kernels.Attr{Sign: -1, Scale: 0.5}, []kernels.View{heads(v[0])}, heads(v[1]), r.ints("positions", 0, 7, 100, 65537, -5), freqs)
				vectors := c.vectors
				if c.width/2%vector != 0 { // heads end inside of a vector
					vectors = 0
				}
				check(t, r, 1, vectors)
			})
		}
	}
}

// TestManyHeads takes heads together, which only happens for many tokens.
func TestManyHeads(t *testing.T) {
	const n, h, d = 2000, 17, 32
	r := newRig(t, open(t))
	x := r.operand("x", kernels.BF16, 1, values(1, n*h*d), n, h, d)
	y := r.operand("y", kernels.BF16, 1, make([]float64, n*h*d), n, h, d)
	positions := make([]int, n)
	for i := range positions {
		positions[i] = i * 13
	}
	r.emit(kernels.RoPE, kernels.Attr{Sign: 1, Scale: 1}, []kernels.View{y}, x,
		r.ints("positions", positions...), r.slot("freqs", kernels.F32, values(2, d/2), d/2))
	l := must(expandInstr(r.b.target(), &r.prog, 0, r.prog.Code[0])).launches
	if heads, groups := l[0].words[4], l[0].groups[1]; heads != 4 || groups != 5 {
		t.Errorf("%d heads at a time in %d groups, want 4 in 5", heads, groups)
	}
	r.holdToOracle(t)
	r.untouched(t, y)
}
