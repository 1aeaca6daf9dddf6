package vk

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"
)

// DeviceInfo says what a device is opened with.
type DeviceInfo struct {
	Family     int // index of the queue family; one queue of it is opened
	Features   Features
	Extensions []string
}

// Device is an opened device with one queue. Create and Destroy methods may be called
// from several goroutines; everything that touches the queue or one command buffer may not.
type Device struct {
	handle uintptr
	queue  uintptr
	family uint32
	fns    [numDevice]uintptr
	seam   *Seam
}

// CreateDevice opens the device.
func (p PhysicalDevice) CreateDevice(info DeviceInfo) (*Device, error) {
	exts := p.Extensions()
	// A driver with this extension demands that it be enabled.
	enabled := slices.Clone(info.Extensions)
	if name := "VK_KHR_portability_subset"; slices.Contains(exts, name) {
		enabled = append(enabled, name)
	}
	for _, e := range enabled {
		if !slices.Contains(exts, e) {
			return nil, fmt.Errorf("vk: the driver has no extension %s", e)
		}
	}
	priority := float32(1)
	ci := &deviceCreateInfo{
		sType:                typeDeviceCreateInfo,
		pNext:                unsafe.Pointer(info.Features.chain()),
		queueCreateInfoCount: 1,
		pQueueCreateInfos: &deviceQueueCreateInfo{
			sType:            typeDeviceQueueCreateInfo,
			queueFamilyIndex: uint32(info.Family),
			queueCount:       1,
			pQueuePriorities: &priority,
		},
		enabledExtensionCount:   uint32(len(enabled)),
		ppEnabledExtensionNames: cstrings(enabled),
	}
	d := &Device{family: uint32(info.Family), seam: p.in.seam}
	if err := check("vkCreateDevice", p.in.call(fnCreateDevice, p.handle, uintptr(unsafe.Pointer(ci)), 0,
		uintptr(unsafe.Pointer(&d.handle)))); err != nil {
		return nil, err
	}
	runtime.KeepAlive(ci)
	if err := resolve(d.fns[:], deviceNames[:], p.in.fns[fnGetDeviceProcAddr], d.handle); err != nil {
		if d.fns[fnDestroyDevice] != 0 {
			d.Close()
		}
		return nil, err
	}
	d.call(fnGetDeviceQueue, d.handle, uintptr(d.family), 0, uintptr(unsafe.Pointer(&d.queue)))
	return d, nil
}

// Close waits for the device and destroys it. Everything created from it must be
// destroyed before.
func (d *Device) Close() error {
	err := d.WaitIdle()
	d.call(fnDestroyDevice, d.handle, 0)
	d.handle = 0
	return err
}

// WaitIdle waits until the device has finished all work.
func (d *Device) WaitIdle() error {
	if d.fns[fnDeviceWaitIdle] == 0 {
		return nil
	}
	return check("vkDeviceWaitIdle", d.call(fnDeviceWaitIdle, d.handle))
}

// call is the one way from the device's methods into the driver.
//
//go:uintptrescapes
func (d *Device) call(fn int, args ...uintptr) uintptr {
	if d.seam == nil {
		return call(d.fns[fn], args...)
	}
	return d.seam.call(deviceNames[fn], d.fns[fn], args...)
}

// create calls a vkCreate or vkAllocate function that returns one handle.
func (d *Device) create(fn int, info unsafe.Pointer) (uintptr, error) {
	h := new(uintptr)
	r := d.call(fn, d.handle, uintptr(info), 0, uintptr(unsafe.Pointer(h)))
	return *h, check(deviceNames[fn], r)
}

// destroy calls a vkDestroy or vkFree function; a null handle is ignored.
func (d *Device) destroy(fn int, handle uintptr) {
	if handle != 0 {
		d.call(fn, d.handle, handle, 0)
	}
}

// Buffer is a VkBuffer, a range of device addresses once memory is bound.
type Buffer uintptr

// Memory is a VkDeviceMemory.
type Memory uintptr

// CreateBuffer creates a buffer of size bytes, without memory.
func (d *Device) CreateBuffer(size int64, usage BufferUsage) (Buffer, error) {
	h, err := d.create(fnCreateBuffer, unsafe.Pointer(&bufferCreateInfo{
		sType: typeBufferCreateInfo, size: uint64(size), usage: usage}))
	return Buffer(h), err
}

// DestroyBuffer destroys b.
func (d *Device) DestroyBuffer(b Buffer) { d.destroy(fnDestroyBuffer, uintptr(b)) }

// Requirements tell how much memory a buffer needs, how that must be aligned, and which
// memory types (one bit each) it may lie in.
func (d *Device) Requirements(b Buffer) (size, align int64, types uint32) {
	r := &memoryRequirements{}
	d.call(fnGetBufferMemoryRequirements, d.handle, uintptr(b), uintptr(unsafe.Pointer(r)))
	return int64(r.size), int64(r.alignment), r.memoryTypeBits
}

// Allocate allocates size bytes of a memory type, for buffers with device addresses.
func (d *Device) Allocate(size int64, memoryType int) (Memory, error) {
	h, err := d.create(fnAllocateMemory, unsafe.Pointer(&memoryAllocateInfo{
		sType: typeMemoryAllocateInfo,
		pNext: unsafe.Pointer(&memoryAllocateFlagsInfo{
			sType: typeMemoryAllocateFlagsInfo, flags: allocateDeviceAddress}),
		allocationSize:  uint64(size),
		memoryTypeIndex: uint32(memoryType),
	}))
	return Memory(h), err
}

// Free frees m, unmapping it. Slices that Map returned must not be used any more.
func (d *Device) Free(m Memory) { d.destroy(fnFreeMemory, uintptr(m)) }

// Bind puts b at the start of m.
func (d *Device) Bind(b Buffer, m Memory) error {
	return check("vkBindBufferMemory", d.call(fnBindBufferMemory, d.handle, uintptr(b), uintptr(m), 0))
}

// Map makes the first size bytes of host-visible memory readable and writable.
func (d *Device) Map(m Memory, size int64) ([]byte, error) {
	p := new(unsafe.Pointer)
	whole := wholeSize
	r := d.call(fnMapMemory, d.handle, uintptr(m), 0, uintptr(whole), 0, uintptr(unsafe.Pointer(p)))
	if err := check("vkMapMemory", r); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(*p), size), nil
}

// Address returns the device address of a buffer that is bound to memory.
func (d *Device) Address(b Buffer) uint64 {
	return uint64(d.call(fnGetBufferDeviceAddress, d.handle, uintptr(unsafe.Pointer(&bufferDeviceAddressInfo{
		sType: typeBufferDeviceAddressInfo, buffer: uintptr(b)}))))
}
