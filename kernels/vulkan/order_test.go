package vulkan

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/plan"
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

// result runs branches by a plan that edit has changed. Temporaries hold NaN before.
func result(t *testing.T, b *Backend, edit func(*kernels.Plan)) []byte {
	t.Helper()
	r := newRig(t, b)
	out := branches(r)
	pl := must(b.Plan(&r.prog))
	if err := plan.Check(&r.prog, pl.Dispatches, pl.Groups, pl.Offsets, pl.TempBytes); err != nil {
		t.Fatal(err)
	}
	edit(&pl)
	ex := r.compilePlan(pl)
	for u := range b.buffers {
		if u != r.mem && u.size == pl.TempBytes {
			fill := bytes.Repeat([]byte{0xff}, int(u.size))
			if _, err := u.WriteAt(fill, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	return r.readBytes(out)
}

// each calls f for the dispatches of every barrier group.
func each(pl *kernels.Plan, f func([]kernels.Dispatch)) {
	for g, first := range pl.Groups {
		end := len(pl.Dispatches)
		if g+1 < len(pl.Groups) {
			end = pl.Groups[g+1]
		}
		f(pl.Dispatches[first:end])
	}
}

// TestOrderInGroups runs the dispatches of each barrier group backwards and shuffled:
// the bits must not change. With a barrier taken away, backwards must change them: a
// software driver runs dispatches in order, so only that shows a missing barrier.
func TestOrderInGroups(t *testing.T) {
	b := open(t)
	want := result(t, b, func(*kernels.Plan) {})
	largest := 0
	if got := result(t, b, func(pl *kernels.Plan) {
		each(pl, func(ds []kernels.Dispatch) { slices.Reverse(ds); largest = max(largest, len(ds)) })
	}); !bytes.Equal(got, want) {
		t.Error("backwards in each group gives other bits")
	}
	if largest < 4 {
		t.Errorf("the largest barrier group has %d dispatches: the test shows nothing", largest)
	}
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		if got := result(t, b, func(pl *kernels.Plan) {
			each(pl, func(ds []kernels.Dispatch) {
				rnd.Shuffle(len(ds), func(i, j int) { ds[i], ds[j] = ds[j], ds[i] })
			})
		}); !bytes.Equal(got, want) {
			t.Errorf("shuffled in each group (seed %d) gives other bits", seed)
		}
	}
	groups := 0
	result(t, b, func(pl *kernels.Plan) { groups = len(pl.Groups) })
	for drop := 1; drop < groups; drop++ {
		if got := result(t, b, func(pl *kernels.Plan) {
			pl.Groups = slices.Delete(slices.Clone(pl.Groups), drop, drop+1)
			each(pl, func(ds []kernels.Dispatch) { slices.Reverse(ds) })
		}); bytes.Equal(got, want) {
			t.Errorf("barrier %d of %d can be taken away unnoticed", drop, groups)
		}
	}
}

// memory is what a program can touch: its persistent slots and its temporaries.
type memory struct{ slots, temp []byte }

func (m memory) clone() memory { return memory{bytes.Clone(m.slots), bytes.Clone(m.temp)} }

func (m memory) set(to memory) {
	copy(m.slots, to.slots)
	copy(m.temp, to.temp)
}

// part is the bytes of a span.
func (m memory) part(r *rig, pl kernels.Plan, s kernels.Span) []byte {
	if s.Slot == kernels.Scratch {
		return m.temp[s.Lo:s.Hi]
	}
	if r.prog.Slots[s.Slot].Role == kernels.Temp {
		return m.temp[pl.Offsets[s.Slot]+s.Lo : pl.Offsets[s.Slot]+s.Hi]
	}
	return m.slots[r.bind[s.Slot].Offset+s.Lo : r.bind[s.Slot].Offset+s.Hi]
}

// TestDispatchesAlone runs each dispatch by itself, with NaN in everything that it does
// not declare to read. It must write what it writes in the whole program, and change
// nothing that it does not declare to write.
func TestDispatchesAlone(t *testing.T) {
	b := open(t)
	r := newRig(t, b)
	branches(r)
	pl := must(b.Plan(&r.prog))
	r.compilePlan(pl).Close()
	temp := tempRegion(t, b, pl.TempBytes)
	m := memory{r.mem.Bytes(), temp.Buffer.Bytes()}
	if m.slots == nil || m.temp == nil {
		t.Skip("the test pokes at device memory, which the CPU does not see here")
	}
	for i, d := range pl.Dispatches {
		one := pl
		one.Dispatches, one.Groups = pl.Dispatches[i:i+1], []int{0}
		ex := must(b.Compile(&r.prog, one, r.bind, temp))
		start := m.clone()
		if err := ex.Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		whole := m.clone()

		poisoned := memory{bytes.Repeat([]byte{0xff}, len(m.slots)), bytes.Repeat([]byte{0xff}, len(m.temp))}
		for _, s := range d.Reads {
			copy(poisoned.part(r, pl, s), start.part(r, pl, s))
		}
		m.set(poisoned)
		if err := ex.Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		for _, s := range d.Writes {
			if !bytes.Equal(m.part(r, pl, s), whole.part(r, pl, s)) {
				t.Errorf("dispatch %d %s: the result depends on what it does not declare to read", i, d.Kernel)
			}
			copy(poisoned.part(r, pl, s), m.part(r, pl, s))
		}
		if !bytes.Equal(m.slots, poisoned.slots) || !bytes.Equal(m.temp, poisoned.temp) {
			t.Errorf("dispatch %d %s: it writes what it does not declare to write", i, d.Kernel)
		}
		m.set(whole)
		ex.Close()
	}
}
