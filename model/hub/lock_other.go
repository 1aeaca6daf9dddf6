//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly && !windows

package hub

// tryLock has no lock to take here: checksums and renames keep the cache whole
// when two programs download the same file.
func tryLock(string) (unlock func(), ok bool, err error) { return func() {}, true, nil }
