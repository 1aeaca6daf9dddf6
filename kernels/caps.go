package kernels

import "fmt"

// Caps describes a device.
type Caps struct {
	Name        string   // name of the backend
	Device      string   // what the hardware or driver calls itself
	Fingerprint string   // what can change the bits of a result: device, driver, kernels, tier
	Align       int64    // alignment of offsets, bytes
	Memory      int64    // bytes available; 0 is unknown
	MaxBuffer   int64    // bytes of one piece of a buffer: no slot straddles a multiple of it; 0 is no limit
	Guard       int64    // bytes that each piece takes behind its own
	Fixed       int64    // bytes that the backend holds for itself while it is open
	MatrixTypes []DType  // types with fast matrix products
	Threads     int      // CPU threads, 0 elsewhere
	Notes       []string // what else a user may want to know of the device, a line each
}

// Place gives the first offset at or after end, in a buffer, at which size
// bytes are aligned and straddle no multiple of MaxBuffer. The size must not
// exceed MaxBuffer.
func (c Caps) Place(end, size int64) int64 {
	at := roundUp(end, c.Align)
	if c.MaxBuffer > 0 && size > 0 && at/c.MaxBuffer != (at+size-1)/c.MaxBuffer {
		at = roundUp(at, c.MaxBuffer)
	}
	return at
}

// BufferBytes is what Alloc takes of the memory for a buffer of size bytes.
func (c Caps) BufferBytes(size int64) int64 {
	pieces := int64(1)
	if c.MaxBuffer > 0 && size > 0 {
		pieces = (size + c.MaxBuffer - 1) / c.MaxBuffer
	}
	return roundUp(size, c.Align) + pieces*c.Guard
}

// Fits returns nil, or an error that wraps ErrOutOfMemory and names the first
// slot of the program that is larger than one piece of a buffer.
func (c Caps) Fits(p *Program) error {
	for _, s := range p.Slots {
		if n := s.Bytes(); c.MaxBuffer > 0 && n > c.MaxBuffer {
			return fmt.Errorf("%s: %v slot %q %v of program %s takes %d bytes, %s allows %d in one piece: %w",
				c.Name, s.Role, s.Name, s.Shape, p.Name, n, c.Device, c.MaxBuffer, ErrOutOfMemory)
		}
	}
	return nil
}

// roundUp gives the first multiple of align, or of 1 when it is 0, from n on.
func roundUp(n, align int64) int64 {
	align = max(1, align)
	return (n + align - 1) / align * align
}
