package vulkan

import (
	"errors"
	"fmt"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// guard is how many bytes lie behind every allocation: a kernel that steps past its
// operand in a lane whose result is thrown away stays inside of memory.
const guard = 64 << 10

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

// Buffer is device memory with an address. Bytes is nil when the CPU cannot see it;
// ReadAt and WriteAt work everywhere, by way of a staging buffer.
type Buffer struct {
	b    *Backend
	buf  vk.Buffer
	mem  vk.Memory
	addr uint64
	size int64
	data []byte // nil when not mapped
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
	if b.maxBuffer > 0 && size > b.maxBuffer {
		return nil, fmt.Errorf("vulkan: alloc of %d bytes: %s allows %d in one buffer: %w", size, b.props.Name, b.maxBuffer, kernels.ErrOutOfMemory)
	}
	u := &Buffer{b: b, size: size}
	if err := u.create(where); err != nil {
		u.Close()
		return nil, fmt.Errorf("vulkan: alloc of %d bytes: %w", size, typed(err))
	}
	b.buffers[u] = struct{}{}
	return u, nil
}

func (u *Buffer) create(where kernels.Place) (err error) {
	dev := u.b.dev
	// Fill and copies work on whole words.
	total := (u.size + guard + 3) &^ 3
	if u.buf, err = dev.CreateBuffer(total, vk.BufferUsageStorage|vk.BufferUsageDeviceAddress|
		vk.BufferUsageCopySource|vk.BufferUsageCopyTarget); err != nil {
		return err
	}
	need, types := dev.Requirements(u.buf)
	kind, mapped, err := u.b.memoryType(types, where)
	if err != nil {
		return err
	}
	if u.mem, err = dev.Allocate(need, kind); err != nil {
		return err
	}
	if err = dev.Bind(u.buf, u.mem); err != nil {
		return err
	}
	if u.addr = dev.Address(u.buf); u.addr == 0 {
		return errors.New("the driver gives no device address")
	}
	if mapped {
		if u.data, err = dev.Map(u.mem, total); err != nil {
			return err
		}
		clear(u.data)
		u.data = u.data[:u.size:u.size]
		return nil
	}
	return u.b.once(func(c *vk.CommandBuffer) { c.Fill(u.buf, 0, total, 0) })
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
		for i, t := range b.memTypes {
			if allowed>>i&1 == 1 && t.Flags&want == want {
				return i, want&vk.MemoryHostVisible != 0, nil
			}
		}
	}
	return 0, false, fmt.Errorf("%s has no memory type for it", b.props.Name)
}

// Bytes gives the memory as the CPU sees it, nil when it does not.
func (u *Buffer) Bytes() []byte { return u.data }

// Size is the size asked for; the guard zone is not counted.
func (u *Buffer) Size() int64 { return u.size }

// Close frees the memory. No program that uses it may run any more.
func (u *Buffer) Close() error {
	if u.b == nil {
		return nil
	}
	delete(u.b.buffers, u)
	u.b.dev.DestroyBuffer(u.buf)
	u.b.dev.Free(u.mem)
	*u = Buffer{}
	return nil
}

// stageBytes is the size of the buffer through which unmapped memory is reached.
const stageBytes = 4 << 20

// WriteAt copies p into the buffer at off and waits until it is there.
func (u *Buffer) WriteAt(p []byte, off int64) (int, error) {
	if err := u.check(p, off); err != nil {
		return 0, err
	}
	if u.data != nil {
		return copy(u.data[off:], p), nil
	}
	return u.staged(p, off, func(stage *Buffer, part []byte, at int64) error {
		copy(stage.data, part)
		return u.b.once(func(c *vk.CommandBuffer) { c.Copy(u.buf, at, stage.buf, 0, int64(len(part))) })
	})
}

// ReadAt copies from the buffer at off into p.
func (u *Buffer) ReadAt(p []byte, off int64) (int, error) {
	if err := u.check(p, off); err != nil {
		return 0, err
	}
	if u.data != nil {
		return copy(p, u.data[off:]), nil
	}
	return u.staged(p, off, func(stage *Buffer, part []byte, at int64) error {
		err := u.b.once(func(c *vk.CommandBuffer) {
			c.Copy(stage.buf, 0, u.buf, at, int64(len(part)))
			c.HostBarrier()
		})
		copy(part, stage.data)
		return err
	})
}

func (u *Buffer) check(p []byte, off int64) error {
	if u.b == nil {
		return errClosed
	}
	if off < 0 || off > u.size-int64(len(p)) {
		return fmt.Errorf("vulkan: bytes [%d, %d) of a buffer of %d", off, off+int64(len(p)), u.size)
	}
	return nil
}

// staged calls move for parts of p that fit the staging buffer.
func (u *Buffer) staged(p []byte, off int64, move func(stage *Buffer, part []byte, at int64) error) (int, error) {
	if u.b.stage == nil {
		stage, err := u.b.alloc(stageBytes, kernels.Host)
		if err != nil {
			return 0, err
		}
		u.b.stage = stage
	}
	for done := 0; done < len(p); done += stageBytes {
		part := p[done:min(len(p), done+stageBytes)]
		if err := move(u.b.stage, part, off+int64(done)); err != nil {
			return done, fmt.Errorf("vulkan: copy: %w", typed(err))
		}
	}
	return len(p), nil
}
