package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// FuzzParse checks on any bytes that a file is either refused as malformed or
// is what the format promises: tensors that tile the data, readable everywhere,
// and the same when the content is written and read again.
func FuzzParse(f *testing.F) {
	for _, c := range refused {
		if len(c.file) < 1<<12 {
			f.Add(c.file)
		}
	}
	f.Add(raw("{}", 0))
	f.Add(raw(one, 8))
	f.Add(raw(pair("[4,8]", "[0,4]"), 8))
	f.Add(raw(`{"__metadata__":{"k":"\ud83d\ude00"},"e":{"dtype":"F64","shape":[0,7],"data_offsets":[0,0],"x":[{}]}}  `, 0))
	f.Fuzz(checkParse)
}

// FuzzHeader is FuzzParse with a header length that is always right, so that
// the search is spent on what lies behind it.
func FuzzHeader(f *testing.F) {
	for _, c := range refused {
		if len(c.file) < prefixSize || len(c.file) > 1<<10 {
			continue
		}
		if n, err := headerSize(c.file[:prefixSize], int64(len(c.file))); err == nil {
			f.Add(c.file[prefixSize:prefixSize+n], uint16(len(c.file)-prefixSize-int(n)))
		}
	}
	f.Add([]byte(one), uint16(8))
	f.Add([]byte(pair("[4,8]", "[0,4]")), uint16(8))
	f.Fuzz(func(t *testing.T, doc []byte, n uint16) { checkParse(t, raw(string(doc), int(n))) })
}

func checkParse(t *testing.T, data []byte) {
	in, err := Parse("fuzz", data)
	if err != nil {
		if !errors.Is(err, ErrFormat) || strings.ContainsAny(err.Error(), "\n\r\x1b") {
			t.Fatalf("refused with %q, want one line that matches ErrFormat", err)
		}
		return
	}
	checkTiles(t, in, data)
	checkSecondOpinion(t, data)
	checkRewritten(t, in)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkTiles(t *testing.T, in *File, data []byte) {
	var joined []byte
	for _, name := range in.Names() {
		info, ok := in.Info(name)
		if !ok || info.Name != name {
			t.Fatalf("Info(%q): got %+v %v", name, info, ok)
		}
		elements := int64(1)
		for _, dim := range info.Shape {
			elements *= int64(dim)
		}
		b, err := in.Bytes(name)
		if err != nil || int64(len(b)) != info.Size || elements*int64(info.DType.Size()) != info.Size || elements != info.Elements() {
			t.Fatalf("%q: got %d bytes (%v) for %+v", name, len(b), err, info)
		}
		if info.DType.Float() {
			if err := in.ReadF32(make([]float32, elements), name); err != nil {
				t.Fatal(err)
			}
		}
		joined = append(joined, b...)
	}
	if !bytes.HasSuffix(data, joined) {
		t.Fatalf("the tensors' bytes in order, %x, are not the file's end", joined)
	}
	if room := len(data) - len(joined); room < prefixSize+2 || in.header.size() != int64(len(joined)) {
		t.Fatalf("%d bytes of tensors and %d before them do not make the file", len(joined), room)
	}
}

// checkSecondOpinion compares the token walk with encoding/json's Unmarshal,
// which is not as strict but must agree on what was accepted.
func checkSecondOpinion(t *testing.T, data []byte) {
	n, err := headerSize(data[:prefixSize], int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	doc := data[prefixSize : prefixSize+n]
	h, err := parseHeader(doc, int64(len(data))-prefixSize-n)
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(doc, &top); err != nil {
		t.Fatalf("accepted what json.Unmarshal refuses: %v", err)
	}
	metadata := map[string]string{}
	if m, ok := top[metadataKey]; ok {
		if err := json.Unmarshal(m, &metadata); err != nil {
			t.Fatal(err)
		}
		delete(top, metadataKey)
	}
	if !maps.Equal(metadata, h.metadata) || len(top) != len(h.infos) {
		t.Fatalf("got %d tensors and metadata %q, want %d and %q", len(h.infos), h.metadata, len(top), metadata)
	}
	for _, info := range h.infos {
		// A map, as Unmarshal into a struct takes "DType" for dtype.
		var fields map[string]json.RawMessage
		var dtype DType
		var shape []int
		var offsets []int64
		err := errors.Join(json.Unmarshal(top[info.Name], &fields), json.Unmarshal(fields["dtype"], &dtype),
			json.Unmarshal(fields["shape"], &shape), json.Unmarshal(fields["data_offsets"], &offsets))
		begin := info.Offset - prefixSize - n
		if err != nil || dtype != info.DType || !slices.Equal(shape, info.Shape) || !slices.Equal(offsets, []int64{begin, begin + info.Size}) {
			t.Fatalf("%q: got %+v, want %s %v %v (%v)", info.Name, info, dtype, shape, offsets, err)
		}
	}
}

func checkRewritten(t *testing.T, in *File) {
	var specs []Spec
	for _, name := range in.Names() {
		if name == "" {
			return // read, but not written
		}
		info, _ := in.Info(name)
		specs = append(specs, info.Spec())
	}
	doc, infos, err := encodeHeader(specs, in.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		b, _ := in.Bytes(info.Name)
		if int64(len(doc)) != info.Offset || info.Offset%int64(info.DType.Size()) != 0 {
			t.Fatalf("%q is placed at %d, want %d, aligned", info.Name, info.Offset, len(doc))
		}
		doc = append(doc, b...)
	}
	out, err := Parse("rewritten", doc)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(out.Metadata(), in.Metadata()) || !reflect.DeepEqual(out.index, indexOf(infos)) {
		t.Fatalf("rewritten: got %v %v", out.Metadata(), out.index)
	}
	for _, info := range infos {
		got, _ := out.Bytes(info.Name)
		want, _ := in.Bytes(info.Name)
		if again, _ := out.Info(info.Name); !reflect.DeepEqual(again, info) || !bytes.Equal(got, want) {
			t.Fatalf("rewritten: got %+v, want %+v", again, info)
		}
	}
}

// indexOf is the index a file has whose tensors lie in the order of infos, but
// for empty ones, which come before what begins at the same place.
func indexOf(infos []Info) map[string]int {
	h := header{infos: slices.Clone(infos)}
	if len(infos) > 0 {
		for i := range h.infos {
			h.infos[i].Offset -= infos[0].Offset
		}
	}
	if err := h.checkTiling(h.size()); err != nil {
		return nil
	}
	index := make(map[string]int, len(infos))
	for i, info := range h.infos {
		index[info.Name] = i
	}
	return index
}

// size is the bytes of all tensors as their infos have it.
func (h *header) size() (n int64) {
	for _, info := range h.infos {
		n += info.Size
	}
	return n
}

// FuzzIndex checks on any bytes that an index is refused as malformed, or gives
// tensors once each and files that lie in the directory.
func FuzzIndex(f *testing.F) {
	for _, doc := range []string{
		`{"metadata":{"total_size":1},"weight_map":{"a":"x-1.safetensors","b":"x-2.safetensors"}}`,
		`{"weight_map":{"a":"../x.safetensors"}}`,
		`{"weight_map":{"a":"x\u0000.safetensors"}}`,
		`{"weight_map":{"a":"x.safetensors","\u0061":"x.safetensors"}}`,
		`{"weight_map":{"a":1}}`,
		`{"weight_map":[]}`,
		`[]`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		weights, err := parseIndex(doc)
		if err != nil {
			if !errors.Is(err, ErrFormat) || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("refused with %q, want one line that matches ErrFormat", err)
			}
			return
		}
		var second struct {
			W map[string]string `json:"weight_map"`
		}
		var top map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal(doc, &top), json.Unmarshal(top["weight_map"], &second.W)); err != nil {
			t.Fatal(err)
		}
		if len(weights) != len(second.W) || len(weights) == 0 {
			t.Fatalf("got %d tensors, want %d, at least one", len(weights), len(second.W))
		}
		for _, entry := range weights {
			if second.W[entry.tensor] != entry.shard {
				t.Fatalf("%q: got %q, want %q", entry.tensor, entry.shard, second.W[entry.tensor])
			}
			if dir, base := filepath.Split(filepath.Join("dir", entry.shard)); dir != "dir"+string(filepath.Separator) || base != entry.shard {
				t.Fatalf("%q leads out of the directory, to %q", entry.shard, dir)
			}
		}
	})
}

// FuzzSpecs checks that any tensors are either refused for writing or give a
// file that is read with the same names, types, shapes and metadata. Names are
// the lines of a text; types and shapes come from the bytes.
func FuzzSpecs(f *testing.F) {
	f.Add("a\nb", []byte{12, 2, 2, 3, 1, 0}, "format", "pt")
	f.Add("a\na", []byte{0, 0}, "", "")
	f.Add("\"\x00<\u2028\xff", []byte{18, 1, 0}, "k", "\\u\"")
	dtypes := []DType{Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, F8E4M3FNUZ, F8E5M2FNUZ, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64, C64, "F4", ""}
	f.Fuzz(func(t *testing.T, names string, choices []byte, key, value string) {
		next := func(n int) int { // 0 to n-1
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0]) % n
			choices = choices[1:]
			return c
		}
		var specs []Spec
		for name := range strings.SplitSeq(names, "\n") {
			s := Spec{Name: name, DType: dtypes[next(len(dtypes))], Shape: []int{}}
			for range next(4) {
				s.Shape = append(s.Shape, next(7)-1)
			}
			specs = append(specs, s)
		}
		doc, infos, err := encodeHeader(specs, map[string]string{key: value})
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("refused with %v, want an error that matches ErrFormat", err)
			}
			return
		}
		if len(doc)%8 != 0 {
			t.Fatalf("data begins at %d, want a multiple of 8", len(doc))
		}
		h := header{infos: infos}
		in, err := Parse("fuzz", append(doc, make([]byte, h.size())...))
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if got := in.Metadata(); len(got) != 1 || got[key] != value {
			t.Fatalf("metadata: got %q, want %q: %q", got, key, value)
		}
		for _, s := range specs {
			if info, ok := in.Info(s.Name); !ok || !reflect.DeepEqual(info.Spec(), s) || info.Offset%int64(s.DType.Size()) != 0 {
				t.Fatalf("got %+v, want %+v, aligned", info, s)
			}
		}
		if got := len(in.Names()); got != len(specs) {
			t.Fatalf("got %d tensors, want %d", got, len(specs))
		}
	})
}
