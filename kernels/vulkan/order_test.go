package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

// branches is a program of several independent chains, instruction by instruction side
// by side, so that barrier groups hold several dispatches.
func branches(r *rig) (out kernels.View) {
	const n, c, width = 9, 24, 4
	w := r.slot("w", kernels.F32, values(2, c*c), c, c)
	one := r.slot("norm", kernels.F32, slices.Repeat([]float64{1}, c), c)
	out = r.slot("out", kernels.F32, make([]float64, width), width)
	h := make([]kernels.View, width)
	for i := range h {
		h[i] = r.slot("x", kernels.F32, values(uint64(10+i), n*c), n, c)
	}
	for range 3 {
		norm := make([]kernels.View, width)
		for i := range h {
			norm[i] = r.add("y", kernels.F32, kernels.Temp, n, c)
			r.emit(kernels.RMSNorm, kernels.Attr{Eps: 1e-5}, []kernels.View{norm[i], r.add("rstd", kernels.F32, kernels.Temp, n)}, h[i], one)
		}
		for i := range h {
			z := r.add("z", kernels.F32, kernels.Temp, n, c)
			r.emit(kernels.MatMul, kernels.Attr{Alpha: 1, Opt: kernels.WithResidual}, []kernels.View{z}, norm[i], w, h[i])
			h[i] = z
		}
	}
	for i := range h {
		r.emit(kernels.SumSq, kernels.Attr{}, []kernels.View{kernels.Dense(out.Slot, i, 1)}, kernels.Dense(h[i].Slot, 0, n*c))
	}
	return out
}

// TestBarriersOfBranches proves barriers where the groups are wide: there each barrier that
// is left out changes the bits of the groups run backwards.
func TestBarriersOfBranches(t *testing.T) {
	r := newRig(t, open(t))
	branches(r)
	got, err := kerneltest.Barriers(r.b, &r.prog, r.data, true)
	if err != nil {
		t.Fatal(err)
	}
	if got.Largest < 4 || got.Groups < 6 {
		t.Errorf("%+v: the groups show nothing", got)
	}
	if got.Noticed != got.Groups-1 {
		t.Errorf("%+v: a barrier can be taken away unnoticed", got)
	}
}

// provable are the bytes up to which a case of one instruction is proved: shapes that a
// kernel treats differently are small.
const provable = 1 << 18

// TestBarriersOfOps proves the launches of every operation that has kernels: what they
// declare is all that they touch.
func TestBarriersOfOps(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	for op := range kernels.NumOps {
		if expanders[op] == nil {
			continue
		}
		t.Run(op.String(), func(t *testing.T) {
			proved := map[string]bool{}
			for _, c := range kerneltest.Cases(op, false) {
				x, err := expandInstr(b.target(), c.Prog, 0, c.Instr())
				if errors.Is(err, kernels.ErrUnsupported) || len(slices.Concat(c.Data...)) > provable {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				// A case that runs the same kernels as another shows nothing new.
				variants := ""
				for _, l := range x.launches {
					variants += fmt.Sprintln(variant{l.kernel, l.spec, l.subgroup}.key(), len(l.reads), len(l.writes))
				}
				if proved[variants] {
					continue
				}
				proved[variants] = true
				if _, err := kerneltest.Barriers(b, c.Prog, c.Data, false); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
			if len(proved) == 0 {
				t.Error("no case was proved")
			}
		})
	}
}

// TestBarriersOfPrograms proves whole programs, whose temporaries share memory.
func TestBarriersOfPrograms(t *testing.T) {
	b := open(t)
	var total kerneltest.BarrierReport
	for seed := range uint64(8) {
		p := kerneltest.RandomProgram(seed)
		p, _, err := kernels.Lower(p, b.Supports)
		if errors.Is(err, kernels.ErrUnsupported) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := kerneltest.Barriers(b, p, nil, seed < 2)
		if err != nil {
			t.Errorf("program %d: %v", seed, err)
		}
		if seed < 2 {
			total.Groups += got.Groups - 1
		}
		total.Noticed += got.Noticed
		total.Largest = max(total.Largest, got.Largest)
	}
	t.Logf("%d barriers, %d change bits when left out, largest group %d", total.Groups, total.Noticed, total.Largest)
	if total.Noticed <= total.Groups/2 || total.Largest < 2 {
		t.Errorf("%+v: the programs show nothing", total)
	}
}
