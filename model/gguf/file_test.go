package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const goldenPath = "testdata/golden.gguf"

// openers open a file in each way that there is.
var openers = []struct {
	name string
	open func(path string) (*File, error)
}{
	{"read", Open},
	{"in memory", func(path string) (*File, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return Parse(path, data)
	}},
}

// Every type is to the bit what the Python package makes of it, read whole and
// in pieces that begin and end within blocks.
func TestReadF32Golden(t *testing.T) {
	for _, o := range openers {
		f, err := o.open(goldenPath)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, name := range []string{"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F16", "BF16"} {
			t.Run(o.name+"/"+name, func(t *testing.T) {
				info, ok := f.Info(name)
				if !ok || info.Type.String() != name {
					t.Fatalf("got %+v %v, want a tensor of type %s", info, ok, name)
				}
				want := make([]float32, info.Elements())
				if err := f.ReadF32(want, "want."+name, 0); err != nil {
					t.Fatal(err)
				}
				for _, piece := range []int{len(want), 1, 7, 16, 33, 256, 300} {
					got := make([]float32, len(want))
					for i := 0; i < len(got); i += piece {
						if err := f.ReadF32(got[i:min(i+piece, len(got))], name, int64(i)); err != nil {
							t.Fatal(err)
						}
					}
					for i := range got {
						if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
							t.Fatalf("pieces of %d: [%d]: got %v, want %v", piece, i, got[i], want[i])
						}
					}
				}
			})
		}
	}
}

func TestReadF32Refuses(t *testing.T) {
	f, err := Open(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, tc := range []struct {
		name  string
		n     int
		first int64
		is    error
		want  string
	}{
		{"IQ4_NL", 32, 0, ErrType, `tensor "IQ4_NL": type: expected one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16, found IQ4_NL`},
		{"none", 1, 0, ErrNoTensor, `tensor "none": no such tensor`},
		{"Q4_0", 385, 0, nil, `tensor "Q4_0": expected elements within its 384, found 385 from 0 on`},
		{"Q4_0", 1, 384, nil, `tensor "Q4_0": expected elements within its 384, found 1 from 384 on`},
		{"Q4_0", 1, -1, nil, `tensor "Q4_0": expected elements within its 384, found 1 from -1 on`},
		{"Q4_0", 1, 385, nil, `tensor "Q4_0": expected elements within its 384, found 1 from 385 on`},
	} {
		err := f.ReadF32(make([]float32, tc.n), tc.name, tc.first)
		if err == nil || err.Error() != "gguf: "+goldenPath+": "+tc.want || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	if err := f.ReadF32(nil, "Q4_0", 384); err != nil {
		t.Errorf("nothing from the end on: got %v", err)
	}
	f.Close()
	if _, err := f.Bytes("Q4_0"); err == nil || !strings.HasSuffix(err.Error(), "file is closed") {
		t.Errorf("after Close: got %v, want that the file is closed", err)
	}
}

// A value of every kind, as the Python package wrote it.
func TestValues(t *testing.T) {
	f, err := Open(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, want := range map[string]string{
		"general.architecture": `"llama"`,
		"k.uint8":              "uint8 200",
		"k.int8":               "int8 -100",
		"k.uint16":             "uint16 60000",
		"k.int16":              "int16 -30000",
		"k.uint32":             "uint32 4000000000",
		"k.int32":              "int32 -2000000000",
		"k.uint64":             "uint64 18446744073709551615",
		"k.int64":              "int64 -4611686018427387904",
		"k.float32":            "float32 1e-05",
		"k.float64":            "float64 0.1",
		"k.bool":               "true",
		"k.string":             `"안녕, ñ"`,
		"k.strings":            "an array of 3 string",
		"k.ints":               "an array of 3 int32",
		"k.bools":              "an array of 2 bool",
	} {
		v, ok := f.Value(key)
		if got := v.String(); !ok || got != want {
			t.Errorf("%s: got %s %v, want %s", key, got, ok, want)
		}
	}
	if got, want := len(f.Keys()), 16; got != want || f.Version() != 3 {
		t.Errorf("got %d keys, version %d, want %d and 3", got, f.Version(), want)
	}
	var got []string
	for _, key := range []string{"k.strings", "k.ints", "k.bools", "k.uint8"} {
		v, _ := f.Value(key)
		for e := range v.All() {
			got = append(got, e.String())
		}
	}
	if want := []string{`"a"`, `""`, `"日本"`, "int32 1", "int32 -2", "int32 3", "true", "false"}; !slices.Equal(got, want) {
		t.Errorf("elements: got %q, want %q", got, want)
	}
	v, _ := f.Value("k.uint64")
	if n, ok := v.Int(); ok {
		t.Errorf("2^64 - 1 as int64: got %d, want none", n)
	}
	if _, ok := f.Value("none"); ok {
		t.Error("a value of a key that is not there")
	}
}

// image builds a file, field by field.
type image struct{ b []byte }

func (m *image) u32(n uint32) *image { m.b = binary.LittleEndian.AppendUint32(m.b, n); return m }
func (m *image) u64(n uint64) *image { m.b = binary.LittleEndian.AppendUint64(m.b, n); return m }
func (m *image) text(s string) *image {
	m.u64(uint64(len(s)))
	m.b = append(m.b, s...)
	return m
}

func (m *image) raw(b ...byte) *image { m.b = append(m.b, b...); return m }

func start(tensors, pairs uint64) *image {
	m := &image{[]byte(magic)}
	return m.u32(3).u64(tensors).u64(pairs)
}

// tensor adds an entry; dims as in the file, innermost first.
func (m *image) tensor(name string, t Type, offset uint64, dims ...uint64) *image {
	m.text(name).u32(uint32(len(dims)))
	for _, d := range dims {
		m.u64(d)
	}
	return m.u32(uint32(t)).u64(offset)
}

// data pads to a multiple of 32 and adds n bytes.
func (m *image) data(n int) []byte {
	for len(m.b)%defaultAlignment != 0 {
		m.b = append(m.b, 0)
	}
	return append(m.b, make([]byte, n)...)
}

// accepted are files that are right, though not what common writers write.
var accepted = map[string][]byte{
	"nothing":         start(0, 0).b,
	"version 2":       append([]byte("GGUF\x02\x00\x00\x00"), start(0, 0).b[8:]...),
	"empty array":     start(0, 1).text("a").u32(uint32(Array)).u32(uint32(Text)).u64(0).b,
	"scalar":          start(1, 0).tensor("a", F32, 0).data(4),
	"empty tensor":    start(2, 0).tensor("a", F32, 0, 0, 7).tensor("b", F32, 0, 1).data(4),
	"empty at end":    start(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 32, 0).data(4),
	"out of order":    start(2, 0).tensor("b", F32, 32, 1).tensor("a", F32, 0, 8).data(36),
	"with a gap":      start(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 96, 1).data(100),
	"other alignment": start(1, 1).text(alignmentKey).u32(uint32(Uint32)).u32(64).tensor("a", F32, 64, 1).data(256),
	"four dimensions": start(1, 0).tensor("a", Q8_0, 0, 32, 1, 2, 1).data(68),
}

func TestAccepted(t *testing.T) {
	for name, data := range accepted {
		f, err := Parse(name, data)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, n := range f.Names() {
			info, _ := f.Info(n)
			if err := f.ReadF32(make([]float32, info.Elements()), n, 0); err != nil {
				t.Error(err)
			}
		}
	}
}

// refused are files that break the format, and what is said of them.
var refused = []struct {
	name string
	file []byte
	want string
}{
	{"empty", nil, "header: expected at least 24 bytes, found a file of 0"},
	{"cut in the prefix", start(0, 0).b[:23], "header: expected at least 24 bytes, found a file of 23"},
	{"another format", append([]byte("PK\x03\x04"), make([]byte, 40)...), `magic: expected "GGUF", found "PK\x03\x04": not a GGUF file: this is a zip archive, perhaps a PyTorch checkpoint`},
	{"version 1", append([]byte("GGUF\x01\x00\x00\x00"), make([]byte, 40)...), "version: expected 2 or 3, found 1"},
	{"version 4", append([]byte("GGUF\x04\x00\x00\x00"), make([]byte, 40)...), "version: expected 2 or 3, found 4"},
	{"big endian", append([]byte("GGUF\x00\x00\x00\x03"), make([]byte, 40)...), "version: expected little endian, found big endian (version 3)"},
	{"tensors beyond memory", start(1<<62, 0).b, "tensor_count: expected at most 0, as many as a file of 24 bytes has room for, found 4611686018427387904"},
	{"keys beyond memory", start(0, 1<<62).b, "metadata_kv_count: expected at most 0, as many as a file of 24 bytes has room for, found 4611686018427387904"},
	{"no key", start(0, 1).data(40), `key 0: expected a name of 1 to 65535 bytes in UTF-8, found ""`},
	{"key not UTF-8", start(0, 1).text("\xff").u32(0).data(32), `key 0: expected a name of 1 to 65535 bytes in UTF-8, found "\xff"`},
	{"key beyond the end", start(0, 1).u64(1 << 60).data(32), "key 0: expected 1152921504606846976 bytes at 32, found the file's end after 32: truncated or damaged"},
	{"key twice", start(0, 2).text("a").u32(0).raw(1).text("a").u32(0).raw(1).data(0), `"a": expected each key once, found it twice`},
	{"unknown kind", start(0, 1).text("a").u32(13).data(8), `"a": expected a kind from 0 to 12, found 13`},
	{"array of arrays", start(0, 1).text("a").u32(uint32(Array)).u32(uint32(Array)).u64(0).data(0), `"a": expected an array of numbers, bools or strings, found one of array`},
	{"array of nothing known", start(0, 1).text("a").u32(uint32(Array)).u32(99).u64(0).data(0), `"a": expected an array of numbers, bools or strings, found one of kind 99`},
	{"array beyond the end", start(0, 1).text("a").u32(uint32(Array)).u32(uint32(Uint64)).u64(1<<61 + 1).data(0), `"a": length of the array: expected at most 1, as many as a file of 64 bytes has room for, found 2305843009213693953`},
	{"text in an array beyond the end", start(0, 1).text("a").u32(uint32(Array)).u32(uint32(Text)).u64(1).u64(99).data(0), `"a": expected 99 bytes at 57, found the file's end after 7: truncated or damaged`},
	{"bool of 2", start(0, 1).text("a").u32(uint32(Bool)).raw(2).data(0), `"a": expected a bool of 0 or 1, found 2`},
	{"bool of 2 in an array", start(0, 1).text("a").u32(uint32(Array)).u32(uint32(Bool)).u64(2).raw(1, 2).data(0), `"a": expected a bool of 0 or 1, found 2`},
	{"alignment of 24", start(0, 1).text(alignmentKey).u32(uint32(Uint32)).u32(24).data(0), `"general.alignment": expected a power of two as uint32, found uint32 24`},
	{"alignment of 0", start(0, 1).text(alignmentKey).u32(uint32(Uint32)).u32(0).data(0), `"general.alignment": expected a power of two as uint32, found uint32 0`},
	{"alignment as text", start(0, 1).text(alignmentKey).u32(uint32(Text)).text("32").data(0), `"general.alignment": expected a power of two as uint32, found "32"`},
	{"five dimensions", start(1, 0).tensor("a", F32, 0, 1, 1, 1, 1, 1).data(4), `tensor "a": expected at most 4 dimensions, found 5`},
	{"dimension above int64", start(1, 0).tensor("a", F32, 0, 1<<63).data(4), `tensor "a": dimension 0: expected less than 2^63, found 9223372036854775808`},
	{"elements above int64", start(1, 0).tensor("a", F32, 0, 1<<32, 1<<32).data(4), `tensor "a": shape [4294967296 4294967296]: expected less than 2^63 elements, found more`},
	{"zero hides an overflow", start(1, 0).tensor("a", F32, 0, 1<<32, 1<<32, 0).data(4), `tensor "a": shape [0 4294967296 4294967296]: expected less than 2^63 elements, found more`},
	{"bytes beyond the file", start(1, 0).tensor("a", F32, 0, 1<<61).data(4), `tensor "a": F32 of shape [2305843009213693952]: expected no more than the file of 68 bytes holds, found 2305843009213693952 blocks of 4 bytes`},
	{"unknown type", start(1, 0).tensor("a", 99, 0, 1).data(4), `tensor "a": type: expected one of ggml's, found number 99`},
	{"type that was given up", start(1, 0).tensor("a", 4, 0, 1).data(4), `tensor "a": type: expected one of ggml's, found number 4`},
	{"half a block", start(1, 0).tensor("a", Q4_K, 0, 128, 2).data(144), `tensor "a": shape [2 128]: expected rows of whole blocks of 256 elements of Q4_K, found rows of 128`},
	{"a block as a scalar", start(1, 0).tensor("a", Q4_0, 0).data(18), `tensor "a": shape []: expected rows of whole blocks of 32 elements of Q4_0, found rows of 1`},
	{"offset not aligned", start(1, 0).tensor("a", F32, 16, 1).data(40), `tensor "a": offset: expected a multiple of 32, found 16`},
	{"offset beyond the file", start(1, 0).tensor("a", F32, 1<<63, 1).data(4), `tensor "a": expected its data at 9223372036854775808 and further, found a file of 68 bytes: truncated or damaged`},
	{"cut off", start(1, 0).tensor("a", F32, 0, 8).data(31), `tensor "a": expected 32 bytes at 64, found a file of 95 bytes: truncated or damaged`},
	{"over each other", start(2, 0).tensor("a", F32, 0, 9).tensor("b", F32, 32, 1).data(64), `tensor "b": expected it behind tensor "a", which ends at 132, found it at 128`},
	{"over each other with an empty one between", start(3, 0).tensor("a", F32, 0, 17).tensor("e", F32, 32, 0).tensor("b", F32, 64, 1).data(128), `tensor "b": expected it behind tensor "a", which ends at 196, found it at 192`},
	{"name twice", start(2, 0).tensor("a", F32, 0, 1).tensor("a", F32, 32, 1).data(64), `tensor "a": expected each name once, found it twice`},
}

func TestRefused(t *testing.T) {
	for _, tc := range refused {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, tc.file, 0o666); err != nil {
				t.Fatal(err)
			}
			for _, o := range openers {
				_, err := o.open(path)
				if err == nil {
					t.Fatalf("%s: got no error, want %s", o.name, tc.want)
				}
				if want := "gguf: " + path + ": " + tc.want; err.Error() != want || !errors.Is(err, ErrFormat) {
					t.Errorf("%s:\ngot  %v\nwant %s", o.name, err, want)
				}
			}
		})
	}
}

// Cut anywhere, a file is refused, and not as one that needs more of itself.
func TestCutAnywhere(t *testing.T) {
	whole, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 1 + n/500 {
		if _, err := Parse("cut", whole[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("%d of %d bytes: got %v, want a breach of the format", n, len(whole), err)
		}
	}
}

// A header larger than the first piece that is read of it.
func TestLargeHeaderIsReadInPieces(t *testing.T) {
	m := start(1, 2).text("a").u32(uint32(Text)).text(strings.Repeat("x", 3<<20)).text("b").u32(uint32(Array)).u32(uint32(Text)).u64(1 << 19)
	for i := range 1 << 19 {
		m.text(fmt.Sprint(i))
	}
	data := m.tensor("t", F32, 0, 1).data(4)
	copy(data[len(data)-4:], []byte{0, 0, 0x80, 0x3f})
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, o := range openers {
		f, err := o.open(path)
		if err != nil {
			t.Fatal(err)
		}
		var one [1]float32
		err = f.ReadF32(one[:], "t", 0)
		b, _ := f.Value("b")
		n := 0
		for e := range b.All() {
			if s, _ := e.Text(); s != fmt.Sprint(n) {
				t.Fatalf("%s: element %d: got %q", o.name, n, s)
			}
			n++
		}
		raw, err2 := f.Bytes("t")
		if err != nil || err2 != nil || one[0] != 1 || n != 1<<19 || !bytes.Equal(raw, data[len(data)-4:]) {
			t.Errorf("%s: got %v and %d texts, %v, %v, want 1 and %d", o.name, one[0], n, err, err2, 1<<19)
		}
		f.Close()
	}
}

func TestOpenWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || err.Error() != "gguf: "+dir+": expected a regular file, found another kind" {
		t.Errorf("a directory: got %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), dir) != 1 {
		t.Errorf("no file: got %v, want one line that names it once", err)
	}
}
