package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// encodeHeader lays the tensors out and returns the file's beginning, prefix
// and padding included. The same input gives the same bytes.
func encodeHeader(specs []Spec, metadata map[string]string) ([]byte, []Info, error) {
	infos, err := layout(specs)
	if err != nil {
		return nil, nil, err
	}
	doc := bytes.NewBuffer(make([]byte, prefixSize, prefixSize+128*(len(infos)+1)))
	comma := byte('{')
	if len(metadata) > 0 {
		doc.WriteString(`{"` + metadataKey + `":`)
		sep := byte('{')
		for _, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
				return nil, nil, malformed("metadata %s: not UTF-8", quote(key))
			}
			doc.WriteByte(sep)
			doc.Write(jsonString(key))
			doc.WriteByte(':')
			doc.Write(jsonString(metadata[key]))
			sep = ','
		}
		doc.WriteByte('}')
		comma = ','
	}
	for _, info := range infos {
		doc.WriteByte(comma)
		doc.Write(jsonString(info.Name))
		doc.WriteString(`:{"dtype":"` + string(info.DType) + `","shape":[`)
		for i, dim := range info.Shape {
			if i > 0 {
				doc.WriteByte(',')
			}
			doc.WriteString(strconv.Itoa(dim))
		}
		fmt.Fprintf(doc, `],"data_offsets":[%d,%d]}`, info.Offset, info.Offset+info.Size)
		comma = ','
	}
	if comma == '{' {
		doc.WriteByte('{')
	}
	doc.WriteByte('}')
	for doc.Len()%8 != 0 {
		doc.WriteByte(' ')
	}
	n := doc.Len() - prefixSize
	if n > maxHeaderSize {
		return nil, nil, malformed("header of %d bytes is above the format's limit of %d", n, maxHeaderSize)
	}
	binary.LittleEndian.PutUint64(doc.Bytes(), uint64(n))
	for i := range infos {
		infos[i].Offset += int64(doc.Len())
	}
	return doc.Bytes(), infos, nil
}

// layout checks specs and places them one after the other from 0, wider element
// types first: then every tensor begins at a multiple of its element size,
// which torch needs to view the bytes as such elements.
func layout(specs []Spec) ([]Info, error) {
	infos := make([]Info, 0, len(specs))
	seen := make(map[string]bool, len(specs))
	for _, s := range specs {
		var err error
		info := Info{Name: s.Name, DType: s.DType, Shape: slices.Clone(s.Shape)}
		switch {
		case s.Name == "" || s.Name == metadataKey:
			err = malformed("the name is not allowed")
		case !utf8.ValidString(s.Name):
			err = malformed("the name is not UTF-8")
		case seen[s.Name]:
			err = malformed("given twice")
		default:
			info.Size, err = byteSize(s.DType, s.Shape)
		}
		if err != nil {
			return nil, atTensor(s.Name, err)
		}
		seen[s.Name] = true
		infos = append(infos, info)
	}
	slices.SortStableFunc(infos, func(a, b Info) int { return cmp.Compare(b.DType.Size(), a.DType.Size()) })
	offset := int64(0)
	for i := range infos {
		infos[i].Offset = offset
		if infos[i].Size > math.MaxInt64-maxHeaderSize-prefixSize-offset {
			return nil, atTensor(infos[i].Name, malformed("the file would have more than 2^63 bytes"))
		}
		offset += infos[i].Size
	}
	return infos, nil
}

// jsonString encodes valid UTF-8; that cannot fail.
func jsonString(s string) []byte {
	b, _ := json.Marshal(s)
	return b
}
