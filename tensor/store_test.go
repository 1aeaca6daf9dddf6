package tensor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/tensor"
)

// limited is a device whose buffers come in small pieces with guard zones. It counts
// what is allocated and refuses regions that straddle a border.
type limited struct {
	kernels.Backend
	piece, guard int64
	taken        int64 // bytes of the buffers that are open
	buffers      int   // made so far
	fail         int   // allocations until one fails; 0 is never
}

type limitedBuffer struct {
	kernels.Buffer
	be *limited
}

func (b limitedBuffer) Close() error {
	b.be.taken -= b.be.Caps().BufferBytes(b.Size())
	return b.Buffer.Close()
}

var errFull = errors.New("full")

func (l *limited) Caps() kernels.Caps {
	c := l.Backend.Caps()
	c.MaxBuffer, c.Guard = l.piece, l.guard
	return c
}

func (l *limited) Alloc(size int64, where kernels.Place) (kernels.Buffer, error) {
	if l.fail--; l.fail == 0 {
		return nil, errFull
	}
	b, err := l.Backend.Alloc(size, where)
	if err != nil {
		return nil, err
	}
	l.buffers++
	l.taken += l.Caps().BufferBytes(size)
	return limitedBuffer{b, l}, nil
}

func (l *limited) Compile(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	for id, r := range bind {
		if l.piece > 0 && r.Offset/l.piece != (r.Offset+r.Size-1)/l.piece {
			return nil, fmt.Errorf("slot %q lies at [%d, %d)", p.Slots[id].Name, r.Offset, r.Offset+r.Size)
		}
	}
	return l.Backend.Compile(p, pl, bind, temp)
}

// scale is a program y = 2 x for several persistent x and y.
func scale(t *testing.T, lengths ...int) *kernels.Program {
	t.Helper()
	p := &kernels.Program{Name: "scale"}
	for i, n := range lengths {
		x := p.AddSlot(kernels.Slot{Name: fmt.Sprint("x", i), Shape: []int{n}, Role: kernels.Persistent})
		y := p.AddSlot(kernels.Slot{Name: fmt.Sprint("y", i), Shape: []int{n}, Role: kernels.Persistent})
		tmp := p.AddSlot(kernels.Slot{Name: fmt.Sprint("t", i), Shape: []int{n}})
		p.Code = append(p.Code,
			kernels.Instr{Op: kernels.Copy, In: []kernels.View{kernels.Dense(x, 0, n)}, Out: []kernels.View{kernels.Dense(tmp, 0, n)}},
			kernels.Instr{Op: kernels.Unary, Attr: kernels.Attr{Alpha: 2}, In: []kernels.View{kernels.Dense(tmp, 0, n)}, Out: []kernels.View{kernels.Dense(y, 0, n)}})
	}
	return p
}

func TestStoreInPieces(t *testing.T) {
	lengths := []int{100, 200, 7, 256, 90, 1} // floats
	for _, c := range []struct {
		name         string
		piece, guard int64
		buffers      int
	}{
		{"one buffer", 0, 0, 1},
		{"just the largest slot", 1024, 64, 6},
		{"several to a buffer", 2112, 128, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			cpu, err := kernels.Open("cpu:1")
			if err != nil {
				t.Fatal(err)
			}
			defer cpu.Close()
			be := &limited{Backend: cpu, piece: c.piece, guard: c.guard}
			s := tensor.NewStore(be)
			p := scale(t, lengths...)
			if err := errors.Join(s.Declare(p), s.Alloc()); err != nil {
				t.Fatal(err)
			}
			if m := s.Memory(); m.Persistent+m.Temp != be.taken || be.buffers != c.buffers+1 {
				t.Errorf("planned %+v, allocated %d bytes in %d buffers, want %d and one for temporaries", m, be.taken, be.buffers, c.buffers)
			}
			ex, err := s.Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range lengths {
				// Small powers of two, so that doubling adds one to the exponent.
				if err := s.Write(fmt.Sprint("x", i), 0, bytes.Repeat([]byte{0, 0, 0x80, byte(0x30 + i)}, n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := ex.Run(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			for i, n := range lengths {
				got := make([]byte, 4*n)
				if err := s.Read(fmt.Sprint("y", i), 0, got); err != nil {
					t.Fatal(err)
				}
				if want := bytes.Repeat([]byte{0, 0, 0, byte(0x31 + i)}, n); !bytes.Equal(got, want) {
					t.Errorf("y%d: got % x..., want % x...", i, got[:4], want[:4])
				}
			}
			if err := s.Close(); err != nil || be.taken != 0 {
				t.Errorf("after Close %d bytes are taken, %v", be.taken, err)
			}
		})
	}
}

func TestStoreSlotTooLarge(t *testing.T) {
	cpu, err := kernels.Open("cpu:1")
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	s := tensor.NewStore(&limited{Backend: cpu, piece: 1023})
	err = s.Declare(scale(t, 3, 256))
	if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), `"x1" [256] of program scale takes 1024 bytes`) {
		t.Errorf("got %v, want ErrOutOfMemory that names the slot", err)
	}
}

// TestStoreAllocFails fails each allocation in turn: none may stay.
func TestStoreAllocFails(t *testing.T) {
	cpu, err := kernels.Open("cpu:1")
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	for n := 1; ; n++ {
		be := &limited{Backend: cpu, piece: 1024, fail: n}
		s := tensor.NewStore(be)
		p := scale(t, 100, 200, 256)
		if err := s.Declare(p); err != nil {
			t.Fatal(err)
		}
		err := s.Alloc()
		if err == nil {
			if n < 4 {
				t.Errorf("the store allocates only %d times", n-1)
			}
			if err := s.Alloc(); err == nil {
				t.Error("allocated twice")
			}
			s.Close()
			return
		}
		if !errors.Is(err, errFull) || be.taken != 0 {
			t.Errorf("allocation %d fails: got %v, and %d bytes stay", n, err, be.taken)
		}
		if _, err := s.Compile(p); err == nil {
			t.Errorf("allocation %d fails: Compile works", n)
		}
	}
}
