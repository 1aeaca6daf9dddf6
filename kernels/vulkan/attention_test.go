package vulkan

import (
	"fmt"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/kernels/ref"
)

// attentionSetup is Attention over a fused buffer of queries, keys and values, two
// documents to a sequence; rows, when there are any, are of queries on a longer cache.
type attentionSetup struct {
	typ                    kernels.DType
	nb, nt, ns, nh, nk, nd int
	window                 int
	cap                    float32
	rows                   []float64
}

// forward emits Attention.
func (s attentionSetup) forward(r *rig) kernels.Instr {
	at := kernels.Attr{Scale: 0.4, Window: s.window, SoftCap: s.cap}
	// A gap behind every position, so that rows have a stride of their own.
	width := (s.nh+2*s.nk)*s.nd + 8
	all := r.operand("qkv", s.typ, 8, values(1, s.nb*s.ns*width), s.nb, s.ns, width)
	part := func(first, heads, positions int) kernels.View {
		return kernels.View{Slot: all.Slot, Offset: all.Offset + first*s.nd, Shape: []int{s.nb, positions, heads, s.nd}, Stride: []int{s.ns * width, width, s.nd, 1}}
	}
	docs := make([]float64, 2*s.nb*s.nt)
	for i := range s.nb * s.nt {
		cut, t := s.nt/3, i%s.nt
		if s.rows != nil {
			docs[i], docs[s.nb*s.nt+i] = float64(i%5), float64(s.ns)
		} else if t < cut {
			docs[s.nb*s.nt+i] = float64(cut)
		} else {
			docs[i], docs[s.nb*s.nt+i] = float64(cut), float64(s.nt)
		}
	}
	in := []kernels.View{part(0, s.nh, s.nt), part(s.nh, s.nk, s.ns), part(s.nh+s.nk, s.nk, s.ns), r.operand("documents", kernels.I32, 0, docs, 2, s.nb, s.nt)}
	if s.rows != nil {
		at.Opt = kernels.WithRows
		in = append(in, r.operand("rows", kernels.I32, 0, s.rows, s.nb, s.nt))
	}
	n := s.nb * s.nt * s.nh
	r.emit(kernels.Attention, at, []kernels.View{
		r.slot("o", s.typ, make([]float64, n*s.nd), s.nb, s.nt, s.nh, s.nd), r.slot("lse", kernels.F32, make([]float64, n), s.nb, s.nh, s.nt)}, in...)
	return r.prog.Code[0]
}

// backward emits AttentionBwd on the oracle's forward results.
func (s attentionSetup) backward(r *rig) {
	r.t.Helper()
	in := s.forward(r)
	want, err := ref.Eval(&r.prog, in, func(v kernels.View) []float64 { return ref.ReadView(r.prog.DType(v), r.data[v.Slot], v) })
	if err != nil {
		r.t.Fatal(err)
	}
	for o, v := range in.Out {
		ref.WriteView(r.prog.DType(v), r.data[v.Slot], v, want[o].Exact)
	}
	n, m := s.nb*s.nt*s.nh*s.nd, s.nb*s.nt*s.nk*s.nd
	grad := r.operand("do", s.typ, 16, values(2, n), s.nb, s.nt, s.nh, s.nd)
	r.prog.Code = nil
	r.emit(kernels.AttentionBwd, in.Attr, []kernels.View{
		r.slot("dq", s.typ, make([]float64, n), s.nb, s.nt, s.nh, s.nd),
		r.slot("dk", s.typ, make([]float64, m), s.nb, s.nt, s.nk, s.nd),
		r.slot("dv", s.typ, make([]float64, m), s.nb, s.nt, s.nk, s.nd),
	}, append(slices.Clone(in.In), in.Out[0], in.Out[1], grad)...)
}

// TestAttentionTiles makes attention by every tile, whatever the table would choose: with
// documents and windows whose edges lie inside of tiles, heads that share keys, and heads
// of one to five times 64, of which the widest take two workgroups.
func TestAttentionTiles(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	f, h, e := kernels.F32, kernels.BF16, kernels.F16
	for i, s := range []attentionSetup{
		{typ: f, nb: 1, nt: 23, nh: 2, nk: 2, nd: 296},
		{typ: h, nb: 2, nt: 67, nh: 2, nk: 1, nd: 24, window: 19},
		{typ: e, nb: 1, nt: 70, nh: 3, nk: 1, nd: 72},
		{typ: h, nb: 1, nt: 33, nh: 1, nk: 1, nd: 200},
		{typ: f, nb: 1, nt: 131, nh: 2, nk: 1, nd: 7, cap: 3},
	} {
		s.ns = s.nt
		tile := attentionTiles[i%len(attentionTiles)]
		t.Run(fmt.Sprintf("%d rows/%v/D %d", tile.rows(), s.typ, s.nd), func(t *testing.T) {
			b.attention = &tile
			r := newRig(t, b)
			s.forward(r)
			r.holdToOracle(t)
			r = newRig(t, b)
			s.backward(r)
			r.holdToOracle(t)
		})
	}
}

// TestAttentionSplit cuts the keys of few queries into parts, one of them without a
// visible key.
func TestAttentionSplit(t *testing.T) {
	b := open(t)
	for _, s := range []attentionSetup{
		{typ: kernels.F32, nb: 2, nt: 1, ns: 700, nh: 2, nk: 1, nd: 9, rows: []float64{655, 40}},
		{typ: kernels.F32, nb: 1, nt: 3, ns: 520, nh: 2, nk: 2, nd: 16, rows: []float64{515, 516, 517}, window: 300},
	} {
		t.Run(fmt.Sprintf("%d of %d", s.nt, s.ns), func(t *testing.T) {
			r := newRig(t, b)
			s.forward(r)
			pl := must(b.Plan(&r.prog))
			if n := len(pl.Dispatches); n != 2 || pl.Dispatches[1].Kernel != "attention_join" {
				t.Fatalf("got %d dispatches, want the parts and what joins them", n)
			}
			r.holdToOracle(t)
		})
	}
}

// TestAttentionTileOf holds the choice to what the device allows.
func TestAttentionTileOf(t *testing.T) {
	large := target{sharedMemory: 48 << 10, invocations: 1024, units: 96}
	least := target{sharedMemory: 16 << 10, invocations: 128, units: 16}
	for _, c := range []struct {
		name                    string
		d                       target
		rows, others, registers int
		want                    attentionTile
	}{
		{"no device", target{}, 4096, 64, 1, attentionTile{4, 1}},
		{"one query", large, 1, 64, 1, attentionTile{4, 1}},
		{"eight heads of one query", large, 8, 64, 2, attentionTile{4, 2}},
		{"a long batch", large, 4096, 64, 1, attentionTile{16, 4}},
		{"a long batch, wide heads", large, 4096, 64, 4, attentionTile{16, 4}},
		{"gradients of keys of wide heads", large, 4096, 64, 8, attentionTile{16, 2}},
		{"few workgroups", large, 512, 3, 1, attentionTile{4, 4}},
		{"a small device", least, 4096, 64, 1, attentionTile{4, 4}},
		{"a device on the CPU", target{sharedMemory: 32 << 10, invocations: 1024, units: 4}, 4096, 64, 1, attentionTile{4, 4}},
	} {
		if got := attentionTileOf(c.d, c.rows, c.others, c.registers); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	for _, tile := range attentionTiles {
		if n := tile.shared(); n > 32<<10 {
			t.Errorf("%v takes %d bytes of shared memory, more than some devices have", tile, n)
		}
	}
}
