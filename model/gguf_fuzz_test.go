package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"graft/model/gguf"
	"graft/model/tokenizer"
)

// FuzzGGUF checks on any bytes that what package gguf accepts is either refused
// as a model, in one line, or can be read whole; and that its tokenizer, if one
// can be written, is one.
func FuzzGGUF(f *testing.F) {
	for _, a := range ggufArchs() {
		data, err := os.ReadFile(ggufPath(a.name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, edit := range []func(*ggufFile){func(*ggufFile) {}, smallVocabulary, smallPieces, func(g *ggufFile) { g.withFactors(1, 8) }} {
		g := tinyGGUF()
		edit(g)
		path := filepath.Join(f.TempDir(), "m.gguf")
		g.write(f, path)
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.Parse("fuzz", data)
		if err != nil {
			return
		}
		if doc, err := tokenizerOfGGUF(file); err == nil {
			if _, err := tokenizer.Parse("fuzz", doc); err != nil {
				oneLine(t, err)
			}
		} else {
			oneLine(t, err)
		}
		c, arch, err := configOfGGUF(file)
		if err != nil {
			oneLine(t, err)
			return
		}
		ck := &Checkpoint{Path: "fuzz", Config: c, set: newGGUFWeights(file, arch, c), told: "its metadata"}
		defer ck.Close()
		if err := ck.check(); err != nil {
			oneLine(t, err)
			return
		}
		ck.Quantisation()
		for _, w := range c.Tensors(nil) {
			if err := ck.ReadF32(make([]float32, w.Len()), w.Name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func oneLine(t *testing.T, err error) {
	if strings.ContainsAny(err.Error(), "\n\r\x1b") {
		t.Fatalf("refused with %q, want one line", err)
	}
}
