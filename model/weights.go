package model

import (
	"bytes"
	"io"

	"graft/model/safetensors"
)

// weights are the tensors of a checkpoint's files, by the names they have there.
type weights interface {
	Info(name string) (safetensors.Info, bool)
	Names() []string
	PathOf(name string) string // the file that holds a tensor
	Bytes(name string) ([]byte, error)
	ReadF32(dst []float32, name string) error
	// ReadF64 reads elements from first on, with their exact values.
	ReadF64(dst []float64, name string, first int64) error
	// reader reads a tensor's bytes without holding them.
	reader(name string) (io.Reader, error)
	Close() error
}

// tensorFiles are weights in safetensors files.
type tensorFiles struct{ *safetensors.Set }

func (w tensorFiles) reader(name string) (io.Reader, error) { return w.Reader(name) }

// sameBytes reports whether two readers have the same bytes to their ends.
func sameBytes(x, y io.Reader) (bool, error) {
	a, b := make([]byte, 1<<18), make([]byte, 1<<18)
	for {
		n, err := io.ReadFull(x, a)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		m, err2 := io.ReadFull(y, b)
		if err2 != nil && err2 != io.EOF && err2 != io.ErrUnexpectedEOF {
			return false, err2
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		if err != nil { // both have ended
			return true, nil
		}
	}
}
