package gguf_test

import (
	"fmt"
	"log"

	"graft/model/gguf"
)

// A quantised tensor is read as float32.
func Example() {
	f, err := gguf.Open("testdata/golden.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	arch, _ := f.Value("general.architecture")
	info, _ := f.Info("Q4_K")
	w := make([]float32, info.Elements())
	if err := f.ReadF32(w, info.Name, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(arch, info.Type, info.Shape, info.Size, len(w))
	// Output: "llama" Q4_K [2 768] 864 1536
}
