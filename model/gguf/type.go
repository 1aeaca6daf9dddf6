package gguf

import (
	"fmt"
	"strings"
)

// Type is the type of a tensor's elements, by its number in the format.
type Type uint32

// The types whose values can be read.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// traits say how elements of a type are stored: in blocks of so many, each of
// so many bytes. decode is nil where values cannot be read.
type traits struct {
	name   string
	block  int
	bytes  int
	bits   int // that an element's own value takes, scales aside
	decode func(dst []float32, src []byte)
}

// table is ggml's table of types (ggml.h, ggml-common.h) by number. Numbers
// without a row were given up.
var table = [...]traits{
	F32:  {"F32", 1, 4, 32, decodeF32},
	F16:  {"F16", 1, 2, 16, decodeF16},
	Q4_0: {"Q4_0", 32, 18, 4, decodeQ4_0},
	Q4_1: {"Q4_1", 32, 20, 4, decodeQ4_1},
	Q5_0: {"Q5_0", 32, 22, 5, decodeQ5_0},
	Q5_1: {"Q5_1", 32, 24, 5, decodeQ5_1},
	Q8_0: {"Q8_0", 32, 34, 8, decodeQ8_0},
	9:    {"Q8_1", 32, 40, 8, nil},
	10:   {"Q2_K", 256, 84, 2, nil},
	11:   {"Q3_K", 256, 110, 3, nil},
	Q4_K: {"Q4_K", 256, 144, 4, decodeQ4_K},
	Q5_K: {"Q5_K", 256, 176, 5, decodeQ5_K},
	Q6_K: {"Q6_K", 256, 210, 6, decodeQ6_K},
	15:   {"Q8_K", 256, 292, 8, nil},
	16:   {"IQ2_XXS", 256, 66, 2, nil},
	17:   {"IQ2_XS", 256, 74, 2, nil},
	18:   {"IQ3_XXS", 256, 98, 3, nil},
	19:   {"IQ1_S", 256, 50, 1, nil},
	20:   {"IQ4_NL", 32, 18, 4, nil},
	21:   {"IQ3_S", 256, 110, 3, nil},
	22:   {"IQ2_S", 256, 82, 2, nil},
	23:   {"IQ4_XS", 256, 136, 4, nil},
	24:   {"I8", 1, 1, 8, nil},
	25:   {"I16", 1, 2, 16, nil},
	26:   {"I32", 1, 4, 32, nil},
	27:   {"I64", 1, 8, 64, nil},
	28:   {"F64", 1, 8, 64, nil},
	29:   {"IQ1_M", 256, 56, 1, nil},
	BF16: {"BF16", 1, 2, 16, decodeBF16},
	34:   {"TQ1_0", 256, 54, 2, nil},
	35:   {"TQ2_0", 256, 66, 2, nil},
	39:   {"MXFP4", 32, 17, 4, nil},
	40:   {"NVFP4", 64, 36, 4, nil},
	41:   {"Q1_0", 128, 18, 1, nil},
}

func (t Type) traits() (traits, bool) {
	if int64(t) >= int64(len(table)) || table[t].block == 0 {
		return traits{}, false
	}
	return table[t], true
}

// String is the type's name in the format, such as Q4_K.
func (t Type) String() string {
	if r, ok := t.traits(); ok {
		return r.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Block is how many elements lie together in a block; rows are whole blocks. It
// is 0 for a type this package does not know.
func (t Type) Block() int { r, _ := t.traits(); return r.block }

// Bits is how many bits an element takes, scales of its block aside.
func (t Type) Bits() int { r, _ := t.traits(); return r.bits }

// Readable reports whether ReadF32 knows the type.
func (t Type) Readable() bool { r, _ := t.traits(); return r.decode != nil }

// Quantised reports whether the type rounds more than the 16-bit floats do.
func (t Type) Quantised() bool { r, ok := t.traits(); return ok && r.block > 1 }

// ReadableTypes lists the types whose values can be read, for messages.
func ReadableTypes() string {
	var names []string
	for i := range table {
		if t := Type(i); t.Readable() {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, ", ")
}
