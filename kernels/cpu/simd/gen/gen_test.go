package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"graft/kernels/cpu/simd"
)

// TestFresh holds the files of package simd to what the program writes.
func TestFresh(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Glob("../z_*")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(there), len(files); got != want {
		t.Errorf("generated files: got %d, want %d", got, want)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./kernels/cpu/simd", name)
		}
	}
}

// TestAheadLines holds the kernels to what is said of them.
func TestAheadLines(t *testing.T) {
	if aheadLines != simd.AheadLines {
		t.Errorf("the kernels fetch %d lines that follow each other, package simd says %d", aheadLines, simd.AheadLines)
	}
}
