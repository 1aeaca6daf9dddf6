package cpu

import (
	"fmt"
	"unsafe"

	"graft/kernels"
)

// align is the alignment of every buffer and offset: a cache line, and what
// the widest vector registers want.
const align = 64

// hugePage is what the processor translates at once where the system allows
// it. Smaller buffers come from the Go heap.
const hugePage = 2 << 20

// buffer is host memory: of the Go heap, or mapped and then given back by
// Close.
type buffer struct {
	mem    []byte
	mapped bool
}

// alloc gives n zeroed bytes at a multiple of align.
func alloc(n int64) (*buffer, error) {
	if n < hugePage || !canMap {
		mem, err := heap(n)
		return &buffer{mem: mem}, err
	}
	if err := fits(n); err != nil {
		return nil, err
	}
	mem, err := mapZeroed(int(n))
	if err != nil {
		return nil, fmt.Errorf("cpu: mapping %d bytes: %w: %w", n, kernels.ErrOutOfMemory, err)
	}
	return &buffer{mem: mem, mapped: true}, nil
}

// heap gives n zeroed bytes of the Go heap at a multiple of align.
func heap(n int64) ([]byte, error) {
	if err := fits(n); err != nil {
		return nil, err
	}
	raw := make([]byte, n+align)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(raw))) & (align - 1)
	return raw[skip : int64(skip)+n : int64(skip)+n], nil
}

// fits refuses more than the machine has: the Go runtime ends the process when
// memory runs out.
func fits(n int64) error {
	most := memoryBytes("MemTotal")
	if most == 0 {
		most = 1 << 46
	}
	if n < 0 || n > most || int64(int(n)) != n {
		return fmt.Errorf("cpu: allocation of %d bytes on a machine of %d: %w", n, most, kernels.ErrOutOfMemory)
	}
	return nil
}

// Bytes is valid until Close.
func (b *buffer) Bytes() []byte { return b.mem }
func (b *buffer) Size() int64   { return int64(len(b.mem)) }

func (b *buffer) Close() error {
	mem := b.mem
	b.mem = nil
	if b.mapped && mem != nil {
		return unmap(mem)
	}
	return nil
}
