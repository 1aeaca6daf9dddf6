package kerneltest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"graft/kernels"
	"graft/kernels/ref"
)

// Case is one instruction with the contents of its operands.
type Case struct {
	Name  string
	Prog  *kernels.Program // one instruction; every slot is persistent
	Data  [][]byte         // contents of every slot before the run
	FLOPs int64

	// Exact cases are compared bit by bit, whatever the row's bound: nothing
	// may be written, or nothing may be rounded.
	Exact bool
}

// Instr is the instruction of the case.
func (c *Case) Instr() kernels.Instr { return c.Prog.Code[0] }

// draft is a case in the making. Ports of the op's row get their shape from
// dims, their type from their class and random contents, unless said otherwise.
type draft struct {
	op   kernels.Op
	name string
	attr kernels.Attr
	dims map[byte]int

	act, weight kernels.DType
	types       map[string]kernels.DType
	shapes      map[string][]int
	data        map[string][]float64
	strides     map[string][]int // explicit strides
	pad         int              // elements between rows of ports that may be strided
	offset      int              // elements before every operand in its slot
	scale       float64          // of random contents; 0 is 1
	exact       bool
}

func newDraft(op kernels.Op, attr kernels.Attr, dims map[byte]int) *draft {
	return &draft{op: op, attr: attr, dims: dims,
		types: map[string]kernels.DType{}, shapes: map[string][]int{},
		data: map[string][]float64{}, strides: map[string][]int{}}
}

// ports gives the present ports of the op and how many of them are inputs.
func (d *draft) ports() (all []kernels.Port, inputs int) {
	in := kernels.Instr{Op: d.op, Attr: d.attr}
	ins := kernels.InPorts(in)
	return slices.Concat(ins, kernels.OutPorts(in)), len(ins)
}

func (d *draft) typeOf(q kernels.Port) kernels.DType {
	if t, ok := d.types[q.Name]; ok {
		return t
	}
	switch q.Type {
	case kernels.Act:
		return d.act
	case kernels.Weight:
		return d.weight
	case kernels.Index:
		return kernels.I32
	}
	return kernels.F32
}

func (d *draft) shapeOf(q kernels.Port) []int {
	if s, ok := d.shapes[q.Name]; ok {
		return s
	}
	var s []int
	for _, c := range []byte(q.Dims) {
		if c >= '0' && c <= '9' {
			s = append(s, int(c-'0'))
		} else {
			s = append(s, d.dims[c])
		}
	}
	return s
}

// stridesOf lays rows of a port out with gaps where its layout allows.
func (d *draft) stridesOf(q kernels.Port, shape []int) []int {
	if s, ok := d.strides[q.Name]; ok {
		return s
	}
	v := kernels.Dense(0, 0, shape...)
	inner := int(q.Layout)
	if q.Layout == kernels.Strided {
		inner = 1
	}
	if d.pad == 0 || q.Layout == kernels.Packed || len(shape) <= inner {
		return v.Stride
	}
	n := kernels.Slot{Shape: shape[len(shape)-inner:]}.Len() + d.pad
	for i := len(shape) - inner - 1; i >= 0; i-- {
		v.Stride[i] = n
		n *= shape[i]
	}
	return v.Stride
}

// random gives the contents of a port: normal numbers that depend only on the
// port and on the names of the case, so that a case can be run alone.
func (d *draft) random(port string, n int) []float64 {
	h := fnv.New64a()
	fmt.Fprint(h, d.op, d.name, port)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	scale := d.scale
	if scale == 0 {
		scale = 1
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = scale * r.NormFloat64()
	}
	return x
}

// keeps reports whether an output's old content counts.
func (d *draft) keeps(q kernels.Port) bool {
	return q.Keep == kernels.Update || q.Keep == kernels.IfBeta && d.attr.Beta != 0
}

// build makes the case. Everything that is no element of an operand, and
// outputs that are to be overwritten, are filled with ones, which is NaN in
// every floating-point type and -1 in the signed ones.
func (d *draft) build() *Case {
	p := &kernels.Program{Name: fmt.Sprintf("%v/%s", d.op, d.name)}
	c := &Case{Name: d.name, Prog: p, Exact: d.exact}
	instr := kernels.Instr{Op: d.op, Attr: d.attr}
	ports, inputs := d.ports()
	for i, q := range ports {
		shape, t := d.shapeOf(q), d.typeOf(q)
		v := kernels.View{Slot: kernels.SlotID(i), Offset: d.offset, Shape: shape, Stride: d.stridesOf(q, shape)}
		_, n := v.Extent()
		p.AddSlot(kernels.Slot{Name: q.Name, DType: t, Shape: []int{n}, Role: kernels.Persistent})
		mem := ones(n * t.Size())
		if i < inputs || d.keeps(q) {
			x, ok := d.data[q.Name]
			if !ok {
				x = d.random(q.Name, v.Len())
			}
			ref.WriteView(t, mem, v, x)
		}
		c.Data = append(c.Data, mem)
		if i < inputs {
			instr.In = append(instr.In, v)
		} else {
			instr.Out = append(instr.Out, v)
		}
	}
	p.Code = []kernels.Instr{instr}
	dims, err := kernels.Check(p, instr)
	if err != nil {
		panic(fmt.Sprintf("kerneltest: %s: %v", p.Name, err)) // a mistake of this package
	}
	c.FLOPs = kernels.Table[d.op].FLOPs(instr, dims)
	return c
}

func ones(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xff
	}
	return b
}

// oracle computes the case in float64.
func (c *Case) oracle() ([]ref.Result, error) {
	return ref.Eval(c.Prog, c.Instr(), func(v kernels.View) []float64 {
		return ref.ReadView(c.Prog.DType(v), c.Data[v.Slot], v)
	})
}

// results runs a draft on the oracle and gives its outputs by port: operands
// of the backward operation.
func (d *draft) results() map[string][]float64 {
	c := d.build()
	rs, err := c.oracle()
	if err != nil {
		panic(fmt.Sprintf("kerneltest: %s: %v", c.Prog.Name, err))
	}
	out := map[string][]float64{}
	for o, q := range kernels.OutPorts(c.Instr()) {
		out[q.Name] = rs[o].Exact
	}
	return out
}

// inPlace gives the variants of the case in which outputs are the same view as
// inputs: every alias of the row alone, and every pair of them.
func (c *Case) inPlace() []*Case {
	in := c.Instr()
	var pairs [][2]int
	for o, v := range in.Out {
		for i, w := range in.In {
			if kernels.MayAlias(in, o, i) && c.Prog.DType(v) == c.Prog.DType(w) && slices.Equal(v.Shape, w.Shape) && !kernels.Reads(in, o) {
				pairs = append(pairs, [2]int{o, i})
			}
		}
	}
	var all []*Case
	for a, x := range pairs {
		all = append(all, c.aliased(x))
		for _, y := range pairs[a+1:] {
			if x[0] != y[0] && x[1] != y[1] {
				all = append(all, c.aliased(x, y))
			}
		}
	}
	return slices.DeleteFunc(all, func(v *Case) bool {
		_, err := kernels.Check(v.Prog, v.Instr()) // repeated elements, for one
		return err != nil
	})
}

// aliased puts outputs in the place of inputs.
func (c *Case) aliased(pairs ...[2]int) *Case {
	v := *c
	p := *c.Prog
	in := c.Instr()
	in.Out = slices.Clone(in.Out)
	for _, q := range pairs {
		in.Out[q[0]] = in.In[q[1]]
		v.Name += fmt.Sprintf(" %s=%s", kernels.OutPorts(in)[q[0]].Name, kernels.InPorts(in)[q[1]].Name)
	}
	p.Code = []kernels.Instr{in}
	v.Prog = &p
	return &v
}
