package vulkan

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
	"graft/tensor"
	"graft/tensor/optim"
)

// norms is a program over a batch of rows: y = norm(x) w + x, and the sum of its squares
// into loss. The weights w and the norm's are given by persistent slots.
func norms(name string, rows, width int) *kernels.Program {
	p := &kernels.Program{Name: name}
	add := func(name string, role kernels.Role, shape ...int) kernels.View {
		return kernels.Dense(p.AddSlot(kernels.Slot{Name: name, Shape: shape, Role: role}), 0, shape...)
	}
	x, loss := add("x", kernels.Input, rows, width), add("losses", kernels.Output, 1)
	w, g := add("w", kernels.Persistent, width, width), add("g", kernels.Persistent, width)
	h, r := add("h", kernels.Temp, rows, width), add("r", kernels.Temp, rows)
	y := add("y", kernels.Temp, rows, width)
	flat := y
	flat.Shape, flat.Stride = []int{rows * width}, []int{1}
	p.Code = []kernels.Instr{
		{Op: kernels.RMSNorm, Attr: kernels.Attr{Eps: 1e-5}, In: []kernels.View{x, g}, Out: []kernels.View{h, r}},
		{Op: kernels.MatMul, Attr: kernels.Attr{Alpha: 1, Opt: kernels.WithResidual}, In: []kernels.View{h, w, x}, Out: []kernels.View{y}},
		{Op: kernels.SumSq, In: []kernels.View{flat}, Out: []kernels.View{loss}},
	}
	return p
}

// training declares, allocates, compiles and runs what a training run has: a program for
// micro-batches, the optimizer's, and one that evaluates with other shapes. Another
// parameter, of n elements, is only updated.
func training(t *testing.T, b *Backend, width, n int) *tensor.Store {
	t.Helper()
	flat := must(optim.NewFlat([]optim.Param{{Name: "w", Shape: []int{width, width}, Decay: true}, {Name: "g", Shape: []int{width}},
		{Name: "rest", Shape: []int{n}}}, kernels.BF16, b.Caps().MaxBuffer))
	g := tensor.New("update")
	flat.Update(g, optim.Defaults())
	s := tensor.NewStore(b)
	programs := []*kernels.Program{norms("micro", 100, width), must(g.Compile()), norms("eval", 33, width)}
	for _, p := range programs {
		if err := s.Declare(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Alloc(); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if err := must(s.Compile(p)).Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write("g", 0, make([]byte, 4*width)); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPlannedIsAllocated holds the memory that a store announces to what the driver is
// asked for, to the byte.
func TestPlannedIsAllocated(t *testing.T) {
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged,
		"pieces": inPieces(open, 256<<10), "staged pieces": inPieces(staged, 256<<10)} {
		t.Run(name, func(t *testing.T) {
			b := opener(t)
			before := b.Allocated()
			if before != b.Caps().Fixed || (before > 0) == b.unified {
				t.Errorf("%d bytes are allocated at first, announced %d", before, b.Caps().Fixed)
			}
			s := training(t, b, 200, 1000)
			if got, want := b.Allocated(), s.Memory().Total(); got != want {
				t.Errorf("%d bytes are allocated, planned %d (%+v)", got, want, s.Memory())
			}
			if err := s.Close(); err != nil || b.Allocated() != before {
				t.Errorf("after Close %d bytes are allocated, want %d, %v", b.Allocated(), before, err)
			}
		})
	}
}

// TestPlannedIsTaken compares the plan with what the system says: the driver's budget
// where it tells one, and for a software driver, whose device memory is the process's,
// the resident set.
func TestPlannedIsTaken(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 350 MiB")
	}
	b := open(t)
	var used func() int64
	switch {
	case b.info.Software: // its budget counts nothing
		used = func() int64 { return resident(t) }
	case b.hasBudget:
		used = func() (n int64) {
			for _, h := range b.phys.Budget() {
				n += h.Used
			}
			return n
		}
	default:
		t.Skip("the driver tells no memory budget")
	}
	training(t, b, 64, 64).Close() // what drivers set up at first use is not the plan's
	before := used()
	s := training(t, b, 64, 16<<20)
	planned, grown := s.Memory().Total(), used()-before
	t.Logf("planned %d MiB, grown by %d MiB", planned>>20, grown>>20)
	if slack := planned/20 + 64<<20; grown < planned-slack || grown > planned+slack {
		t.Errorf("grown by %d bytes, planned %d", grown, planned)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if rest := used() - before; rest > 64<<20 {
		t.Errorf("%d bytes stay after Close", rest)
	}
}

// resident is the process's resident set, in bytes. It skips where the system does not
// tell.
func resident(t testing.TB) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("no resident set here: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestBudget(t *testing.T) {
	local, far := vk.MemoryHeap{Size: 8 << 30, DeviceLocal: true}, vk.MemoryHeap{Size: 64 << 30}
	window := vk.MemoryHeap{Size: 256 << 20, DeviceLocal: true}
	for _, c := range []struct {
		name    string
		heaps   []vk.MemoryHeap
		budgets []vk.Budget
		want    int64
	}{
		{"largest local heap", []vk.MemoryHeap{window, far, local}, []vk.Budget{{Total: 1, Used: 0}, {Total: 2, Used: 0}, {Total: 100, Used: 30}}, 70},
		{"over the budget", []vk.MemoryHeap{local}, []vk.Budget{{Total: 100, Used: 130}}, 1},
		{"the driver does not tell", []vk.MemoryHeap{local}, []vk.Budget{{Total: 0, Used: 0}}, 0},
		{"no local heap", []vk.MemoryHeap{far}, []vk.Budget{{Total: 100, Used: 0}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := budgetOf(c.budgets, c.heaps); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// TestNoMemoryType takes the memory type away that an allocation needs.
func TestNoMemoryType(t *testing.T) {
	b := open(t)
	before := b.Allocated()
	b.memTypes = nil
	if _, err := b.Alloc(100, kernels.Device); err == nil || !strings.Contains(err.Error(), "no memory type") {
		t.Errorf("got %v, want it to say that there is no memory type", err)
	}
	if b.Allocated() != before {
		t.Errorf("%d bytes are allocated", b.Allocated())
	}
}
