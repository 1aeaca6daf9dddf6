package cpu

import (
	"fmt"
	"slices"

	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// operand is a view on a slot or on the scratch of the current instruction,
// before it has memory.
type operand struct {
	slot   kernels.SlotID // or kernels.Scratch
	base   int64          // of scratch: byte offset from the instruction's scratch
	dt     kernels.DType
	off    int
	shape  []int
	stride []int
}

func (o operand) dim(i int) int { return o.shape[i] }

// span is the range of bytes that the operand touches.
func (o operand) span() kernels.Span {
	lo, hi := kernels.View{Offset: o.off, Shape: o.shape, Stride: o.stride}.Extent()
	n := int64(o.dt.Size())
	return kernels.Span{Slot: o.slot, Lo: o.base + int64(lo)*n, Hi: o.base + int64(hi)*n}
}

// rows is the part of the operand whose first axis is in [lo, hi).
func (o operand) rows(lo, hi int) operand {
	o.shape = slices.Clone(o.shape)
	o.off += lo * o.stride[0]
	o.shape[0] = hi - lo
	return o
}

// task is the work of one task of a bound step; local is the buffer of the
// goroutine that runs it.
type task func(i int, local []float32)

// step is a kernel launch: tasks that may run at once, in any order.
type step struct {
	instr  int
	kernel string
	reads  []operand
	writes []operand
	tasks  int
	local  int       // elements of the buffer that each goroutine needs
	work   int       // nanoseconds that one goroutine may take, roughly; set by add
	moves  int       // bytes that it reads and writes, where that is little of its operands; else 0
	soon   []operand // what of the reads is worth fetching before the step can begin
	bind   func(m *memory) task
}

// builder turns the instructions of a program into steps. It runs for Plan
// and, equally, for Compile.
type builder struct {
	p       *kernels.Program
	tier    *simd.Tier
	threads int // among whom work is to be divided; what is computed does not depend on it
	steps   []step
	instr   int
	flops   int64      // of the current instruction
	used    int64      // scratch of the current instruction so far
	scratch []int64    // per instruction
	packs   [2]operand // scratch of the current instruction for packed operands
}

// build lowers a whole program.
func build(p *kernels.Program, tier *simd.Tier, threads int) (*builder, error) {
	b := &builder{p: p, tier: tier, threads: threads, scratch: make([]int64, len(p.Code))}
	for i, in := range p.Code {
		d, err := kernels.Check(p, in)
		if err != nil {
			return nil, fmt.Errorf("cpu: %s: instruction %d: %w", p.Name, i, err)
		}
		b.instr, b.used, b.packs = i, 0, [2]operand{}
		b.flops = kernels.CostOf(p, in, d).FLOPs
		lowerings(in.Op)(b, in, d)
		b.scratch[i] = b.used
	}
	return b, nil
}

// view is an operand of the instruction.
func (b *builder) view(v kernels.View) operand {
	return operand{slot: v.Slot, dt: b.p.DType(v), off: v.Offset, shape: v.Shape, stride: v.Stride}
}

// in and out give operands by port name; ok is false for absent ones.
func (b *builder) in(in kernels.Instr, port string) (o operand, ok bool) {
	v, ok := kernels.In(in, port)
	if !ok {
		return operand{}, false
	}
	return b.view(v), true
}

func (b *builder) out(in kernels.Instr, port string) (o operand, ok bool) {
	v, ok := kernels.Out(in, port)
	if !ok {
		return operand{}, false
	}
	return b.view(v), true
}

// temp is a dense F32 array in the instruction's scratch.
func (b *builder) temp(shape ...int) operand {
	v := kernels.Dense(kernels.Scratch, 0, shape...)
	o := operand{slot: kernels.Scratch, base: b.used, dt: kernels.F32, shape: v.Shape, stride: v.Stride}
	b.used += (int64(v.Len())*4 + align - 1) / align * align
	return o
}

// add appends a step. What it costs is guessed from its operands, at a core's
// share of the memory's speed, and from the arithmetic of the whole
// instruction; only how many goroutines are woken depends on it.
func (b *builder) add(s step) {
	s.instr = b.instr
	bytes := int64(0)
	for _, os := range [2][]operand{s.reads, s.writes} {
		for _, o := range os {
			span := o.span()
			bytes += span.Hi - span.Lo
		}
	}
	s.work = int(bytes/8 + b.flops/16)
	if s.moves > 0 {
		s.work = s.moves / 8
	}
	b.steps = append(b.steps, s)
}

// locals is the size of a goroutine's buffer.
func (b *builder) locals() int {
	n := 0
	for _, s := range b.steps {
		n = max(n, s.local)
	}
	return (n + 15) / 16 * 16
}

// early is those of some operands that are worth fetching before the steps ahead of
// theirs are done: weights and the like, of which these write nothing or little.
func (b *builder) early(all ...operand) (os []operand) {
	for _, o := range all {
		if o.slot != kernels.Scratch && b.p.Slots[o.slot].Role == kernels.Persistent {
			os = append(os, o)
		}
	}
	return os
}

// memory is what steps are bound to.
type memory struct {
	slots   [][]byte // per slot
	temp    []byte   // the temporary region
	scratch []int64  // per instruction: offset in temp
	instr   int      // being bound
	tier    *simd.Tier
	threads int
}

// array binds an operand.
func (m *memory) array(o operand) *array {
	mem := m.temp
	at := int64(o.off) * int64(o.dt.Size())
	if o.slot == kernels.Scratch {
		at += m.scratch[m.instr] + o.base
	} else {
		mem = m.slots[o.slot]
	}
	b := mem[at:]
	a := &array{tier: m.tier, dt: o.dt, b: b, shape: o.shape, stride: o.stride}
	switch o.dt {
	case kernels.F32:
		a.f = cast[float32](b)
	case kernels.BF16, kernels.F16, kernels.U16:
		a.h = cast[uint16](b)
	case kernels.I32:
		a.i = cast[int32](b)
	}
	return a
}

// blocks is the number of pieces of at most size in n.
func blocks(n, size int) int { return (n + size - 1) / size }

// rowsPerTask is how many rows of the given work make a task worth waking a
// goroutine for. It depends on shapes only.
func rowsPerTask(work int) int { return max(1, grain/max(1, work)) }

// grain is the least number of elements of a task.
const grain = 8192

// carve cuts n elements off a buffer.
func carve(local *[]float32, n int) []float32 {
	out := (*local)[:n:n]
	*local = (*local)[n:]
	return out
}
