package model

import (
	"graft/model/safetensors"
)

// weights are the tensors of a checkpoint's files, by the names they have there.
type weights interface {
	Info(name string) (safetensors.Info, bool)
	Names() []string
	PathOf(name string) string // the file that holds a tensor
	Bytes(name string) ([]byte, error)
	ReadF32(dst []float32, name string) error
	// each passes a tensor's bytes on, in order, in pieces of whole elements: about
	// so many, or all of them at once where that takes no memory.
	each(name string, elements int, use func([]byte) error) error
	Close() error
}

// tensorFiles are weights in safetensors files.
type tensorFiles struct{ *safetensors.Set }

func (w tensorFiles) each(name string, _ int, use func([]byte) error) error {
	data, err := w.Bytes(name)
	if err != nil {
		return err
	}
	return use(data)
}
