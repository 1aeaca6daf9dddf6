package safetensors

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
)

// A model of the usual number of tensors, all empty: the cost of the header.
func BenchmarkOpen(b *testing.B) {
	var specs []Spec
	for i := range 300 {
		specs = append(specs, Spec{fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", i), BF16, []int{0, 4096}})
	}
	doc, _, err := encodeHeader(specs, nil)
	if err != nil {
		b.Fatal(err)
	}
	path := tempFile(b, "model.safetensors", doc)
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkReadF32(b *testing.B) {
	src := make([]float32, 1<<20)
	for _, d := range []DType{F32, BF16, F16, F64} {
		var data bytes.Buffer
		if err := WriteF32(&data, d, src); err != nil {
			b.Fatal(err)
		}
		doc := fmt.Sprintf(`{"x":{"dtype":%q,"shape":[%d],"data_offsets":[0,%d]}}`, d, len(src), data.Len())
		f, err := Open(tempFile(b, "x", append(raw(doc, 0), data.Bytes()...)))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(d), func(b *testing.B) {
			b.SetBytes(int64(4 * len(src)))
			for b.Loop() {
				if err := f.ReadF32(src, "x"); err != nil {
					b.Fatal(err)
				}
			}
		})
		f.Close()
	}
}

// With what it takes until the bytes are on the disk.
func BenchmarkWriter(b *testing.B) {
	data := make([]byte, 64<<20)
	dir := b.TempDir()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		w, err := Create(filepath.Join(dir, "x"), []Spec{{"x", U8, []int{len(data)}}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Write("x", data); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
