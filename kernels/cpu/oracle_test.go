package cpu

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
	"graft/kernels/plan"
	"graft/kernels/ref"
)

// trial is one instruction with random operands.
type trial struct {
	name string
	p    *kernels.Program
	fill map[kernels.SlotID]func(r *rand.Rand, i int) float64
}

// one starts a program with one instruction.
func one(name string, op kernels.Op, a kernels.Attr) *trial {
	return &trial{name: name, p: &kernels.Program{Name: name, Code: []kernels.Instr{{Op: op, Attr: a}}},
		fill: map[kernels.SlotID]func(*rand.Rand, int) float64{}}
}

func (t *trial) slot(dt kernels.DType, f func(*rand.Rand, int) float64, shape []int) kernels.View {
	id := t.p.AddSlot(kernels.Slot{Name: fmt.Sprint("s", len(t.p.Slots)), DType: dt, Shape: shape, Role: kernels.Persistent})
	if f == nil {
		f = func(r *rand.Rand, _ int) float64 { return r.NormFloat64() }
	}
	t.fill[id] = f
	return kernels.Dense(id, 0, shape...)
}

func (t *trial) in(dt kernels.DType, f func(*rand.Rand, int) float64, shape ...int) *trial {
	t.p.Code[0].In = append(t.p.Code[0].In, t.slot(dt, f, shape))
	return t
}

func (t *trial) out(dt kernels.DType, shape ...int) *trial {
	t.p.Code[0].Out = append(t.p.Code[0].Out, t.slot(dt, nil, shape))
	return t
}

// strided gives the last operand rows that are extra elements longer than
// they show.
func (t *trial) strided(extra int) *trial {
	in := &t.p.Code[0]
	v := &in.In[len(in.In)-1]
	if len(in.Out) > 0 {
		v = &in.Out[len(in.Out)-1]
	}
	s := &t.p.Slots[v.Slot]
	k := len(s.Shape) - 1
	wide := append([]int{}, s.Shape...)
	wide[k] += extra
	s.Shape = wide
	d := kernels.Dense(v.Slot, extra/2, wide...)
	d.Shape = v.Shape
	*v = d
	return t
}

func ints(n int) func(*rand.Rand, int) float64 {
	return func(r *rand.Rand, _ int) float64 { return float64(r.IntN(n)) }
}

func positiveValues(r *rand.Rand, _ int) float64 { return 0.5 + r.Float64() }

// open gives a backend that is closed with the test.
func open(t testing.TB, threads int, concurrent bool) *Backend {
	t.Helper()
	be, err := Open(fmt.Sprint(threads))
	if err != nil {
		t.Fatal(err)
	}
	be.concurrent, be.pay = concurrent, 1
	t.Cleanup(func() { be.Close() })
	return be
}

// compile binds every slot to memory of its own, with the given content.
func compile(t testing.TB, be *Backend, p *kernels.Program, content [][]byte) (kernels.Exec, [][]byte) {
	t.Helper()
	pl, err := be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(p, pl.Dispatches, pl.Groups, pl.Offsets, pl.TempBytes); err != nil {
		t.Fatal(err)
	}
	mem := make([][]byte, len(p.Slots))
	bind := map[kernels.SlotID]kernels.Region{}
	for i, s := range p.Slots {
		if s.Role == kernels.Temp {
			continue
		}
		buf, err := be.Alloc(s.Bytes(), kernels.Device)
		if err != nil {
			t.Fatal(err)
		}
		mem[i] = buf.Bytes()
		copy(mem[i], content[i])
		bind[kernels.SlotID(i)] = kernels.Region{Buffer: buf, Size: s.Bytes()}
	}
	tmp, err := be.Alloc(pl.TempBytes, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	poison(tmp.Bytes())
	ex, err := be.Compile(p, pl, bind, kernels.Region{Buffer: tmp, Size: pl.TempBytes})
	if err != nil {
		t.Fatal(err)
	}
	return ex, mem
}

// poison fills memory with NaNs of every type.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

func (t *trial) content(seed uint64) [][]byte {
	r := rand.New(rand.NewPCG(seed, 7))
	all := make([][]byte, len(t.p.Slots))
	for i, s := range t.p.Slots {
		all[i] = make([]byte, s.Bytes())
		for k := range s.Len() {
			ref.Store(s.DType, all[i], k, t.fill[kernels.SlotID(i)](r, k))
		}
	}
	return all
}

// check runs the trial at 1 and 3 threads and with concurrent barrier groups,
// demands equal bits, and holds the result to the row's bound.
func (tr *trial) check(t *testing.T) {
	t.Helper()
	tr.checkOn(t, simd.Best())
}

// checkOn does so with the kernels of a tier.
func (tr *trial) checkOn(t *testing.T, tier *simd.Tier) {
	t.Helper()
	content := tr.content(1)
	in := tr.p.Code[0]
	want, err := ref.Eval(tr.p, in, func(v kernels.View) []float64 {
		return ref.ReadView(tr.p.DType(v), content[v.Slot], v)
	})
	if err != nil {
		t.Fatal(err)
	}
	var first [][]byte
	for _, c := range []struct {
		threads    int
		concurrent bool
	}{{1, false}, {3, false}, {2, true}} {
		be := open(t, c.threads, c.concurrent)
		be.tier = tier
		ex, mem := compile(t, be, tr.p, content)
		if err := ex.Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = mem
		}
		for i := range mem {
			if !bytes.Equal(mem[i], first[i]) {
				t.Fatalf("slot %d differs at %d threads (concurrent %v)", i, c.threads, c.concurrent)
			}
		}
	}
	tr.compare(t, want, first)
	for s := range content {
		written := false
		for _, v := range in.Out {
			written = written || int(v.Slot) == s
		}
		if !written && !bytes.Equal(content[s], first[s]) {
			t.Errorf("slot %d is no output and was written", s)
		}
	}
}

func (tr *trial) compare(t *testing.T, want []ref.Result, mem [][]byte) {
	t.Helper()
	in := tr.p.Code[0]
	row := &kernels.Table[in.Op]
	d, err := kernels.Check(tr.p, in)
	if err != nil {
		t.Fatal(err)
	}
	k := row.C * kernels.F32.Roundoff() * math.Sqrt(float64(row.Terms(in, d)))
	for o, v := range in.Out {
		dt := tr.p.DType(v)
		got := ref.ReadView(dt, mem[v.Slot], v)
		worst := 0.0
		for i, g := range got {
			e, tiny := want[o].Exact[i], 1e-44
			if r := ref.Round(dt, e); math.IsInf(r, 0) { // past the largest number of the type
				e = r
			}
			if dt == kernels.F16 {
				tiny = 0x1p-25
			}
			if math.IsNaN(e) || math.IsInf(e, 0) {
				if math.IsNaN(e) != math.IsNaN(g) || !math.IsNaN(e) && e != g {
					t.Fatalf("output %d element %d: got %v, want %v", o, i, g, e)
				}
				continue
			}
			bound := k*want[o].Scale[i] + dt.Roundoff()*(math.Abs(e)+k*want[o].Scale[i]) + tiny
			if off := math.Abs(g-e) / bound; off > worst || math.IsNaN(off) {
				worst = off
				if !(off <= 1) {
					t.Fatalf("output %d element %d: got %v, want %v, bound %v", o, i, g, e, bound)
				}
			}
		}
		t.Logf("output %d: %.3f of the bound", o, worst)
	}
}
