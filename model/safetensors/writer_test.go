package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

var (
	mixed = []Spec{
		{"u8", U8, []int{3}},
		{"bf16.b", BF16, []int{2}},
		{"bf16.a", BF16, []int{1, 1}},
		{"f32", F32, nil},
		{"empty", F64, []int{0, 4}},
	}
	mixedData = map[string][]byte{
		"u8": {1, 2, 3}, "bf16.b": {4, 5, 6, 7}, "bf16.a": {8, 9}, "f32": {10, 11, 12, 13}, "empty": {},
	}
)

// The whole file by hand: wide types first, the caller's order among equals,
// metadata sorted, padded to eight.
func TestWriterBytes(t *testing.T) {
	const doc = `{"__metadata__":{"a":"\"1\"","format":"pt"},` +
		`"empty":{"dtype":"F64","shape":[0,4],"data_offsets":[0,0]},` +
		`"f32":{"dtype":"F32","shape":[],"data_offsets":[0,4]},` +
		`"bf16.b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},` +
		`"bf16.a":{"dtype":"BF16","shape":[1,1],"data_offsets":[8,10]},` +
		`"u8":{"dtype":"U8","shape":[3],"data_offsets":[10,13]}}`
	padded := doc + strings.Repeat(" ", (8-len(doc)%8)%8)
	want := append(raw(padded, 0), 10, 11, 12, 13, 4, 5, 6, 7, 8, 9, 1, 2, 3)

	orders := map[string]func(names []string){
		"in order":  func([]string) {},
		"backwards": func(names []string) { slices.Reverse(names) },
	}
	for name, reorder := range orders {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.safetensors")
			w, err := Create(path, mixed, map[string]string{"format": "pt", "a": `"1"`})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Discard()
			names := w.Names()
			if want := []string{"empty", "f32", "bf16.b", "bf16.a", "u8"}; !slices.Equal(names, want) {
				t.Errorf("names: got %q, want %q", names, want)
			}
			reorder(names)
			for _, name := range names {
				// One byte at a time: what arrives in pieces is the same.
				if err := w.WriteFrom(name, iotest.OneByteReader(bytes.NewReader(mixedData[name]))); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("before Close: got %v, want no file", err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q (%v)\nwant %q", got, err, want)
			}
			wantDir(t, filepath.Dir(path), "model.safetensors")
			if err := w.Close(); err == nil || !strings.HasSuffix(err.Error(), ": file is closed") {
				t.Errorf("second Close: got %v, want that the file is closed", err)
			}
			w.Discard()
			wantDir(t, filepath.Dir(path), "model.safetensors")
		})
	}
}

// wantDir checks a directory's entries, hidden ones included.
func wantDir(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("files in the directory: got %q, want %q", got, want)
	}
}

func TestWriterWithoutTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	w, err := Create(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := raw("{}      ", 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestCreateRefuses(t *testing.T) {
	cases := []struct {
		name     string
		specs    []Spec
		metadata map[string]string
		want     string
	}{
		{"unknown dtype", []Spec{{"a", "F99", nil}}, nil, `tensor "a": unknown dtype "F99"`},
		{"twice", []Spec{{"a", U8, nil}, {"a", U8, nil}}, nil, `tensor "a": given twice`},
		{"no name", []Spec{{"", U8, nil}}, nil, `tensor "": the name is not allowed`},
		{"the metadata's name", []Spec{{"__metadata__", U8, nil}}, nil, `tensor "__metadata__": the name is not allowed`},
		{"name not UTF-8", []Spec{{"\xff", U8, nil}}, nil, `the name is not UTF-8`},
		{"negative", []Spec{{"a", U8, []int{2, -1}}}, nil, `tensor "a": shape[1] is -1, want 0 or more`},
		{"overflow", []Spec{{"a", F32, []int{math.MaxInt32, math.MaxInt32, 2}}}, nil, "more than 2^63 bytes"},
		{"overflow of the sum", []Spec{{"a", U8, []int{math.MaxInt32, math.MaxInt32}}, {"b", U8, []int{math.MaxInt32, math.MaxInt32}}, {"c", U8, []int{math.MaxInt32, 8}}}, nil, `tensor "c": the file would have more than 2^63 bytes`},
		{"metadata not UTF-8", nil, map[string]string{"k": "\xff"}, `metadata "k": not UTF-8`},
		{"header too long", nil, map[string]string{"k": strings.Repeat("x", maxHeaderSize)}, "above the format's limit of 100000000"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Create(filepath.Join(dir, "x"), c.specs, c.metadata)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			wantDir(t, dir)
		})
	}
}

// Every misuse ends the writing: the error stays, the temporary file goes, the
// file that was there before is as it was.
func TestWriterMisuse(t *testing.T) {
	write := func(name string, n int) func(w *Writer) error {
		return func(w *Writer) error { return w.Write(name, make([]byte, n)) }
	}
	cases := []struct {
		name  string
		steps []func(w *Writer) error
		want  string
	}{
		{"too few bytes", []func(*Writer) error{write("f32", 3)}, `tensor "f32": got 3 bytes of data, want 4`},
		{"too many bytes", []func(*Writer) error{write("f32", 5)}, `tensor "f32": got more than 4 bytes of data`},
		{"bytes for an empty one", []func(*Writer) error{write("empty", 1)}, `tensor "empty": got more than 0 bytes`},
		{"unknown", []func(*Writer) error{write("x", 4)}, `tensor "x": no such tensor`},
		{"twice", []func(*Writer) error{write("f32", 4), write("f32", 4)}, `tensor "f32": was already written`},
		{"one left out", []func(*Writer) error{write("f32", 4), write("empty", 0), write("u8", 3), write("bf16.a", 2)}, `tensor "bf16.b": was not written`},
		{"empty one left out", []func(*Writer) error{write("f32", 4)}, `tensor "empty": was not written`},
		{"source too short", []func(*Writer) error{func(w *Writer) error {
			return w.WriteFrom("u8", strings.NewReader("ab"))
		}}, `tensor "u8": got 2 bytes of data, want 3`},
		{"source fails, its path is kept", []func(*Writer) error{func(w *Writer) error {
			return w.WriteFrom("u8", iotest.ErrReader(&os.PathError{Op: "read", Path: "base", Err: syscall.EIO}))
		}}, `tensor "u8": read base: input/output error`},
		{"discarded", []func(*Writer) error{func(w *Writer) error { w.Discard(); return nil }}, "writing was given up"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := tempFile(t, "a.safetensors", []byte("old"))
			w, err := Create(path, mixed, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range c.steps {
				err = step(w)
			}
			want := "safetensors: " + path + ": " + c.want
			if closeErr := w.Close(); closeErr == nil || err != nil && closeErr != err {
				t.Errorf("Close: got %v, want the first error %v", closeErr, err)
			} else if !strings.HasPrefix(closeErr.Error(), want) {
				t.Errorf("got %v, want %q", closeErr, want)
			}
			if err := w.Write("u8", mixedData["u8"]); err == nil {
				t.Error("Write after an error: got none, want it again")
			}
			wantDir(t, filepath.Dir(path), "a.safetensors")
			if got, _ := os.ReadFile(path); string(got) != "old" {
				t.Errorf("old file: got %q, want it untouched", got)
			}
		})
	}
}

// brokenFiles is the real file system, failing at one call.
type brokenFiles struct {
	osFiles
	at    string // create, write, sync, close, rename or syncDir
	count int    // of such calls that go well before
	room  int64  // bytes that can be written at "write"
}

func (b *brokenFiles) fails(at string) bool {
	if b.at != at {
		return false
	}
	b.count--
	return b.count < 0
}

func (b *brokenFiles) err(op string) error {
	return &os.PathError{Op: op, Path: "/hidden/temporary", Err: syscall.ENOSPC}
}

func (b *brokenFiles) create(path string) (file, error) {
	if b.fails("create") {
		return nil, b.err("open")
	}
	f, err := b.osFiles.create(path)
	return &brokenFile{f, b}, err
}

func (b *brokenFiles) rename(from, to string) error {
	if b.fails("rename") {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.ENOSPC}
	}
	return b.osFiles.rename(from, to)
}

func (b *brokenFiles) syncDir(dir string) error {
	if b.fails("syncDir") {
		return b.err("sync")
	}
	return b.osFiles.syncDir(dir)
}

type brokenFile struct {
	file
	b *brokenFiles
}

func (f *brokenFile) WriteAt(p []byte, off int64) (int, error) {
	if f.b.at == "write" && off+int64(len(p)) > f.b.room {
		n, _ := f.file.WriteAt(p[:max(0, f.b.room-off)], off)
		return n, f.b.err("write")
	}
	return f.file.WriteAt(p, off)
}

func (f *brokenFile) Sync() error {
	if f.b.fails("sync") {
		return f.b.err("sync")
	}
	return f.file.Sync()
}

func (f *brokenFile) Close() error {
	err := f.file.Close()
	if f.b.fails("close") {
		return f.b.err("close")
	}
	return err
}

func writeMixed(path string, fsys files) error {
	w, err := create(path, mixed, nil, fsys)
	if err != nil {
		return err
	}
	for _, name := range w.Names() {
		if err := w.Write(name, mixedData[name]); err != nil {
			return err
		}
	}
	return w.Close()
}

func TestWriterFileSystemFails(t *testing.T) {
	old := []byte("old")
	var whole []byte
	{
		path := filepath.Join(t.TempDir(), "a.safetensors")
		if err := writeMixed(path, osFiles{}); err != nil {
			t.Fatal(err)
		}
		whole, _ = os.ReadFile(path)
	}
	cases := []struct {
		name string
		fsys *brokenFiles
		want string // after the path
		left []byte
	}{
		{"cannot create", &brokenFiles{at: "create"}, "no space left on device", old},
		{"full in the header", &brokenFiles{at: "write", room: 20}, "writing: no space left on device", old},
		{"full in the data", &brokenFiles{at: "write", room: int64(len(whole)) - 1}, `tensor "u8": writing: no space left on device`, old},
		{"full at sync", &brokenFiles{at: "sync"}, "no space left on device", old},
		{"full at close", &brokenFiles{at: "close"}, "no space left on device", old},
		{"cannot rename", &brokenFiles{at: "rename"}, "no space left on device", old},
		// Too late to go back, and no need: the new file is whole.
		{"cannot sync the directory", &brokenFiles{at: "syncDir"}, "no space left on device", whole},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := tempFile(t, "a.safetensors", old)
			err := writeMixed(path, c.fsys)
			if want := "safetensors: " + path + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %v", err, want)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%v does not match ENOSPC", err)
			}
			wantDir(t, filepath.Dir(path), "a.safetensors")
			if got, _ := os.ReadFile(path); !bytes.Equal(got, c.left) {
				t.Errorf("file: got %q, want %q", got, c.left)
			}
		})
	}
}

// A temporary name that is taken, perhaps by another process, is left alone.
func TestCreateDoesNotTakeOver(t *testing.T) {
	path := tempFile(t, "taken", []byte("theirs"))
	if _, err := (osFiles{}).create(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want os.ErrExist", err)
	}
	names := &takenFiles{taken: 3}
	p, err := newPending(names, path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.discard()
	if len(names.tried) != 4 || names.tried[3] != p.temp || slices.Contains(names.tried[:3], p.temp) {
		t.Errorf("tried %q and took %q, want three other names before it", names.tried, p.temp)
	}
}

// takenFiles says of the first names that they exist.
type takenFiles struct {
	osFiles
	taken int
	tried []string
}

func (f *takenFiles) create(path string) (file, error) {
	f.tried = append(f.tried, path)
	if len(f.tried) <= f.taken {
		return nil, os.ErrExist
	}
	return f.osFiles.create(path)
}

func TestCreateWithoutDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.safetensors")
	_, err := Create(path, mixed, nil)
	if want := "safetensors: " + path + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// Written by WriteF32 and read by ReadF32, in more than one chunk, at an
// address of any alignment.
func TestF32RoundTrip(t *testing.T) {
	src := make([]float32, 2*chunk+77)
	for i := range src {
		src[i] = float32(i-chunk) * 0.1
	}
	src[3], src[chunk], src[2*chunk] = float32(math.Inf(-1)), math.MaxFloat32, math.SmallestNonzeroFloat32
	// The value each type can hold, from other packages' arithmetic where exact.
	cases := []struct {
		d       DType
		maxUlps float64 // relative rounding error
		wantMax float32 // of MaxFloat32
	}{
		{F32, 0, math.MaxFloat32},
		{F64, 0, math.MaxFloat32},
		{BF16, 0x1p-8, float32(math.Inf(1))},
		{F16, 0x1p-11, float32(math.Inf(1))},
	}
	for _, c := range cases {
		for _, o := range openers {
			t.Run(string(c.d)+"/"+o.name, func(t *testing.T) {
				var data bytes.Buffer
				if err := WriteF32(&data, c.d, src); err != nil {
					t.Fatal(err)
				}
				doc := fmt.Sprintf(`{"x":{"dtype":%q,"shape":[%d],"data_offsets":[0,%d]}}`, c.d, len(src), data.Len())
				for (len(doc)+prefixSize)%8 != 3 {
					doc += " "
				}
				f, err := o.open(t, tempFile(t, "x", append(raw(doc, 0), data.Bytes()...)))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				got := make([]float32, len(src))
				if err := f.ReadF32(got, "x"); err != nil {
					t.Fatal(err)
				}
				for i, x := range src {
					want, limit := float64(x), math.Abs(float64(x))*c.maxUlps
					switch {
					case i == chunk:
						want = float64(c.wantMax)
					case i == 2*chunk && c.maxUlps > 0:
						want = 0
					case c.d == F16:
						limit = max(limit, 0x1p-25) // half the smallest subnormal
					}
					if d := math.Abs(float64(got[i]) - want); d > limit && float64(got[i]) != want {
						t.Fatalf("[%d]: got %v, want %v within %v", i, got[i], want, limit)
					}
				}
			})
		}
	}
	if err := WriteF32(io.Discard, I32, src); err == nil || !strings.Contains(err.Error(), "as I32") {
		t.Errorf("WriteF32 as I32: got %v, want an error", err)
	}
}

// What was read from the reference library's file is written again and read.
func TestCopyGolden(t *testing.T) {
	in, err := Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var specs []Spec
	for _, name := range in.Names() {
		info, _ := in.Info(name)
		specs = append(specs, info.Spec())
	}
	path := filepath.Join(t.TempDir(), "copy.safetensors")
	w, err := Create(path, specs, in.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	for _, name := range in.Names() {
		r, err := in.Reader(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrom(name, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if got, want := out.Metadata(), in.Metadata(); !maps.Equal(got, want) {
		t.Errorf("metadata: got %v, want %v", got, want)
	}
	if got, want := len(out.Names()), len(in.Names()); got != want {
		t.Fatalf("got %d tensors, want %d", got, want)
	}
	for _, name := range in.Names() {
		want, _ := in.Bytes(name)
		got, err := out.Bytes(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x (%v), want %x", name, got, err, want)
		}
		if info, _ := out.Info(name); info.Offset%int64(info.DType.Size()) != 0 {
			t.Errorf("%s: %s at offset %d, want it aligned", name, info.DType, info.Offset)
		}
	}
}
