package newdir

import (
	"errors"
	"os"
)

// syncPath brings a file to the disk; Windows has no such call for directories.
func syncPath(path string) error {
	if st, err := os.Stat(path); err != nil || st.IsDir() {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
