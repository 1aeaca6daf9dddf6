package cpu

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"graft/kernels"
	"graft/kernels/cpu/simd"
	"graft/kernels/plan"
)

var errClosed = errors.New("cpu: backend is closed")

var _ kernels.Backend = (*Backend)(nil)

func init() {
	kernels.Register("cpu", func(arg string) (kernels.Backend, error) { return Open(arg) })
}

// Backend is a pool of threads. Its methods and those of its Execs are for one
// goroutine at a time.
type Backend struct {
	pool   *pool
	tier   *simd.Tier
	closed bool
	// concurrent runs the dispatches of each barrier group at once; set by
	// tests so that the race detector sees a missing barrier.
	concurrent bool
	pay        int // wakePay; less in tests, so that small programs are shared too
}

// Open starts threads goroutines, the caller's counted: a decimal number, or
// "" for GRAFT_THREADS or else GOMAXPROCS. GRAFT_CPU names the instructions to
// use, one of simd.Tiers; without it they are the fastest that there are.
func Open(threads string) (*Backend, error) {
	from := "device cpu:" + threads
	if threads == "" {
		from, threads = "GRAFT_THREADS", os.Getenv("GRAFT_THREADS")
	}
	n := runtime.GOMAXPROCS(0)
	if threads != "" {
		var err error
		n, err = strconv.Atoi(threads)
		if err != nil || n < 1 || n > 4096 {
			return nil, fmt.Errorf("cpu: %s: got %q threads, want 1 to 4096", from, threads)
		}
	}
	tier, err := simd.Choose(os.Getenv("GRAFT_CPU"))
	if err != nil {
		return nil, fmt.Errorf("cpu: GRAFT_CPU: %w", err)
	}
	return &Backend{pool: newPool(n, tier.Fetch), tier: tier, pay: wakePay}, nil
}

// Caps describes the processor.
func (b *Backend) Caps() kernels.Caps {
	return kernels.Caps{
		Name:        "cpu",
		Device:      model(),
		Fingerprint: fingerprint(b.tier),
		Align:       align,
		Memory:      memoryBytes("MemAvailable"),
		MatrixTypes: []kernels.DType{kernels.F32, kernels.BF16, kernels.F16},
		Threads:     b.pool.threads(),
		Notes:       []string{b.note()},
	}
}

// note names the tier and what GRAFT_CPU may choose in its place.
func (b *Backend) note() string {
	var others []string
	for _, t := range simd.Tiers() {
		if t != b.tier {
			others = append(others, t.Name)
		}
	}
	s := "kernels: " + b.tier.Name
	if len(others) > 0 {
		s += "; GRAFT_CPU takes " + strings.Join(others, ", ") + " too"
	}
	return s
}

// revision changes whenever a kernel's order of operations does.
const revision = 6

// fingerprint names what can change the bits of a result: the instructions,
// the revision of the kernels, the architecture, and whether the compiler
// fuses a product and a sum into one rounding, as it may on some.
func fingerprint(t *simd.Tier) string {
	s := fmt.Sprintf("cpu/%s/%d/%s", t.Name, revision, runtime.GOARCH)
	if fused(1+0x1p-12, 1+0x1p-12, -1-0x1p-11) {
		s += "+fma"
	}
	return s
}

// fused reports whether x*y + z was rounded once. For numbers whose rounded
// product is -z, the sum is zero only when it was rounded twice.
//
//go:noinline
func fused(x, y, z float32) bool { return x*y+z != 0 }

// Supports takes every instruction that the table takes.
func (b *Backend) Supports(p *kernels.Program, in kernels.Instr) error {
	_, err := kernels.Check(p, in)
	return err
}

// Plan lays out a program. It allocates nothing but the plan.
func (b *Backend) Plan(p *kernels.Program) (kernels.Plan, error) {
	pl, _, _, err := b.plan(p)
	return pl, err
}

func (b *Backend) plan(p *kernels.Program) (kernels.Plan, *builder, plan.Layout, error) {
	fail := func(err error) (kernels.Plan, *builder, plan.Layout, error) {
		return kernels.Plan{}, nil, plan.Layout{}, err
	}
	if err := p.Validate(); err != nil {
		return fail(err)
	}
	bd, err := build(p, b.tier, b.pool.threads())
	if err != nil {
		return fail(err)
	}
	l, err := plan.Memory(p, plan.Options{Align: align, Scratch: bd.scratch})
	if err != nil {
		return fail(err)
	}
	pl := kernels.Plan{Offsets: l.Offsets, TempBytes: l.Bytes, Scratch: l.ScratchBytes}
	part := 0
	for i, s := range bd.steps {
		if part++; i == 0 || bd.steps[i-1].instr != s.instr {
			part = 0
		}
		pl.Dispatches = append(pl.Dispatches, kernels.Dispatch{
			Instr: s.instr, Part: part, Kernel: s.kernel,
			Reads: spans(s.reads, l.Scratch[s.instr]), Writes: spans(s.writes, l.Scratch[s.instr]),
		})
	}
	pl.Groups = plan.Barriers(p, pl.Dispatches, l.Offsets)
	for _, s := range p.Slots {
		if s.Role == kernels.Input || s.Role == kernels.Output {
			pl.IOBytes += s.Bytes()
		}
	}
	pl.HostBytes = int64(b.pool.threads()) * int64(bd.locals()) * 4
	return pl, bd, l, nil
}

func spans(os []operand, scratch int64) []kernels.Span {
	out := make([]kernels.Span, len(os))
	for i, o := range os {
		out[i] = o.span()
		if o.slot == kernels.Scratch {
			out[i].Lo += scratch
			out[i].Hi += scratch
		}
	}
	return out
}

// Alloc gives zeroed memory; both places are the same here.
func (b *Backend) Alloc(size int64, _ kernels.Place) (kernels.Buffer, error) {
	if b.closed {
		return nil, errClosed
	}
	buf, err := alloc(size)
	if err != nil {
		return nil, err
	}
	return buf, nil
}

// Close stops the threads. Execs of a closed backend return an error.
func (b *Backend) Close() error {
	if !b.closed {
		b.closed = true
		b.pool.close()
	}
	return nil
}

// model is the processor's own name where the system tells it.
func model() string {
	if s := field("/proc/cpuinfo", "model name"); s != "" {
		return s
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

// memoryBytes is a size that the system knows; 0 is unknown.
func memoryBytes(key string) int64 {
	kb, _, _ := strings.Cut(field("/proc/meminfo", key), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// field finds "key : value" in a file of the kernel's; "" when there is none.
func field(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
