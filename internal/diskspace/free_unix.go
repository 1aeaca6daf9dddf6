//go:build linux || darwin

package diskspace

import (
	"math"
	"syscall"
)

func free(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Blocks == 0 {
		return 0, false // virtual file systems have no blocks
	}
	n := float64(s.Bavail) * float64(s.Bsize)
	return int64(min(n, math.MaxInt64/2)), true
}
