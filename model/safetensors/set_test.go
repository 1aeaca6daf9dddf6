package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func u8(name string, n int) string {
	return fmt.Sprintf(`{%q:{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, name, n, n)
}

// modelDir writes files into a new directory.
func modelDir(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenModelRefuses(t *testing.T) {
	const s1, s2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	a, b := raw(u8("a", 1), 1), raw(u8("b", 2), 2)
	index := func(s string) []byte { return []byte(s) }
	good := index(`{"weight_map":{"a":"` + s1 + `","b":"` + s2 + `"}}`)
	cases := []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"nothing", nil, "neither model.safetensors nor model.safetensors.index.json: file does not exist"},
		{"pickle instead", map[string][]byte{"pytorch_model.bin": {1}}, "neither model.safetensors nor model.safetensors.index.json; pytorch_model.bin is there: convert"},
		{"sharded pickle instead", map[string][]byte{"pytorch_model.bin.index.json": {1}}, "pytorch_model.bin.index.json is there"},
		{"adapter instead", map[string][]byte{"adapter_model.safetensors": a}, "this is an adapter"},
		{"other name", map[string][]byte{"weights.safetensors": a}, `"weights.safetensors" is there, but`},
		{"GGUF instead", map[string][]byte{"m.gguf": a}, `"m.gguf" is there, which is another format`},
		{"single malformed", map[string][]byte{"model.safetensors": a[:20]}, "model.safetensors: header length"},
		{"missing shards", map[string][]byte{indexName: good, "model.txt": nil}, "missing 2 of the 2 shards that model.safetensors.index.json names: " + s1 + ", " + s2},
		{"one missing shard", map[string][]byte{indexName: good, s1: a}, "missing 1 of the 2 shards that model.safetensors.index.json names: " + s2},
		{"malformed shard", map[string][]byte{indexName: good, s1: a, s2: b[:30]}, s2 + ": header length"},
		{"tensor not in its shard", map[string][]byte{indexName: index(`{"weight_map":{"a":"` + s1 + `","c":"` + s2 + `"}}`), s1: a, s2: b}, `tensor "c": is not in ` + s2},
		{"tensor in the other shard", map[string][]byte{indexName: index(`{"weight_map":{"a":"` + s2 + `","b":"` + s1 + `"}}`), s1: a, s2: b}, `tensor "a": is in ` + s1 + `, but weight_map has it in ` + s2},
		{"tensor in both shards", map[string][]byte{indexName: good, s1: a, s2: a}, s2 + `: tensor "a": is in ` + s1 + " too"},
		{"index not JSON", map[string][]byte{indexName: index("{")}, indexName + ": not valid JSON"},
		{"index an array", map[string][]byte{indexName: index("[]")}, "index is an array, want an object"},
		{"index not UTF-8", map[string][]byte{indexName: index("{\"\xff\":1}")}, "byte 2 (0xff) is not UTF-8"},
		{"no weight_map", map[string][]byte{indexName: index(`{"metadata":{}}`)}, "has no weight_map"},
		{"empty weight_map", map[string][]byte{indexName: index(`{"weight_map":{}}`)}, "has no weight_map, or an empty one"},
		{"weight_map an array", map[string][]byte{indexName: index(`{"weight_map":[]}`)}, "weight_map is an array"},
		{"two weight_maps", map[string][]byte{indexName: index(`{"weight_map":{"a":"` + s1 + `"},"weight_map":{"a":"` + s1 + `"}}`), s1: a}, `index has the key "weight_map" twice`},
		{"tensor twice", map[string][]byte{indexName: index(`{"weight_map":{"a":"` + s1 + `","a":"` + s1 + `"}}`), s1: a}, `weight_map has the key "a" twice`},
		{"file not a string", map[string][]byte{indexName: index(`{"weight_map":{"a":1}}`)}, `weight_map: tensor "a": the file is 1, want a string`},
	}
	for _, name := range []string{"", ".", "..", "../x.safetensors", "sub/x.safetensors", `sub\\x.safetensors`, "/x.safetensors", `x\u0000.safetensors`} {
		cases = append(cases, struct {
			name  string
			files map[string][]byte
			want  string
		}{"file name " + name, map[string][]byte{indexName: index(`{"weight_map":{"a":"` + name + `"}}`)}, "is not a plain file name"})
	}
	cases = append(cases, struct {
		name  string
		files map[string][]byte
		want  string
	}{"file of another kind", map[string][]byte{indexName: index(`{"weight_map":{"a":"x.bin"}}`), "x.bin": a}, `file "x.bin" is not a .safetensors file`})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := modelDir(t, c.files)
			s, err := OpenModel(dir)
			if err == nil {
				s.Close()
				t.Fatalf("got no error, want one with %q", c.want)
			}
			if !strings.HasPrefix(err.Error(), "safetensors: "+dir) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("index too large", func(t *testing.T) {
		dir := modelDir(t, map[string][]byte{indexName: nil})
		if err := os.Truncate(filepath.Join(dir, indexName), maxHeaderSize+1); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenModel(dir); err == nil || !strings.Contains(err.Error(), "index of 100000001 bytes is above the limit") {
			t.Errorf("got %v, want that the index is above the limit", err)
		}
	})
	if _, err := OpenModel(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: got %v, want one that matches os.ErrNotExist", err)
	}
}

func TestOpenModel(t *testing.T) {
	shards := map[string][]byte{
		"x-1.safetensors": raw(pair("[4,8]", "[0,4]"), 8),
		"x-2.safetensors": raw(`{"c":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"__metadata__":{"k":"2"}}`, 4),
		// b is not in the map, total_size is wrong, and both are harmless.
		indexName: []byte(`{"metadata":{"total_size":7},"x":[{}],"weight_map":{"c":"x-2.safetensors","a":"x-1.safetensors"}}`),
	}
	s, err := OpenModel(modelDir(t, shards))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Names(), []string{"b", "a", "c"}; !slices.Equal(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
	if got, want := len(s.Paths()), 2; got != want {
		t.Errorf("got %d paths, want %d", got, want)
	}
	info, ok := s.Info("c")
	if !ok || info.DType != BF16 || !slices.Equal(info.Shape, []int{2}) {
		t.Errorf("Info: got %+v %v, want BF16 [2]", info, ok)
	}
	if b, err := s.Bytes("a"); err != nil || !bytes.Equal(b, []byte{4, 5, 6, 7}) {
		t.Errorf("Bytes: got %v %v, want 4 to 7", b, err)
	}
	r, err := s.Reader("b")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, []byte{0, 1, 2, 3}) {
		t.Errorf("Reader: got %v %v, want 0 to 3", b, err)
	}
	if err := s.ReadF32(make([]float32, 2), "c"); err != nil {
		t.Error(err)
	}
	if _, ok := s.Info("d"); ok {
		t.Error("Info of a tensor that is not there: got true, want false")
	}
	_, errBytes := s.Bytes("d")
	_, errReader := s.Reader("d")
	for _, err := range []error{errBytes, errReader, s.ReadF32(nil, "d")} {
		if !errors.Is(err, ErrNoTensor) {
			t.Errorf("got %v, want ErrNoTensor", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Bytes("a"); err == nil {
		t.Error("Bytes after Close: got no error, want one")
	}

	// Transformers takes the single file where both are there.
	shards["model.safetensors"] = raw(u8("single", 1), 1)
	s, err = OpenModel(modelDir(t, shards))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := s.Names(), []string{"single"}; !slices.Equal(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
}

// Expected groups are from huggingface_hub 2.4.0,
// serialization._base.split_state_dict_into_shards_factory.
func TestPlanShards(t *testing.T) {
	cases := []struct {
		name  string
		sizes []int64
		limit int64
		want  [][]int
	}{
		{"all in one", []int64{3, 3, 4}, 10, [][]int{{0, 1, 2}}},
		{"one byte too many", []int64{3, 3, 5}, 10, [][]int{{0, 1}, {2}}},
		{"in order, not by fit", []int64{6, 6, 2, 6, 2, 2}, 10, [][]int{{0}, {1, 2}, {3, 4, 5}}},
		{"larger than the limit", []int64{4, 11, 4, 4}, 10, [][]int{{1}, {0, 2}, {3}}},
		{"as large as the limit", []int64{4, 10, 4}, 10, [][]int{{0}, {1}, {2}}},
		{"only one, larger", []int64{11}, 10, [][]int{{0}}},
		{"empty tensors", []int64{0, 10, 0}, 10, [][]int{{0, 1, 2}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := planShards(c.sizes, c.limit); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func writeMixedData(s Spec, w io.Writer) error {
	_, err := w.Write(mixedData[s.Name])
	return err
}

func TestWriteModel(t *testing.T) {
	t.Run("one file", func(t *testing.T) {
		dir := t.TempDir()
		if err := WriteModel(dir, mixed, ModelOptions{}, writeMixedData); err != nil {
			t.Fatal(err)
		}
		wantDir(t, dir, "model.safetensors")
		wantMixed(t, dir, map[string]string{"format": "pt"})
	})
	t.Run("shards", func(t *testing.T) {
		dir := t.TempDir()
		opts := ModelOptions{MaxShardBytes: 7, Metadata: map[string]string{"format": "np", "k": "v"}}
		if err := WriteModel(dir, mixed, opts, writeMixedData); err != nil {
			t.Fatal(err)
		}
		wantDir(t, dir, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", indexName)
		wantMixed(t, dir, opts.Metadata)
		const want = `{
  "metadata": {
    "total_size": 13
  },
  "weight_map": {
    "bf16.a": "model-00002-of-00002.safetensors",
    "bf16.b": "model-00001-of-00002.safetensors",
    "empty": "model-00002-of-00002.safetensors",
    "f32": "model-00002-of-00002.safetensors",
    "u8": "model-00001-of-00002.safetensors"
  }
}
`
		if got, err := os.ReadFile(filepath.Join(dir, indexName)); err != nil || string(got) != want {
			t.Errorf("index: got %s (%v), want %s", got, err, want)
		}
	})
}

func wantMixed(t *testing.T, dir string, metadata map[string]string) {
	t.Helper()
	s, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, f := range s.files {
		if got := f.Metadata(); !reflect.DeepEqual(got, metadata) {
			t.Errorf("%s: metadata: got %v, want %v", f.Path(), got, metadata)
		}
	}
	if got := len(s.Names()); got != len(mixed) {
		t.Errorf("got %d tensors, want %d", got, len(mixed))
	}
	for _, spec := range mixed {
		info, _ := s.Info(spec.Name)
		got, err := s.Bytes(spec.Name)
		if err != nil || !bytes.Equal(got, mixedData[spec.Name]) || info.DType != spec.DType || !slices.Equal(info.Shape, spec.Shape) {
			t.Errorf("%s: got %+v %v (%v), want %v", spec.Name, info, got, err, mixedData[spec.Name])
		}
	}
}

func TestWriteModelRefuses(t *testing.T) {
	fails := errors.New("source failed")
	cases := []struct {
		name  string
		files map[string][]byte
		specs []Spec
		data  func(Spec, io.Writer) error
		want  string
	}{
		{"weights are there", map[string][]byte{"model.safetensors": {1}}, mixed, writeMixedData, "already has model.safetensors: file already exists"},
		{"an index is there", map[string][]byte{indexName: {1}}, mixed, writeMixedData, "already has " + indexName},
		{"a shard is there", map[string][]byte{"model-00009-of-00010.safetensors": {1}}, mixed, writeMixedData, "already has model-00009-of-00010.safetensors"},
		{"no tensors", nil, nil, writeMixedData, "no tensors to write"},
		{"a name in two shards", nil, []Spec{{"u8", U8, []int{3}}, {"f32", F32, nil}, {"u8", U8, []int{3}}}, writeMixedData, `tensor "u8": given twice`},
		{"source fails in the second shard", nil, mixed, func(s Spec, w io.Writer) error {
			if s.Name == "bf16.a" {
				return fails
			}
			return writeMixedData(s, w)
		}, `model-00002-of-00002.safetensors: tensor "bf16.a": source failed`},
		{"source too short", nil, mixed, func(Spec, io.Writer) error { return nil }, `model-00001-of-00002.safetensors: tensor "bf16.b": got 0 bytes of data, want 4`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := modelDir(t, c.files)
			err := WriteModel(dir, c.specs, ModelOptions{MaxShardBytes: 7}, c.data)
			if err == nil || !strings.HasPrefix(err.Error(), "safetensors: "+dir) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			var left []string
			for name := range c.files {
				left = append(left, name)
			}
			wantDir(t, dir, left...)
		})
	}
	t.Run("source panics", func(t *testing.T) {
		dir := t.TempDir()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("got no panic, want the source's")
				}
			}()
			WriteModel(dir, mixed, ModelOptions{}, func(Spec, io.Writer) error { panic("source") })
		}()
		wantDir(t, dir)
	})
}

// Wherever the disk fails, no part of a model stays.
func TestWriteModelFileSystemFails(t *testing.T) {
	for _, c := range []struct {
		at    string
		calls int // that go well
	}{
		{"create", 0}, {"create", 1}, {"create", 2},
		{"sync", 0}, {"sync", 1}, {"sync", 2},
		{"close", 1}, {"close", 2},
		{"rename", 0}, {"rename", 1}, {"rename", 2},
		{"syncDir", 0}, {"syncDir", 1}, {"syncDir", 2},
		{"write", 0},
	} {
		t.Run(fmt.Sprint(c.at, " ", c.calls), func(t *testing.T) {
			dir := t.TempDir()
			m := &modelWriter{dir: dir, specs: mixed, fsys: &brokenFiles{at: c.at, count: c.calls, room: 600}}
			if c.at == "write" {
				m.fsys.(*brokenFiles).room = 300
			}
			for _, s := range mixed {
				n, err := byteSize(s.DType, s.Shape)
				if err != nil {
					t.Fatal(err)
				}
				m.sizes = append(m.sizes, n)
			}
			err := m.write(planShards(m.sizes, 7), writeMixedData)
			if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "safetensors: "+dir) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want one that matches ENOSPC and names the file", err)
			}
			wantDir(t, dir)
		})
	}
}
