// Package gguf reads GGUF, the file format of llama.cpp, in which models are
// published with quantised weights, and turns those into float32.
//
// A file is a header of metadata (keys with typed values), one entry for each
// tensor, and the tensors' bytes. Files come from strangers, so everything the
// header claims is held against the file's size before anything is allocated or
// handed out; a file that breaks the format is refused with the place, what was
// expected and what was found. Data is
// read when it is asked for.
//
//	f, err := gguf.Open("smollm2-q4_k_m.gguf")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	arch, _ := f.Value("general.architecture") // arch.Text() is "llama"
//	info, _ := f.Info("blk.0.attn_q.weight")   // Q4_K, shape [576 576]
//	w := make([]float32, info.Elements())
//	err = f.ReadF32(w, info.Name, 0)
//
// Versions 2 and 3 are read, little endian. F32, F16, BF16, Q8_0, Q4_0, Q4_1,
// Q5_0, Q5_1, Q4_K, Q5_K and Q6_K become float32 to the bit as the format's own Python
// package has them; tensors of other types are listed and their values refused
// by name.
//
// What it does not do: it does not write or quantise, and does not know what the
// tensors mean; package model does.
//
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
package gguf
