package kerneltest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/plan"
	"graft/kernels/ref"
)

// programs runs random whole programs. Each is run twice over: as it is, with
// its temporaries planned, and exposed, with every intermediate result in
// persistent memory of its own. The first must give the bits of the second;
// in the second, every instruction is held to its own row on the operands that
// it really had, so that no error has to be propagated.
func (s *suite) programs(t *testing.T) {
	n := s.opts.Programs
	if n == 0 || *long {
		n = 40
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := RandomProgram(uint64(seed))
			if i := slices.IndexFunc(p.Code, func(in kernels.Instr) bool { return s.be.Supports(p, in) != nil }); i >= 0 {
				err := s.be.Supports(p, p.Code[i])
				if errors.Is(err, kernels.ErrUnsupported) {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			if err := checkProgram(s.be, s.same, p); err != nil {
				t.Errorf("%v\n%v", err, p)
			}
			if err := s.lowered(p); err != nil {
				t.Errorf("lowered: %v\n%v", err, p)
			}
		})
	}
}

// lowered runs a program with every fused operation taken apart.
func (s *suite) lowered(p *kernels.Program) error {
	low, _, err := kernels.Lower(p, func(_ *kernels.Program, in kernels.Instr) error {
		if kernels.Table[in.Op].Plain != nil {
			return kernels.ErrUnsupported
		}
		return nil
	})
	if err != nil || !supports(s.be, low) {
		return err
	}
	return checkProgram(s.be, nil, low)
}

func checkProgram(be kernels.Backend, same []named, p *kernels.Program) error {
	got, err := runProgram(be, p)
	if err != nil {
		return err
	}
	x := expose(p)
	all, err := runProgram(be, x)
	if err != nil {
		return fmt.Errorf("exposed: %w", err)
	}
	for i, sl := range p.Slots {
		if sl.Role == kernels.Output && !bytes.Equal(got[i], all[i]) {
			return fmt.Errorf("%s: planned temporaries give other bits than separate ones", sl.Name)
		}
	}
	if err := eachInstr(x, all); err != nil {
		return err
	}
	for _, o := range same {
		other, err := runProgram(o.be, p)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		for i := range got {
			if !bytes.Equal(got[i], other[i]) {
				return fmt.Errorf("%s gives other bits in %s", o.name, p.Slots[i].Name)
			}
		}
	}
	return nil
}

// contents gives the bytes of a slot before the run: random ones where the
// host writes, NaN elsewhere.
func contents(p *kernels.Program, i int) []byte {
	s := p.Slots[i]
	mem := ones(int(s.Bytes()))
	if s.Role != kernels.Input {
		return mem
	}
	r := rand.New(rand.NewPCG(uint64(i), 2))
	x := make([]float64, s.Len())
	for j := range x {
		x[j] = r.NormFloat64()
		if !s.DType.Float() {
			x[j] = float64(j % 4)
		}
	}
	ref.WriteView(s.DType, mem, kernels.Dense(kernels.SlotID(i), 0, s.Shape...), x)
	return mem
}

// runProgram runs a program three times over poisoned temporaries and returns
// its inputs, outputs and persistent slots.
func runProgram(be kernels.Backend, p *kernels.Program) ([][]byte, error) {
	pl, err := be.Plan(p)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := checkPlan(p, pl); err != nil {
		return nil, err
	}
	if err := checkBarriers(p, pl); err != nil {
		return nil, err
	}
	m, err := newMemory(be, kernels.Device, p, pl.TempBytes)
	if err != nil {
		return nil, fmt.Errorf("alloc: %w", err)
	}
	defer m.buf.Close()
	ex, err := be.Compile(p, pl, m.bind, m.temp)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	defer ex.Close()
	var first [][]byte
	for run, poison := range poisons {
		fillBytes(m.region(m.temp), poison)
		slots := make([][]byte, len(p.Slots))
		for i, s := range p.Slots {
			switch id := kernels.SlotID(i); s.Role {
			case kernels.Input:
				slots[i] = ex.Input(id)
			case kernels.Output:
				slots[i] = ex.Output(id)
			case kernels.Persistent:
				slots[i] = m.slot(id)
			}
			copy(slots[i], contents(p, i))
		}
		// Twice in a row: a replay must not depend on what the last one left.
		if err := m.run(ex, 1+run%2); err != nil {
			return nil, err
		}
		for i := range slots {
			slots[i] = bytes.Clone(slots[i])
		}
		if run == 0 {
			first = slots
		}
		for i := range slots {
			if !bytes.Equal(slots[i], first[i]) {
				return nil, fmt.Errorf("%s: run %d gives other bits than run 1", p.Slots[i].Name, run+1)
			}
		}
	}
	return first, nil
}

// expose turns every temporary into an output, and gives every write to a slot
// that was written before a new one: all intermediate results survive. The
// first slots are those of p, with the last content of each.
func expose(p *kernels.Program) *kernels.Program {
	x := &kernels.Program{Name: p.Name + " exposed", Slots: slices.Clone(p.Slots)}
	writes := make([]int, len(p.Slots))
	for _, in := range p.Code {
		for _, v := range in.Out {
			writes[v.Slot]++
		}
	}
	for i := range x.Slots {
		if x.Slots[i].Role == kernels.Temp && writes[i] > 0 {
			x.Slots[i].Role = kernels.Output
		}
	}
	now := make([]kernels.SlotID, len(p.Slots)) // where the content of a slot is
	for i := range now {
		now[i] = kernels.SlotID(i)
	}
	seen := make([]int, len(p.Slots))
	whole := func(s kernels.SlotID) kernels.View { return kernels.Dense(s, 0, x.Slots[s].Shape...) }
	for _, in := range p.Code {
		in.In, in.Out = slices.Clone(in.In), slices.Clone(in.Out)
		for i := range in.In {
			in.In[i].Slot = now[in.In[i].Slot]
		}
		for o, v := range in.Out {
			old := now[v.Slot]
			if seen[v.Slot]++; seen[v.Slot] == writes[v.Slot] {
				now[v.Slot] = v.Slot // the last write goes to the slot itself
			} else {
				s := p.Slots[v.Slot]
				s.Name, s.Role = fmt.Sprintf("%s.%d", s.Name, seen[v.Slot]), kernels.Output
				now[v.Slot] = x.AddSlot(s)
			}
			if seen[v.Slot] > 1 {
				x.Code = append(x.Code, kernels.Instr{Op: kernels.Copy, In: []kernels.View{whole(old)}, Out: []kernels.View{whole(now[v.Slot])}})
			}
			in.Out[o].Slot = now[v.Slot]
		}
		x.Code = append(x.Code, in)
	}
	return x
}

// eachInstr holds every instruction of an exposed program to its row. What an
// accumulating instruction found in its output is what was copied there.
func eachInstr(p *kernels.Program, slots [][]byte) error {
	source := map[kernels.SlotID]kernels.SlotID{}
	for i, in := range p.Code {
		c := &Case{Name: fmt.Sprintf("instruction %d", i), Prog: &kernels.Program{Name: p.Name, Slots: p.Slots, Code: []kernels.Instr{in}}}
		want, err := ref.Eval(p, in, func(v kernels.View) []float64 {
			s := v.Slot
			if from, ok := source[s]; ok && slices.ContainsFunc(in.Out, func(o kernels.View) bool { return o.Slot == s }) {
				s = from
			}
			return ref.ReadView(p.DType(v), slots[s], v)
		})
		if err != nil {
			return err
		}
		// A copy that an accumulation starts from has been overwritten.
		overwritten := slices.ContainsFunc(p.Code[i+1:], func(next kernels.Instr) bool {
			return slices.ContainsFunc(next.Out, func(o kernels.View) bool { return o.Slot == in.Out[0].Slot })
		})
		if overwritten {
			source[in.Out[0].Slot] = in.In[0].Slot
			continue
		}
		if err := c.compare(want, slots, nil); err != nil {
			return fmt.Errorf("instruction %d, %v: %w", i, in.Op, err)
		}
	}
	return nil
}

// checkBarriers demands that the planner's own barriers for these dispatches
// pass the checker and that none of them can be left out.
func checkBarriers(p *kernels.Program, pl kernels.Plan) error {
	groups := plan.Barriers(p, pl.Dispatches, pl.Offsets)
	if err := plan.Check(p, pl.Dispatches, groups, pl.Offsets, pl.TempBytes); err != nil {
		return fmt.Errorf("barriers: %w", err)
	}
	for g := 1; g < len(groups); g++ {
		fewer := slices.Delete(slices.Clone(groups), g, g+1)
		if plan.Check(p, pl.Dispatches, fewer, pl.Offsets, pl.TempBytes) == nil {
			return fmt.Errorf("barriers: leaving out the one before dispatch %d goes unnoticed", groups[g])
		}
	}
	return nil
}
