package ref

import (
	"context"
	"errors"
	"strings"
	"testing"

	"graft/kernels"
)

// chain is out = 2 (a + weight), through a temporary.
func chain() (p *kernels.Program, a, w, out kernels.SlotID) {
	p = &kernels.Program{Name: "chain"}
	slot := func(name string, r kernels.Role) kernels.SlotID {
		return p.AddSlot(kernels.Slot{Name: name, Shape: []int{2}, Role: r})
	}
	a, w, out = slot("a", kernels.Input), slot("w", kernels.Persistent), slot("out", kernels.Output)
	tmp := slot("tmp", kernels.Temp)
	v := func(s kernels.SlotID) kernels.View { return kernels.Dense(s, 0, 2) }
	p.Code = []kernels.Instr{
		{Op: kernels.Binary, In: []kernels.View{v(a), v(w)}, Out: []kernels.View{v(tmp)}},
		{Op: kernels.Unary, Attr: kernels.Attr{Alpha: 2}, In: []kernels.View{v(tmp)}, Out: []kernels.View{v(out)}},
	}
	return p, a, w, out
}

func TestExec(t *testing.T) {
	be, err := kernels.Open("ref")
	if err != nil {
		t.Fatal(err)
	}
	p, a, w, out := chain()
	pl, err := be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	if pl.TempBytes != 64 || pl.IOBytes != 16 || len(pl.Dispatches) != 2 || len(pl.Groups) != 2 {
		t.Errorf("plan: got %+v", pl)
	}
	buf, err := be.Alloc(256, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	bind := map[kernels.SlotID]kernels.Region{w: {Buffer: buf, Offset: 128, Size: 8}}
	temp := kernels.Region{Buffer: buf, Offset: 64, Size: pl.TempBytes}
	ex, err := be.Compile(p, pl, bind, temp)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		Store(kernels.F32, ex.Input(a), i, float64(i+1))
		Store(kernels.F32, buf.Bytes()[128:], i, 10)
	}
	if ex.Input(out) != nil || ex.Output(a) != nil || ex.Output(99) != nil {
		t.Error("Input or Output gives memory of another role")
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{22, 24} {
		if got := Load(kernels.F32, ex.Output(out), i); got != want {
			t.Errorf("out[%d]: got %v, want %v", i, got, want)
		}
	}
	if times, err := ex.Profile(context.Background()); err != nil || len(times) != 2 || times[1].Kernel != "unary" {
		t.Errorf("profile: got %v, %v", times, err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ex.Run(cancelled, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled run: got %v", err)
	}
	ex.Close()
	if err := ex.Run(context.Background(), 1); err == nil {
		t.Error("a closed program runs")
	}
}

func TestCompileErrors(t *testing.T) {
	be := New(Options{})
	p, _, w, _ := chain()
	pl, err := be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	buf, _ := be.Alloc(64, kernels.Host)
	whole := kernels.Region{Buffer: buf, Size: 64}
	for _, c := range []struct {
		name string
		bind map[kernels.SlotID]kernels.Region
		temp kernels.Region
		want string
	}{
		{"unbound", nil, whole, `persistent slot "w" is not bound`},
		{"short region", map[kernels.SlotID]kernels.Region{w: {Buffer: buf, Size: 4}}, whole, `slot "w" needs 8 bytes`},
		{"past the buffer", map[kernels.SlotID]kernels.Region{w: {Buffer: buf, Offset: 60, Size: 8}}, whole, `slot "w"`},
		{"no temp", map[kernels.SlotID]kernels.Region{w: whole}, kernels.Region{Buffer: buf, Size: 32}, "temporaries need 64 bytes"},
	} {
		if _, err := be.Compile(p, pl, c.bind, c.temp); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := be.Alloc(1<<60, kernels.Host); err == nil {
		t.Error("allocated 2^60 bytes")
	}
}
