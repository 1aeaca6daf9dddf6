package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"graft/internal/f16"
)

// chunk is how many elements are converted at a time: enough that a read or
// write costs little beside them, little enough to stay in the cache.
const chunk = 4096

// ReadF32 reads the tensor into dst, which must have as many elements. F32,
// F16 and BF16 keep their exact values; F64 is rounded to nearest.
func (f *File) ReadF32(dst []float32, name string) error {
	info, err := f.find(name)
	if err != nil {
		return at(f.path, err)
	}
	if err := f.readF32(dst, info); err != nil {
		return at(f.path, atTensor(name, err))
	}
	return nil
}

func (f *File) readF32(dst []float32, info *Info) error {
	if !isFloat(info.DType) {
		return fmt.Errorf("is %s, want F32, BF16, F16 or F64", info.DType)
	}
	if int64(len(dst)) != info.Elements() {
		return fmt.Errorf("shape %s has %d elements, want %d", shapeString(info.Shape), info.Elements(), len(dst))
	}
	if f.data != nil {
		decodeF32(dst, f.data[info.Offset:info.Offset+info.Size], info.DType)
		return nil
	}
	size := info.DType.Size()
	buf := make([]byte, min(len(dst), chunk)*size)
	for at := info.Offset; len(dst) > 0; at += int64(len(buf)) {
		n := min(len(dst), chunk)
		buf = buf[:n*size]
		if err := readFull(f.src, buf, at); err != nil {
			return err
		}
		decodeF32(dst[:n], buf, info.DType)
		dst = dst[n:]
	}
	return nil
}

// isFloat says whether decodeF32 and encodeF32 know the type.
func isFloat(d DType) bool { return d == F32 || d == BF16 || d == F16 || d == F64 }

func decodeF32(dst []float32, src []byte, d DType) {
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = f16.FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = f16.FromF16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	}
}

// WriteF32 writes src to w as little-endian elements of type d, which is F32,
// BF16, F16 or F64. The 16-bit types round to nearest, ties to even; half
// values beyond 65504 become infinity.
func WriteF32(w io.Writer, d DType, src []float32) error {
	if !isFloat(d) {
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
