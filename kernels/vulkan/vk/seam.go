package vk

import "strings"

// Seam stands between the binding and the drivers in tests: it sees every call, makes
// calls fail and counts what they leave behind. Without one a call costs a comparison more.
// Its functions may be called from several goroutines at once.
type Seam struct {
	// Before is asked before a call of a function that Fallible names. Unless it answers
	// Success, that is the result, and the call is not made.
	Before func(fn string) Result
	// After is told the result of such a call that was made, and may change it. For other
	// functions it is told Success, and what it answers is not looked at.
	After func(fn string, r Result) Result
}

// SetSeam installs s in all instances and devices that are created from now on, and in
// the loader itself.
func (l *Loader) SetSeam(s *Seam) { l.seam = s }

// Fallible reports whether a function returns a VkResult.
func Fallible(fn string) bool {
	switch fn {
	case "vkDeviceWaitIdle", "vkQueueSubmit", "vkWaitSemaphores", "vkBindBufferMemory", "vkMapMemory",
		"vkBeginCommandBuffer", "vkEndCommandBuffer", "vkGetQueryPoolResults", "vkGetPipelineCacheData",
		"vkGetSemaphoreCounterValue":
		return true
	}
	return strings.HasPrefix(fn, "vkCreate") || strings.HasPrefix(fn, "vkAllocate") || strings.HasPrefix(fn, "vkEnumerate")
}

//go:uintptrescapes
func (s *Seam) call(name string, fn uintptr, args ...uintptr) uintptr {
	if !Fallible(name) {
		r := call(fn, args...)
		s.After(name, Success)
		return r
	}
	if r := s.Before(name); r != Success {
		return uintptr(uint32(r))
	}
	return uintptr(uint32(s.After(name, Result(int32(uint32(call(fn, args...)))))))
}
