package tensor

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"graft/kernels"
)

// ErrGraph is wrapped by every error that building a graph can make.
var ErrGraph = errors.New("invalid graph")

// Graph collects operations. It is not safe for concurrent use.
type Graph struct {
	name  string
	prog  kernels.Program
	nodes []*node
	slots map[string]*Tensor // inputs, persistent slots and outputs by name
	scope string
	err   error
	// region is the checkpoint being recorded, nil outside of one.
	region *region
	// differentiated is set when there is a backward pass.
	differentiated bool
}

// node is one step of the graph: an instruction, or a view that costs nothing.
type node struct {
	instr  *kernels.Instr // nil for a view
	in     []*Tensor
	out    []*Tensor
	vjp    vjp // nil: no gradient
	region *region
	// replaced nodes are left out of the program: another node computes what
	// they did.
	replaced bool
}

// Tensor is a value of a graph: a view on a slot. It is immutable.
type Tensor struct {
	g    *Graph
	view kernels.View
	node *node // nil for inputs and parameters
}

// New returns an empty graph. The name appears in dumps and errors.
func New(name string) *Graph {
	return &Graph{name: name, prog: kernels.Program{Name: name}, slots: map[string]*Tensor{}}
}

// Shape returns the sizes of the axes; nil after an error in the graph.
func (t *Tensor) Shape() []int { return slices.Clone(t.view.Shape) }

// Dim returns the size of one axis, counted from the end if negative; 1 after
// an error in the graph.
func (t *Tensor) Dim(axis int) int {
	if axis < 0 {
		axis += len(t.view.Shape)
	}
	if axis < 0 || axis >= len(t.view.Shape) {
		t.g.fail("dim", "axis %d of shape %v", axis, t.view.Shape)
		return 1
	}
	return t.view.Shape[axis]
}

// Len is the number of elements.
func (t *Tensor) Len() int { return t.view.Len() }

// DType is the storage type.
func (t *Tensor) DType() kernels.DType { return t.g.dtype(t) }

// View is the memory that the tensor stands for.
func (t *Tensor) View() kernels.View { return t.view }

func (g *Graph) dtype(t *Tensor) kernels.DType {
	if len(g.prog.Slots) == 0 {
		return kernels.F32
	}
	return g.prog.DType(t.view)
}

// Err is the first error of the graph so far.
func (g *Graph) Err() error { return g.err }

// Scope prefixes the notes of the operations that fn adds, for dumps and
// profiles: "layers.0.attn".
func (g *Graph) Scope(name string, fn func()) {
	old := g.scope
	if old != "" {
		name = old + "." + name
	}
	g.scope = name
	fn()
	g.scope = old
}

// fail records the first error with the line that called into the package.
func (g *Graph) fail(op, format string, args ...any) *Tensor {
	if g.err == nil {
		g.err = fmt.Errorf("tensor: %s: %s: %s (%s): %w", g.name, op, fmt.Sprintf(format, args...), callerLine(), ErrGraph)
	}
	return g.none()
}

// none is the value of a failed operation.
func (g *Graph) none() *Tensor { return &Tensor{g: g} }

// callerLine is the innermost line outside this package.
func callerLine() string {
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(3, pc)])
	for {
		f, more := frames.Next()
		if !strings.Contains(f.Function, "graft/tensor.") || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return "unknown line"
		}
	}
}

// ready reports whether the graph is sound and all tensors are its own.
func (g *Graph) ready(op string, ts ...*Tensor) bool {
	if g.err != nil {
		return false
	}
	for i, t := range ts {
		if t == nil {
			g.fail(op, "operand %d is nil", i)
			return false
		}
		if t.g != g {
			g.fail(op, "operand %d belongs to graph %q", i, t.g.name)
			return false
		}
	}
	return true
}

// slot declares named memory, or returns it when it was declared alike.
func (g *Graph) slot(what, name string, dt kernels.DType, role kernels.Role, shape []int) *Tensor {
	if g.err != nil {
		return g.none()
	}
	for _, n := range shape {
		if n <= 0 {
			return g.fail(what, "%q has shape %v", name, shape)
		}
	}
	if t, ok := g.slots[name]; ok {
		s := g.prog.Slots[t.view.Slot]
		if s.DType != dt || s.Role != role || !slices.Equal(s.Shape, shape) {
			return g.fail(what, "%q is %v %v %v, declared as %v %v %v before", name, role, dt, shape, s.Role, s.DType, s.Shape)
		}
		return t
	}
	id := g.prog.AddSlot(kernels.Slot{Name: name, DType: dt, Shape: shape, Role: role})
	t := &Tensor{g: g, view: kernels.Dense(id, 0, shape...)}
	g.slots[name] = t
	return t
}

// Input declares memory that the host writes before each run.
func (g *Graph) Input(name string, dt kernels.DType, shape ...int) *Tensor {
	return g.slot("input", name, dt, kernels.Input, shape)
}

// Param declares memory that outlives runs and is shared, by name, with other
// programs: weights, gradients, moments, caches.
func (g *Graph) Param(name string, dt kernels.DType, shape ...int) *Tensor {
	return g.slot("param", name, dt, kernels.Persistent, shape)
}

// Output makes x readable by the host after a run, as a dense array.
func (g *Graph) Output(name string, x *Tensor) {
	if !g.ready("output", x) {
		return
	}
	if _, ok := g.slots[name]; ok {
		g.fail("output", "%q is declared already", name)
		return
	}
	y := g.slot("output", name, g.dtype(x), kernels.Output, x.view.Shape)
	g.emit(kernels.Copy, kernels.Attr{}, []*Tensor{x}, []*Tensor{y}, nil)
}

// temp declares memory that lives inside one run.
func (g *Graph) temp(op kernels.Op, dt kernels.DType, shape []int) *Tensor {
	id := g.prog.AddSlot(kernels.Slot{Name: fmt.Sprintf("%v.%d", op, len(g.prog.Slots)), DType: dt, Shape: shape})
	return &Tensor{g: g, view: kernels.Dense(id, 0, shape...)}
}

// emit appends an instruction, checked against its row.
func (g *Graph) emit(op kernels.Op, a kernels.Attr, in, out []*Tensor, v vjp) *node {
	instr := &kernels.Instr{Op: op, In: viewsOf(in), Out: viewsOf(out), Attr: a, Note: g.note()}
	if _, err := kernels.Check(&g.prog, *instr); err != nil {
		g.fail("graph", "%v", strings.TrimSuffix(err.Error(), ": "+kernels.ErrProgram.Error()))
	}
	n := &node{instr: instr, in: in, out: out, vjp: v, region: g.region}
	for _, t := range out {
		if t.node == nil && g.prog.Slots[t.view.Slot].Role == kernels.Temp {
			t.node = n
		}
	}
	g.nodes = append(g.nodes, n)
	return n
}

func (g *Graph) note() string {
	if g.scope == "" {
		return callerLine()
	}
	return g.scope + " " + callerLine()
}

func viewsOf(ts []*Tensor) []kernels.View {
	vs := make([]kernels.View, len(ts))
	for i, t := range ts {
		vs[i] = t.view
	}
	return vs
}

// Compile returns the program, or the first error of the graph. Instructions
// whose results nobody reads are left out. What a gradient reads is kept for it,
// or computed again where that is cheap and lowers the memory of the program;
// the bits are the same.
func (g *Graph) Compile() (*kernels.Program, error) {
	p, err := g.program()
	if err != nil {
		return nil, err
	}
	if g.differentiated {
		rematerialize(p)
	}
	dropUnused(p)
	return p, nil
}

// program lists the instructions whose results are read.
func (g *Graph) program() (*kernels.Program, error) {
	if g.err != nil {
		return nil, g.err
	}
	p := &kernels.Program{Name: g.name, Slots: slices.Clone(g.prog.Slots)}
	live := make([]bool, len(p.Slots))
	for _, n := range slices.Backward(g.nodes) {
		if n.instr == nil || n.replaced || !useful(p, n.instr, live) {
			continue
		}
		for _, v := range n.instr.In {
			live[v.Slot] = true
		}
		for o, v := range n.instr.Out {
			live[v.Slot] = live[v.Slot] || kernels.Reads(*n.instr, o)
		}
		in := *n.instr
		in.In, in.Out = slices.Clone(in.In), slices.Clone(in.Out)
		p.Code = append(p.Code, in)
	}
	slices.Reverse(p.Code)
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("tensor: %w", err)
	}
	return p, nil
}

// useful reports whether an instruction writes something that is read later or
// outlives the run.
func useful(p *kernels.Program, in *kernels.Instr, live []bool) bool {
	for _, v := range in.Out {
		if live[v.Slot] || p.Slots[v.Slot].Role != kernels.Temp {
			return true
		}
	}
	return false
}

// dropUnused removes temporary slots that no instruction mentions.
func dropUnused(p *kernels.Program) {
	used := make([]bool, len(p.Slots))
	each(p, func(v *kernels.View) { used[v.Slot] = true })
	renumber := make([]kernels.SlotID, len(p.Slots))
	var kept []kernels.Slot
	for i, s := range p.Slots {
		if used[i] || s.Role != kernels.Temp {
			renumber[i] = kernels.SlotID(len(kept))
			kept = append(kept, s)
		}
	}
	p.Slots = kept
	each(p, func(v *kernels.View) { v.Slot = renumber[v.Slot] })
}

// each visits the views of a program for change.
func each(p *kernels.Program, visit func(*kernels.View)) {
	for i := range p.Code {
		for j := range p.Code[i].In {
			visit(&p.Code[i].In[j])
		}
		for j := range p.Code[i].Out {
			visit(&p.Code[i].Out[j])
		}
	}
}
