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
	be      kernels.Backend
	slots   map[string]*stored
	names   []string // in the order of declaration
	plans   map[*kernels.Program]kernels.Plan
	temp    int64
	io      int64
	mem     kernels.Buffer
	tempMem kernels.Buffer
	execs   []kernels.Exec
}

type stored struct {
	slot   kernels.Slot
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
	IO         int64 // inputs, outputs and host scratch
}

// Total is the sum of all kinds.
func (m Memory) Total() int64 { return m.Persistent + m.Temp + m.IO }

// Memory returns what Alloc and Compile will take.
func (s *Store) Memory() Memory {
	return Memory{Persistent: s.layout(), Temp: s.temp, IO: s.io}
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

func (s *Store) layout() int64 {
	align := max(1, s.be.Caps().Align)
	var end int64
	for _, name := range s.names {
		st := s.slots[name]
		st.offset = end
		end += (st.slot.Bytes() + align - 1) / align * align
	}
	return end
}

// Alloc takes the memory, zeroed.
func (s *Store) Alloc() error {
	var err error
	if s.mem, err = s.be.Alloc(max(1, s.layout()), kernels.Device); err != nil {
		return err
	}
	s.tempMem, err = s.be.Alloc(max(1, s.temp), kernels.Device)
	return err
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
	ex, err := s.be.Compile(p, pl, bind, kernels.Region{Buffer: s.tempMem, Size: s.temp})
	if err == nil {
		s.execs = append(s.execs, ex)
	}
	return ex, err
}

func (s *Store) region(st *stored) kernels.Region {
	return kernels.Region{Buffer: s.mem, Offset: st.offset, Size: st.slot.Bytes()}
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
	return kernels.Region{Buffer: s.mem, Offset: st.offset + offset, Size: n}, nil
}

// Close frees programs and memory.
func (s *Store) Close() error {
	var errs []error
	for _, ex := range slices.Backward(s.execs) {
		errs = append(errs, ex.Close())
	}
	for _, b := range []kernels.Buffer{s.tempMem, s.mem} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	s.execs, s.mem, s.tempMem = nil, nil, nil
	return errors.Join(errs...)
}
