package vulkan

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// TestUpdateSteps runs three optimizer steps on both paths to memory against float64,
// with a clip that bites and a step that must be skipped.
func TestUpdateSteps(t *testing.T) {
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged,
		"pieces": inPieces(open, 20<<10), "staged pieces": inPieces(staged, 20<<10)} {
		t.Run(name, func(t *testing.T) {
			const n, lr, maxNorm = 5000, 0.01, 2.0
			u := newUpdate(t, opener(t), n, kernels.BF16)
			ex := u.compile()
			g, w := values(1, n), values(2, n)
			m, v := make([]float64, n), make([]float64, n)
			norm := 0.0
			for i := range g {
				norm += g[i] * g[i]
			}
			norm = math.Sqrt(norm)
			clip := math.Min(1, maxNorm/(norm+1e-6))
			losses := []float32{3, float32(math.NaN()), 2, 1}
			done := 0
			for _, loss := range losses {
				u.set(ex, lr, maxNorm, loss)
				if err := ex.Run(context.Background(), 1); err != nil {
					t.Fatal(err)
				}
				if loss != loss {
					continue
				}
				done++
				bc1, bc2 := 1-math.Pow(u.attr.Beta1, float64(done)), 1-math.Pow(u.attr.Beta2, float64(done))
				for i := range g {
					m[i] = u.attr.Beta1*m[i] + (1-u.attr.Beta1)*clip*g[i]
					v[i] = u.attr.Beta2*v[i] + (1-u.attr.Beta2)*clip*clip*g[i]*g[i]
					w[i] = w[i]*(1-lr*u.attr.Decay) - lr/bc1*m[i]/(math.Sqrt(v[i]/bc2)+u.attr.Eps)
				}
			}
			abs := func(x []float64) []float64 {
				y := slices.Clone(x)
				for i := range y {
					y[i] = math.Abs(y[i])
				}
				return y
			}
			got := u.read(u.w)
			scale := abs(w)
			for i := range scale {
				scale[i] += lr
			}
			near(t, "w", kernels.F32, got, w, scale, 4*3)
			near(t, "m", kernels.F32, u.read(u.m), m, abs(m), 4*6)
			near(t, "v", kernels.F32, u.read(u.v), v, abs(v), 4*8)
			stored := u.read(u.stored)
			for i := range stored {
				if x := []float64{got[i]}; decode(kernels.BF16, encode(kernels.BF16, x))[0] != stored[i] {
					t.Fatalf("store[%d] is %v, want %v rounded", i, stored[i], got[i])
				}
			}
			s := u.read(u.state)
			if s[kernels.StateStep] != 3 || s[kernels.StateSkipped] != 1 || s[kernels.StateApply] != 1 || s[kernels.StateLoss] != 1 {
				t.Errorf("state is %v, want 3 steps and 1 skipped", s)
			}
			near(t, "norm", kernels.F32, s[kernels.StateNorm:kernels.StateNorm+1], []float64{norm}, []float64{norm}, 2*math.Sqrt(n))
		})
	}
}

func TestSumSqSizes(t *testing.T) {
	b := open(t)
	for _, n := range []int{1, 255, 257, 4096, 4097, 300_000, 5_000_011} {
		if n > 1_000_000 && testing.Short() {
			continue
		}
		r := newRig(t, b)
		v := values(7, n)
		x := r.slot("x", kernels.F32, v, n)
		s := r.slot("s", kernels.F32, []float64{3}, 1)
		r.emit(kernels.SumSq, kernels.Attr{Beta: 1}, []kernels.View{s}, x)
		r.run(1)
		want := 3.0
		for _, f := range v {
			want += f * f
		}
		near(t, "s", kernels.F32, r.read(s), []float64{want}, []float64{want}, 2*math.Sqrt(float64(n)))
	}
}

// TestReplay replays one recording with new inputs and demands the bits that single
// runs of new recordings give.
func TestReplay(t *testing.T) {
	final := func(fresh bool) []float64 {
		u := newUpdate(t, open(t), 3000, kernels.F32)
		ex := u.compile()
		for i := range 20 {
			if fresh && i > 0 {
				again, err := u.b.Compile(&u.prog, must(u.b.Plan(&u.prog)), u.bind, tempRegion(t, u.b, must(u.b.Plan(&u.prog)).TempBytes))
				if err != nil {
					t.Fatal(err)
				}
				ex = again
			}
			u.set(ex, 0.01*float32(i+1), 1, float32(i))
			if err := ex.Run(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
		}
		return u.read(u.w)
	}
	if a, b := final(false), final(true); !slices.Equal(a, b) {
		t.Error("a replayed recording gives other bits than fresh ones")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func tempRegion(t testing.TB, b *Backend, n int64) kernels.Region {
	buf, err := b.Alloc(n, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	return kernels.Region{Buffer: buf, Size: n}
}

func TestRunAllocatesNothing(t *testing.T) {
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged} {
		u := newUpdate(t, opener(t), 1000, kernels.F32)
		ex := u.compile()
		u.set(ex, 0.01, 1, 1)
		ctx := context.Background()
		if n := testing.AllocsPerRun(20, func() {
			if err := ex.Run(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: a step allocates %v times, want 0", name, n)
		}
	}
}

// TestChain feeds the result of one kernel to the next many times, in temporaries that
// are reused, so that a missing barrier or a wrong offset shows.
func TestChain(t *testing.T) {
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged,
		"pieces": inPieces(open, 6400), "staged pieces": inPieces(staged, 6400)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, opener(t))
			const n, c, depth = 33, 40, 12
			vx, vw := values(1, n*c), values(2, c*c)
			for i := range vw {
				vw[i] /= math.Sqrt(c)
			}
			x := r.add("x", kernels.F32, kernels.Input, n, c)
			one := r.slot("norm", kernels.F32, slices.Repeat([]float64{1}, c), c)
			w := r.slot("w", kernels.F32, vw, c, c)
			out := r.add("out", kernels.F32, kernels.Output, n, c)
			h := x
			for range depth {
				y := r.add("y", kernels.F32, kernels.Temp, n, c)
				s := r.add("rstd", kernels.F32, kernels.Temp, n)
				z := r.add("z", kernels.F32, kernels.Temp, n, c)
				r.emit(kernels.RMSNorm, kernels.Attr{Eps: 1e-5}, []kernels.View{y, s}, h, one)
				r.emit(kernels.MatMul, kernels.Attr{Alpha: 1, Opt: kernels.WithResidual}, []kernels.View{z}, y, w, h)
				h = z
			}
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{out}, h)
			pl := must(r.b.Plan(&r.prog))
			if naive := int64(depth * n * (2*c + 1) * 4); pl.TempBytes > naive/2 {
				t.Errorf("%d bytes of temporaries, %d without reuse", pl.TempBytes, naive)
			}
			ex := r.compilePlan(pl)
			copy(ex.Input(x.Slot), encode(kernels.F32, vx))
			if err := ex.Run(context.Background(), 2); err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(vx)
			for range depth {
				next := slices.Clone(want)
				for i := range n {
					ms := 0.0
					for k := range c {
						ms += want[i*c+k] * want[i*c+k] / c
					}
					f := 1 / math.Sqrt(ms+1e-5)
					for j := range c {
						for k := range c {
							next[i*c+j] += want[i*c+k] * f * vw[k*c+j]
						}
					}
				}
				want = next
			}
			scale := slices.Repeat([]float64{20}, n*c) // the residual grows; errors add up over the depth
			near(t, "out", kernels.F32, decode(kernels.F32, ex.Output(out.Slot)), want, scale, 4*depth*math.Sqrt(c))

			ts, err := ex.Profile(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(ts) != len(pl.Dispatches) || ts[1].Kernel != "matmul" || ts[1].Instr != 1 || !(ts[1].Seconds > 0) {
				t.Errorf("%d timings for %d dispatches, the second %+v", len(ts), len(pl.Dispatches), ts[1])
			}
		})
	}
}

// TestSupports has more rows than a kernel's indices count.
func TestSupports(t *testing.T) {
	b := open(t)
	r := newRig(t, b)
	many := int64(1) << 31
	x, ids := r.add("x", kernels.F32, kernels.Input, int(many), 1), r.add("ids", kernels.I32, kernels.Input, 4)
	y := r.add("y", kernels.F32, kernels.Output, 4, 1)
	in := kernels.Instr{Op: kernels.Gather, In: []kernels.View{x, ids}, Out: []kernels.View{y}}
	if err := b.Supports(&r.prog, in); !errors.Is(err, kernels.ErrUnsupported) || !strings.Contains(err.Error(), "gather: 2147483648 rows") {
		t.Errorf("got %v, want so many rows to be unsupported", err)
	}
}

func TestTypedErrors(t *testing.T) {
	for _, c := range []struct {
		result vk.Result
		want   error
	}{
		{vk.ErrOutOfDevMemory, kernels.ErrOutOfMemory},
		{vk.ErrOutOfHostMemory, kernels.ErrOutOfMemory},
		{vk.ErrDeviceLost, kernels.ErrDeviceLost},
	} {
		err := typed(&vk.CallError{Func: "vkQueueSubmit", Result: c.result})
		if !errors.Is(err, c.want) || !errors.Is(err, c.result) || !strings.Contains(err.Error(), "vkQueueSubmit") {
			t.Errorf("%v: got %v, want it to be %v too", c.result, err, c.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	b := open(t)
	other := open(t)
	for name, c := range map[string]struct {
		bind func(r *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region
		want string
	}{
		"unbound": {func(_ *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region {
			return map[kernels.SlotID]kernels.Region{x.Slot: {Buffer: mem, Size: 16}}
		}, `"y" is not bound`},
		"overlap": {func(_ *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region {
			return map[kernels.SlotID]kernels.Region{x.Slot: {Buffer: mem, Size: 16}, y.Slot: {Buffer: mem, Offset: 0, Size: 16}}
		}, "overlap"},
		"too small": {func(_ *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region {
			return map[kernels.SlotID]kernels.Region{x.Slot: {Buffer: mem, Size: 16}, y.Slot: {Buffer: mem, Offset: 256, Size: 8}}
		}, "needs 16"},
		"outside": {func(_ *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region {
			return map[kernels.SlotID]kernels.Region{x.Slot: {Buffer: mem, Size: 16}, y.Slot: {Buffer: mem, Offset: 1 << 20, Size: 16}}
		}, "buffer of 512"},
		"misaligned": {func(_ *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region {
			return map[kernels.SlotID]kernels.Region{x.Slot: {Buffer: mem, Size: 16}, y.Slot: {Buffer: mem, Offset: 64, Size: 16}}
		}, "multiple of 256"},
		"other device": {func(_ *rig, x, y kernels.View, mem kernels.Buffer) map[kernels.SlotID]kernels.Region {
			alien := must(other.Alloc(64, kernels.Device))
			return map[kernels.SlotID]kernels.Region{x.Slot: {Buffer: mem, Size: 16}, y.Slot: {Buffer: alien, Size: 16}}
		}, "not of this device"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, b)
			x, y := r.add("x", kernels.F32, kernels.Persistent, 4), r.add("y", kernels.F32, kernels.Persistent, 4)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y}, x)
			mem := must(b.Alloc(512, kernels.Device))
			defer mem.Close()
			_, err := b.Compile(&r.prog, must(b.Plan(&r.prog)), c.bind(r, x, y, mem), kernels.Region{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestCancelledContext(t *testing.T) {
	u := newUpdate(t, open(t), 100, kernels.F32)
	ex := u.compile()
	u.set(ex, 1, 0, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ex.Run(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got := u.read(u.state)[kernels.StateStep]; got != 0 {
		t.Errorf("%v steps were run", got)
	}
}

// TestCloseFreesAll closes with programs and buffers still open; the validation layer,
// where it is on, reports whatever is left.
func TestCloseFreesAll(t *testing.T) {
	b := open(t)
	u := newUpdate(t, b, 100, kernels.F32)
	ex := u.compile()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if len(b.buffers) != 0 || len(b.execs) != 0 {
		t.Errorf("%d buffers and %d programs are left", len(b.buffers), len(b.execs))
	}
	if err := ex.Run(context.Background(), 1); err == nil {
		t.Error("a closed program runs")
	}
	if _, err := b.Alloc(16, kernels.Device); err == nil {
		t.Error("a closed device allocates")
	}
	for range 2 {
		if err := errors.Join(ex.Close(), u.mem.Close(), b.Close()); err != nil {
			t.Errorf("closing again: %v", err)
		}
	}
}

// TestTransfers moves bytes that are no whole words through memory that the CPU sees and
// through memory that it does not, in more than one staging buffer's worth.
func TestTransfers(t *testing.T) {
	for name, opener := range map[string]func(testing.TB) *Backend{"shared memory": open, "staged": staged} {
		b := opener(t)
		const n = stageBytes + 4099
		buf := must(b.Alloc(n+100, kernels.Device))
		if (buf.Bytes() == nil) != (name == "staged") {
			t.Fatalf("%s: Bytes is %v", name, buf.Bytes() != nil)
		}
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		r := kernels.Region{Buffer: buf, Offset: 3, Size: n}
		if err := kernels.Upload(b, r, data); err != nil {
			t.Fatal(err)
		}
		all := make([]byte, n+100)
		if err := kernels.Download(b, all, kernels.Region{Buffer: buf, Size: n + 100}); err != nil {
			t.Fatal(err)
		}
		want := slices.Concat(make([]byte, 3), data, make([]byte, 97))
		if !bytes.Equal(all, want) {
			t.Errorf("%s: other bytes come back, or memory was not zeroed", name)
		}
		u := buf.(*Buffer)
		for _, off := range []int64{-1, 101, 1 << 62} {
			if _, err := u.WriteAt(data, off); err == nil {
				t.Errorf("%s: wrote %d bytes at %d of %d", name, n, off, n+100)
			}
		}
	}
}

// TestBoundInputs binds an input and an output to memory of the caller.
func TestBoundInputs(t *testing.T) {
	for _, c := range []struct {
		name    string
		open    func(testing.TB) *Backend
		where   kernels.Place
		visible bool
	}{
		{"host", open, kernels.Host, true},
		{"host of a staged device", staged, kernels.Host, true},
		{"staged device", staged, kernels.Device, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.open(t))
			x, y := r.add("x", kernels.F32, kernels.Input, 3), r.add("y", kernels.F32, kernels.Output, 3)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y}, x)
			buf := must(r.b.Alloc(512, c.where))
			ex := must(r.b.Compile(&r.prog, must(r.b.Plan(&r.prog)), map[kernels.SlotID]kernels.Region{
				x.Slot: {Buffer: buf, Size: 12}, y.Slot: {Buffer: buf, Offset: 256, Size: 12}}, kernels.Region{}))
			if in, out := ex.Input(x.Slot), ex.Output(y.Slot); (len(in) == 12) != c.visible || (len(out) == 12) != c.visible {
				t.Errorf("the host sees %d and %d bytes, visible should be %v", len(in), len(out), c.visible)
			}
			if ex.Input(y.Slot) != nil || ex.Output(x.Slot) != nil || ex.Input(9) != nil || ex.Input(-1) != nil {
				t.Error("a slot of another role, or none, has memory")
			}
			want := encode(kernels.F32, []float64{1, 2, 3})
			if err := kernels.Upload(r.b, kernels.Region{Buffer: buf, Size: 12}, want); err != nil {
				t.Fatal(err)
			}
			if err := ex.Run(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 12)
			if err := kernels.Download(r.b, got, kernels.Region{Buffer: buf, Offset: 256, Size: 12}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
