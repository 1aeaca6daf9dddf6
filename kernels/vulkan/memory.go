package vulkan

import (
	"errors"
	"fmt"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// minGuard is how many bytes lie behind every allocation: a kernel that steps past its
// operand in a lane whose result is thrown away stays inside of memory.
const minGuard = 64 << 10

// minAlign is the least alignment of regions: room for the widest load of any kernel.
const minAlign = 256

// typed adds the kernels error that a result of the driver means, so that callers who
// know no Vulkan can tell.
func typed(err error) error {
	switch {
	case errors.Is(err, vk.ErrOutOfDevMemory), errors.Is(err, vk.ErrOutOfHostMemory):
		return fmt.Errorf("%w: %w", kernels.ErrOutOfMemory, err)
	case errors.Is(err, vk.ErrDeviceLost):
		return fmt.Errorf("%w: %w", kernels.ErrDeviceLost, err)
	}
	return err
}

var errClosed = errors.New("vulkan: the device is closed")

// Buffer is device memory with addresses. Drivers limit the size of one VkBuffer and one
// allocation, so a larger buffer is made of several pieces, all but the last of which have
// Caps().MaxBuffer bytes. Bytes is nil when the CPU cannot see the memory or there is more
// than one piece; ReadAt and WriteAt work everywhere, by way of a staging buffer if need be.
type Buffer struct {
	b      *Backend
	pieces []piece
	step   int64 // bytes of each piece but the last
	size   int64
}

// piece is one VkBuffer in memory of its own.
type piece struct {
	buf  vk.Buffer
	mem  vk.Memory
	addr uint64
	size int64
	data []byte // nil when not mapped

	taken int64 // bytes of mem
}

func (p *piece) free(b *Backend) {
	b.dev.DestroyBuffer(p.buf)
	b.dev.Free(p.mem)
}

var _ kernels.Buffer = (*Buffer)(nil)

// Alloc gives size bytes, zeroed. Host memory is visible to both sides and is what
// inputs and outputs lie in.
func (b *Backend) Alloc(size int64, where kernels.Place) (kernels.Buffer, error) {
	if b.closed() {
		return nil, errClosed
	}
	return b.alloc(size, where)
}

func (b *Backend) alloc(size int64, where kernels.Place) (*Buffer, error) {
	if size < 0 {
		return nil, fmt.Errorf("vulkan: alloc of %d bytes", size)
	}
	// Else it would be tried piece by piece until some driver gives up.
	if most := b.largestHeap(); size > most {
		return nil, fmt.Errorf("vulkan: alloc of %d bytes: %s has %d: %w", size, b.props.Name, most, kernels.ErrOutOfMemory)
	}
	u := &Buffer{b: b, size: size, step: b.maxBuffer}
	for at := int64(0); at == 0 || at < size; at += u.step {
		u.pieces = append(u.pieces, piece{size: min(u.step, size-at)})
		if err := u.pieces[len(u.pieces)-1].create(b, where); err != nil {
			u.Close()
			return nil, fmt.Errorf("vulkan: alloc of %d bytes: %w", size, typed(err))
		}
	}
	b.buffers[u] = struct{}{}
	return u, nil
}

// measure finds out what a buffer takes, so that plans can count it to the byte.
func (b *Backend) measure() error {
	b.align = max(minAlign, b.props.BufferAlign)
	b.guard = minGuard
	probe := piece{size: 1}
	defer probe.free(b)
	if err := probe.createBuffer(b); err != nil {
		return err
	}
	// Drivers round sizes to the alignment; should one want more, it is part of the guard.
	need, align, _ := b.dev.Requirements(probe.buf)
	b.align = max(b.align, align)
	b.guard = max(minGuard, need-b.align)
	b.maxBuffer = (min(b.props.MaxAllocationSize, b.props.MaxBufferSize) - b.guard) / b.align * b.align
	return nil
}

// bytes is the size of the VkBuffer of a piece.
func (p *piece) bytes(b *Backend) int64 { return roundUp(p.size, b.align) + minGuard }

func (p *piece) createBuffer(b *Backend) (err error) {
	p.buf, err = b.dev.CreateBuffer(p.bytes(b), vk.BufferUsageStorage|vk.BufferUsageDeviceAddress|
		vk.BufferUsageCopySource|vk.BufferUsageCopyTarget)
	return err
}

func (p *piece) create(b *Backend, where kernels.Place) (err error) {
	if err := p.createBuffer(b); err != nil {
		return err
	}
	need, _, types := b.dev.Requirements(p.buf)
	kind, mapped, err := b.memoryType(types, where)
	if err != nil {
		return err
	}
	p.taken = max(need, roundUp(p.size, b.align)+b.guard)
	if p.mem, err = b.dev.Allocate(p.taken, kind); err != nil {
		return err
	}
	if err = b.dev.Bind(p.buf, p.mem); err != nil {
		return err
	}
	if p.addr = b.dev.Address(p.buf); p.addr == 0 {
		return errors.New("the driver gives no device address")
	}
	if mapped {
		if p.data, err = b.dev.Map(p.mem, p.bytes(b)); err != nil {
			return err
		}
		clear(p.data)
		p.data = p.data[:p.size:p.size]
		return nil
	}
	return b.once(func(c *vk.CommandBuffer) { c.Fill(p.buf, 0, p.bytes(b), 0) })
}

// largestHeap is the size of the largest pool of memory.
func (b *Backend) largestHeap() (n int64) {
	for _, h := range b.heaps {
		n = max(n, h.Size)
	}
	return n
}

// memoryType picks the type of memory for a place among those that a buffer allows.
func (b *Backend) memoryType(allowed uint32, where kernels.Place) (kind int, mapped bool, err error) {
	const host = vk.MemoryHostVisible | vk.MemoryHostCoherent
	// Best first. Host memory is read back by the CPU, so cached is better.
	wants := []vk.MemoryFlags{vk.MemoryDeviceLocal}
	switch {
	case where == kernels.Host:
		wants = []vk.MemoryFlags{host | vk.MemoryHostCached, host}
	case b.unified:
		wants = []vk.MemoryFlags{vk.MemoryDeviceLocal | host, vk.MemoryDeviceLocal}
	}
	for _, want := range wants {
		best := -1
		for i, t := range b.memTypes {
			// The largest heap: some devices have a small one, which both sides see, beside it.
			if allowed>>i&1 == 1 && t.Flags&want == want && (best < 0 || b.heaps[t.Heap].Size > b.heaps[b.memTypes[best].Heap].Size) {
				best = i
			}
		}
		if best >= 0 {
			return best, want&vk.MemoryHostVisible != 0, nil
		}
	}
	return 0, false, fmt.Errorf("%s has no memory type for it", b.props.Name)
}

// Bytes gives the memory as the CPU sees it, nil when it does not see it in one.
func (u *Buffer) Bytes() []byte {
	if len(u.pieces) != 1 {
		return nil
	}
	return u.pieces[0].data
}

// Size is the size asked for; the guard zones are not counted.
func (u *Buffer) Size() int64 { return u.size }

// Allocated is the size of all device memory that is allocated now: buffers, the inputs
// and outputs of programs and the backend's own. Plans and kernels.Caps tell it in advance.
func (b *Backend) Allocated() (n int64) {
	for u := range b.buffers {
		n += u.taken()
	}
	return n
}

// taken is what the buffer takes of the memory; a nil buffer takes nothing.
func (u *Buffer) taken() (n int64) {
	if u != nil {
		for _, p := range u.pieces {
			n += p.taken
		}
	}
	return n
}

// Close frees the memory. No program that uses it may run any more.
func (u *Buffer) Close() error {
	if u.b == nil {
		return nil
	}
	delete(u.b.buffers, u)
	for _, p := range u.pieces {
		p.free(u.b)
	}
	*u = Buffer{}
	return nil
}

// at gives the piece that holds a byte and the byte's offset in it.
func (u *Buffer) at(off int64) (*piece, int64) {
	i := min(off/u.step, int64(len(u.pieces)-1)) // the end belongs to the last piece
	return &u.pieces[i], off - i*u.step
}

// addr is the device address of a byte.
func (u *Buffer) addr(off int64) uint64 {
	p, rel := u.at(off)
	return p.addr + uint64(rel)
}

// host is what the CPU sees of size bytes that lie in one piece; nil for nothing.
func (u *Buffer) host(off, size int64) []byte {
	p, rel := u.at(off)
	if p.data == nil {
		return nil
	}
	return p.data[rel : rel+size : rel+size]
}

// straddles reports whether a range of bytes lies in more than one piece.
func (u *Buffer) straddles(off, size int64) bool {
	return size > 0 && off/u.step != (off+size-1)/u.step
}

// copyTo records a copy of a range to the same place in a buffer of the same device.
func (u *Buffer) copyTo(c *vk.CommandBuffer, dst *Buffer, off, size int64) {
	for end := off + size; off < end; {
		from, at := u.at(off)
		to, into := dst.at(off)
		n := min(end-off, from.size-at, to.size-into)
		c.Copy(to.buf, into, from.buf, at, n)
		off += n
	}
}

// stageBytes is the size of the buffer through which unmapped memory is reached.
const stageBytes = 4 << 20

// WriteAt copies p into the buffer at off and waits until it is there.
func (u *Buffer) WriteAt(p []byte, off int64) (int, error) {
	return u.move(p, off, func(part []byte, to *piece, at int64) error {
		if to.data != nil {
			copy(to.data[at:], part)
			return nil
		}
		stage := &u.b.stage.pieces[0]
		copy(stage.data, part)
		return u.b.once(func(c *vk.CommandBuffer) { c.Copy(to.buf, at, stage.buf, 0, int64(len(part))) })
	})
}

// ReadAt copies from the buffer at off into p.
func (u *Buffer) ReadAt(p []byte, off int64) (int, error) {
	return u.move(p, off, func(part []byte, from *piece, at int64) error {
		if from.data != nil {
			copy(part, from.data[at:])
			return nil
		}
		stage := &u.b.stage.pieces[0]
		err := u.b.once(func(c *vk.CommandBuffer) {
			c.Copy(stage.buf, 0, from.buf, at, int64(len(part)))
			c.HostBarrier()
		})
		copy(part, stage.data)
		return err
	})
}

// move calls f for parts of p, each of which lies in one piece and, where the CPU does not
// see it, fits the staging buffer.
func (u *Buffer) move(p []byte, off int64, f func(part []byte, in *piece, at int64) error) (done int, err error) {
	if u.b == nil {
		return 0, errClosed
	}
	if off < 0 || off > u.size-int64(len(p)) {
		return 0, fmt.Errorf("vulkan: bytes [%d, %d) of a buffer of %d", off, off+int64(len(p)), u.size)
	}
	for done < len(p) {
		in, at := u.at(off + int64(done))
		n := min(int64(len(p)-done), in.size-at)
		if in.data == nil {
			n = min(n, u.b.stage.size)
		}
		if err := f(p[done:done+int(n)], in, at); err != nil {
			return done, fmt.Errorf("vulkan: copy: %w", typed(err))
		}
		done += int(n)
	}
	return done, nil
}
