package vulkan

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

// normShapes are rows by columns at which the kernels change: rows side by side and
// alone, whole vectors and not, kept in registers and read again, more rows than
// workgroups.
var normShapes = [][2]int{{700, 8}, {33, 64}, {37, 130}, {5, 1024}, {3, 2052}, {2, 8190}, {2, 8192}, {3, 8196}, {2, 9001}, {530, 516}, {70, 65540}}

func TestRMSNormShapes(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	for _, s := range normShapes {
		for offset, typ := range []kernels.DType{kernels.F32, kernels.BF16} { // BF16 not at vectors
			t.Run(fmt.Sprint(s, typ), func(t *testing.T) {
				r, n, c := newRig(t, b), s[0], s[1]
				x := r.operand("x", typ, 0, values(1, n*c), n, c)
				w := r.operand("w", kernels.F32, offset, values(2, c), c)
				residual := r.operand("residual", typ, 3*offset, values(3, n*c), n, c)
				y := r.operand("y", typ, 0, make([]float64, n*c), n, c)
				rstd := r.operand("rstd", kernels.F32, 0, make([]float64, n), n)
				r.emit(kernels.RMSNorm, kernels.Attr{Eps: 1e-5, Opt: kernels.WithResidual}, []kernels.View{y, rstd, residual}, x, w, residual)
				r.holdToOracle(t)
			})
		}
	}
}

func TestRMSNormBwdShapes(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	for _, s := range normShapes {
		for offset, typ := range []kernels.DType{kernels.F32, kernels.F16} { // of dy: F16 not at vectors
			t.Run(fmt.Sprint(s, typ), func(t *testing.T) {
				r, n, c := newRig(t, b), s[0], s[1]
				x := r.operand("x", typ, 0, values(1, n*c), n, c)
				w := r.operand("w", kernels.F32, 4, values(2, c), c)
				rstd := values(3, n)
				for i := range rstd {
					rstd[i] = math.Abs(rstd[i]) + 0.1
				}
				in := []kernels.View{x, w, r.operand("rstd", kernels.F32, 0, rstd, n),
					r.operand("dy", typ, offset, values(4, n*c), n, c), r.operand("dsum", typ, 8, values(5, n*c), n, c)}
				out := []kernels.View{in[4], r.operand("dw", kernels.F32, offset, values(6, c), c)}
				r.emit(kernels.RMSNormBwd, kernels.Attr{Beta: float32(offset), Opt: kernels.WithDW | kernels.WithSum, PlusOne: true}, out, in...)
				r.holdToOracle(t)
			})
		}
	}
}

// TestRowsOf holds the sharing of rows to a table.
func TestRowsOf(t *testing.T) {
	for _, c := range []struct {
		columns int
		want    rowGroup
	}{
		{1, rowGroup{16, 1}}, {64, rowGroup{16, 1}}, {65, rowGroup{16, 2}}, {128, rowGroup{16, 2}}, {129, rowGroup{32, 2}},
		{1024, rowGroup{128, 2}}, {2048, rowGroup{256, 2}}, {2049, rowGroup{256, 3}}, {4096, rowGroup{256, 4}},
		{8192, rowGroup{256, 8}}, {8193, rowGroup{256, 0}}, {1 << 30, rowGroup{256, 0}},
	} {
		if got := rowsOf(c.columns); got != c.want {
			t.Errorf("%d columns: got %v, want %v", c.columns, got, c.want)
		}
	}
}

// TestRMSNormBwdLaunches holds launches for more rows than one counts to a list: where x
// and the partial sums start. It needs no device.
func TestRMSNormBwdLaunches(t *testing.T) {
	r := newRig(t, nil)
	const n, c = 3 << 20, 1024
	add := func(name string, shape ...int) kernels.View {
		return r.add(name, kernels.F32, kernels.Persistent, shape...)
	}
	x, w, rstd, dy := add("x", n, c), add("w", c), add("rstd", n), add("dy", n, c)
	e, err := expandInstr(target{}, &r.prog, 0, kernels.Instr{Op: kernels.RMSNormBwd, In: []kernels.View{x, w, rstd, dy},
		Out: []kernels.View{add("dx", n, c), add("dw", c)}, Attr: kernels.Attr{Opt: kernels.WithDW}})
	if err != nil {
		t.Fatal(err)
	}
	var got [][3]int64
	for _, l := range e.launches {
		if l.kernel == "rms_norm_bwd" {
			got = append(got, [3]int64{l.addrs[0].offset, l.addrs[2].offset, l.addrs[6].offset})
		}
	}
	const rows = 1 << 20
	want := [][3]int64{{0, 0, 0}, {4 * rows * c, 4 * rows, 4 * normParts * c}, {8 * rows * c, 8 * rows, 8 * normParts * c}}
	if !slices.Equal(got, want) {
		t.Errorf("launches start at %v, want %v", got, want)
	}
	last := e.launches[len(e.launches)-1]
	if last.kernel != "sum_parts" || !slices.Equal(last.words, []uint32{3 * normParts, c}) || e.scratch != 12*normParts*c {
		t.Errorf("got %s of %v on %d bytes of scratch", last.kernel, last.words, e.scratch)
	}
}

// TestVectorAccess allows vectors only where every operand starts and every row ends at a
// multiple of four elements. Software drivers load vectors from anywhere, so no result
// would tell. It needs no device.
func TestVectorAccess(t *testing.T) {
	for columns, want := range map[int]uint32{4: 1, 5: 0, 6: 0, 8: 1} {
		if got := rowsOf(columns).spec(columns)[2]; got != want {
			t.Errorf("%d columns: got %d, want %d", columns, got, want)
		}
	}
	const n, c = 3, 8
	for op, attr := range map[kernels.Op]kernels.Attr{
		kernels.RMSNorm:         {Opt: kernels.WithResidual},
		kernels.RMSNormBwd:      {Opt: kernels.WithSum},
		kernels.Softmax:         {Scale: 1},
		kernels.SoftmaxBwd:      {Scale: 1},
		kernels.CrossEntropy:    {Scale: 1},
		kernels.CrossEntropyBwd: {Scale: 1},
		kernels.SumSq:           {},
		kernels.AdamW:           {Opt: kernels.WithStore},
	} {
		in := kernels.Instr{Op: op, Attr: attr}
		ins, outs := kernels.InPorts(in), kernels.OutPorts(in)
		ports := slices.Concat(ins, outs)
		for moved := -1; moved < len(ports); moved++ { // the operand that starts elsewhere
			r := newRig(t, nil)
			in.In, in.Out = nil, nil
			vector := true
			for i, q := range ports {
				var shape []int
				for _, letter := range q.Dims {
					shape = append(shape, map[rune]int{'N': n, 'B': 1, 'H': 1, 'T': n, '1': 1}[letter])
					if shape[len(shape)-1] == 0 {
						shape[len(shape)-1] = c
					}
				}
				typ := kernels.F32
				if q.Type == kernels.Index {
					typ = kernels.I32
				}
				v := kernels.Dense(r.add(q.Name, typ, kernels.Persistent, 4*n*c).Slot, 0, shape...)
				if i == moved {
					v.Offset = 3
					vector = v.Len() < c || q.Dims == "8" // statistics of a row, targets, hyper and state
				}
				if i < len(ins) {
					in.In = append(in.In, v)
				} else {
					in.Out = append(in.Out, v)
				}
			}
			x, err := expandInstr(target{}, &r.prog, 0, in)
			if err != nil {
				t.Fatal(err)
			}
			if got := x.launches[0].spec[2]; got != flag(vector) {
				t.Errorf("%v, operand %d not at a vector: got %d, want %d", op, moved, got, flag(vector))
			}
		}
	}
}
