package safetensors_test

import (
	"fmt"
	"io"
	"log"
	"os"

	"graft/model/safetensors"
)

// A model is written with one tensor in bfloat16 and read back as float32.
func Example() {
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	specs := []safetensors.Spec{{Name: "model.norm.weight", DType: safetensors.BF16, Shape: []int{3}}}
	err = safetensors.WriteModel(dir, specs, safetensors.ModelOptions{}, func(s safetensors.Spec, w io.Writer) error {
		return safetensors.WriteF32(w, s.DType, []float32{1, -0.5, 3.14159})
	})
	if err != nil {
		log.Fatal(err)
	}

	m, err := safetensors.OpenModel(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	w := make([]float32, 3)
	if err := m.ReadF32(w, "model.norm.weight"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Names(), w, m.Metadata())
	// Output: [model.norm.weight] [1 -0.5 3.140625] map[format:pt]
}
