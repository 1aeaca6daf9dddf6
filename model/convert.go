package model

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"graft/internal/f16"
	"graft/kernels"
	"graft/model/safetensors"
	"graft/tensor"
)

// storedAs is the name in the file format of a storage type.
func storedAs(dt kernels.DType) (safetensors.DType, error) {
	switch dt {
	case kernels.F32:
		return safetensors.F32, nil
	case kernels.BF16:
		return safetensors.BF16, nil
	case kernels.F16:
		return safetensors.F16, nil
	}
	return "", fmt.Errorf("%v cannot hold weights, want f32, bf16 or f16", dt)
}

// convert rounds numbers of one floating-point type to another, to nearest
// even. What was finite must stay finite.
func convert(dst []byte, to safetensors.DType, src []byte, from safetensors.DType) error {
	n, ws, wd := len(src)/from.Size(), from.Size(), to.Size()
	for i := range n {
		x := decode(src[i*ws:], from)
		if y := encode(dst[i*wd:], to, x); math.IsInf(float64(y), 0) && !math.IsInf(x, 0) {
			return fmt.Errorf("element %d is %v, which %s cannot hold", i, x, to)
		}
	}
	return nil
}

func decode(b []byte, d safetensors.DType) float64 {
	switch d {
	case safetensors.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case safetensors.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case safetensors.BF16:
		return float64(f16.FromBF16(binary.LittleEndian.Uint16(b)))
	}
	return float64(f16.FromF16(binary.LittleEndian.Uint16(b)))
}

// encode stores x and returns the value it was rounded to.
func encode(b []byte, d safetensors.DType, x float64) float32 {
	f := float32(x)
	switch d {
	case safetensors.F64:
		binary.LittleEndian.PutUint64(b, math.Float64bits(x))
		return 0 // every number fits
	case safetensors.F32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(f))
		return f
	case safetensors.BF16:
		h := f16.ToBF16(f)
		binary.LittleEndian.PutUint16(b, h)
		return f16.FromBF16(h)
	}
	h := f16.ToF16(f)
	binary.LittleEndian.PutUint16(b, h)
	return f16.FromF16(h)
}

// WriteF64 writes numbers to w in a floating-point type, rounded to nearest even.
// One that is not finite, or would not stay so, is an error, which counts the
// elements from first on.
func WriteF64(w io.Writer, to safetensors.DType, x []float64, first int64) error {
	out := make([]byte, len(x)*to.Size())
	for i, v := range x {
		if y := encode(out[i*to.Size():], to, v); math.IsInf(float64(y), 0) || math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Errorf("element %d is %v, want a number that %s can hold", first+int64(i), v, to)
		}
	}
	_, err := w.Write(out)
	return err
}

// pieceLen is how many elements are converted at a time: between 4 and 16 MiB of
// memory.
const pieceLen = 1 << 20

// WriteSlot writes n elements of a store's slot, from element offset on, to w
// in the given type, piece by piece. It is made for the data function of Write.
func WriteSlot(w io.Writer, to safetensors.DType, s *tensor.Store, slot string, offset, n int) error {
	return writeSlot(w, to, s, slot, offset, n, pieceLen)
}

// writeSlot is WriteSlot in pieces of so many elements.
func writeSlot(w io.Writer, to safetensors.DType, s *tensor.Store, slot string, offset, n, piece int) error {
	src, ok := s.Slot(slot)
	if !ok {
		return fmt.Errorf("model: no memory named %q", slot)
	}
	from, err := storedAs(src.DType)
	if err != nil {
		return fmt.Errorf("model: %q: %w", slot, err)
	}
	in := make([]byte, min(n, piece)*from.Size())
	out := make([]byte, min(n, piece)*to.Size())
	for n > 0 {
		k := min(n, piece)
		data := in[:k*from.Size()]
		if err := s.Read(slot, int64(offset)*int64(from.Size()), data); err != nil {
			return err
		}
		if to != from {
			if err := convert(out[:k*to.Size()], to, data, from); err != nil {
				return fmt.Errorf("model: %q: %w", slot, err)
			}
			data = out[:k*to.Size()]
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		offset, n = offset+k, n-k
	}
	return nil
}

// Convert writes a tensor to w in the given type, rounding to nearest even,
// piece by piece. Values that the type cannot hold are an error.
func (ck *Checkpoint) Convert(w io.Writer, to safetensors.DType, name string) error {
	return ck.pieces(name, to, pieceLen, func(data []byte) error {
		_, err := w.Write(data)
		return err
	})
}

// pieces passes a tensor on, converted, in pieces of so many elements. The
// bytes are valid during the call only.
func (ck *Checkpoint) pieces(name string, to safetensors.DType, piece int, use func([]byte) error) error {
	info, ok := ck.Info(name)
	if !ok {
		return at(ck.Dir, fmt.Errorf("tensor %s is missing", quote(name)))
	}
	r, err := ck.Reader(name)
	if err != nil {
		return err
	}
	in := make([]byte, min(info.Size, int64(piece*info.DType.Size())))
	out := in
	if to != info.DType {
		out = make([]byte, len(in)/info.DType.Size()*to.Size())
	}
	for left := info.Size; left > 0; left -= int64(len(in)) {
		in = in[:min(int64(len(in)), left)]
		if _, err := io.ReadFull(r, in); err != nil {
			return ck.wrong(name, "%v", err)
		}
		out = out[:len(in)/info.DType.Size()*to.Size()]
		if to != info.DType {
			if err := convert(out, to, in, info.DType); err != nil {
				return ck.wrong(name, "%v", err)
			}
		}
		if err := use(out); err != nil {
			return err
		}
	}
	return nil
}
