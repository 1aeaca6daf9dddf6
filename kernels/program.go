package kernels

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// SlotID is an index into Program.Slots.
type SlotID int32

// Role says who owns the memory of a slot.
type Role uint8

// Temp slots live inside one run; Persistent ones are bound to memory that
// outlives it (weights, gradients, moments, caches); Input is written by the
// host between runs, Output is read by it.
const (
	Temp Role = iota
	Persistent
	Input
	Output
)

func (r Role) String() string {
	return name([]string{"temp", "persistent", "input", "output"}, int(r))
}

// Slot is a named piece of memory that holds a dense row-major array.
type Slot struct {
	Name  string
	DType DType
	Shape []int
	Role  Role
}

// Len is the number of elements; a shape () has one.
func (s Slot) Len() int { return size(s.Shape) }

// Bytes is Len times the size of the type.
func (s Slot) Bytes() int64 { return int64(s.Len()) * int64(s.DType.Size()) }

// View is a strided window on a slot: element (i0, i1, ...) lies at
// Offset + i0*Stride[0] + i1*Stride[1] + ... elements from the slot's start.
// A stride of 0 repeats; strides are never negative.
type View struct {
	Slot   SlotID
	Offset int
	Shape  []int
	Stride []int
}

// Dense is the view of a whole row-major array of the given shape at offset.
func Dense(s SlotID, offset int, shape ...int) View {
	v := View{Slot: s, Offset: offset, Shape: slices.Clone(shape), Stride: make([]int, len(shape))}
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		v.Stride[i] = n
		n *= shape[i]
	}
	return v
}

// Len is the number of elements that the view visits, repeats counted.
func (v View) Len() int { return size(v.Shape) }

// IsDense reports whether the elements are contiguous in row-major order.
// Axes of size 1 may have any stride.
func (v View) IsDense() bool {
	n := 1
	for i := len(v.Shape) - 1; i >= 0; i-- {
		if v.Shape[i] != 1 && v.Stride[i] != n {
			return false
		}
		n *= v.Shape[i]
	}
	return true
}

// RowStride returns the distance between rows when the innermost `inner` axes
// are dense and all axes before them collapse into one with a single stride
// (which is 0 for a repeated row). ok is false when they do not.
func (v View) RowStride(inner int) (stride int, ok bool) {
	k := len(v.Shape) - inner
	if k < 0 {
		return 0, false
	}
	if !(View{Shape: v.Shape[k:], Stride: v.Stride[k:]}).IsDense() {
		return 0, false
	}
	stride, want, seen := size(v.Shape[k:]), 0, false
	for i := k - 1; i >= 0; i-- {
		if v.Shape[i] == 1 {
			continue
		}
		if seen && v.Stride[i] != want {
			return 0, false
		}
		if !seen {
			stride, seen = v.Stride[i], true
		}
		want = v.Stride[i] * v.Shape[i]
	}
	return stride, true
}

// Extent is the half-open range of elements of the slot that the view spans,
// gaps between rows included. It is empty for a view without elements.
func (v View) Extent() (lo, hi int) {
	if v.Len() == 0 {
		return v.Offset, v.Offset
	}
	hi = v.Offset + 1
	for i, n := range v.Shape {
		hi += (n - 1) * v.Stride[i]
	}
	return v.Offset, hi
}

// Same reports whether two views visit the same elements in the same order.
func (v View) Same(w View) bool {
	if v.Slot != w.Slot || v.Offset != w.Offset || v.Len() != w.Len() {
		return false
	}
	return slices.Equal(v.Shape, w.Shape) && slices.Equal(v.Stride, w.Stride) || v.IsDense() && w.IsDense()
}

// Instr is one operation on views. Out views of an Update port are read too.
type Instr struct {
	Op   Op
	In   []View
	Out  []View
	Attr Attr
	Note string // where it came from, for dumps and errors; no meaning
}

// Program is a straight list of instructions over slots.
type Program struct {
	Name  string
	Slots []Slot
	Code  []Instr
}

// ErrProgram is wrapped by every error of Program.Validate and Check.
var ErrProgram = errors.New("invalid program")

// AddSlot appends a slot and returns its number.
func (p *Program) AddSlot(s Slot) SlotID {
	s.Shape = slices.Clone(s.Shape)
	p.Slots = append(p.Slots, s)
	return SlotID(len(p.Slots) - 1)
}

// DType is the storage type of a view.
func (p *Program) DType(v View) DType { return p.Slots[v.Slot].DType }

// Find returns the slot with the given name.
func (p *Program) Find(name string) (SlotID, bool) {
	for i, s := range p.Slots {
		if s.Name == name {
			return SlotID(i), true
		}
	}
	return -1, false
}

// Validate checks everything that does not depend on a backend: shapes are
// positive and their sizes do not overflow, views lie inside their slots,
// every instruction obeys its row, inputs are not written, a temporary is
// written before it is read and every output is written.
func (p *Program) Validate() error {
	for i, s := range p.Slots {
		if s.DType >= numDTypes {
			return fmt.Errorf("kernels: %s: slot %d %q: unknown %v: %w", p.Name, i, s.Name, s.DType, ErrProgram)
		}
		n := int64(s.DType.Size())
		for _, d := range s.Shape {
			if d <= 0 || n > math.MaxInt64/int64(d) {
				return fmt.Errorf("kernels: %s: slot %q: bad shape %v: %w", p.Name, s.Name, s.Shape, ErrProgram)
			}
			n *= int64(d)
		}
	}
	written := make([]bool, len(p.Slots))
	for i := range p.Code {
		if err := p.validateInstr(i, written); err != nil {
			return err
		}
	}
	for i, s := range p.Slots {
		if s.Role == Output && !written[i] {
			return fmt.Errorf("kernels: %s: output %q is never written: %w", p.Name, s.Name, ErrProgram)
		}
	}
	return nil
}

func (p *Program) validateInstr(i int, written []bool) error {
	in := p.Code[i]
	fail := func(err error) error {
		at := ""
		if in.Note != "" {
			at = " (" + in.Note + ")"
		}
		return fmt.Errorf("kernels: %s: instruction %d%s: %w", p.Name, i, at, err)
	}
	if in.Op >= NumOps {
		return fail(fmt.Errorf("%v: unknown operation: %w", in.Op, ErrProgram))
	}
	for _, v := range slices.Concat(in.In, in.Out) {
		if err := p.checkView(v); err != nil {
			return fail(fmt.Errorf("%v: %w", in.Op, err))
		}
	}
	if _, err := Check(p, in); err != nil {
		return fail(err)
	}
	reads := slices.Clone(in.In)
	for o, v := range in.Out {
		if Reads(in, o) {
			reads = append(reads, v)
		}
	}
	for _, v := range reads {
		if s := p.Slots[v.Slot]; !written[v.Slot] && (s.Role == Temp || s.Role == Output) {
			return fail(fmt.Errorf("%v reads %q before it is written: %w", in.Op, s.Name, ErrProgram))
		}
	}
	for _, v := range in.Out {
		if s := p.Slots[v.Slot]; s.Role == Input {
			return fail(fmt.Errorf("%v writes input %q: %w", in.Op, s.Name, ErrProgram))
		}
		written[v.Slot] = true
	}
	return nil
}

func (p *Program) checkView(v View) error {
	if v.Slot < 0 || int(v.Slot) >= len(p.Slots) {
		return fmt.Errorf("slot %d of %d: %w", v.Slot, len(p.Slots), ErrProgram)
	}
	s := p.Slots[v.Slot]
	if len(v.Shape) != len(v.Stride) {
		return fmt.Errorf("view of %q: %d sizes, %d strides: %w", s.Name, len(v.Shape), len(v.Stride), ErrProgram)
	}
	for i, n := range v.Shape {
		if n <= 0 || v.Stride[i] < 0 {
			return fmt.Errorf("view of %q: shape %v stride %v: %w", s.Name, v.Shape, v.Stride, ErrProgram)
		}
	}
	if lo, hi := v.Extent(); lo < 0 || hi > s.Len() {
		return fmt.Errorf("view of %q spans [%d, %d) of %d elements: %w", s.Name, lo, hi, s.Len(), ErrProgram)
	}
	return nil
}

// String lists the program, one instruction a line.
func (p *Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "program %s: %d slots, %d instructions\n", p.Name, len(p.Slots), len(p.Code))
	for i, in := range p.Code {
		fmt.Fprintf(&b, "%4d  %-16s", i, in.Op)
		p.writeViews(&b, in.Out)
		b.WriteString(" <-")
		p.writeViews(&b, in.In)
		if in.Note != "" {
			fmt.Fprintf(&b, "  ; %s", in.Note)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (p *Program) writeViews(b *strings.Builder, vs []View) {
	for _, v := range vs {
		s := p.Slots[v.Slot]
		fmt.Fprintf(b, " %s", s.Name)
		if v.Offset != 0 {
			fmt.Fprintf(b, "+%d", v.Offset)
		}
		fmt.Fprintf(b, "%v%v", v.Shape, s.DType)
	}
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
