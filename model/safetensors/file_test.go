package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// raw builds a file from a header as it stands and n bytes of data, 0 1 2 ...
func raw(doc string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(doc)))
	b = append(b, doc...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func tempFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// openers are the ways to a File, which must not differ in anything.
var openers = []struct {
	name string
	open func(t testing.TB, path string) (*File, error)
}{
	{"read", func(_ testing.TB, path string) (*File, error) { return Open(path) }},
	{"parsed", func(t testing.TB, path string) (*File, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return Parse(path, b)
	}},
}

const one = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`

// entry is a header of one F32 tensor with one field replaced.
func entry(field, value string) string {
	fields := map[string]string{"dtype": `"F32"`, "shape": "[2]", "data_offsets": "[0,8]"}
	fields[field] = value
	return `{"a":{"dtype":` + fields["dtype"] + `,"shape":` + fields["shape"] + `,"data_offsets":` + fields["data_offsets"] + `}}`
}

func pair(a, b string) string {
	return `{"a":{"dtype":"U8","shape":[4],"data_offsets":` + a + `},"b":{"dtype":"U8","shape":[4],"data_offsets":` + b + `}}`
}

var refused = []struct {
	name string
	file []byte
	want string // in the message
}{
	{"empty file", nil, "file of 0 bytes is too short"},
	{"seven bytes", make([]byte, 7), "file of 7 bytes is too short"},
	{"header length beyond file", raw(one, 8)[:40], "header length 54 is beyond the end of the file, which has 32 bytes"},
	{"header length one too long", append([]byte{3, 0, 0, 0, 0, 0, 0, 0}, "{}"...), "header length 3 is beyond the end of the file, which has 2 bytes"},
	{"header length of all ones", slices.Repeat([]byte{0xff}, 16), "header length 18446744073709551615 is beyond"},
	{"header length zero", raw("", 8), "header length 0 is too short"},
	{"header length one", raw("{", 8), "header length 1 is too short"},
	{"Git LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "Git LFS pointer"},
	{"GGUF", []byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00"), "GGUF"},
	{"zip", []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), "zip archive"},
	{"pickle", []byte("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20"), "pickle"},
	{"HTML page", []byte("<!DOCTYPE html><html>"), "HTML page"},

	{"array", raw("[]", 0), "begins with '[', want '{'"},
	{"string", raw(`"{}"`, 0), "want '{'"},
	{"space before the brace", raw(" {}", 0), "begins with ' ', want '{'"},
	{"byte order mark", raw("\ufeff{}", 0), "want '{'"},
	{"cut short", raw(`{"a":{"dtype":"F32"`, 8), "not valid JSON"},
	{"trailing comma", raw(`{"__metadata__":{},}`, 0), "not valid JSON"},
	{"second value", raw(`{}{}`, 0), "not valid JSON"},
	{"NUL padding", raw("{}\x00\x00", 0), "not valid JSON"},
	{"nested too deep", raw(`{"a":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+"}", 0), "not valid JSON"},
	{"not UTF-8 in a name", raw("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), "byte 2 (0xff) is not UTF-8"},
	{"not UTF-8 in metadata", raw("{\"__metadata__\":{\"k\":\"ab\xc3\"}}", 0), "byte 24 (0xc3) is not UTF-8"},
	{"half a surrogate pair", raw(`{"__metadata__":{"k":"\ud83d"}}`, 0), `escape \ud83d is half of a surrogate pair`},
	{"second half of a pair alone", raw(`{"__metadata__":{"k":"\\\uDE00"}}`, 0), `escape \uDE00 is half`},

	{"duplicate tensor", raw(one[:len(one)-1]+","+one[1:], 8), `header has the key "a" twice`},
	{"duplicate tensor, escaped", raw(one[:len(one)-1]+`,"\u0061"`+one[4:], 8), `header has the key "a" twice`},
	{"duplicate field", raw(entry("shape", `[2],"dtype":"F32"`), 8), `tensor "a": its entry has the key "dtype" twice`},
	{"duplicate metadata section", raw(`{"__metadata__":{},"__metadata__":{}}`, 0), `header has the key "__metadata__" twice`},
	{"duplicate metadata key", raw(`{"__metadata__":{"k":"1","k":"2"}}`, 0), `__metadata__ has the key "k" twice`},
	{"metadata not an object", raw(`{"__metadata__":["pt"]}`, 0), "__metadata__ is an array, want an object"},
	{"metadata null", raw(`{"__metadata__":null}`, 0), "__metadata__ is null, want an object"},
	{"metadata number", raw(`{"__metadata__":{"k":1}}`, 0), "a value of __metadata__ is 1, want a string"},
	{"metadata object", raw(`{"__metadata__":{"k":{}}}`, 0), "a value of __metadata__ is an object, want a string"},

	{"entry not an object", raw(`{"a":3}`, 0), `tensor "a": its entry is 3, want an object`},
	{"no dtype", raw(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8), "lacks one of dtype"},
	{"no shape", raw(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8), "lacks one of dtype"},
	{"no offsets", raw(`{"a":{"dtype":"F32","shape":[2]}}`, 8), "lacks one of dtype"},
	{"unknown dtype", raw(entry("dtype", `"F33"`), 8), `tensor "a": unknown dtype "F33", want one of BOOL`},
	{"dtype in small letters", raw(entry("dtype", `"f32"`), 8), `unknown dtype "f32"`},
	{"dtype empty", raw(entry("dtype", `""`), 8), `unknown dtype ""`},
	{"dtype a number", raw(entry("dtype", `32`), 8), "dtype is 32, want a string"},
	{"dtype below a byte", raw(entry("dtype", `"F4"`), 8), "F4 has elements smaller than a byte"},
	{"wrong dtype", raw(entry("dtype", `"BF16"`), 8), "BF16 tensor of shape [2] takes 4 bytes, but data_offsets [0, 8] hold 8"},

	{"shape a number", raw(entry("shape", "2"), 8), "shape is 2, want an array"},
	{"shape negative", raw(entry("shape", "[-2]"), 8), "shape[0] is -2, want 0 or more"},
	{"shape minus zero", raw(entry("shape", "[2,-0]"), 8), "shape[1] is -0, want 0 or more"},
	{"shape a float", raw(entry("shape", "[2.0]"), 8), "shape[0] is 2.0, want an integer"},
	{"shape with an exponent", raw(entry("shape", "[2e0]"), 8), "shape[0] is 2e0, want an integer"},
	{"shape a string", raw(entry("shape", `["2"]`), 8), `shape[0] is the string "2", want a number`},
	{"shape null", raw(entry("shape", "[null]"), 8), "shape[0] is null, want a number"},
	{"shape nested", raw(entry("shape", "[[2]]"), 8), "shape[0] is an array, want a number"},
	{"shape above 2^63", raw(entry("shape", "[9223372036854775808]"), 8), "shape[0] is 9223372036854775808, want at most"},
	{"shape above 2^64", raw(entry("shape", "[18446744073709551618]"), 8), "shape[0] is 18446744073709551618, want at most"},
	{"shape with product 2^65", raw(entry("shape", "[1073741824,1073741824,8]"), 8), "takes more than 2^63 bytes"},
	{"shape of 2^63 bytes", raw(entry("shape", "[1073741824,1073741824,2]"), 8), "takes more than 2^63 bytes"},
	{"shape with product 2^66 modulo 2^64", raw(entry("shape", "[1073741825,1073741825,1073741825,4]"), 8), "takes more than 2^63 bytes"},
	{"overflow beside a zero", raw(`{"a":{"dtype":"F32","shape":[0,1073741824,1073741824,8],"data_offsets":[0,0]}}`, 0), "takes more than 2^63 bytes"},
	{"shape too large", raw(entry("shape", "[3]"), 8), "takes 12 bytes, but data_offsets [0, 8] hold 8"},
	{"shape too small", raw(entry("shape", "[]"), 8), "takes 4 bytes, but data_offsets [0, 8] hold 8"},

	{"offsets one number", raw(entry("data_offsets", "[8]"), 8), "data_offsets has 1 numbers, want 2"},
	{"offsets three numbers", raw(entry("data_offsets", "[0,4,8]"), 8), "data_offsets has 3 numbers, want 2"},
	{"offsets an object", raw(entry("data_offsets", `{"0":0}`), 8), "data_offsets is an object, want an array"},
	{"offsets negative", raw(entry("data_offsets", "[-8,0]"), 8), "data_offsets[0] is -8, want 0 or more"},
	{"offsets a float", raw(entry("data_offsets", "[0,8.0]"), 8), "data_offsets[1] is 8.0, want an integer"},
	{"begin after end", raw(entry("data_offsets", "[8,0]"), 8), "data_offsets [8, 0] begin after their end"},
	{"offsets beyond the data", raw(one, 7), `tensor "a": ends at byte 8 of the data, but the file holds 7 bytes of data: truncated`},
	{"no data at all", raw(one, 0), "but the file holds 0 bytes"},
	{"offsets near 2^63", raw(`{"a":{"dtype":"U8","shape":[7,7,73,127,337,92737,649657],"data_offsets":[0,9223372036854775807]}}`, 8), "ends at byte 9223372036854775807 of the data"},
	{"trailing bytes", raw(one, 9), "1 bytes follow the last tensor"},
	{"trailing bytes of no tensor", raw("{}", 1), "1 bytes follow the last tensor"},
	{"hole at the beginning", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), `tensor "a": begins at byte 4 of the data, but bytes 0 to 4 belong to no tensor`},
	{"hole between", raw(pair("[0,4]", "[5,9]"), 9), `tensor "b": begins at byte 5 of the data, but bytes 4 to 5`},
	{"overlap", raw(pair("[0,4]", "[3,7]"), 7), `tensor "b": begins at byte 3 of the data, inside tensor "a", which ends at 4`},
	{"overlap, whole", raw(pair("[0,4]", "[0,4]"), 4), `tensor "b": begins at byte 0 of the data, inside tensor "a"`},
	{"empty tensor inside another", raw(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}`, 4), `tensor "b": begins at byte 2 of the data, inside`},
	{"long name cut in the message", raw(`{"`+strings.Repeat("한", 1000)+`":3}`, 0), strings.Repeat("한", 40) + `"...: its entry is 3`},
	{"long name cut between characters", raw(`{"a`+strings.Repeat("한", 1000)+`":3}`, 0), `"a` + strings.Repeat("한", 39) + `"...: its entry is 3`},
	{"control characters escaped in the message", raw(`{"\n\u001b[31m":3}`, 0), `tensor "\n\x1b[31m": its entry`},
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		for _, o := range openers {
			t.Run(c.name+"/"+o.name, func(t *testing.T) {
				path := tempFile(t, "model.safetensors", c.file)
				f, err := o.open(t, path)
				if err == nil {
					f.Close()
					t.Fatalf("got no error, want one with %q", c.want)
				}
				if prefix := "safetensors: " + path + ": "; !strings.HasPrefix(err.Error(), prefix) {
					t.Errorf("error %q: want the prefix %q", err, prefix)
				}
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %q: want %q in it", err, c.want)
				}
				if !errors.Is(err, ErrFormat) {
					t.Errorf("error %q: does not match ErrFormat", err)
				}
				if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 800+len(path) {
					t.Errorf("error is not one clear line: %q", err)
				}
			})
		}
	}
}

// What a header claims must not cost memory before it is checked.
func TestRefusedWithoutAllocation(t *testing.T) {
	sparse := filepath.Join(t.TempDir(), "sparse")
	long := binary.LittleEndian.AppendUint64(nil, maxHeaderSize+1)
	if err := os.WriteFile(sparse, long, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(sparse, 3*maxHeaderSize); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, path, want string }{
		{"header above the limit", sparse, "header length 100000001 is above the format's limit of 100000000"},
		{"header beyond the file", tempFile(t, "a", binary.LittleEndian.AppendUint64(nil, maxHeaderSize)), "beyond the end"},
		{"tensor beyond the file", tempFile(t, "b", raw(`{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}`, 4)), "truncated or damaged"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Open(c.path)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("allocated %d bytes, want less than 1 MiB", got)
			}
		})
	}
}

func TestTolerated(t *testing.T) {
	cases := []struct {
		name  string
		file  []byte
		names []string // in order
	}{
		{"no tensors", raw("{}", 0), nil},
		{"metadata alone", raw(`{"__metadata__":{"k":"v"}}`, 0), nil},
		{"no padding, data not aligned", raw(`{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`, 8), []string{"a"}},
		{"white space within and after", raw("{ \"a\" :\n{\"dtype\":\"U8\",\t\"shape\": [ 2 ],\r\n\"data_offsets\":[0,2]} } \n\t ", 2), []string{"a"}},
		{"order of the header is not that of the data", raw(pair("[4,8]", "[0,4]"), 8), []string{"b", "a"}},
		{"metadata last", raw(one[:len(one)-1]+`,"__metadata__":{}}`, 8), []string{"a"}},
		{"unknown field", raw(`{"a":{"x":{"y":[1,{}]},"dtype":"U8","shape":[2],"data_offsets":[0,2],"z":null}}`, 2), []string{"a"}},
		{"empty tensors between", raw(`{"z":{"dtype":"U8","shape":[0,7],"data_offsets":[2,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 3), []string{"a", "z", "b"}},
		{"empty tensors alone", raw(`{"b":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, 0), []string{"a", "b"}},
		{"escaped surrogate pair", raw(`{"\ud83d\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), []string{"😀"}},
		{"escaped backslash before ud800", raw(`{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), []string{`\ud800`}},
		{"empty name", raw(`{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), []string{""}},
		{"many dimensions", raw(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 99)+`],"data_offsets":[0,1]}}`, 1), []string{"a"}},
	}
	for _, c := range cases {
		for _, o := range openers {
			t.Run(c.name+"/"+o.name, func(t *testing.T) {
				f, err := o.open(t, tempFile(t, "model.safetensors", c.file))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if got := f.Names(); !slices.Equal(got, c.names) {
					t.Errorf("names: got %q, want %q", got, c.names)
				}
			})
		}
	}
}

// golden is what the reference library reads from golden.safetensors.
type golden struct {
	Metadata map[string]string
	Tensors  map[string]struct {
		DType DType
		Shape []int
		Hex   string
		F32   []int32 // bits
	}
}

func TestGolden(t *testing.T) {
	doc, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(doc, &want); err != nil {
		t.Fatal(err)
	}
	for _, o := range openers {
		t.Run(o.name, func(t *testing.T) {
			f, err := o.open(t, "testdata/golden.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got := f.Metadata(); !maps.Equal(got, want.Metadata) {
				t.Errorf("metadata: got %v, want %v", got, want.Metadata)
			}
			names := f.Names()
			slices.Sort(names)
			if all := slices.Sorted(maps.Keys(want.Tensors)); !slices.Equal(names, all) {
				t.Fatalf("names: got %q, want %q", names, all)
			}
			for name, w := range want.Tensors {
				info, ok := f.Info(name)
				if !ok || info.Name != name || info.DType != w.DType || !slices.Equal(info.Shape, w.Shape) {
					t.Errorf("%s: got %+v, want %s %v", name, info, w.DType, w.Shape)
				}
				got, err := f.Bytes(name)
				if err != nil || hex.EncodeToString(got) != w.Hex || int64(len(got)) != info.Size {
					t.Errorf("%s: got bytes %x (%v), want %s", name, got, err, w.Hex)
				}
				r, err := f.Reader(name)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); err != nil || hex.EncodeToString(got) != w.Hex {
					t.Errorf("%s: got %x (%v) from Reader, want %s", name, got, err, w.Hex)
				}
				if w.F32 == nil {
					continue
				}
				floats := make([]float32, len(w.F32))
				if err := f.ReadF32(floats, name); err != nil {
					t.Error(err)
				}
				for i, x := range floats {
					if got := int32(math.Float32bits(x)); got != w.F32[i] {
						t.Errorf("%s[%d]: got bits %#x, want %#x", name, i, got, w.F32[i])
					}
				}
			}
		})
	}
}

func TestFileErrors(t *testing.T) {
	f, err := Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	_, errBytes := f.Bytes("nothing")
	_, errReader := f.Reader("nothing")
	_, found := f.Info("nothing")
	if found {
		t.Error("Info of a tensor that is not there: got true, want false")
	}
	check := func(what string, err error, want string) {
		t.Helper()
		if err == nil || err.Error() != "safetensors: testdata/golden.safetensors: "+want {
			t.Errorf("%s: got %v, want %q", what, err, want)
		}
	}
	check("Bytes", errBytes, `tensor "nothing": no such tensor`)
	check("Reader", errReader, `tensor "nothing": no such tensor`)
	check("ReadF32", f.ReadF32(nil, "nothing"), `tensor "nothing": no such tensor`)
	if !errors.Is(errBytes, ErrNoTensor) {
		t.Errorf("error %q does not match ErrNoTensor", errBytes)
	}
	check("ReadF32 too short", f.ReadF32(make([]float32, 11), "bf16"), `tensor "bf16": shape [4, 3] has 12 elements, want 11`)
	check("ReadF32 too long", f.ReadF32(make([]float32, 13), "bf16"), `tensor "bf16": shape [4, 3] has 12 elements, want 13`)
	check("ReadF32 of integers", f.ReadF32(make([]float32, 2), "i32"), `tensor "i32": is I32, want F32, BF16, F16 or F64`)
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close: got %v, want none", err)
		}
	}
	_, errBytes = f.Bytes("bf16")
	check("Bytes after Close", errBytes, "file is closed")
	check("ReadF32 after Close", f.ReadF32(make([]float32, 12), "bf16"), "file is closed")
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	cases := []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.safetensors"), "no such file or directory"},
		{"directory", dir, "is a directory, want a file"},
		{"device", os.DevNull, "is not a regular file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(c.path)
			if want := "safetensors: " + c.path + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v does not match os.ErrNotExist", err)
	}
}

// A file cut after opening is an error where it is read.
func TestTruncatedWhileOpen(t *testing.T) {
	path := tempFile(t, "a.safetensors", raw(one, 8))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, int64(len(raw(one, 4)))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bytes("a"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Bytes: got %v, want io.ErrUnexpectedEOF", err)
	}
	if err := f.ReadF32(make([]float32, 2), "a"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadF32: got %v, want io.ErrUnexpectedEOF", err)
	}
}

// Info hands out a shape of its own, and Bytes no room to append into.
func TestResultsAreIndependent(t *testing.T) {
	f, err := Parse("two", raw(pair("[0,4]", "[4,8]"), 8))
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Info("a")
	info.Shape[0] = 99
	if again, _ := f.Info("a"); again.Shape[0] != 4 {
		t.Errorf("shape after a caller wrote to it: got %v, want [4]", again.Shape)
	}
	f.Metadata()["k"] = "v"
	if got := f.Metadata(); len(got) != 0 {
		t.Errorf("metadata after a caller wrote to it: got %v, want none", got)
	}
	a, _ := f.Bytes("a")
	_ = append(a, 99)
	if b, _ := f.Bytes("b"); b[0] != 4 {
		t.Errorf("first byte of b after an append to a: got %d, want 4", b[0])
	}
}

// ReadF64 gives exact values of any range, also of more than is read at a time.
func TestReadF64(t *testing.T) {
	const n = 2*readChunk + 5
	src := make([]float32, n)
	for i := range src {
		src[i] = float32(i%251) - 125
	}
	for _, d := range []DType{F32, BF16, F16, F64} {
		var data bytes.Buffer
		if err := WriteF32(&data, d, src); err != nil {
			t.Fatal(err)
		}
		path := tempFile(t, "x", append(raw(fmt.Sprintf(`{"x":{"dtype":%q,"shape":[%d],"data_offsets":[0,%d]}}`, d, n, data.Len()), 0), data.Bytes()...))
		for _, o := range openers {
			f, err := o.open(t, path)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range [][2]int{{0, n}, {1, 3}, {readChunk - 1, readChunk + 2}, {n, 0}, {n - 1, 1}} {
				dst := make([]float64, r[1])
				if err := f.ReadF64(dst, "x", int64(r[0])); err != nil {
					t.Fatal(err)
				}
				for i, x := range dst {
					if want := float64(src[r[0]+i]); x != want {
						t.Fatalf("%s %s from %d: [%d] is %v, want %v", d, o.name, r[0], i, x, want)
					}
				}
			}
			for _, r := range [][2]int{{n, 1}, {-1, 1}, {0, n + 1}} {
				if err := f.ReadF64(make([]float64, r[1]), "x", int64(r[0])); err == nil || !strings.Contains(err.Error(), `tensor "x": shape [`) {
					t.Errorf("%s: %d elements from %d on: got %v, want a refusal", d, r[1], r[0], err)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
