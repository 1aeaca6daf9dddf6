//go:build amd64 || arm64

package vulkan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/plan"
)

// TestHugeViews plans operands of more elements than a kernel's signed indices count:
// they are split where the kernel's row says so. It needs no device and no memory.
func TestHugeViews(t *testing.T) {
	r := newRig(t, nil)
	const n = 5 << 30
	big, s := r.add("big", kernels.F32, kernels.Persistent, n), r.add("s", kernels.F32, kernels.Persistent, 1)
	for _, c := range []struct {
		in   kernels.Instr
		want []int64 // first elements of big
	}{
		{kernels.Instr{Op: kernels.Fill, Out: []kernels.View{big}}, []int64{0, 4 << 30}},
		{kernels.Instr{Op: kernels.SumSq, In: []kernels.View{big}, Out: []kernels.View{s}}, []int64{0, 1 << 30, 2 << 30, 3 << 30, 4 << 30}},
	} {
		x, err := expandInstr(target{}, &r.prog, 0, c.in)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, l := range x.launches {
			if l.addrs[0].slot == big.Slot {
				got = append(got, l.addrs[0].offset/4)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: launches start at %v, want %v", c.in.Op, got, c.want)
		}
	}
}

// TestHugePiecesAtOnce demands that the pieces of a huge operand have no barriers between
// them: each declares what it writes itself.
func TestHugePiecesAtOnce(t *testing.T) {
	r := newRig(t, nil)
	const n = 5 << 30
	add := func(name string, typ kernels.DType, n int) kernels.View {
		return r.add(name, typ, kernels.Persistent, n)
	}
	w, g, m, v := add("w", kernels.F32, n), add("g", kernels.F32, n), add("m", kernels.F32, n), add("v", kernels.F32, n)
	half, hyper, state := add("half", kernels.BF16, n), add("hyper", kernels.F32, kernels.HyperLen), add("state", kernels.F32, kernels.StateLen)
	s := add("s", kernels.F32, 1)
	for _, c := range []struct {
		name   string
		in     kernels.Instr
		groups []int
	}{
		{"fill", kernels.Instr{Op: kernels.Fill, Out: []kernels.View{w}}, []int{0}},
		{"copy", kernels.Instr{Op: kernels.Copy, In: []kernels.View{g}, Out: []kernels.View{half}}, []int{0}},
		{"unary", kernels.Instr{Op: kernels.Unary, In: []kernels.View{g}, Out: []kernels.View{w}}, []int{0}},
		{"in place", kernels.Instr{Op: kernels.Unary, In: []kernels.View{w}, Out: []kernels.View{w}}, []int{0}},
		{"binary", kernels.Instr{Op: kernels.Binary, In: []kernels.View{g, m}, Out: []kernels.View{w}}, []int{0}},
		{"adamw", kernels.Instr{Op: kernels.AdamW, In: []kernels.View{g, hyper, state}, Out: []kernels.View{w, m, v, half},
			Attr: kernels.Attr{Opt: kernels.WithStore, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}}, []int{0}},
		{"sum_sq", kernels.Instr{Op: kernels.SumSq, In: []kernels.View{g}, Out: []kernels.View{s}}, []int{0, 5}},
	} {
		x, err := expandInstr(target{}, &r.prog, 0, c.in)
		if err != nil {
			t.Fatal(err)
		}
		var ds []kernels.Dispatch
		for _, l := range x.launches {
			ds = append(ds, kernels.Dispatch{Reads: l.reads, Writes: l.writes})
		}
		if got := plan.Barriers(&r.prog, ds, make([]int64, len(r.prog.Slots))); !slices.Equal(got, c.groups) || len(ds) < 2 {
			t.Errorf("%s: groups start at %v of %d launches, want %v", c.name, got, len(ds), c.groups)
		}
	}
}

// TestHugeAxes makes one axis after another of every operation with named axes huge: there
// are launches that a device can count, or the shape is refused with a reason, but no grid
// or address is out of range.
func TestHugeAxes(t *testing.T) {
	expanded := 0
	for op := range kernels.NumOps {
		row := kernels.Table[op]
		letters := map[byte]int{}
		plain := true
		for _, q := range slices.Concat(row.In, row.Out) {
			plain = plain && !strings.Contains(q.Dims, ".") && q.Opt == 0
			for _, c := range []byte(q.Dims) {
				if c >= 'A' && c <= 'Z' {
					letters[c] = 8
				}
			}
		}
		if !plain || expanders[op] == nil {
			continue
		}
		for c := range letters {
			for _, size := range []int{65536, 1 << 20, 1<<31 + 8} {
				if size > 1<<20 && (op == kernels.LinearCE || op == kernels.AttentionBwd) {
					continue // in chunks: that many tokens are millions of launches
				}
				r := newRig(t, nil)
				view := func(q kernels.Port) kernels.View {
					typ := kernels.F32
					if q.Type == kernels.Index {
						typ = kernels.I32
					}
					var shape []int
					for _, d := range []byte(q.Dims) {
						switch {
						case d == '*':
							shape = append(shape, size, 3)
						case d == c:
							shape = append(shape, size)
						case d >= '0' && d <= '9':
							shape = append(shape, int(d-'0'))
						default:
							shape = append(shape, letters[d])
						}
					}
					return r.add(q.Name, typ, kernels.Persistent, shape...)
				}
				in := kernels.Instr{Op: op, Attr: kernels.Attr{Eps: 1e-5, Scale: 1}}
				for _, q := range row.In {
					in.In = append(in.In, view(q))
				}
				for _, q := range row.Out {
					in.Out = append(in.Out, view(q))
				}
				if _, err := kernels.Check(&r.prog, in); err != nil {
					in.Attr = kernels.Attr{}
					if _, err := kernels.Check(&r.prog, in); err != nil {
						continue
					}
				}
				_, err := expandInstr(target{}, &r.prog, 0, in)
				if err != nil && (!errors.Is(err, kernels.ErrUnsupported) || strings.Contains(err.Error(), "kernel ")) {
					t.Errorf("%v with %c = %d: %v", op, c, size, err)
				}
				expanded++
			}
		}
	}
	if expanded < 50 {
		t.Errorf("%d instructions were expanded", expanded)
	}
}
