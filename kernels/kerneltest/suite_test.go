package kerneltest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/ref"
)

// spoiler is the oracle behind hands that touch its memory after every run.
type spoiler struct {
	kernels.Backend
	buf   kernels.Buffer
	after func(p *kernels.Program, mem []byte, bind map[kernels.SlotID]kernels.Region, temp kernels.Region)
	plan  func(p *kernels.Program, pl *kernels.Plan)
}

func (s *spoiler) Plan(p *kernels.Program) (kernels.Plan, error) {
	pl, err := s.Backend.Plan(p)
	if s.plan != nil && err == nil {
		s.plan(p, &pl)
	}
	return pl, err
}

func (s *spoiler) Alloc(n int64, where kernels.Place) (kernels.Buffer, error) {
	b, err := s.Backend.Alloc(n, where)
	s.buf = b
	return b, err
}

func (s *spoiler) Compile(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	ex, err := s.Backend.Compile(p, pl, bind, temp)
	return &spoiledExec{ex, func() {
		if s.after != nil {
			s.after(p, s.buf.Bytes(), bind, temp)
		}
	}}, err
}

type spoiledExec struct {
	kernels.Exec
	after func()
}

func (x *spoiledExec) Run(ctx context.Context, n int) error {
	err := x.Exec.Run(ctx, n)
	x.after()
	return err
}

// stridedCase has gaps between the rows of its operands.
func stridedCase(t *testing.T) *Case {
	t.Helper()
	cases := Cases(kernels.GLU, false)
	i := slices.IndexFunc(cases, func(c *Case) bool { return c.Name == "silu strided f32 f32" })
	if i < 0 {
		t.Fatal("the case is gone")
	}
	return cases[i]
}

// TestStrayWrites writes one byte at every place that an operation must leave
// alone.
func TestStrayWrites(t *testing.T) {
	c := stridedCase(t)
	in := c.Instr()
	at := func(v kernels.View, element int64) func(bind map[kernels.SlotID]kernels.Region) int64 {
		return func(bind map[kernels.SlotID]kernels.Region) int64 { return bind[v.Slot].Offset + 4*element }
	}
	y := in.Out[0]
	_, end := y.Extent()
	for _, s := range []struct {
		name string
		at   func(map[kernels.SlotID]kernels.Region) int64
	}{
		{"input", at(in.In[1], int64(in.In[1].Offset)+2)},
		{"between the rows of the output", at(y, int64(y.Offset+y.Shape[1]))},
		{"before the output in its slot", at(y, int64(y.Offset)-1)},
		{"behind the output", at(y, int64(end))},
		{"before the first slot", func(map[kernels.SlotID]kernels.Region) int64 { return 0 }},
	} {
		be := &spoiler{Backend: ref.New(ref.Options{}), after: func(_ *kernels.Program, mem []byte, bind map[kernels.SlotID]kernels.Region, _ kernels.Region) {
			mem[s.at(bind)] ^= 1
		}}
		if err := check(be, nil, c, nil); err == nil || !strings.Contains(err.Error(), "outside of its outputs") {
			t.Errorf("%s: got %v", s.name, err)
		}
	}
}

// TestTemporariesMatter makes results depend on what temporaries held.
func TestTemporariesMatter(t *testing.T) {
	be := &spoiler{Backend: ref.New(ref.Options{}),
		plan: func(_ *kernels.Program, pl *kernels.Plan) { pl.TempBytes, pl.Scratch = 64, 64 },
		after: func(p *kernels.Program, mem []byte, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) {
			if mem[temp.Offset] == 0 {
				v := p.Code[0].Out[0]
				mem[bind[v.Slot].Offset+4*int64(v.Offset)] ^= 1 // last bit of the first element
			}
		}}
	if err := check(be, nil, stridedCase(t), nil); err == nil || !strings.Contains(err.Error(), "other bits") {
		t.Errorf("got %v", err)
	}
}

// TestSameBits compares with an opening whose last bit differs.
func TestSameBits(t *testing.T) {
	other := &spoiler{Backend: ref.New(ref.Options{}), after: func(p *kernels.Program, mem []byte, bind map[kernels.SlotID]kernels.Region, _ kernels.Region) {
		v := p.Code[0].Out[0]
		mem[bind[v.Slot].Offset+4*int64(v.Offset)] ^= 1
	}}
	be := ref.New(ref.Options{})
	if err := check(be, []named{{"2 threads", other}}, stridedCase(t), nil); err == nil || !strings.Contains(err.Error(), "2 threads") {
		t.Errorf("got %v", err)
	}
	if err := check(be, []named{{"2 threads", be}}, stridedCase(t), nil); err != nil {
		t.Error(err)
	}
}

// TestBadPlans lets the oracle plan wrongly: random programs and the checks of
// plans must notice.
func TestBadPlans(t *testing.T) {
	for _, c := range []struct {
		name string
		plan func(p *kernels.Program, pl *kernels.Plan)
	}{
		{"all temporaries in one place", func(_ *kernels.Program, pl *kernels.Plan) {
			for i := range pl.Offsets {
				pl.Offsets[i] = min(pl.Offsets[i], 0)
			}
		}},
		{"two temporaries overlap by a byte", func(p *kernels.Program, pl *kernels.Plan) {
			for i := len(pl.Offsets) - 1; i > 0; i-- {
				if pl.Offsets[i] > 0 {
					pl.Offsets[i] = max(0, pl.Offsets[i]-p.Slots[i-1].Bytes()/2-32)
				}
			}
		}},
		{"one barrier missing", func(_ *kernels.Program, pl *kernels.Plan) { pl.Groups = slices.Delete(pl.Groups, 1, 2) }},
		{"no barriers", func(_ *kernels.Program, pl *kernels.Plan) { pl.Groups = pl.Groups[:1] }},
		{"reads not declared", func(_ *kernels.Program, pl *kernels.Plan) {
			for i := range pl.Dispatches {
				pl.Dispatches[i].Reads = nil
			}
		}},
		{"writes not declared", func(_ *kernels.Program, pl *kernels.Plan) {
			for i := range pl.Dispatches {
				pl.Dispatches[i].Writes = nil
			}
		}},
		{"end of an output not declared", func(_ *kernels.Program, pl *kernels.Plan) {
			for i := range pl.Dispatches {
				pl.Dispatches[i].Writes[0].Hi--
			}
		}},
	} {
		be := &spoiler{Backend: ref.New(ref.Options{}), plan: c.plan}
		noticed := false
		for seed := range uint64(20) {
			noticed = noticed || checkProgram(be, nil, RandomProgram(seed)) != nil
		}
		if !noticed {
			t.Errorf("not noticed: %s", c.name)
		}
	}
}

// TestProgramMutants runs random programs on oracles with mistakes.
func TestProgramMutants(t *testing.T) {
	for _, op := range []kernels.Op{kernels.MatMul, kernels.RMSNorm, kernels.Attention, kernels.GLU, kernels.Gather, kernels.CrossEntropyBwd, kernels.LinearCEGrad, kernels.AdamW, kernels.Advance, kernels.PutRows} {
		m := mutant{out: func(in kernels.Instr, _ string, x []float64) {
			if in.Op == op {
				x[0] = 1.1*x[0] + 0.1
			}
		}}
		noticed := false
		for seed := uint64(0); seed < 40 && !noticed; seed++ {
			noticed = checkProgram(m.backend(), nil, RandomProgram(seed)) != nil
		}
		if !noticed {
			t.Errorf("%v: not noticed in any program", op)
		}
	}
}

// TestRandomPrograms is about the programs themselves: they are valid, differ,
// and together use most operations.
func TestRandomPrograms(t *testing.T) {
	ops := map[kernels.Op]bool{}
	texts := map[string]bool{}
	for seed := range uint64(40) {
		p := RandomProgram(seed)
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		for _, in := range p.Code {
			ops[in.Op] = true
		}
		if texts[p.String()] || p.String() != RandomProgram(seed).String() {
			t.Errorf("program %d: equals another, or differs from itself", seed)
		}
		texts[p.String()] = true
	}
	if len(ops) < 20 {
		t.Errorf("%d operations used: %v", len(ops), ops)
	}
}

func TestLoose(t *testing.T) {
	r := report{}
	r.add(kernels.MatMul, "c", "", 0.009)
	r.add(kernels.RMSNorm, "y", "", 0.001)
	r.add(kernels.RMSNorm, "rstd", "", 0.02)
	if got := r.loose(); !slices.Equal(got, []string{"matmul"}) {
		t.Errorf("got %v, want [matmul]", got)
	}
}

func TestRequired(t *testing.T) {
	t.Setenv("KERNELTEST_REQUIRE", "cpu,vulkan")
	for name, want := range map[string]bool{"vulkan": true, "cpu": true, "ref": false, "": false} {
		if got := required(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

// TestUnsupported runs the suite on a backend that has nothing: all is skipped.
func TestUnsupported(t *testing.T) {
	be := &nothing{ref.New(ref.Options{})}
	ran := t.Run("suite", func(t *testing.T) {
		Run(t, func() (kernels.Backend, error) { return be, nil }, Options{Programs: 3})
	})
	if !ran {
		t.Error("the suite fails where it should skip")
	}
}

type nothing struct{ kernels.Backend }

func (*nothing) Supports(*kernels.Program, kernels.Instr) error { return errNothing }

var errNothing = errors.Join(errors.New("nothing here"), kernels.ErrUnsupported)
