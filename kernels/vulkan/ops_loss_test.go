package vulkan

import (
	"fmt"
	"slices"
	"testing"

	"graft/kernels"
)

// lossRig has an instruction of n tokens and v words. What is not the first operand lies
// at an odd offset.
type lossRig struct {
	*rig
	n, v int
}

// targets are words, every third token without one.
func (r *lossRig) targets() kernels.View {
	view := r.add("targets", kernels.I32, kernels.Persistent, r.n)
	mem := make([]byte, 4*r.n)
	for i := range r.n {
		target := int32(i * 7919 % r.v)
		if i%3 == 2 {
			target = []int32{-1, int32(r.v)}[i%2]
		}
		putInt(mem[4*i:], target)
	}
	r.data[view.Slot] = mem
	return view
}

func (r *lossRig) sums(name string, seed uint64) kernels.View {
	return r.operand(name, kernels.F32, 1, values(seed, r.n), r.n)
}

// scoreShapes are rows by columns at which the kernels of losses and shares change.
var scoreShapes = [][2]int{{70, 9}, {300, 64}, {9, 131}, {5, 1028}, {3, 4099}, {2, 20000}, {2, 20003}}

func TestLossShapes(t *testing.T) {
	b := open(t)
	for _, s := range scoreShapes {
		for _, typ := range []kernels.DType{kernels.F32, kernels.BF16} {
			attr := kernels.Attr{Scale: 1.5}
			if typ == kernels.BF16 {
				attr.SoftCap = 4
			}
			t.Run(fmt.Sprint("cross_entropy", s, typ), func(t *testing.T) {
				r := &lossRig{newRig(t, b), s[0], s[1]}
				x := r.operand("logits", typ, 0, values(1, r.n*r.v), r.n, r.v)
				r.emit(kernels.CrossEntropy, attr, []kernels.View{r.sums("loss", 0), r.sums("lse", 0)}, x, r.targets())
				r.holdToOracle(t)
			})
			t.Run(fmt.Sprint("cross_entropy_bwd", s, typ), func(t *testing.T) {
				r := &lossRig{newRig(t, b), s[0], s[1]}
				x := r.operand("logits", typ, 4, values(1, r.n*r.v), r.n, r.v)
				r.emit(kernels.CrossEntropyBwd, attr, []kernels.View{x}, x, r.targets(), r.sums("lse", 2), r.sums("dloss", 3))
				r.holdToOracle(t)
			})
			t.Run(fmt.Sprint("softmax", s, typ), func(t *testing.T) {
				r := &lossRig{newRig(t, b), s[0], s[1]}
				x := r.operand("x", typ, 0, values(1, r.n*r.v), 1, 1, r.n, r.v)
				lse := r.operand("lse", kernels.F32, 0, make([]float64, r.n), 1, 1, r.n)
				r.emit(kernels.Softmax, attr, []kernels.View{x, lse}, x)
				r.holdToOracle(t)
			})
			t.Run(fmt.Sprint("softmax_bwd", s, typ), func(t *testing.T) {
				r := &lossRig{newRig(t, b), s[0], s[1]}
				share := values(2, r.n*r.v)
				for i := range share {
					share[i] *= share[i] / float64(r.v)
				}
				shape := []int{1, 1, r.n, r.v}
				x, p := r.operand("x", typ, 0, values(1, r.n*r.v), shape...), r.operand("p", typ, 2, share, shape...)
				dp := r.operand("dp", typ, 0, values(3, r.n*r.v), shape...)
				r.emit(kernels.SoftmaxBwd, attr, []kernels.View{dp}, x, p, dp)
				r.holdToOracle(t)
			})
		}
	}
}

// linear adds LinearCEGrad with the gradient of the head.
func (r *lossRig) linear(c int, act, weight kernels.DType, beta float32) {
	h, head := r.operand("h", act, 0, values(1, r.n*c), r.n, c), r.operand("head", weight, 0, values(2, r.v*c), r.v, c)
	scale := r.sums("scale", 3)
	out := []kernels.View{r.sums("loss", 0), r.operand("dh", act, 0, make([]float64, r.n*c), r.n, c),
		r.operand("dhead", kernels.F32, 0, values(4, r.v*c), r.v, c)}
	r.emit(kernels.LinearCEGrad, kernels.Attr{Scale: 0.5, SoftCap: 3, Opt: kernels.WithDW, Beta: beta}, out, h, head, r.targets(), scale)
}

// TestLinearCECuts has more tokens than are worked on at once, and by hand cuts of the
// head too, as heads of more than 2^30 elements have.
func TestLinearCECuts(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		name string
		n, v int
		cut  lossCut // none: as planned
		typ  kernels.DType
		beta float32
	}{
		{"tokens", 1030, 9, lossCut{}, kernels.F32, 0},
		{"tokens, beta", 1030, 9, lossCut{}, kernels.BF16, 1},
		{"tokens by hand", 23, 17, lossCut{rows: 4, vocab: 17}, kernels.F32, 1},
		{"head", 5, 23, lossCut{rows: 8, vocab: 7}, kernels.F32, 0},
		{"both", 23, 40, lossCut{rows: 4, vocab: 8}, kernels.BF16, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cut != (lossCut{}) {
				old := expanders[kernels.LinearCEGrad]
				expanders[kernels.LinearCEGrad] = func(x *expansion) error { return x.linearCE(c.cut) }
				t.Cleanup(func() { expanders[kernels.LinearCEGrad] = old })
			}
			r := &lossRig{newRig(t, b), c.n, c.v}
			r.linear(5, c.typ, c.typ, c.beta)
			r.holdToOracle(t)
		})
	}
}

// TestLossCut holds the cuts to a table and to their limits.
func TestLossCut(t *testing.T) {
	for _, c := range []struct {
		c, v int
		want lossCut
	}{
		{4096, 1, lossCut{1024, 1 << 18}},
		{576, 49152, lossCut{1024, 1864135}},
		{4096, 128256, lossCut{512, 1 << 18}},
		{4096, 151936, lossCut{384, 1 << 18}},
		{4096, 1 << 18, lossCut{256, 1 << 18}},
		{8192, 1 << 22, lossCut{16, 1 << 17}},
		{8192, 1 << 25, lossCut{2, 1 << 17}},
	} {
		if got := lossCutOf(c.c, c.v); got != c.want {
			t.Errorf("width %d, vocabulary %d: got %v, want %v", c.c, c.v, got, c.want)
		}
	}
}

// TestLinearCEScratch plans a large vocabulary: logits take 256 MiB at most, however many
// tokens there are, and the head's rows beyond 2^30 elements are counted from a base of
// their own. It needs no device.
func TestLinearCEScratch(t *testing.T) {
	const c, v = 8192, 1 << 18
	scratch := map[int]int64{}
	for _, n := range []int{1 << 12, 1 << 14} {
		r := newRig(t, nil)
		add := func(name string, typ kernels.DType, shape ...int) kernels.View {
			return r.add(name, typ, kernels.Persistent, shape...)
		}
		head := add("head", kernels.BF16, v, c)
		x, err := expandInstr(target{}, &r.prog, 0, kernels.Instr{Op: kernels.LinearCEGrad, Attr: kernels.Attr{Scale: 1, Opt: kernels.WithDW},
			In:  []kernels.View{add("h", kernels.BF16, n, c), head, add("targets", kernels.I32, n), add("scale", kernels.F32, n)},
			Out: []kernels.View{add("loss", kernels.F32, n), add("dh", kernels.BF16, n, c), add("dhead", kernels.F32, v, c)}})
		if err != nil {
			t.Fatal(err)
		}
		scratch[n] = x.scratch
		bases := map[int64]bool{}
		rows := 0
		for _, l := range x.launches {
			for _, s := range slices.Concat(l.reads, l.writes) {
				if s.Slot == head.Slot {
					bases[s.Lo] = true
				}
			}
			if l.kernel == "cross_entropy" {
				rows += int(l.words[0])
			}
		}
		if !bases[0] || !bases[2*maxPiece] {
			t.Errorf("%d tokens: head is read from bytes %v, want also 0 and %d", n, bases, 2*maxPiece)
		}
		if rows != n {
			t.Errorf("losses of %d tokens, want %d", rows, n)
		}
	}
	if scratch[1<<12] != scratch[1<<14] || scratch[1<<12] < 256<<20 || scratch[1<<12] > 384<<20 {
		t.Errorf("scratch by tokens: %v, want the same, 256 to 384 MiB", scratch)
	}
}
