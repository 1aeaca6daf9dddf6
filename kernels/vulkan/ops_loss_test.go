package vulkan

import (
	"fmt"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
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

// TestLinearCETokens has more tokens than are worked on at once, and proves the barriers
// between the pieces, which share their scratch.
func TestLinearCETokens(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		typ  kernels.DType
		beta float32
	}{{kernels.F32, 0}, {kernels.BF16, 1}} {
		t.Run(fmt.Sprint(c.typ, c.beta), func(t *testing.T) {
			r := &lossRig{newRig(t, b), 1030, 9}
			r.linear(5, c.typ, c.typ, c.beta)
			r.holdToOracle(t)
			if _, err := kerneltest.Barriers(b, &r.prog, r.data, false); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLossRows holds the number of tokens at once to a table.
func TestLossRows(t *testing.T) {
	for v, want := range map[int]int{1: 1024, 49152: 1024, 128256: 512, 151936: 384, 1 << 18: 256, 1 << 22: 16, 1 << 25: 2, 1 << 28: 1} {
		if got := lossRows(v); got != want {
			t.Errorf("vocabulary %d: got %v, want %v", v, got, want)
		}
	}
}

// TestLinearCEScratch plans a large vocabulary: scratch does not grow with the tokens,
// each of which gets its loss once. It needs no device.
func TestLinearCEScratch(t *testing.T) {
	const c, v = 4096, 151936
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
		rows := 0
		for _, l := range x.launches {
			if l.kernel == "cross_entropy" {
				if at := l.addrs[1].offset; at != int64(4*rows) {
					t.Errorf("losses of tokens from %d on, want %d", at/4, rows)
				}
				rows += int(l.words[0])
			}
		}
		if rows != n {
			t.Errorf("losses of %d tokens, want %d", rows, n)
		}
	}
	if want := int64(384 * v * 4); scratch[1<<12] != want || scratch[1<<14] != want {
		t.Errorf("scratch by tokens: %v, want %d", scratch, want)
	}
}
