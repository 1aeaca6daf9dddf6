package kerneltest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/ref"
)

// long adds shapes of real models to every suite of the test binary.
var long = flag.Bool("long", false, "kerneltest: add shapes of real models, and tests of every path of a kernel")

// NeedsLong skips a test that takes minutes, unless -long is given.
func NeedsLong(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("needs -long")
	}
}

// Limits on the work of one case and of a whole suite without -long, so that
// it can run on every change.
const (
	caseFLOPs  = 20e6
	suiteFLOPs = 5e9
)

// tooLoose is the share of its bound that the worst error of an operation must
// reach. A bound below is of no use.
const tooLoose = 0.01

// Open opens a backend for a test; the suite closes it.
type Open func() (kernels.Backend, error)

// Options say what to hold a backend to. The zero value tests everything once.
type Options struct {
	// Name is what KERNELTEST_REQUIRE calls the backend.
	Name string
	// Same opens the backend in other ways that must give the same bits: with
	// other numbers of threads, say.
	Same map[string]Open
	// Ops restricts the suite; none means all.
	Ops []kernels.Op
	// Programs is the number of random programs; 0 means 40, and so does -long.
	Programs int
}

// Run holds a backend to the op table.
func Run(t *testing.T, open func() (kernels.Backend, error), opts Options) {
	s := &suite{opts: opts, seen: report{}}
	s.be = s.open(t, open)
	defer s.be.Close()
	for name, f := range opts.Same {
		be, err := f()
		if err != nil {
			t.Fatalf("%s %s: %v", opts.Name, name, err)
		}
		defer be.Close()
		s.same = append(s.same, named{name, be})
	}
	slices.SortFunc(s.same, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for op := range kernels.NumOps {
		if len(opts.Ops) == 0 || slices.Contains(opts.Ops, op) {
			t.Run(op.String(), func(t *testing.T) { s.op(t, op) })
		}
	}
	if len(opts.Ops) == 0 {
		t.Run("contract", s.contract)
		t.Run("programs", s.programs)
	}
	s.summary(t)
}

type named struct {
	name string
	be   kernels.Backend
}

type suite struct {
	opts  Options
	be    kernels.Backend
	same  []named
	seen  report
	flops int64
}

// open opens a backend, or skips the test unless it is required.
func (s *suite) open(t *testing.T, open func() (kernels.Backend, error)) kernels.Backend {
	be, err := open()
	if err == nil {
		return be
	}
	if required(s.opts.Name) {
		t.Fatalf("%s is required: %v", s.opts.Name, err)
	}
	t.Skipf("%s cannot be opened: %v", s.opts.Name, err)
	return nil
}

// required reports whether the environment demands that a backend opens.
func required(name string) bool {
	return name != "" && slices.Contains(strings.Split(os.Getenv("KERNELTEST_REQUIRE"), ","), name)
}

func (s *suite) op(t *testing.T, op kernels.Op) {
	cases := Cases(op, *long)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if err := s.be.Supports(c.Prog, c.Instr()); errors.Is(err, kernels.ErrUnsupported) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			s.flops += c.FLOPs
			if c.FLOPs > caseFLOPs && !*long {
				t.Errorf("%d FLOPs, at most %d without -long", c.FLOPs, int(caseFLOPs))
			}
			if err := check(s.be, s.same, c, s.seen); err != nil {
				t.Error(err)
			}
		})
	}
	if kernels.Table[op].Plain != nil {
		t.Run("plain definition", func(t *testing.T) { s.plain(t, cases) })
	}
}

// check runs one case and compares it to the oracle, and to the same backend
// opened in other ways.
func check(be kernels.Backend, same []named, c *Case, r report) error {
	got, err := execute(be, kernels.Host, c)
	if err != nil {
		return err
	}
	want, err := c.oracle()
	if err != nil {
		return err
	}
	if err := c.compare(want, got, r); err != nil {
		return err
	}
	for _, o := range same {
		other, err := execute(o.be, kernels.Host, c)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		for i := range got {
			if !bytes.Equal(got[i], other[i]) {
				return fmt.Errorf("%s gives other bits in %s", o.name, c.Prog.Slots[i].Name)
			}
		}
	}
	return nil
}

// plain holds the plain definition of a fused operation to the bound of the
// operation, on the oracle and on the backend. Its temporaries are F32, so that
// it rounds where a fused kernel does.
func (s *suite) plain(t *testing.T, cases []*Case) {
	backends := []kernels.Backend{s.be}
	if s.be.Caps().Name != "ref" {
		backends = append(backends, ref.New(ref.Options{}))
	}
	for _, c := range cases {
		if c.FLOPs > caseFLOPs {
			continue
		}
		p, err := c.plainCase()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if p == nil {
			continue
		}
		want, err := c.oracle()
		if err != nil {
			t.Fatal(err)
		}
		for _, be := range backends {
			if !supports(be, p.Prog) {
				continue
			}
			got, err := execute(be, kernels.Device, p)
			if err == nil {
				err = c.compare(want, got, nil)
			}
			if err != nil {
				t.Errorf("%s on %s: %v", c.Name, be.Caps().Name, err)
			}
		}
	}
}

func supports(be kernels.Backend, p *kernels.Program) bool {
	return !slices.ContainsFunc(p.Code, func(in kernels.Instr) bool { return be.Supports(p, in) != nil })
}

// plainCase is the case with its instruction taken apart, nil where the two
// are not comparable.
func (c *Case) plainCase() (*Case, error) {
	in := c.Instr()
	if in.Op == kernels.AttentionBwd && c.Prog.DType(in.In[0]) != kernels.F32 {
		// The plain definition computes the output anew in F32, the fused one
		// reads it as it was stored.
		return nil, nil
	}
	if (in.Op == kernels.Attention || in.Op == kernels.AttentionBwd) && c.hasNaN() {
		// The plain definition multiplies hidden keys by a share of zero.
		return nil, nil
	}
	p := *c.Prog
	p.Slots = slices.Clone(p.Slots)
	code, ok, err := kernels.Plain(&p, in)
	if err != nil || !ok {
		return nil, err
	}
	p.Code = code
	v := *c
	v.Prog = &p
	return &v, p.Validate()
}

// hasNaN reports whether an input holds a NaN.
func (c *Case) hasNaN() bool {
	return slices.ContainsFunc(c.Instr().In, func(v kernels.View) bool {
		return slices.ContainsFunc(ref.ReadView(c.Prog.DType(v), c.Data[v.Slot], v), math.IsNaN)
	})
}

// summary prints the worst errors and refuses bounds that are too loose.
func (s *suite) summary(t *testing.T) {
	var keys []string
	for k := range s.seen {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		w := s.seen[k]
		fmt.Fprintf(&b, "%-28s %6.3f of its bound at worst, in %d cases (%s)\n", k, w.ratio, w.compare, w.at)
	}
	t.Logf("%.2f GFLOP\n%s", float64(s.flops)/1e9, b.String())
	if s.flops > suiteFLOPs && !*long {
		t.Errorf("%d FLOPs in all, at most %d without -long", s.flops, int64(suiteFLOPs))
	}
	for _, op := range s.seen.loose() {
		t.Errorf("%s: no error comes near its bound, which is too loose to find anything", op)
	}
}
