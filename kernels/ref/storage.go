package ref

import (
	"encoding/binary"
	"math"

	"graft/internal/f16"
	"graft/kernels"
)

// Load reads element i of an array of type t. Integers and floats of every
// storage type are exact in float64.
func Load(t kernels.DType, mem []byte, i int) float64 {
	b := mem[i*t.Size():]
	switch t {
	case kernels.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case kernels.BF16:
		return float64(f16.FromBF16(binary.LittleEndian.Uint16(b)))
	case kernels.F16:
		return float64(f16.FromF16(binary.LittleEndian.Uint16(b)))
	case kernels.I32:
		return float64(int32(binary.LittleEndian.Uint32(b)))
	case kernels.U16:
		return float64(binary.LittleEndian.Uint16(b))
	}
	return float64(b[0])
}

// Store writes x as element i of an array of type t, rounded once, to nearest
// and ties to even.
func Store(t kernels.DType, mem []byte, i int, x float64) {
	b := mem[i*t.Size():]
	switch t {
	case kernels.F32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(float32(x)))
	case kernels.BF16:
		binary.LittleEndian.PutUint16(b, f16.ToBF16(toOdd(x)))
	case kernels.F16:
		binary.LittleEndian.PutUint16(b, f16.ToF16(toOdd(x)))
	case kernels.I32:
		binary.LittleEndian.PutUint32(b, uint32(int32(x)))
	case kernels.U16:
		binary.LittleEndian.PutUint16(b, uint16(x))
	default:
		b[0] = uint8(x)
	}
}

// Round gives the value that Store would leave in memory.
func Round(t kernels.DType, x float64) float64 {
	var b [4]byte
	Store(t, b[:], 0, x)
	return Load(t, b[:], 0)
}

// toOdd rounds to the float32 with an odd last bit when x is between two. A
// second rounding to 16 bits then gives what one rounding of x gives, which
// rounding to nearest twice does not.
func toOdd(x float64) float32 {
	f := float32(x)
	if float64(f) == x || math.IsNaN(x) || math.Float32bits(f)&1 == 1 {
		return f
	}
	toward := float32(math.Inf(1))
	if x < float64(f) {
		toward = float32(math.Inf(-1))
	}
	return math.Nextafter32(f, toward)
}

// Each calls f with the position in the slot of every element of a view, in
// row-major order.
func Each(v kernels.View, f func(i, at int)) {
	index := make([]int, len(v.Shape))
	for i := range v.Len() {
		at := v.Offset
		for a, n := range index {
			at += n * v.Stride[a]
		}
		f(i, at)
		for a := len(index) - 1; a >= 0; a-- {
			if index[a]++; index[a] < v.Shape[a] {
				break
			}
			index[a] = 0
		}
	}
}

// ReadView gives the elements of a view in row-major order; mem is the memory
// of its slot.
func ReadView(t kernels.DType, mem []byte, v kernels.View) []float64 {
	x := make([]float64, v.Len())
	Each(v, func(i, at int) { x[i] = Load(t, mem, at) })
	return x
}

// WriteView rounds x into the elements of a view in row-major order.
func WriteView(t kernels.DType, mem []byte, v kernels.View, x []float64) {
	Each(v, func(i, at int) { Store(t, mem, at, x[i]) })
}
