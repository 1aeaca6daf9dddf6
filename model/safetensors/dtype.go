package safetensors

import (
	"math"
	"math/bits"
	"strings"
)

// DType is the type of a tensor's elements, by its name in the format. Values
// are little endian.
type DType string

// The types of the format that take whole bytes.
const (
	Bool       DType = "BOOL"
	U8         DType = "U8"
	I8         DType = "I8"
	F8E5M2     DType = "F8_E5M2"
	F8E4M3     DType = "F8_E4M3"
	F8E8M0     DType = "F8_E8M0"
	F8E4M3FNUZ DType = "F8_E4M3FNUZ"
	F8E5M2FNUZ DType = "F8_E5M2FNUZ"
	I16        DType = "I16"
	U16        DType = "U16"
	F16        DType = "F16"
	BF16       DType = "BF16"
	I32        DType = "I32"
	U32        DType = "U32"
	F32        DType = "F32"
	F64        DType = "F64"
	I64        DType = "I64"
	U64        DType = "U64"
	C64        DType = "C64" // two F32: real, imaginary
)

// Size returns the bytes of one element, or 0 for a type this package does not
// know.
func (d DType) Size() int {
	switch d {
	case Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, F8E4M3FNUZ, F8E5M2FNUZ:
		return 1
	case I16, U16, F16, BF16:
		return 2
	case I32, U32, F32:
		return 4
	case F64, I64, U64, C64:
		return 8
	}
	return 0
}

// Float reports whether elements are floating-point numbers that this package
// converts: F32, BF16, F16 or F64.
func (d DType) Float() bool { return d == F32 || d == BF16 || d == F16 || d == F64 }

// check refuses an unknown type and says what would be known.
func (d DType) check() error {
	if d.Size() > 0 {
		return nil
	}
	if d == "F4" || strings.HasPrefix(string(d), "F6_") {
		return malformed("dtype %s has elements smaller than a byte, which are not supported", d)
	}
	return malformed("unknown dtype %s, want one of BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64 C64", quote(string(d)))
}

// byteSize returns the bytes of a tensor. Dimensions of zero do not excuse an
// overflow of the others: code that multiplies strides would meet it.
func byteSize(d DType, shape []int) (int64, error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	n, zero := uint64(d.Size()), false
	for i, dim := range shape {
		if dim < 0 {
			return 0, malformed("shape[%d] is %d, want 0 or more", i, dim)
		}
		if dim == 0 {
			zero = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, malformed("%s tensor of shape %s takes more than 2^63 bytes", d, shapeString(shape))
		}
		n = lo
	}
	if zero {
		return 0, nil
	}
	return int64(n), nil
}
