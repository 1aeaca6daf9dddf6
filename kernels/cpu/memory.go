package cpu

import (
	"fmt"
	"unsafe"

	"graft/internal/f16"
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

// cast sees bytes as elements of another type. The bytes must be aligned for
// it; what does not fill an element is left out.
func cast[T float32 | uint16 | int32 | uint32](b []byte) []T {
	var zero T
	n := len(b) / int(unsafe.Sizeof(zero))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// address is where a slice lies, as a hint for the cache: nothing is read or written
// by it.
func address[T float32 | byte](s []T) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(s)))) }

// bytesOf gives the bytes of a region and holds it to a size and alignment.
func bytesOf(r kernels.Region, need int64, what string) ([]byte, error) {
	if need == 0 {
		return nil, nil
	}
	if r.Buffer == nil || r.Buffer.Bytes() == nil {
		return nil, fmt.Errorf("cpu: %s: no memory that the CPU can see", what)
	}
	all := r.Buffer.Bytes()
	if r.Offset < 0 || r.Size < need || r.Offset > int64(len(all)) || r.Size > int64(len(all))-r.Offset {
		return nil, fmt.Errorf("cpu: %s: region [%d, +%d) of a buffer of %d bytes, want %d", what, r.Offset, r.Size, len(all), need)
	}
	b := all[r.Offset : r.Offset+need : r.Offset+need]
	if a := uintptr(unsafe.Pointer(unsafe.SliceData(b))) % 4; a != 0 {
		return nil, fmt.Errorf("cpu: %s: region starts %d bytes past a multiple of 4", what, a)
	}
	return b, nil
}

// array is an operand bound to memory. Element (i0, i1, ...) of the view lies
// at i0*stride[0] + i1*stride[1] + ...
type array struct {
	tier   *simd.Tier
	dt     kernels.DType
	f      []float32 // F32
	h      []uint16  // BF16, F16, U16
	i      []int32   // I32
	b      []byte    // any
	shape  []int
	stride []int
}

// load returns n elements from off on as f32: the memory itself, or a widened
// copy in buf.
func (a *array) load(off, n int, buf []float32) []float32 {
	switch a.dt {
	case kernels.F32:
		return a.f[off : off+n : off+n]
	case kernels.BF16:
		buf = buf[:n:n]
		a.tier.WidenBF16(buf, a.h[off:off+n])
		return buf
	default:
		buf = buf[:n:n]
		a.tier.WidenF16(buf, a.h[off:off+n])
		return buf
	}
}

// gather is load with a stride.
func (a *array) gather(off, n, stride int, buf []float32) []float32 {
	if stride == 1 {
		return a.load(off, n, buf)
	}
	buf = buf[:n:n]
	switch {
	case stride == 0:
		x := a.at(off)
		for k := range buf {
			buf[k] = x
		}
	case a.dt == kernels.F32:
		for k := range buf {
			buf[k] = a.f[off+k*stride]
		}
	default:
		for k := range buf {
			buf[k] = a.at(off + k*stride)
		}
	}
	return buf
}

// at is one element.
func (a *array) at(off int) float32 {
	switch a.dt {
	case kernels.F32:
		return a.f[off]
	case kernels.BF16:
		return f16.FromBF16(a.h[off])
	default:
		return f16.FromF16(a.h[off])
	}
}

// dst returns where to compute n elements that store will put at off: the
// memory itself, or buf.
func (a *array) dst(off, n int, buf []float32) []float32 {
	if a.dt == kernels.F32 {
		return a.f[off : off+n : off+n]
	}
	return buf[:n:n]
}

// store puts row at off, rounding to nearest even. For a row that dst gave in
// F32 there is nothing left to do.
func (a *array) store(off int, row []float32) {
	switch a.dt {
	case kernels.F32:
		if len(row) > 0 && &a.f[off] != &row[0] {
			copy(a.f[off:off+len(row)], row)
		}
	case kernels.BF16:
		a.tier.NarrowBF16(a.h[off:off+len(row)], row)
	default:
		a.tier.NarrowF16(a.h[off:off+len(row)], row)
	}
}

// scatter is store with a stride.
func (a *array) scatter(off, stride int, row []float32) {
	if stride == 1 {
		a.store(off, row)
		return
	}
	for k, x := range row {
		switch a.dt {
		case kernels.F32:
			a.f[off+k*stride] = x
		case kernels.BF16:
			a.h[off+k*stride] = f16.ToBF16(x)
		default:
			a.h[off+k*stride] = f16.ToF16(x)
		}
	}
}
