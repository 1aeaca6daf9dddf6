package kerneltest

import (
	"context"
	"errors"
	"math"
	"testing"

	"graft/kernels"
	"graft/kernels/ref"
)

// counter is a program that adds an input to a persistent sum, through a
// temporary, and gives twice the sum: everything that a slot can be.
func counter() (p *kernels.Program, in, sum, out kernels.SlotID) {
	p = &kernels.Program{Name: "counter"}
	slot := func(name string, r kernels.Role) kernels.SlotID {
		return p.AddSlot(kernels.Slot{Name: name, Shape: []int{5}, Role: r})
	}
	in, sum, out = slot("in", kernels.Input), slot("sum", kernels.Persistent), slot("out", kernels.Output)
	tmp := slot("tmp", kernels.Temp)
	v := func(s kernels.SlotID) kernels.View { return kernels.Dense(s, 0, 5) }
	p.Code = []kernels.Instr{
		{Op: kernels.Binary, In: []kernels.View{v(sum), v(in)}, Out: []kernels.View{v(tmp)}},
		{Op: kernels.Copy, In: []kernels.View{v(tmp)}, Out: []kernels.View{v(sum)}},
		{Op: kernels.Unary, Attr: kernels.Attr{Alpha: 2}, In: []kernels.View{v(tmp)}, Out: []kernels.View{v(out)}},
	}
	return p, in, sum, out
}

// contract holds the backend to what package kernels says of its methods.
func (s *suite) contract(t *testing.T) {
	p, in, sum, out := counter()
	if !supports(s.be, p) {
		t.Skip("the program of this test is not supported")
	}
	if c := s.be.Caps(); c.Name == "" || c.Fingerprint == "" || c.Align < 1 {
		t.Errorf("caps lack a name, a fingerprint or an alignment: %+v", c)
	}
	pl, err := s.be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMemory(s.be, kernels.Host, p, pl.TempBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer m.buf.Close()
	for i, b := range m.all {
		if b != 0 {
			t.Fatalf("byte %d of fresh memory is %d, want 0", i, b)
		}
	}
	ex, err := s.be.Compile(p, pl, m.bind, m.temp)
	if err != nil {
		t.Fatal(err)
	}
	write(ex.Input(in), 3)
	if err := ex.Run(context.Background(), 0); err != nil {
		t.Errorf("no replays: %v", err)
	}
	holds(t, "sum after no replays", m.slot(sum), 0)
	if err := ex.Run(context.Background(), 4); err != nil {
		t.Fatal(err)
	}
	holds(t, "sum after 4 replays", m.slot(sum), 12)
	holds(t, "output after 4 replays", ex.Output(out), 24)
	s.profiled(t, ex, len(p.Code))
	holds(t, "sum after a profile", m.slot(sum), 15)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ex.Run(cancelled, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gives %v", err)
	}
	for id := range kernels.SlotID(len(p.Slots)) {
		if (ex.Input(id) != nil) != (id == in) || (ex.Output(id) != nil) != (id == out) {
			t.Errorf("Input and Output of %s: memory for the wrong role, or none", p.Slots[id].Name)
		}
	}
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	s.bound(t)
	s.refusals(t)
}

func write(mem []byte, x float64) {
	for i := range 5 {
		ref.Store(kernels.F32, mem, i, x)
	}
}

func holds(t *testing.T, what string, mem []byte, want float64) {
	t.Helper()
	for i := range 5 {
		if got := ref.Load(kernels.F32, mem, i); got != want {
			t.Errorf("%s: element %d is %v, want %v", what, i, got, want)
			return
		}
	}
}

// profiled demands a time for every instruction.
func (s *suite) profiled(t *testing.T, ex kernels.Exec, n int) {
	times, err := ex.Profile(context.Background())
	if err != nil {
		t.Error(err)
		return
	}
	seen := make([]bool, n)
	for _, x := range times {
		if x.Instr < 0 || x.Instr >= n || x.Kernel == "" || x.Seconds < 0 || math.IsNaN(x.Seconds) {
			t.Errorf("profile has %+v", x)
			continue
		}
		seen[x.Instr] = true
	}
	for i, ok := range seen {
		if !ok {
			t.Errorf("profile lacks instruction %d", i)
		}
	}
}

// bound runs two programs on one temporary region, their inputs and outputs
// bound to regions too.
func (s *suite) bound(t *testing.T) {
	p, in, _, out := counter()
	for _, id := range []kernels.SlotID{in, out} {
		p.Slots[id].Role = kernels.Persistent // for newMemory to place it
	}
	pl, err := s.be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMemory(s.be, kernels.Host, p, pl.TempBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer m.buf.Close()
	p.Slots[in].Role, p.Slots[out].Role = kernels.Input, kernels.Output
	var exs []kernels.Exec
	for range 2 {
		if pl, err = s.be.Plan(p); err != nil {
			t.Fatal(err)
		}
		ex, err := s.be.Compile(p, pl, m.bind, m.temp)
		if err != nil {
			t.Fatalf("input and output bound: %v", err)
		}
		defer ex.Close()
		exs = append(exs, ex)
	}
	write(m.slot(in), 1)
	for i := range 4 {
		if err := exs[i%2].Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, "bound output after two programs in turn", m.slot(out), 8)
	holds(t, "Output of a bound slot", exs[0].Output(out), 8)
}

// refusals are errors, not panics.
func (s *suite) refusals(t *testing.T) {
	p, in, sum, _ := counter()
	pl, err := s.be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMemory(s.be, kernels.Host, p, pl.TempBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer m.buf.Close()
	short := m.bind[sum]
	short.Size = 8
	outside := m.bind[sum]
	outside.Offset = m.buf.Size()
	tight := m.temp
	tight.Size--
	for _, c := range []struct {
		name string
		bind map[kernels.SlotID]kernels.Region
		temp kernels.Region
	}{
		{"a persistent slot without memory", nil, m.temp},
		{"a region that is too small", map[kernels.SlotID]kernels.Region{sum: short}, m.temp},
		{"a region outside of its buffer", map[kernels.SlotID]kernels.Region{sum: outside}, m.temp},
		{"a region without a buffer", map[kernels.SlotID]kernels.Region{sum: {Size: 20}}, m.temp},
		{"too little temporary memory", m.bind, tight},
	} {
		if ex, err := s.be.Compile(p, pl, c.bind, c.temp); err == nil {
			ex.Close()
			t.Errorf("compiled with %s", c.name)
		}
	}
	p.Code[0].Out[0].Slot = in
	if _, err := s.be.Plan(p); !errors.Is(err, kernels.ErrProgram) {
		t.Errorf("planned a program that writes its input: %v", err)
	}
	if b, err := s.be.Alloc(-1, kernels.Host); err == nil {
		b.Close()
		t.Error("allocated -1 bytes")
	}
}
