package gguf

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzParse checks on any bytes that a file is either refused as malformed, in
// one line, or everything in it can be read; and that reading it in pieces gives
// the same.
func FuzzParse(f *testing.F) {
	for _, c := range refused {
		f.Add(c.file)
	}
	for _, data := range accepted {
		f.Add(data)
	}
	golden, err := os.ReadFile(goldenPath)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := Parse("fuzz", data)
		var h *header
		var errRead error
		if len(data) >= prefixSize {
			h, errRead = readHeader(bytes.NewReader(data), int64(len(data)))
		}
		if err != nil {
			if !errors.Is(err, ErrFormat) || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("refused with %q, want one line that matches ErrFormat", err)
			}
			if len(data) >= prefixSize && (errRead == nil || !strings.HasSuffix(err.Error(), errRead.Error())) {
				t.Fatalf("in memory: %v; read: %v", err, errRead)
			}
			return
		}
		if errRead != nil || len(h.infos) != len(in.header.infos) || len(h.keys) != len(in.header.keys) {
			t.Fatalf("read in pieces: %v, or other entries", errRead)
		}
		checkValues(t, in)
		checkTensors(t, in, data)
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func checkValues(t *testing.T, in *File) {
	for _, key := range in.Keys() {
		v, ok := in.Value(key)
		if !ok || strings.ContainsAny(v.String(), "\n\r\x1b") {
			t.Fatalf("%q: got %q %v", key, v.String(), ok)
		}
		n := 0
		for e := range v.All() {
			if e.Kind != v.Elem || e.String() == "" {
				t.Fatalf("%q: element %d is %v", key, n, e)
			}
			n++
		}
		if n != v.Len {
			t.Fatalf("%q: got %d elements, want %d", key, n, v.Len)
		}
	}
}

func checkTensors(t *testing.T, in *File, data []byte) {
	total := int64(0)
	for _, name := range in.Names() {
		info, ok := in.Info(name)
		b, err := in.Bytes(name)
		if !ok || err != nil || int64(len(b)) != info.Size {
			t.Fatalf("%q: got %d bytes (%v) for %+v", name, len(b), err, info)
		}
		total += info.Size
		n := info.Elements()
		if info.Size == 0 && n != 0 || n*int64(info.Type.Bits()) > info.Size*8 {
			t.Fatalf("%q: %d elements in %d bytes", name, n, info.Size)
		}
		err = in.ReadF32(make([]float32, min(n, 600)), name, max(0, n-600))
		if (err == nil) != info.Type.Readable() || err != nil && !errors.Is(err, ErrType) {
			t.Fatalf("%q of %v: got %v", name, info.Type, err)
		}
	}
	if total > int64(len(data)) {
		t.Fatalf("tensors of %d bytes in a file of %d", total, len(data))
	}
}
