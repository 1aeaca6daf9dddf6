package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/kernels/ref"
)

// What BF16 may do to losses, logits and gradients follows from the op table. The
// oracle runs the program of the run several times, without rounding anything, and
// each element of each result of an instruction moved at random, uniformly, within
// the bound of its row. How far losses, logits and gradients then lie from those of
// the exact program, in the mean square, is what errors of that size do to them if
// they are independent: running error analysis with the derivatives that the
// program itself has (Monte Carlo arithmetic; Parker 1997).
//
// Rounding to nearest errs by up to half a unit in the last place, uniformly. The
// bound is half of a unit at the top of a binade and twice that seen from its foot,
// so that true errors have between half and all of the deviation of the moves: 0.7
// of it on the average, which is what the results show. Three deviations of the
// moves are four of a right program; TestFamiliesBF16Mutants has wrong ones.
const (
	bf16Samples    = 8
	bf16Deviations = 3
)

// bf16Bounds bounds the relative error of each output of the BF16 program.
func bf16Bounds(t *testing.T, ck *Checkpoint, g golden, wrt []Tensor, samples int) map[string]float64 {
	t.Helper()
	exact := gradients(t, "ref", ck, g, g.Full, Options{}, wrt)
	graph := goldenGraph(t, ck, g, g.Full, Options{Act: kernels.BF16}, wrt)
	p := lowered(t, ref.New(ref.Options{}), graph)
	stored := make([]kernels.DType, len(p.Slots)) // what is rounded, and by how much
	for i, s := range p.Slots {
		stored[i] = s.DType
		if s.Role == kernels.Temp && s.DType == kernels.BF16 {
			p.Slots[i].DType = kernels.F32
		}
	}
	bounds := map[string]float64{}
	for sample := range samples {
		be := ref.New(ref.Options{Eval: moved(stored, rand.New(rand.NewPCG(1, uint64(sample))))})
		got := runProgram(t, be, p, ck, nil, g.values())
		for name := range got {
			d := distance(got.Float32s(name), exact.Float32s(name))
			bounds[name] += d * d / float64(samples)
		}
	}
	for name, d := range bounds {
		bounds[name] = bf16Deviations * math.Sqrt(d)
	}
	return bounds
}

type eval = func(*kernels.Program, kernels.Instr, func(kernels.View) []float64) ([]ref.Result, error)

// moved is ref.Eval with errors: each element moves at random, uniformly, within
// the bound for what its slot is stored as.
func moved(stored []kernels.DType, rng *rand.Rand) eval {
	return func(p *kernels.Program, in kernels.Instr, read func(kernels.View) []float64) ([]ref.Result, error) {
		results, err := ref.Eval(p, in, read)
		if err != nil {
			return nil, err
		}
		bound, err := kerneltest.Bound(p, in)
		if err != nil {
			return nil, err
		}
		sameType := func(out kernels.View) func(kernels.View) bool {
			return func(v kernels.View) bool { return stored[v.Slot] == stored[out.Slot] }
		}
		for o, out := range in.Out {
			t := stored[out.Slot]
			if !t.Float() || kernels.Table[in.Op].C == 0 && slices.ContainsFunc(in.In, sameType(out)) {
				continue // nothing is computed and nothing is rounded
			}
			for i, x := range results[o].Exact {
				results[o].Exact[i] += (2*rng.Float64() - 1) * bound(t, x, results[o].Scale[i])
			}
		}
		return results, nil
	}
}

// TestFamiliesBF16 holds weights and activations in BF16, as training has them, to
// float64.
func TestFamiliesBF16(t *testing.T) {
	for _, name := range Families() {
		dir := familyDir(name)
		ck, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		g, wrt := readGolden(t, dir), ck.Config.Tensors(nil)
		want, bounds := exactResults(t, ck, dir, g, wrt), bf16Bounds(t, ck, g, wrt, bf16Samples)
		for _, device := range devices() {
			t.Run(name+"/"+device, func(t *testing.T) {
				got := gradients(t, device, ck, g, g.Full, Options{Act: kernels.BF16}, wrt)
				if worst := checkResults(t, got, want, func(name string) float64 { return bounds[name] }); worst < 0.05 {
					t.Errorf("errors of %.2g of the bounds are too small: nothing was rounded to BF16", worst)
				}
			})
		}
	}
}
