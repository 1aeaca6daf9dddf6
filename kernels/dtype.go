package kernels

import "fmt"

// DType is the storage type of a slot. Arithmetic and sums are always f32.
type DType uint8

// Storage types. BF16 is the upper half of an IEEE binary32.
const (
	F32 DType = iota
	BF16
	F16
	I32
	U8
	U16
	numDTypes
)

var dtypes = [numDTypes]struct {
	name  string
	size  int
	float bool
	round float64
}{
	F32:  {"f32", 4, true, 1.0 / (1 << 24)},
	BF16: {"bf16", 2, true, 1.0 / (1 << 8)},
	F16:  {"f16", 2, true, 1.0 / (1 << 11)},
	I32:  {"i32", 4, false, 0},
	U8:   {"u8", 1, false, 0},
	U16:  {"u16", 2, false, 0},
}

// Size is the number of bytes of one element; 0 for an unknown type.
func (d DType) Size() int {
	if d >= numDTypes {
		return 0
	}
	return dtypes[d].size
}

// Float reports whether d is a floating-point type.
func (d DType) Float() bool { return d < numDTypes && dtypes[d].float }

// Roundoff is the unit roundoff u of a floating-point type: rounding to
// nearest changes a normal number by at most a factor 1 ± u. It is 0 for
// integers.
func (d DType) Roundoff() float64 {
	if d >= numDTypes {
		return 0
	}
	return dtypes[d].round
}

func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}
