package versus

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// resetPeak lets the system count the most resident memory from now on, where it can
// (Linux); elsewhere peak gives the most so far, or 0.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

func peak() int64     { return procStatus("VmHWM") }
func resident() int64 { return procStatus("VmRSS") }

// procStatus is a figure of this process in bytes, 0 where the system does not tell.
func procStatus(key string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && k == key {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
