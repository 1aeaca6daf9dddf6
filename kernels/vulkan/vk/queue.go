package vk

import (
	"runtime"
	"unsafe"
)

// The two calls of a step, submit and wait, must not allocate, and a variadic call
// that lets pointers escape does. So their arguments are made once, as uintptrs that
// point into the object itself. The constructors are not inlined: what they return is
// then on the heap, which does not move.

// Semaphore is a timeline semaphore: a counter that submissions raise.
type Semaphore struct {
	d      *Device
	handle uintptr
	value  uint64 // what wait waits for
	wait   semaphoreWaitInfo
	args   [3]uintptr
}

// CreateSemaphore creates a timeline semaphore at zero.
//
//go:noinline
func (d *Device) CreateSemaphore() (*Semaphore, error) {
	h, err := d.create(fnCreateSemaphore, unsafe.Pointer(&semaphoreCreateInfo{
		sType: typeSemaphoreCreateInfo,
		pNext: unsafe.Pointer(&semaphoreTypeCreateInfo{
			sType: typeSemaphoreTypeCreateInfo, semaphoreType: semaphoreTimeline}),
	}))
	if err != nil {
		return nil, err
	}
	s := &Semaphore{d: d, handle: h}
	s.wait = semaphoreWaitInfo{sType: typeSemaphoreWaitInfo, semaphoreCount: 1,
		pSemaphores: &s.handle, pValues: &s.value}
	s.args = [3]uintptr{d.handle, uintptr(unsafe.Pointer(&s.wait))}
	return s, nil
}

// Destroy destroys the semaphore.
func (s *Semaphore) Destroy() { s.d.destroy(fnDestroySemaphore, s.handle) }

// Wait blocks until the counter has reached value, for at most nanoseconds; then
// ok is false. It allocates nothing.
func (s *Semaphore) Wait(value, nanoseconds uint64) (ok bool, err error) {
	s.value = value
	s.args[2] = uintptr(nanoseconds)
	r := s.d.call(fnWaitSemaphores, s.args[:]...)
	runtime.KeepAlive(s)
	if err := check("vkWaitSemaphores", r); err != nil {
		return false, err
	}
	return Result(int32(uint32(r))) != Timeout, nil
}

// Value is the counter as it stands. A lost device may give any value.
func (s *Semaphore) Value() (uint64, error) {
	v := new(uint64)
	r := s.d.call(fnGetSemaphoreCounterValue, s.d.handle, s.handle, uintptr(unsafe.Pointer(v)))
	return *v, check("vkGetSemaphoreCounterValue", r)
}

// Submission submits one recorded command buffer again and again, raising a
// timeline semaphore each time. It allocates nothing after its creation.
type Submission struct {
	d      *Device
	value  uint64
	cmd    uintptr
	signal uintptr
	values timelineSemaphoreSubmitInfo
	info   submitInfo
	args   [4]uintptr
}

// NewSubmission prepares submissions of c that signal s.
//
//go:noinline
func (d *Device) NewSubmission(c *CommandBuffer, s *Semaphore) *Submission {
	u := &Submission{d: d, cmd: c.handle, signal: s.handle}
	u.values = timelineSemaphoreSubmitInfo{sType: typeTimelineSemaphoreSubmitInfo,
		signalSemaphoreValueCount: 1, pSignalSemaphoreValues: &u.value}
	u.info = submitInfo{sType: typeSubmitInfo, pNext: unsafe.Pointer(&u.values),
		commandBufferCount: 1, pCommandBuffers: &u.cmd,
		signalSemaphoreCount: 1, pSignalSemaphores: &u.signal}
	u.args = [4]uintptr{d.queue, 1, uintptr(unsafe.Pointer(&u.info)), 0}
	return u
}

// Submit sends the commands to the queue; the semaphore reaches value when they are done.
func (u *Submission) Submit(value uint64) error {
	u.value = value
	r := u.d.call(fnQueueSubmit, u.args[:]...)
	runtime.KeepAlive(u)
	return check("vkQueueSubmit", r)
}
