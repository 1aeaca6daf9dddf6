package cpu

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// TestRunAllocatesNothing replays one instruction of every operation.
func TestRunAllocatesNothing(t *testing.T) {
	be := open(t, 2, false)
	seen := map[kernels.Op]bool{}
	for _, trials := range [][]*trial{elementTrials(b16), reduceTrials(f32), indexTrials(f32), matmulTrials(b16),
		modelTrials(b16), attentionTrials(f32), lossTrials(f32), optimTrials(b16)} {
		for _, tr := range trials {
			op := tr.p.Code[0].Op
			if seen[op] && op != kernels.MatMul {
				continue
			}
			seen[op] = true
			ex, _ := compile(t, be, tr.p, tr.content(1))
			ctx := context.Background()
			if n := testing.AllocsPerRun(2, func() {
				if err := ex.Run(ctx, 1); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations a run, want 0", tr.name, n)
			}
		}
	}
	if len(seen) != int(kernels.NumOps) {
		t.Errorf("covered %d operations, want %d", len(seen), kernels.NumOps)
	}
}

// wild writes numbers that no index should have.
func wild(r *rand.Rand, i int) float64 {
	return []float64{-1, -1 << 31, 1<<31 - 1, 0, 1, 5, 1 << 20, -7}[r.IntN(8)]
}

// TestWildIndices gives every index operand nonsense: nothing may panic, race
// or depend on the number of threads.
func TestWildIndices(t *testing.T) {
	for _, trials := range [][]*trial{indexTrials(f32), attentionTrials(b16), lossTrials(f32), modelTrials(f32)} {
		for _, tr := range trials {
			index := false
			for _, v := range tr.p.Code[0].In {
				if tr.p.DType(v) == i32 {
					tr.fill[v.Slot], index = wild, true
				}
			}
			if !index {
				continue
			}
			t.Run(tr.name, func(t *testing.T) {
				content := tr.content(3)
				var first [][]byte
				for _, threads := range []int{1, 3} {
					ex, mem := compile(t, open(t, threads, false), tr.p, content)
					if err := ex.Run(context.Background(), 1); err != nil {
						t.Fatal(err)
					}
					if first == nil {
						first = mem
					}
					for i := range mem {
						if !bytes.Equal(mem[i], first[i]) {
							t.Errorf("slot %d differs at %d threads", i, threads)
						}
					}
				}
			})
		}
	}
}

// chain is a program of dependent and independent steps with temporaries.
func chain(n, steps int) *kernels.Program {
	p := &kernels.Program{Name: "chain"}
	x := kernels.Dense(p.AddSlot(kernels.Slot{Name: "x", Shape: []int{n}, Role: kernels.Input}), 0, n)
	out := kernels.Dense(p.AddSlot(kernels.Slot{Name: "out", Shape: []int{n}, Role: kernels.Output}), 0, n)
	a, b := x, x
	for i := range steps {
		c := kernels.Dense(p.AddSlot(kernels.Slot{Name: fmt.Sprint("c", i), Shape: []int{n}}), 0, n)
		d := kernels.Dense(p.AddSlot(kernels.Slot{Name: fmt.Sprint("d", i), Shape: []int{n}}), 0, n)
		p.Code = append(p.Code,
			kernels.Instr{Op: kernels.Unary, In: []kernels.View{a}, Out: []kernels.View{c}, Attr: kernels.Attr{Unary: kernels.Affine, Alpha: 0.5, Beta: float32(i)}},
			kernels.Instr{Op: kernels.Binary, In: []kernels.View{a, b}, Out: []kernels.View{d}, Attr: kernels.Attr{Binary: kernels.Sub}})
		a, b = c, d
	}
	p.Code = append(p.Code, kernels.Instr{Op: kernels.Binary, In: []kernels.View{a, b}, Out: []kernels.View{out}, Attr: kernels.Attr{Binary: kernels.Mul}})
	return p
}

// runChain compiles and runs with the given groups and gives the output.
func runChain(t *testing.T, be *Backend, p *kernels.Program) []byte {
	t.Helper()
	pl, err := be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	tmp, err := be.Alloc(pl.TempBytes, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	poison(tmp.Bytes())
	ex, err := be.Compile(p, pl, nil, kernels.Region{Buffer: tmp, Size: pl.TempBytes})
	if err != nil {
		t.Fatal(err)
	}
	x := cast[float32](ex.Input(0))
	for i := range x {
		x[i] = float32(i%17) - 3
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if ex.Input(1) != nil || ex.Output(0) != nil || ex.Output(2) != nil || ex.Output(99) != nil {
		t.Error("Input or Output gave memory of a slot of another role")
	}
	out := bytes.Clone(ex.Output(1))
	if times, err := ex.Profile(context.Background()); err != nil || len(times) != len(pl.Dispatches) {
		t.Errorf("profile: got %d timings, %v, want %d", len(times), err, len(pl.Dispatches))
	}
	if !bytes.Equal(out, ex.Output(1)) {
		t.Error("a second run differs")
	}
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ex.Run(context.Background(), 1); err == nil {
		t.Error("a closed program runs")
	}
	return out
}

// TestBarrierGroups runs the dispatches of each group at once; under -race a
// missing barrier shows, and without it a wrong result is likely.
func TestBarrierGroups(t *testing.T) {
	p := chain(20000, 12)
	want := runChain(t, open(t, 1, false), p)
	if got := runChain(t, open(t, 3, true), p); !bytes.Equal(got, want) {
		t.Error("concurrent barrier groups change the result")
	}
	if got := runChain(t, open(t, 3, false), p); !bytes.Equal(got, want) {
		t.Error("three threads change the result")
	}
}

func TestCompileErrors(t *testing.T) {
	be := open(t, 1, false)
	p := chain(100, 3)
	p.Slots[0].Role = kernels.Persistent
	pl, err := be.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	tmp, _ := be.Alloc(pl.TempBytes, kernels.Device)
	x, _ := be.Alloc(400, kernels.Device)
	region := func(b kernels.Buffer) kernels.Region { return kernels.Region{Buffer: b, Size: b.Size()} }
	other, err := be.Plan(chain(101, 3))
	if err != nil {
		t.Fatal(err)
	}
	late, unordered := pl, pl
	late.Groups, unordered.Groups = []int{1}, []int{0, 2, 2}
	for _, c := range []struct {
		name string
		pl   kernels.Plan
		bind map[kernels.SlotID]kernels.Region
		temp kernels.Region
		want string
	}{
		{"unbound", pl, nil, region(tmp), `slot "x" is not bound`},
		{"short", pl, map[kernels.SlotID]kernels.Region{0: {Buffer: x, Size: 399}}, region(tmp), "of a buffer of 400 bytes, want 400"},
		{"past the end", pl, map[kernels.SlotID]kernels.Region{0: {Buffer: x, Offset: 4, Size: 400}}, region(tmp), "of a buffer of 400"},
		{"odd", pl, map[kernels.SlotID]kernels.Region{0: {Buffer: tmp, Offset: 2, Size: 400}}, region(tmp), "multiple of 4"},
		{"no temp", pl, map[kernels.SlotID]kernels.Region{0: region(x)}, kernels.Region{}, "temporary region"},
		{"other plan", other, map[kernels.SlotID]kernels.Region{0: region(x)}, region(tmp), "another"},
		{"late groups", late, map[kernels.SlotID]kernels.Region{0: region(x)}, region(tmp), "do not start at dispatch 0"},
		{"unordered groups", unordered, map[kernels.SlotID]kernels.Region{0: region(x)}, region(tmp), "want them in order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := be.Compile(p, c.pl, c.bind, c.temp); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	for _, bad := range []string{"0", "-1", "x", "5000", "1.5"} {
		if _, err := kernels.Open("cpu:" + bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("cpu:%s: got %v, want an error that names it", bad, err)
		}
	}
	t.Setenv("GRAFT_THREADS", "3")
	before := runtime.NumGoroutine()
	be, err := kernels.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	if got := be.Caps().Threads; got != 3 {
		t.Errorf("got %d threads, want GRAFT_THREADS 3", got)
	}
	if err := be.Close(); err != nil {
		t.Fatal(err)
	}
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("%d goroutines after Close, %d before Open", got, before)
	}
	if err := be.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := be.Alloc(1, kernels.Host); err == nil {
		t.Error("a closed backend allocates")
	}
}

// TestCancelled stops between replays.
func TestCancelled(t *testing.T) {
	be := open(t, 1, false)
	tr := one("fill", kernels.Fill, kernels.Attr{}).out(f32, 3)
	ex, _ := compile(t, be, tr.p, tr.content(1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ex.Run(ctx, 1); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestFingerprint names the tier, and tells a build that fuses from one that
// does not: (1 + 2^-12)^2 is 1 + 2^-11 and a half unit that only a fused sum
// still sees.
func TestFingerprint(t *testing.T) {
	be := open(t, 1, false)
	for _, be.tier = range simd.Tiers() {
		got := be.Caps().Fingerprint
		if !strings.HasPrefix(got, "cpu/"+be.tier.Name+"/") || !strings.Contains(got, runtime.GOARCH) {
			t.Errorf("got %q, want cpu/%s/..., with the architecture", got, be.tier.Name)
		}
	}
	got := be.Caps().Fingerprint // portable is the last tier
	a, b, c := make([]float32, 8), make([]float32, 4), make([]float32, 8)
	a[0], b[0] = -1-0x1p-11, 1
	a[4], b[2] = 1+0x1p-12, 1+0x1p-12
	be.tier.Gemm(2, 1, a, b, c, 2, false, 0, 0)
	if fma := strings.HasSuffix(got, "+fma"); fma != (c[0] != 0) {
		t.Errorf("got %q, but the micro-kernel gives %v", got, c[0])
	}
}

// TestChoice opens every tier by GRAFT_CPU, and none that does not exist.
func TestChoice(t *testing.T) {
	for _, tier := range simd.Tiers() {
		t.Setenv("GRAFT_CPU", tier.Name)
		if got := open(t, 1, false).tier; got != tier {
			t.Errorf("GRAFT_CPU=%s: got %s", tier.Name, got.Name)
		}
	}
	t.Setenv("GRAFT_CPU", "mmx")
	_, err := Open("1")
	if err == nil || !strings.HasPrefix(err.Error(), `cpu: GRAFT_CPU: `) || !strings.Contains(err.Error(), "portable") {
		t.Errorf("GRAFT_CPU=mmx: got %v, want an error with the names", err)
	}
}

// TestHostBytes holds the plan to what a program really takes beside its
// operands.
func TestHostBytes(t *testing.T) {
	be := open(t, 3, false)
	tr := matmulTrials(b16)[20]
	pl, err := be.Plan(tr.p)
	if err != nil {
		t.Fatal(err)
	}
	ex, _ := compile(t, be, tr.p, tr.content(1))
	var got int64
	for _, l := range ex.(*exec).locals {
		got += int64(len(l)) * 4
	}
	if got != pl.HostBytes || got == 0 {
		t.Errorf("got %d bytes, the plan says %d", got, pl.HostBytes)
	}
	if err := be.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ex.Run(context.Background(), 1); err == nil {
		t.Error("a program of a closed backend runs")
	}
}
