package filemap

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Open maps size bytes of f for reading. f may be closed afterwards.
func Open(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	if size != int64(int(size)) {
		return nil, nil, errors.New("larger than the address space")
	}
	mapping, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, nil, os.NewSyscallError("CreateFileMapping", err)
	}
	addr, err := windows.MapViewOfFile(mapping, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	windows.CloseHandle(mapping) // the view keeps the mapping
	if err != nil {
		return nil, nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// The view is no Go memory, so that the address cannot change under us; read
	// through a pointer because vet takes a plain conversion for a mistake.
	data = unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), int(size))
	return data, func() error { return windows.UnmapViewOfFile(addr) }, nil
}
