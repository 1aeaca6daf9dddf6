//go:build unix

package filemap

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Open maps size bytes of f for reading. f may be closed afterwards.
func Open(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	if size != int64(int(size)) {
		return nil, nil, errors.New("larger than the address space")
	}
	data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
