package diskspace

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestFree(t *testing.T) {
	dir := t.TempDir()
	n, ok := Free(dir)
	if !ok && (runtime.GOOS == "linux" || runtime.GOOS == "darwin" || runtime.GOOS == "windows") {
		t.Fatal("got no answer for a directory that can be written to")
	}
	// What was written just now fitted.
	if err := os.WriteFile(filepath.Join(dir, "x"), make([]byte, 1<<16), 0o644); err != nil {
		t.Fatal(err)
	}
	if ok && n < 1<<16 {
		t.Errorf("got %d bytes free, but %d could be written", n, 1<<16)
	}
	if n, ok := Free(filepath.Join(dir, "none")); ok {
		t.Errorf("got %d bytes for a directory that does not exist", n)
	}
}
