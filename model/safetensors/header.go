package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

const (
	prefixSize    = 8           // little-endian header length
	maxHeaderSize = 100_000_000 // the limit of the reference implementation
	metadataKey   = "__metadata__"
)

// Info says what a tensor is and where it lies.
type Info struct {
	Name   string
	DType  DType
	Shape  []int // empty for a scalar
	Offset int64 // of its first byte in the file
	Size   int64 // bytes: the product of Shape times DType.Size()
}

// Spec returns what it takes to write such a tensor again.
func (i Info) Spec() Spec { return Spec{Name: i.Name, DType: i.DType, Shape: slices.Clone(i.Shape)} }

// Elements returns the number of elements.
func (i Info) Elements() int64 { return i.Size / int64(i.DType.Size()) }

// header is a checked header: infos tile the data section in order of offset.
type header struct {
	infos    []Info
	metadata map[string]string
}

// headerSize reads the prefix of a file and checks it against the file's size.
func headerSize(prefix []byte, fileSize int64) (int64, error) {
	n := binary.LittleEndian.Uint64(prefix)
	if room := uint64(fileSize - prefixSize); n > room {
		if what := otherFormat(prefix); what != "" {
			return 0, malformed("%s", what)
		}
		return 0, malformed("header length %d is beyond the end of the file, which has %d bytes after it: truncated, or not a safetensors file", n, room)
	}
	if n > maxHeaderSize {
		return 0, malformed("header length %d is above the format's limit of %d", n, maxHeaderSize)
	}
	if n < 2 {
		return 0, malformed("header length %d is too short for a JSON object", n)
	}
	return int64(n), nil
}

// otherFormat recognises by its first bytes what people open by mistake.
func otherFormat(prefix []byte) string {
	for _, f := range []struct{ magic, what string }{
		{"version ", "this is a Git LFS pointer and not the file itself: fetch it with `git lfs pull`"},
		{"GGUF", "this is a GGUF file, not safetensors"},
		{"PK\x03\x04", "this is a zip archive, perhaps a PyTorch checkpoint, not safetensors"},
		{"\x80\x02", "this is a Python pickle, perhaps a PyTorch checkpoint, not safetensors"},
		{"<!DOCTYP", "this is an HTML page, perhaps saved instead of a download, not safetensors"},
	} {
		if bytes.HasPrefix(prefix, []byte(f.magic)) {
			return f.what
		}
	}
	return ""
}

// parseHeader reads and checks the JSON of a header whose data section has
// dataSize bytes.
func parseHeader(doc []byte, dataSize int64) (*header, error) {
	// Leading white space is valid JSON, but the format demands the brace.
	if doc[0] != '{' {
		return nil, malformed("header: begins with %q, want '{'", doc[0])
	}
	r, err := newJSONReader(doc)
	if err != nil {
		return nil, malformed("header: %v", err)
	}
	h := &header{metadata: map[string]string{}}
	err = r.object("header", func(key string) error {
		if key == metadataKey {
			return h.readMetadata(r)
		}
		info, err := readInfo(r, key)
		if err != nil {
			return atTensor(key, err)
		}
		h.infos = append(h.infos, info)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := h.checkTiling(dataSize); err != nil {
		return nil, err
	}
	for i := range h.infos {
		h.infos[i].Offset += prefixSize + int64(len(doc))
	}
	return h, nil
}

func (h *header) readMetadata(r *jsonReader) error {
	return r.object(metadataKey, func(key string) error {
		v, err := r.text("a value of " + metadataKey)
		if err != nil {
			return err
		}
		h.metadata[key] = v
		return nil
	})
}

// readInfo reads one tensor's entry. Offset is still relative to the data.
// Fields the format does not know are skipped, as the reference reader does.
func readInfo(r *jsonReader, name string) (Info, error) {
	info := Info{Name: name, Shape: []int{}}
	var begin, end int64
	fields := 0
	err := r.object("its entry", func(key string) error {
		var err error
		switch key {
		case "dtype":
			var s string
			s, err = r.text("dtype")
			info.DType = DType(s)
		case "shape":
			info.Shape, err = readShape(r)
		case "data_offsets":
			begin, end, err = readOffsets(r)
		default:
			return r.skip()
		}
		fields++ // object refuses repeated keys, so that three are all of them
		return err
	})
	if err != nil {
		return Info{}, err
	}
	if fields != 3 {
		return Info{}, malformed("its entry lacks one of dtype, shape, data_offsets")
	}
	if begin > end {
		return Info{}, malformed("data_offsets [%d, %d] begin after their end", begin, end)
	}
	size, err := byteSize(info.DType, info.Shape)
	if err != nil {
		return Info{}, err
	}
	if size != end-begin {
		return Info{}, malformed("%s tensor of shape %s takes %d bytes, but data_offsets [%d, %d] hold %d",
			info.DType, shapeString(info.Shape), size, begin, end, end-begin)
	}
	info.Offset, info.Size = begin, size
	return info, nil
}

func readShape(r *jsonReader) ([]int, error) {
	shape := []int{}
	err := r.array("shape", func(i int) error {
		dim, err := r.natural(math.MaxInt, func() string { return "shape[" + strconv.Itoa(i) + "]" })
		shape = append(shape, int(dim))
		return err
	})
	return shape, err
}

func readOffsets(r *jsonReader) (begin, end int64, err error) {
	n := 0
	err = r.array("data_offsets", func(i int) error {
		v, err := r.natural(math.MaxInt64, func() string { return "data_offsets[" + strconv.Itoa(i) + "]" })
		if i == 0 {
			begin = v
		} else {
			end = v
		}
		n++
		return err
	})
	if err == nil && n != 2 {
		err = malformed("data_offsets has %d numbers, want 2", n)
	}
	return begin, end, err
}

// checkTiling sorts the tensors by place and checks that they cover the data
// section without gap or overlap, as the format demands: bytes of no tensor
// could hide anything, bytes of two make a change to one change the other.
func (h *header) checkTiling(dataSize int64) error {
	slices.SortFunc(h.infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	at := int64(0)
	for i, info := range h.infos {
		end := info.Offset + info.Size // no overflow: it was read as an int64
		switch {
		case end > dataSize:
			last := slices.MaxFunc(h.infos, func(a, b Info) int { return cmp.Compare(a.Offset+a.Size, b.Offset+b.Size) })
			return atTensor(last.Name, malformed("ends at byte %d of the data, but the file holds %d bytes of data: truncated or damaged",
				last.Offset+last.Size, dataSize))
		case info.Offset > at:
			return atTensor(info.Name, malformed("begins at byte %d of the data, but bytes %d to %d belong to no tensor", info.Offset, at, info.Offset))
		case info.Offset < at:
			return atTensor(info.Name, malformed("begins at byte %d of the data, inside tensor %s, which ends at %d",
				info.Offset, quote(h.infos[i-1].Name), at))
		}
		at = end
	}
	if at != dataSize {
		return malformed("%d bytes follow the last tensor, want none", dataSize-at)
	}
	return nil
}
