package tensor

import (
	"errors"
	"fmt"
	"slices"

	"graft/kernels"
)

// Store holds the persistent memory of the programs of a run, bound by name,
// and the one temporary region that they share. Declare programs, look at
// Bytes, Alloc, then Compile each.
type Store struct {
	be    kernels.Backend
	slots map[string]*stored
	names []string // in the order of declaration
	plans map[*kernels.Program]kernels.Plan
	temp  int64
	io    int64
	mem   []kernels.Buffer // for persistent slots, each of one piece; the last for temporaries
	execs []kernels.Exec
}

type stored struct {
	slot   kernels.Slot
	buffer int // index into mem
	offset int64
}

// NewStore returns an empty store on a backend.
func NewStore(be kernels.Backend) *Store {
	return &Store{be: be, slots: map[string]*stored{}, plans: map[*kernels.Program]kernels.Plan{}}
}

// Declare plans a program and adds its persistent slots. Slots of the same name
// must agree in type and shape.
func (s *Store) Declare(p *kernels.Program) error {
	if s.mem != nil {
		return errors.New("tensor: store: Declare after Alloc")
	}
	if err := s.be.Caps().Fits(p); err != nil {
		return err
	}
	pl, err := s.be.Plan(p)
	if err != nil {
		return err
	}
	for _, slot := range p.Slots {
		if slot.Role != kernels.Persistent {
			continue
		}
		if old, ok := s.slots[slot.Name]; ok {
			if old.slot.DType != slot.DType || !slices.Equal(old.slot.Shape, slot.Shape) {
				return fmt.Errorf("tensor: store: %q is %v %v in program %s, %v %v before",
					slot.Name, slot.DType, slot.Shape, p.Name, old.slot.DType, old.slot.Shape)
			}
			continue
		}
		s.slots[slot.Name] = &stored{slot: slot}
		s.names = append(s.names, slot.Name)
	}
	s.plans[p] = pl
	s.temp = max(s.temp, pl.TempBytes)
	s.io += pl.IOBytes + pl.HostBytes
	return nil
}

// Memory is what a store takes, in bytes.
type Memory struct {
	Persistent int64 // weights, gradients, moments, caches
	Temp       int64 // activations and scratch, shared by the programs
	IO         int64 // inputs, outputs, host scratch and what the backend holds for itself
}

// Total is the sum of all kinds.
func (m Memory) Total() int64 { return m.Persistent + m.Temp + m.IO }

// Memory returns what Alloc and Compile will take.
func (s *Store) Memory() Memory {
	caps := s.be.Caps()
	m := Memory{Temp: caps.BufferBytes(s.temp), IO: s.io + caps.Fixed}
	for _, n := range s.layout() {
		m.Persistent += caps.BufferBytes(n)
	}
	return m
}

// BytesOf returns the bytes of the persistent slots that match.
func (s *Store) BytesOf(match func(name string) bool) int64 {
	var n int64
	for _, name := range s.names {
		if match(name) {
			n += s.slots[name].slot.Bytes()
		}
	}
	return n
}

// layout places the persistent slots side by side and returns the size of each
// buffer. A slot that would straddle two pieces of a buffer starts another: that
// leaves no holes, however large slots are.
func (s *Store) layout() (sizes []int64) {
	caps := s.be.Caps()
	sizes = []int64{0}
	for _, name := range s.names {
		st, last := s.slots[name], len(sizes)-1
		n := st.slot.Bytes()
		st.buffer, st.offset = last, caps.Place(sizes[last], n)
		if caps.MaxBuffer > 0 && st.offset+n > caps.MaxBuffer {
			st.buffer, st.offset = last+1, 0
			sizes = append(sizes, 0)
		}
		sizes[st.buffer] = st.offset + n
	}
	return sizes
}

// Alloc takes the memory, zeroed: all of it or, with an error, none.
func (s *Store) Alloc() error {
	if s.mem != nil {
		return errors.New("tensor: store: Alloc twice")
	}
	for _, n := range append(s.layout(), s.temp) {
		b, err := s.be.Alloc(n, kernels.Device)
		if err != nil {
			return errors.Join(err, s.Close())
		}
		s.mem = append(s.mem, b)
	}
	return nil
}

// Compile makes a declared program runnable. Its Exec is closed with the store.
func (s *Store) Compile(p *kernels.Program) (kernels.Exec, error) {
	pl, ok := s.plans[p]
	if !ok || s.mem == nil {
		return nil, fmt.Errorf("tensor: store: program %s is not declared, or Alloc has not been called", p.Name)
	}
	bind := map[kernels.SlotID]kernels.Region{}
	for i, slot := range p.Slots {
		if slot.Role == kernels.Persistent {
			bind[kernels.SlotID(i)] = s.region(s.slots[slot.Name])
		}
	}
	ex, err := s.be.Compile(p, pl, bind, kernels.Region{Buffer: s.mem[len(s.mem)-1], Size: s.temp})
	if err == nil {
		s.execs = append(s.execs, ex)
	}
	return ex, err
}

func (s *Store) region(st *stored) kernels.Region {
	return kernels.Region{Buffer: s.mem[st.buffer], Offset: st.offset, Size: st.slot.Bytes()}
}

// Names lists the persistent slots in the order in which they were declared.
func (s *Store) Names() []string { return slices.Clone(s.names) }

// Slot describes a persistent slot.
func (s *Store) Slot(name string) (kernels.Slot, bool) {
	st, ok := s.slots[name]
	if !ok {
		return kernels.Slot{}, false
	}
	return st.slot, true
}

// Write copies data, in storage format, into a slot from byte offset on.
func (s *Store) Write(name string, offset int64, data []byte) error {
	r, err := s.part(name, offset, int64(len(data)))
	if err != nil {
		return err
	}
	return kernels.Upload(s.be, r, data)
}

// Read copies a slot's bytes from byte offset on into dst.
func (s *Store) Read(name string, offset int64, dst []byte) error {
	r, err := s.part(name, offset, int64(len(dst)))
	if err != nil {
		return err
	}
	return kernels.Download(s.be, dst, r)
}

func (s *Store) part(name string, offset, n int64) (kernels.Region, error) {
	st, ok := s.slots[name]
	if !ok || s.mem == nil {
		return kernels.Region{}, fmt.Errorf("tensor: store: no memory named %q", name)
	}
	if size := st.slot.Bytes(); offset < 0 || n < 0 || offset > size-n {
		return kernels.Region{}, fmt.Errorf("tensor: store: bytes [%d, %d) of %q, which has %d", offset, offset+n, name, size)
	}
	return kernels.Region{Buffer: s.mem[st.buffer], Offset: st.offset + offset, Size: n}, nil
}

// Close frees programs and memory.
func (s *Store) Close() error {
	var errs []error
	for _, ex := range slices.Backward(s.execs) {
		errs = append(errs, ex.Close())
	}
	for _, b := range slices.Backward(s.mem) {
		errs = append(errs, b.Close())
	}
	s.execs, s.mem = nil, nil
	return errors.Join(errs...)
}
