//go:build unix

package cpu

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const canMap = true

// mapZeroed maps n bytes, in huge pages where Linux gives them to those who
// ask: streaming weights through small ones misses the translation cache at
// each. The mapping begins where a huge page does and ends with the last byte's
// page, so that no more than n is ever taken.
func mapZeroed(n int) ([]byte, error) {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size+hugePage), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	head := int(-uintptr(p) & (hugePage - 1))
	if head > 0 {
		err = unix.MunmapPtr(p, uintptr(head))
	}
	if tail := hugePage - head; tail > 0 && err == nil {
		err = unix.MunmapPtr(unsafe.Add(p, head+size), uintptr(tail))
	}
	if err != nil {
		return nil, os.NewSyscallError("munmap", err)
	}
	mem := unsafe.Slice((*byte)(unsafe.Add(p, head)), size)
	if runtime.GOOS == "linux" {
		const hugePages = 14 // MADV_HUGEPAGE; a kernel without them refuses, and nothing is lost
		_ = unix.Madvise(mem, hugePages)
	}
	return mem[:n:n], nil
}

// unmap gives back what mapZeroed gave.
func unmap(mem []byte) error {
	page := os.Getpagesize()
	size := (len(mem) + page - 1) / page * page
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(mem)), uintptr(size)))
}
