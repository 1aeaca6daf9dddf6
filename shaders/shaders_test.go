package shaders

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestManifest fails when a source was changed and not built again, and when a built
// file is not the one that the sources gave.
func TestManifest(t *testing.T) {
	entries, err := Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var names, sources []string
	for _, e := range entries {
		names = append(names, e.Name+".spv")
		if !slices.Contains(sources, e.File) {
			sources = append(sources, e.File)
		}
		src, err := SourceHash(os.DirFS("."), e.File)
		if err != nil {
			t.Error(err)
		} else if src != e.Source {
			t.Errorf("%s or a file it includes has changed: run go generate ./shaders", e.File)
		}
		code, err := SPIRV(e.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(code); hex.EncodeToString(sum[:]) != e.SPIRV {
			t.Errorf("spv/%s.spv is not what the manifest says: run go generate ./shaders", e.Name)
		}
	}
	slices.Sort(sources)
	for pattern, want := range map[string][]string{"*.comp": sources, "spv/*.spv": names} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range files {
			files[i] = filepath.Base(f)
		}
		if !slices.Equal(files, want) {
			t.Errorf("%s: got %v, manifest has %v", pattern, files, want)
		}
	}
}

// TestSize keeps the number and size of built kernels from creeping up: variants are
// specialisation constants, not files, but for the type of matrix cores.
func TestSize(t *testing.T) {
	entries, err := Manifest()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range entries {
		code, err := SPIRV(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(code)
	}
	if len(entries) > 48 || total > 1<<20 {
		t.Errorf("%d kernels of %d bytes, want at most 48 of 1 MiB", len(entries), total)
	}
}

func TestSourceHashFollowsIncludes(t *testing.T) {
	hash := func(inner string) string {
		h, err := SourceHash(fstest.MapFS{
			"k.comp":   {Data: []byte("#include \"a.glsl\"\n")},
			"a.glsl":   {Data: []byte("#include \"b.glsl\"\n#include \"a.glsl\"\n")},
			"b.glsl":   {Data: []byte(inner)},
			"not.glsl": {Data: []byte("x")},
		}, "k.comp")
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if hash("one") == hash("two") {
		t.Error("a change in a nested include does not change the hash")
	}
	if _, err := SourceHash(fstest.MapFS{"k.comp": {Data: []byte(`#include "gone.glsl"`)}}, "k.comp"); err == nil {
		t.Error("a missing include is accepted")
	}
}

func TestSPIRVUnknown(t *testing.T) {
	if _, err := SPIRV("no_such_kernel"); err == nil || !strings.Contains(err.Error(), "no_such_kernel") {
		t.Errorf("got %v, want an error naming the kernel", err)
	}
}
