//go:build !windows

package newdir

import (
	"errors"
	"os"
	"syscall"
)

// syncPath brings a file or directory to the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // network and FUSE file systems may not know how for directories
	}
	return errors.Join(err, f.Close())
}
