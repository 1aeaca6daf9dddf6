package gguf

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the type of a metadata value, by its number in the format.
type Kind uint32

// The kinds of metadata values.
const (
	Uint8 Kind = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	Text
	Array
	Uint64
	Int64
	Float64
)

// kinds are the names and sizes of the kinds; 0 for those of any size.
var kinds = [...]struct {
	name string
	size int
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2},
	Uint32: {"uint32", 4}, Int32: {"int32", 4}, Float32: {"float32", 4}, Bool: {"bool", 1},
	Text: {"string", 0}, Array: {"array", 0},
	Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float64: {"float64", 8},
}

// String is the kind's name.
func (k Kind) String() string {
	if int64(k) < int64(len(kinds)) {
		return kinds[k].name
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Value is a metadata value.
type Value struct {
	Kind Kind
	Elem Kind // of an array's elements
	Len  int  // of an array

	raw []byte // as in the file, without the lengths of a text or array
}

// readValue reads a kind and a value of it.
func (c *cursor) readValue(place string) (Value, error) {
	k, err := c.u32(place)
	if err != nil {
		return Value{}, err
	}
	if Kind(k) != Array {
		return c.readScalar(Kind(k), place)
	}
	e, err := c.u32(place)
	if err != nil {
		return Value{}, err
	}
	v := Value{Kind: Array, Elem: Kind(e)}
	if int64(e) >= int64(len(kinds)) || v.Elem == Array {
		return Value{}, malformed(place, "expected an array of numbers, bools or strings, found one of %v", v.Elem)
	}
	each := int64(kinds[e].size)
	if v.Elem == Text {
		each = 8
	}
	if v.Len, err = c.count(place+": length of the array", each); err != nil {
		return Value{}, err
	}
	start := c.at
	if v.Elem != Text && v.Elem != Bool {
		v.raw, err = c.take(uint64(v.Len)*uint64(each), place)
		return v, err
	}
	for range v.Len {
		if _, err := c.readScalar(v.Elem, place); err != nil {
			return Value{}, err
		}
	}
	v.raw = c.data[start:c.at:c.at]
	return v, nil
}

func (c *cursor) readScalar(k Kind, place string) (v Value, err error) {
	v.Kind = k
	if int64(k) >= int64(len(kinds)) {
		return v, malformed(place, "expected a kind from 0 to %d, found %d", len(kinds)-1, uint32(k))
	}
	if k == Text {
		v.raw, err = c.text(place)
		return v, err
	}
	v.raw, err = c.take(uint64(kinds[k].size), place)
	if err == nil && k == Bool && v.raw[0] > 1 {
		err = malformed(place, "expected a bool of 0 or 1, found %d", v.raw[0])
	}
	return v, err
}

// Int returns an integer; ok is false for other kinds, and for numbers above
// 2^63 - 1.
func (v Value) Int() (n int64, ok bool) {
	le := binary.LittleEndian
	switch v.Kind {
	case Uint8:
		return int64(v.raw[0]), true
	case Int8:
		return int64(int8(v.raw[0])), true
	case Uint16:
		return int64(le.Uint16(v.raw)), true
	case Int16:
		return int64(int16(le.Uint16(v.raw))), true
	case Uint32:
		return int64(le.Uint32(v.raw)), true
	case Int32:
		return int64(int32(le.Uint32(v.raw))), true
	case Uint64:
		n := le.Uint64(v.raw)
		return int64(n), n <= math.MaxInt64
	case Int64:
		return int64(le.Uint64(v.raw)), true
	}
	return 0, false
}

// Float returns a floating-point number; ok is false for other kinds.
func (v Value) Float() (x float64, ok bool) {
	switch v.Kind {
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.raw))), true
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.raw)), true
	}
	return 0, false
}

// Bool returns a truth value; ok is false for other kinds.
func (v Value) Bool() (b, ok bool) {
	return v.Kind == Bool && v.raw[0] == 1, v.Kind == Bool
}

// Text returns a text; ok is false for other kinds, and when it is not UTF-8.
func (v Value) Text() (s string, ok bool) {
	if v.Kind != Text || !utf8.Valid(v.raw) {
		return "", false
	}
	return string(v.raw), true
}

// All goes through the elements of an array; other kinds have none.
func (v Value) All() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind != Array {
			return
		}
		rest := v.raw
		for range v.Len {
			e := Value{Kind: v.Elem}
			n := kinds[v.Elem].size
			if v.Elem == Text {
				n = int(binary.LittleEndian.Uint64(rest))
				rest = rest[8:]
			}
			e.raw, rest = rest[:n:n], rest[n:]
			if !yield(e) {
				return
			}
		}
	}
}

// Number is the shortest decimal, as JSON has it, that reads back as the number
// in its own kind; ok is false for what is no finite number.
func (v Value) Number() (s string, ok bool) {
	if v.Kind == Uint64 {
		return strconv.FormatUint(binary.LittleEndian.Uint64(v.raw), 10), true
	}
	if n, ok := v.Int(); ok {
		return strconv.FormatInt(n, 10), true
	}
	x, ok := v.Float()
	if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
		return "", false
	}
	bits := 64
	if v.Kind == Float32 {
		bits = 32
	}
	s = strconv.FormatFloat(x, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0" // for readers who tell whole numbers from others
	}
	return s, true
}

// String describes the value in one short line.
func (v Value) String() string {
	if s, ok := v.Number(); ok {
		return v.Kind.String() + " " + s
	}
	switch v.Kind {
	case Bool:
		return strconv.FormatBool(v.raw[0] == 1)
	case Text:
		return quote(string(v.raw[:min(len(v.raw), 200)]))
	case Array:
		return fmt.Sprintf("an array of %d %v", v.Len, v.Elem)
	case Float32, Float64:
		x, _ := v.Float()
		return fmt.Sprintf("%v %v", v.Kind, x)
	}
	return v.Kind.String()
}
