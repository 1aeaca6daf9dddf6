//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package hub

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock that the Python tools take; ok is false when another
// program holds it.
func tryLock(path string) (unlock func(), ok bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o664)
	if err != nil {
		return nil, false, err
	}
	_ = f.Chmod(0o664) // whatever the umask: a group that shares a cache waits for each other
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EINTR {
			break
		}
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, false, f.Close()
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOLCK):
		// A file system without locks: checksums and renames keep the cache whole.
	case err != nil:
		return nil, false, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
	if !isFile(f, path) { // its holder removed it meanwhile
		return nil, false, f.Close()
	}
	return func() { f.Close() }, true, nil
}

func isFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
