package kerneltest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"graft/kernels"
	"graft/kernels/ref"
)

// worst is the largest error of an output over its bound.
type worst struct {
	ratio   float64
	compare int // elements that a bound was applied to
	at      string
}

// report collects the worst of every output of every operation, for F32
// outputs only: in 16 bits the final rounding hides all other errors.
type report map[string]*worst

func (r report) add(op kernels.Op, port, at string, ratio float64) {
	key := op.String() + "." + port
	w := r[key]
	if w == nil {
		w = &worst{}
		r[key] = w
	}
	w.compare++
	if ratio > w.ratio {
		w.ratio, w.at = ratio, at
	}
}

// loose gives the operations whose bound is out of reach.
func (r report) loose() []string {
	best := map[string]float64{}
	for k, w := range r {
		op, _, _ := strings.Cut(k, ".")
		best[op] = max(best[op], w.ratio)
	}
	var ops []string
	for op, ratio := range best {
		if ratio < tooLoose {
			ops = append(ops, op)
		}
	}
	slices.Sort(ops)
	return ops
}

// smallest is the size below which a type may be flushed or loses precision.
func smallest(t kernels.DType) float64 {
	if t == kernels.F16 {
		return 0x1p-25 // half of the smallest subnormal
	}
	return 0x1p-126
}

// bounds knows how far an output element may be off.
type bounds struct {
	row   *kernels.Row
	sqrtK float64
	exact bool
	slack float64 // factor on the arithmetic part
}

func newBounds(c *Case) (bounds, error) {
	b, err := rowBounds(c.Prog, c.Instr())
	b.exact = c.Exact
	return b, err
}

func rowBounds(p *kernels.Program, in kernels.Instr) (bounds, error) {
	d, err := kernels.Check(p, in)
	if err != nil {
		return bounds{}, err
	}
	row := &kernels.Table[in.Op]
	return bounds{row: row, sqrtK: math.Sqrt(float64(row.Terms(in, d))), slack: 1}, nil
}

// of is the allowed error of one element: C u sqrt(Terms) scale + u' |exact|.
func (b bounds) of(t kernels.DType, exact, scale float64) float64 {
	return b.slack*b.row.C*kernels.F32.Roundoff()*b.sqrtK*scale + t.Roundoff()*math.Abs(exact) + smallest(t)
}

// Bound gives the bound of an instruction's outputs: how far an element stored
// as t may be from its exact value, by the row of the table and the element's
// scale ([ref.Result]).
func Bound(p *kernels.Program, in kernels.Instr) (func(t kernels.DType, exact, scale float64) float64, error) {
	b, err := rowBounds(p, in)
	return b.of, err
}

// check compares an element and returns its error over the bound.
func (b bounds) check(t kernels.DType, got, exact, scale float64) (ratio float64, ok bool) {
	rounded := ref.Round(t, exact)
	switch {
	case math.IsNaN(exact):
		return 0, math.IsNaN(got)
	case got == rounded && (b.exact || b.row.C == 0 || math.IsInf(rounded, 0)):
		return 0, true
	case b.exact || b.row.C == 0 || !t.Float() || math.IsInf(exact, 0):
		return 0, false
	}
	bound := b.of(t, exact, scale)
	if math.IsInf(got, 0) {
		// Right when some number inside the bound rounds to it.
		return 0, ref.Round(t, exact+math.Copysign(bound, got)) == got
	}
	ratio = math.Abs(got-exact) / bound
	return ratio, ratio <= 1
}

// compare holds the slots after a run to the oracle.
func (c *Case) compare(want []ref.Result, slots [][]byte, r report) error {
	b, err := newBounds(c)
	if err != nil {
		return err
	}
	return c.compareWithin(b, want, slots, r)
}

func (c *Case) compareWithin(b bounds, want []ref.Result, slots [][]byte, r report) error {
	in := c.Instr()
	for o, v := range in.Out {
		t, port := c.Prog.DType(v), kernels.OutPorts(in)[o].Name
		got := ref.ReadView(t, slots[v.Slot], v)
		top := 0.0
		for i, x := range got {
			e, s := want[o].Exact[i], want[o].Scale[i]
			ratio, ok := b.check(t, x, e, s)
			if !ok {
				return fmt.Errorf("%s%v: got %v, want %v, off by %.3g times the bound %.3g",
					port, index(v.Shape, i), x, ref.Round(t, e), math.Abs(x-e)/b.of(t, e, s), b.of(t, e, s))
			}
			top = max(top, ratio)
		}
		if t == kernels.F32 && b.row.C != 0 && !b.exact && r != nil {
			r.add(in.Op, port, c.Name, top)
		}
	}
	return nil
}

// index turns a row-major position into one per axis.
func index(shape []int, i int) []int {
	at := make([]int, len(shape))
	for a := len(shape) - 1; a >= 0; a-- {
		at[a] = i % shape[a]
		i /= shape[a]
	}
	return at
}
