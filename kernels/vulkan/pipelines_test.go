package vulkan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"graft/kernels"
)

// cached opens the device with its pipeline cache in dir, runs a program and closes it.
// It returns what was read from the cache.
func cached(t *testing.T, dir string) (content []byte) {
	t.Helper()
	t.Setenv(cacheEnv, dir)
	b := open(t)
	content = b.pipelines.file.read()
	r := newRig(t, b)
	out := branches(r)
	ex := r.compile()
	if err := ex.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := r.read(out); slices.Max(got) <= 0 {
		t.Errorf("got %v, want positive sums", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return content
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	return names
}

// TestPipelineCache demands that the second opening finds what the first one left, that
// nothing but a whole file of the same device, driver and kernels is believed, and that
// files of the device do not pile up.
func TestPipelineCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "graft")
	if got := cached(t, dir); got != nil {
		t.Fatalf("an empty directory gives %d bytes", len(got))
	}
	names := files(t, dir)
	if len(names) != 1 {
		t.Fatalf("the directory holds %v, want one file", names)
	}
	good := must(os.ReadFile(names[0]))
	if got := cached(t, dir); len(got) < 32 || !bytes.HasSuffix(good, got) {
		t.Fatalf("the second opening finds %d bytes in a file of %d", len(got), len(good))
	}
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	belong, content := len(cacheMagic), len(cacheMagic)+64
	// sealed is a whole file around a content that Vulkan's header makes another driver's.
	sealed := func(at int) []byte {
		b := flip(content + at)
		sum := sha256.Sum256(b[content:])
		copy(b[belong+32:], sum[:])
		return b
	}
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"empty", nil},
		{"another magic", flip(0)},
		{"another device", flip(belong)},
		{"damaged checksum", flip(belong + 40)},
		{"header longer than all", sealed(3)},
		{"another version of the header", sealed(4)},
		{"another vendor", sealed(8)},
		{"another chip", sealed(12)},
		{"another driver", sealed(31)},
		{"damaged at the end", flip(-1)},
		{"truncated", good[:len(good)-1]},
		{"truncated to our header", good[:content]},
		{"longer", append(bytes.Clone(good), 0)},
		{"huge", make([]byte, maxCache+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(names[0], c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := cached(t, dir); got != nil {
				t.Errorf("read %d bytes from it", len(got))
			}
			if got := cached(t, dir); got == nil {
				t.Error("it was not replaced")
			}
		})
	}
	t.Run("old files", func(t *testing.T) {
		b := open(t)
		device := newCacheFile(dir, b.props).device
		other := filepath.Join(dir, "ff-00.pipelines")
		for _, name := range []string{device + "0123.pipelines", device + "1.tmp", other, names[0]} {
			if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cached(t, dir)
		if got, want := files(t, dir), []string{names[0], other}; !slices.Equal(got, want) {
			t.Errorf("the directory holds %v, want %v", got, want)
		}
	})
	t.Run("a directory that cannot be made", func(t *testing.T) {
		if got := cached(t, filepath.Join(names[0], "below a file")); got != nil {
			t.Errorf("read %d bytes", len(got))
		}
	})
	t.Run("off", func(t *testing.T) {
		if got := cached(t, "off"); got != nil {
			t.Errorf("read %d bytes", len(got))
		}
		if _, err := os.Stat("off"); err == nil {
			t.Error("made a directory of the name off")
		}
	})
}

// TestPipelinesOnce compiles many variants at once, each a single time.
func TestPipelinesOnce(t *testing.T) {
	b := open(t)
	var vs []variant
	for size := range uint32(40) {
		v := variant{kernel: "sum_sq", spec: []uint32{0, size}}
		vs = append(vs, v, v)
	}
	if err := b.pipelines.prepare(vs); err != nil {
		t.Fatal(err)
	}
	if got := len(b.pipelines.made); got != 40 {
		t.Errorf("%d pipelines for 40 variants", got)
	}
	before := must(b.pipelines.get(vs[7]))
	if err := b.pipelines.prepare(vs); err != nil {
		t.Fatal(err)
	}
	if after := must(b.pipelines.get(vs[7])); after != before || len(b.pipelines.made) != 40 {
		t.Error("compiled again")
	}
	if err := b.pipelines.prepare([]variant{{kernel: "nothing"}}); err == nil {
		t.Error("compiled a kernel that is not there")
	}
	if _, err := b.Alloc(4, kernels.Device); err != nil {
		t.Errorf("after the error: %v", err)
	}
}
