// Package safetensors reads and writes the safetensors format, in which model
// weights are published, and directories of it with a shard index.
//
// A file is eight bytes of header length, a JSON header that gives every
// tensor's name, type, shape and place, and the tensors' bytes. Files come from
// strangers, so everything the header claims is checked against the file
// before anything is allocated or handed out; a file that breaks the format is
// refused with the tensor, the field, what was found and what was expected.
// Opening costs the header alone. Data is read when it is asked for, not mapped:
// pages of a mapping stay with a process and count as its memory.
//
//	m, err := safetensors.OpenModel("smollm2") // one file, or shards with an index
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	w := make([]float32, 576)
//	err = m.ReadF32(w, "model.norm.weight") // widens BF16 and F16
//
// Writing is strict: tensors lie without holes and aligned to their element
// size, the header is padded to eight bytes, and a file appears under its name
// only when it is complete and on the disk. Until then an older one stays.
//
// What it does not do: it does not compute, so integers, 8-bit floats and
// booleans are bytes with a type. It does not know types smaller than a byte
// (F4, F6). It does not read pickled .bin checkpoints.
//
// The format: https://huggingface.co/docs/safetensors
package safetensors
