package gguf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

const (
	magic            = "GGUF"
	prefixSize       = 24 // magic, version, number of tensors, number of keys
	minVersion       = 2
	maxVersion       = 3
	maxDims          = 4
	defaultAlignment = 32
	alignmentKey     = "general.alignment"

	// The least that an entry can take: what a header promises is held against it
	// before memory for the entries is taken.
	minPairSize = 8 + 1 + 4 + 1     // key, kind, value
	minInfoSize = 8 + 1 + 4 + 4 + 8 // name, number of dimensions, type, offset
)

// Info says what a tensor is and where it lies.
type Info struct {
	Name   string
	Type   Type
	Shape  []int // outermost dimension first, the reverse of the file's order
	Offset int64 // of its first byte in the file
	Size   int64 // bytes
}

// Elements returns the number of elements.
func (i Info) Elements() int64 {
	n := int64(1)
	for _, d := range i.Shape {
		n *= int64(d)
	}
	return n
}

// header is a checked header.
type header struct {
	version uint32
	keys    []string // in the order of the file
	values  map[string]Value
	infos   []Info // in order of offset
}

// cursor reads a header from its beginning. data may be less than the whole
// file; what lies behind it is errShort, what lies behind the file's end is not
// there.
type cursor struct {
	data []byte
	size int64 // of the file
	at   int64
}

// errShort asks for more of the file than has been read.
type errShort struct{ need int64 }

func (e errShort) Error() string { return fmt.Sprintf("needs %d bytes of the file", e.need) }

// take returns the next n bytes.
func (c *cursor) take(n uint64, place string) ([]byte, error) {
	if room := uint64(c.size - c.at); n > room {
		return nil, malformed(place, "expected %d bytes at %d, found the file's end after %d: truncated or damaged", n, c.at, room)
	}
	end := c.at + int64(n)
	if end > int64(len(c.data)) {
		return nil, errShort{end}
	}
	b := c.data[c.at:end:end]
	c.at = end
	return b, nil
}

func (c *cursor) u32(place string) (uint32, error) {
	b, err := c.take(4, place)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64(place string) (uint64, error) {
	b, err := c.take(8, place)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// text reads a length and as many bytes, which must be UTF-8.
func (c *cursor) text(place string) ([]byte, error) {
	n, err := c.u64(place)
	if err != nil {
		return nil, err
	}
	b, err := c.take(n, place)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// name reads a key or a tensor's name.
func (c *cursor) name(place string) (string, error) {
	b, err := c.text(place)
	if err != nil {
		return "", err
	}
	if len(b) == 0 || len(b) > math.MaxUint16 || !utf8.Valid(b) {
		return "", malformed(place, "expected a name of 1 to %d bytes in UTF-8, found %s", math.MaxUint16, quote(string(b[:min(len(b), 200)])))
	}
	return string(b), nil
}

// count reads how many entries follow, each of at least so many bytes.
func (c *cursor) count(place string, each int64) (int, error) {
	n, err := c.u64(place)
	if err != nil {
		return 0, err
	}
	if most := uint64((c.size - c.at) / each); n > most {
		return 0, malformed(place, "expected at most %d, as many as a file of %d bytes has room for, found %d", most, c.size, n)
	}
	return int(n), nil
}

// parse reads and checks a header.
func parse(data []byte, size int64) (*header, error) {
	c := &cursor{data: data, size: size}
	h := &header{values: map[string]Value{}}
	b, err := c.take(uint64(min(4, size)), "magic")
	if err != nil {
		return nil, err
	}
	if string(b) != magic {
		return nil, malformed("magic", "expected %q, found %q: not a GGUF file", magic, b)
	}
	if h.version, err = c.readVersion(); err != nil {
		return nil, err
	}
	tensors, err := c.count("tensor_count", minInfoSize)
	if err != nil {
		return nil, err
	}
	pairs, err := c.count("metadata_kv_count", minPairSize)
	if err != nil {
		return nil, err
	}
	for i := range pairs {
		if err := h.readPair(c, i); err != nil {
			return nil, err
		}
	}
	align, err := h.alignment()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{} // grows with what is really there
	for i := range tensors {
		info, err := c.readInfo(i, align)
		if err != nil {
			return nil, err
		}
		if seen[info.Name] {
			return nil, malformed(tensorPlace(info.Name), "expected each name once, found it twice")
		}
		seen[info.Name] = true
		h.infos = append(h.infos, info)
	}
	return h, h.place(c.at, size, align)
}

func (c *cursor) readVersion() (uint32, error) {
	v, err := c.u32("version")
	switch {
	case err != nil:
		return 0, err
	case v >= minVersion && v <= maxVersion:
		return v, nil
	case bits.ReverseBytes32(v) <= maxVersion && v != 0:
		return 0, malformed("version", "expected little endian, found big endian (version %d)", bits.ReverseBytes32(v))
	}
	return 0, malformed("version", "expected %d or %d, found %d", minVersion, maxVersion, v)
}

func (h *header) readPair(c *cursor, i int) error {
	key, err := c.name(fmt.Sprintf("key %d", i))
	if err != nil {
		return err
	}
	v, err := c.readValue(quote(key))
	if err != nil {
		return err
	}
	if _, twice := h.values[key]; twice {
		return malformed(quote(key), "expected each key once, found it twice")
	}
	h.keys = append(h.keys, key)
	h.values[key] = v
	return nil
}

// alignment is what offsets of tensors are multiples of.
func (h *header) alignment() (int64, error) {
	v, ok := h.values[alignmentKey]
	if !ok {
		return defaultAlignment, nil
	}
	n, isUint := v.Int()
	if v.Kind != Uint32 || !isUint || n == 0 || n&(n-1) != 0 {
		return 0, malformed(quote(alignmentKey), "expected a power of two as uint32, found %v", v)
	}
	return n, nil
}

// readInfo reads a tensor's entry. Offset is still relative to the data.
func (c *cursor) readInfo(i int, align int64) (Info, error) {
	name, err := c.name(fmt.Sprintf("tensor %d", i))
	if err != nil {
		return Info{}, err
	}
	place := tensorPlace(name)
	dims, err := c.u32(place)
	if err != nil {
		return Info{}, err
	}
	if dims > maxDims {
		return Info{}, malformed(place, "expected at most %d dimensions, found %d", maxDims, dims)
	}
	info := Info{Name: name, Shape: make([]int, dims)}
	for d := range info.Shape {
		n, err := c.u64(place)
		if err != nil {
			return Info{}, err
		}
		if n > math.MaxInt {
			return Info{}, malformed(place, "dimension %d: expected less than 2^63, found %d", d, n)
		}
		info.Shape[len(info.Shape)-1-d] = int(n)
	}
	t, err := c.u32(place)
	if err != nil {
		return Info{}, err
	}
	info.Type = Type(t)
	offset, err := c.u64(place)
	if err != nil {
		return Info{}, err
	}
	if offset > uint64(c.size) {
		return Info{}, malformed(place, "expected its data at %d and further, found a file of %d bytes: truncated or damaged", offset, c.size)
	}
	if int64(offset)%align != 0 {
		return Info{}, malformed(place, "offset: expected a multiple of %d, found %d", align, offset)
	}
	info.Offset = int64(offset)
	info.Size, err = info.bytes(c.size)
	return info, err
}

// bytes is how many bytes the elements take, which is at most limit.
func (i Info) bytes(limit int64) (int64, error) {
	t, ok := i.Type.traits()
	if !ok {
		return 0, malformed(tensorPlace(i.Name), "type: expected one of ggml's, found number %d", uint32(i.Type))
	}
	row := 1
	if len(i.Shape) > 0 {
		row = i.Shape[len(i.Shape)-1]
	}
	if row%t.block != 0 {
		return 0, malformed(tensorPlace(i.Name), "shape %v: expected rows of whole blocks of %d elements of %s, found rows of %d", i.Shape, t.block, t.name, row)
	}
	n := uint64(1)
	for _, d := range i.Shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, malformed(tensorPlace(i.Name), "shape %v: expected less than 2^63 elements, found more", i.Shape)
		}
		n = max(lo, 1) // a zero does not excuse an overflow of the others
	}
	if slices.Contains(i.Shape, 0) {
		return 0, nil
	}
	if blocks := n / uint64(t.block); blocks > uint64(limit)/uint64(t.bytes) {
		return 0, malformed(tensorPlace(i.Name), "%s of shape %v: expected no more than the file of %d bytes holds, found %d blocks of %d bytes", t.name, i.Shape, limit, blocks, t.bytes)
	}
	return int64(n) / int64(t.block) * int64(t.bytes), nil
}

// place puts the tensors behind the header, which ends at end, and checks that
// they lie in the file and not over each other.
func (h *header) place(end, size, align int64) error {
	base := end
	if over := end % align; over != 0 {
		base += align - over // no overflow: align is below 2^32
	}
	slices.SortFunc(h.infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	var last Info // that is not empty
	for i := range h.infos {
		info := &h.infos[i]
		info.Offset += base // both at most the file's size, or little more
		if info.Size == 0 {
			info.Offset = min(info.Offset, size)
			continue
		}
		if info.Offset > size || info.Size > size-info.Offset {
			return malformed(tensorPlace(info.Name), "expected %d bytes at %d, found a file of %d bytes: truncated or damaged", info.Size, info.Offset, size)
		}
		if end := last.Offset + last.Size; end > info.Offset {
			return malformed(tensorPlace(info.Name), "expected it behind %s, which ends at %d, found it at %d", tensorPlace(last.Name), end, info.Offset)
		}
		last = *info
	}
	return nil
}

// otherFormat recognises by its first bytes what people open by mistake.
func otherFormat(prefix []byte) string {
	for _, f := range []struct{ magic, what string }{
		{"version ", "this is a Git LFS pointer and not the file itself: fetch it with `git lfs pull`"},
		{"ggml", "this is a GGML file, from before GGUF"},
		{"lmgg", "this is a GGML file, from before GGUF"},
		{"tjgg", "this is a GGJT file, from before GGUF"},
		{"PK\x03\x04", "this is a zip archive, perhaps a PyTorch checkpoint"},
		{"<!DOCTYP", "this is an HTML page, perhaps saved instead of a download"},
	} {
		if bytes.HasPrefix(prefix, []byte(f.magic)) {
			return f.what
		}
	}
	return ""
}
