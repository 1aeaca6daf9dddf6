package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"graft/internal/f16"
)

// chunk is how many elements are encoded at a time, readChunk how many are read
// and decoded: enough that the call costs little beside them, little enough to
// stay in a cache.
const (
	chunk     = 1 << 12
	readChunk = 1 << 15
)

// ReadF32 reads the tensor into dst, which must have as many elements. F32,
// F16 and BF16 keep their exact values; F64 is rounded to nearest.
func (f *File) ReadF32(dst []float32, name string) error {
	info, err := f.find(name)
	if err != nil {
		return at(f.path, err)
	}
	if int64(len(dst)) != info.Elements() {
		return at(f.path, atTensor(name, fmt.Errorf("shape %s has %d elements, want %d", shapeString(info.Shape), info.Elements(), len(dst))))
	}
	return f.numbers(info, 0, len(dst), func(src []byte, i int) { decode(dst[i:], src, info.DType) })
}

// ReadF64 reads len(dst) elements of the tensor from element first on, with
// their exact values.
func (f *File) ReadF64(dst []float64, name string, first int64) error {
	info, err := f.find(name)
	if err != nil {
		return at(f.path, err)
	}
	if n := info.Elements(); first < 0 || first > n || int64(len(dst)) > n-first {
		return at(f.path, atTensor(name, fmt.Errorf("shape %s has %d elements, want %d from %d on", shapeString(info.Shape), n, len(dst), first)))
	}
	return f.numbers(info, first, len(dst), func(src []byte, i int) { decode(dst[i:], src, info.DType) })
}

// numbers passes the bytes of n elements on, from element first on, in pieces:
// src begins with the element i behind first.
func (f *File) numbers(info *Info, first int64, n int, use func(src []byte, i int)) error {
	if !info.DType.Float() {
		return at(f.path, atTensor(info.Name, fmt.Errorf("is %s, want F32, BF16, F16 or F64", info.DType)))
	}
	size := info.DType.Size()
	from := info.Offset + first*int64(size)
	if f.data != nil {
		use(f.data[from:from+int64(n*size)], 0)
		return nil
	}
	buf := make([]byte, min(n, readChunk)*size)
	for i := 0; i < n; i += readChunk {
		piece := buf[:min(n-i, readChunk)*size]
		if err := readFull(f.src, piece, from+int64(i*size)); err != nil {
			return at(f.path, atTensor(info.Name, err))
		}
		use(piece, i)
	}
	return nil
}

// decode sets the beginning of dst to all numbers in src.
func decode[T float32 | float64](dst []T, src []byte, d DType) {
	dst = dst[:len(src)/d.Size()]
	switch d {
	case F32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
		}
	case BF16:
		for i := range dst {
			dst[i] = T(f16.FromBF16(binary.LittleEndian.Uint16(src[2*i:])))
		}
	case F16:
		for i := range dst {
			dst[i] = T(f16.FromF16(binary.LittleEndian.Uint16(src[2*i:])))
		}
	case F64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	}
}

// WriteF32 writes src to w as little-endian elements of type d, which is F32,
// BF16, F16 or F64. The 16-bit types round to nearest, ties to even; half
// values beyond 65504 become infinity.
func WriteF32(w io.Writer, d DType, src []float32) error {
	if !d.Float() {
		return fmt.Errorf("safetensors: cannot write float32 values as %s, want F32, BF16, F16 or F64", d)
	}
	size := d.Size()
	buf := make([]byte, min(len(src), chunk)*size)
	for len(src) > 0 {
		n := min(len(src), chunk)
		buf = buf[:n*size]
		encodeF32(buf, src[:n], d)
		if _, err := w.Write(buf); err != nil {
			return err
		}
		src = src[n:]
	}
	return nil
}

func encodeF32(dst []byte, src []float32, d DType) {
	switch d {
	case F32:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
		}
	case BF16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], f16.ToBF16(x))
		}
	case F16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], f16.ToF16(x))
		}
	case F64:
		for i, x := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(x)))
		}
	}
}
