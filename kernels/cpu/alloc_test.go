package cpu

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"graft/kernels"
)

// TestAlloc takes memory of sizes on both sides of what is mapped, dirties it,
// and takes it again: it must be zeroed, aligned, and gone after Close.
func TestAlloc(t *testing.T) {
	be := open(t, 1, false)
	for _, n := range []int64{0, 1, 63, 64, 4097, hugePage - 1, hugePage, hugePage + 1, 3*hugePage + 12345} {
		for range 2 {
			buf, err := be.Alloc(n, kernels.Device)
			if err != nil {
				t.Fatal(err)
			}
			mem := buf.Bytes()
			if int64(len(mem)) != n || buf.Size() != n || cap(mem) != len(mem) {
				t.Errorf("%d bytes: got %d, size %d, capacity %d", n, len(mem), buf.Size(), cap(mem))
			}
			if at := uintptr(unsafe.Pointer(unsafe.SliceData(mem))); n > 0 && at%align != 0 {
				t.Errorf("%d bytes lie at %#x, want a multiple of %d", n, at, align)
			}
			if len(bytes.Trim(mem, "\x00")) > 0 {
				t.Errorf("%d bytes are not zero", n)
			}
			poison(mem)
			for range 2 {
				if err := buf.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if buf.Bytes() != nil {
				t.Errorf("%d bytes are there after Close", n)
			}
		}
	}
	for _, n := range []int64{-1, 1 << 62, math.MaxInt64} {
		if _, err := be.Alloc(n, kernels.Host); !errors.Is(err, kernels.ErrOutOfMemory) {
			t.Errorf("%d bytes: got %v, want %v", n, err, kernels.ErrOutOfMemory)
		}
	}
}

// TestCloseGivesBack watches the memory that the system counts for the process.
func TestCloseGivesBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc/self/statm")
	}
	const n, slack = 96 << 20, 8 << 20
	before := resident(t)
	buf, err := open(t, 1, false).Alloc(n, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	if took := resident(t) - before; took > slack {
		t.Errorf("%d bytes are taken before anything is written", took)
	}
	poison(buf.Bytes())
	full := resident(t)
	if took := full - before; took < n-slack || took > n+slack {
		t.Errorf("writing %d bytes took %d", n, took)
	}
	if err := buf.Close(); err != nil {
		t.Fatal(err)
	}
	if back := full - resident(t); back < n-slack {
		t.Errorf("Close gave back %d bytes of %d", back, n)
	}
}

// resident is what the process occupies, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestHugePages finds the buffer among the mappings of the process, marked for
// huge pages, where the kernel has them.
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this system has no transparent huge pages")
	}
	buf, err := open(t, 1, false).Alloc(5*hugePage+1, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	defer buf.Close()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(buf.Bytes())))
	if at%hugePage != 0 {
		t.Errorf("the buffer starts at %#x, want a multiple of %d", at, hugePage)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(maps), fmt.Sprintf("\n%x-", at))
	_, flags, _ := strings.Cut(rest, "VmFlags:")
	flags, _, _ = strings.Cut(flags, "\n")
	if !ok || !strings.Contains(flags+" ", " hg ") {
		t.Errorf("mapping at %#x (found: %v) has flags %q, want hg", at, ok, flags)
	}
}
