package vulkan

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"graft/internal/f16"
	"graft/kernels"
)

// open opens the device to test. It skips without one, or fails when
// KERNELTEST_REQUIRE names vulkan.
func open(t testing.TB) *Backend {
	t.Helper()
	return openSetup(t, setup{})
}

// staged opens the device as if the CPU could not see its memory, as on a discrete GPU.
func staged(t testing.TB) *Backend {
	t.Helper()
	return openSetup(t, setup{staged: true})
}

func openSetup(t testing.TB, o setup) *Backend {
	t.Helper()
	b, err := openWith("", o)
	if err != nil {
		if strings.Contains(os.Getenv("KERNELTEST_REQUIRE"), "vulkan") {
			t.Fatalf("KERNELTEST_REQUIRE asks for Vulkan: %v", err)
		}
		t.Skipf("no Vulkan device here: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// inPieces opens the device as if one buffer held no more than n bytes.
func inPieces(opener func(testing.TB) *Backend, n int64) func(testing.TB) *Backend {
	return func(t testing.TB) *Backend {
		b := opener(t)
		b.maxBuffer = n
		return b
	}
}

// values are n numbers around 1 in size, the same for the same seed.
func values(seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64()))
	}
	return v
}

// encode stores numbers as a type, and rounds v to what was stored.
func encode(typ kernels.DType, v []float64) []byte {
	b := make([]byte, len(v)*typ.Size())
	for i := range v {
		put(typ, b[i*typ.Size():], float32(v[i]))
		v[i] = get(typ, b[i*typ.Size():])
	}
	return b
}

func put(typ kernels.DType, b []byte, x float32) {
	switch typ {
	case kernels.F32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(x))
	case kernels.BF16:
		binary.LittleEndian.PutUint16(b, f16.ToBF16(x))
	case kernels.F16:
		binary.LittleEndian.PutUint16(b, f16.ToF16(x))
	}
}

func get(typ kernels.DType, b []byte) float64 {
	switch typ {
	case kernels.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case kernels.BF16:
		return float64(f16.FromBF16(binary.LittleEndian.Uint16(b)))
	}
	return float64(f16.FromF16(binary.LittleEndian.Uint16(b)))
}

func decode(typ kernels.DType, b []byte) []float64 {
	v := make([]float64, len(b)/typ.Size())
	for i := range v {
		v[i] = get(typ, b[i*typ.Size():])
	}
	return v
}

// rig builds a program whose slots all lie in one buffer and keeps their contents.
type rig struct {
	t     testing.TB
	b     *Backend
	prog  kernels.Program
	data  [][]byte // initial content of each slot; nil for temporaries
	bytes []byte
	mem   *Buffer
	bind  map[kernels.SlotID]kernels.Region
}

func newRig(t testing.TB, b *Backend) *rig {
	return &rig{t: t, b: b, prog: kernels.Program{Name: t.Name()}}
}

// slot adds a persistent slot with content v, which is rounded to the type.
func (r *rig) slot(name string, typ kernels.DType, v []float64, shape ...int) kernels.View {
	r.t.Helper()
	view := r.add(name, typ, kernels.Persistent, shape...)
	if n := view.Len(); len(v) != n {
		r.t.Fatalf("%s: %d values for shape %v", name, len(v), shape)
	}
	r.data[view.Slot] = encode(typ, v)
	return view
}

func (r *rig) add(name string, typ kernels.DType, role kernels.Role, shape ...int) kernels.View {
	id := kernels.SlotID(len(r.prog.Slots))
	r.prog.Slots = append(r.prog.Slots, kernels.Slot{Name: name, DType: typ, Shape: shape, Role: role})
	r.data = append(r.data, nil)
	return kernels.Dense(id, 0, shape...)
}

func (r *rig) emit(op kernels.Op, a kernels.Attr, out []kernels.View, in ...kernels.View) {
	r.prog.Code = append(r.prog.Code, kernels.Instr{Op: op, In: in, Out: out, Attr: a})
}

// compile plans, allocates, uploads and records.
func (r *rig) compile() kernels.Exec {
	r.t.Helper()
	pl, err := r.b.Plan(&r.prog)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.compilePlan(pl)
}

func (r *rig) compilePlan(pl kernels.Plan) kernels.Exec {
	r.t.Helper()
	var total int64
	r.bind = map[kernels.SlotID]kernels.Region{}
	for i, s := range r.prog.Slots {
		if s.Role == kernels.Persistent {
			at := r.b.Caps().Place(total, s.Bytes())
			r.bind[kernels.SlotID(i)] = kernels.Region{Offset: at, Size: s.Bytes()}
			total = at + s.Bytes()
		}
	}
	mem, err := r.b.Alloc(total, kernels.Device)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mem = mem.(*Buffer)
	for id, g := range r.bind {
		g.Buffer = mem
		r.bind[id] = g
		if _, err := r.mem.WriteAt(r.data[id], g.Offset); err != nil {
			r.t.Fatal(err)
		}
	}
	var temp kernels.Region
	if pl.TempBytes > 0 {
		buf, err := r.b.Alloc(pl.TempBytes, kernels.Device)
		if err != nil {
			r.t.Fatal(err)
		}
		temp = kernels.Region{Buffer: buf, Size: pl.TempBytes}
	}
	ex, err := r.b.Compile(&r.prog, pl, r.bind, temp)
	if err != nil {
		r.t.Fatal(err)
	}
	return ex
}

func (r *rig) run(n int) {
	r.t.Helper()
	ex := r.compile()
	if err := ex.Run(context.Background(), n); err != nil {
		r.t.Fatal(err)
	}
}

// read gives the content of a persistent slot.
func (r *rig) read(v kernels.View) []float64 {
	r.t.Helper()
	s := r.prog.Slots[v.Slot]
	b := make([]byte, s.Bytes())
	if _, err := r.mem.ReadAt(b, r.bind[v.Slot].Offset); err != nil {
		r.t.Fatal(err)
	}
	return decode(s.DType, b)
}

// near fails where got is further from want than c*u*scale plus the rounding to typ.
func near(t testing.TB, what string, typ kernels.DType, got, want, scale []float64, c float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	bad := 0
	for i := range want {
		bound := c*kernels.F32.Roundoff()*scale[i] + typ.Roundoff()*math.Abs(want[i])
		if typ == kernels.F16 { // subnormals are 2^-24 apart
			bound = max(bound, 0x1p-25)
		}
		if d := math.Abs(got[i] - want[i]); !(d <= bound) {
			if bad++; bad <= 5 {
				t.Errorf("%s[%d]: got %v, want %v (off by %.3g, bound %.3g)", what, i, got[i], want[i], d, bound)
			}
		}
	}
	if bad > 5 {
		t.Errorf("%s: %d of %d elements are off", what, bad, len(want))
	}
}

// TestMain keeps the tests' pipelines out of the user's cache.
func TestMain(m *testing.M) {
	if os.Getenv(cacheEnv) == "" {
		os.Setenv(cacheEnv, "off")
	}
	os.Exit(m.Run())
}
