package model

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/model/safetensors"
)

// list gives the names of all files below a directory.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// source is a model directory with everything that lies about in one.
func source(t *testing.T) *Checkpoint {
	t.Helper()
	dir := writeTiny(t, true, safetensors.BF16, add(safetensors.Spec{Name: HeadName, DType: safetensors.BF16, Shape: []int{5, 4}}))
	if err := os.Mkdir(filepath.Join(dir, templateDir), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer.model", "merges.txt", "chat_template.jinja", "generation_config.json", "LICENSE", "NOTICE.md",
		"README.md", "trainer_state.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "optimizer.pt", ".gitattributes", templateDir + "/tool.jinja"} {
		writeFile(t, filepath.Join(dir, name), `{"of": "`+name+`"}`)
	}
	ck, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ck.Close() })
	return ck
}

// asStored copies the tensors of layers of a checkpoint.
func asStored(ck *Checkpoint, layers []int) (func(string) safetensors.DType, func(safetensors.Spec, io.Writer) error) {
	dtype := func(name string) safetensors.DType {
		original, _ := OriginalName(name, layers)
		info, _ := ck.Info(original)
		return info.DType
	}
	data := func(s safetensors.Spec, w io.Writer) error {
		original, _ := OriginalName(s.Name, layers)
		b, err := ck.Bytes(original)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	}
	return dtype, data
}

func TestWrite(t *testing.T) {
	ck := source(t)
	layers := []int{1}
	small, err := ck.Config.Select(layers)
	if err != nil {
		t.Fatal(err)
	}
	dtype, data := asStored(ck, layers)
	parent := t.TempDir()
	dir := filepath.Join(parent, "new", "small")
	err = Write(dir, WriteOptions{Config: small, Source: ck.Dir, DType: dtype, Files: map[string][]byte{"split.json": []byte("{}"), "merges.txt": []byte("mine")}}, data)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"LICENSE", "NOTICE.md", templateDir + "/tool.jinja", "chat_template.jinja", "config.json", "generation_config.json",
		"merges.txt", "model.safetensors", "split.json", "tokenizer.json", "tokenizer.model"}
	if got := list(t, dir); !slices.Equal(got, want) {
		t.Errorf("got files  %v\nwant files %v", got, want)
	}
	if got := list(t, parent); len(got) != len(want) {
		t.Errorf("left beside it: %v", got)
	}
	for name, text := range map[string]string{"merges.txt": "mine", "tokenizer.json": `{"of": "tokenizer.json"}`} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != text {
			t.Errorf("%s has %q, want %q", name, got, text)
		}
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, want := compact(t, again.Config.JSON()), strings.Replace(compact(t, ck.Config.JSON()), `layers":2`, `layers":1`, 1); got != strings.TrimSuffix(want, "}")+`,"torch_dtype":"bfloat16"}` {
		t.Errorf("config is %s, want %s with the type", got, want)
	}
	if _, ok := again.Info(HeadName); ok {
		t.Error("the tied head was written")
	}
	for _, w := range small.Tensors(nil) {
		original, _ := OriginalName(w.Name, layers)
		got, err := again.Bytes(w.Name)
		from, err2 := ck.Bytes(original)
		if err != nil || err2 != nil || !bytes.Equal(got, from) {
			t.Errorf("%s differs from the original's %s", w.Name, original)
		}
	}
}

func TestWriteShards(t *testing.T) {
	ck := source(t)
	dtype, data := asStored(ck, []int{0, 1})
	dir := filepath.Join(t.TempDir(), "m")
	if err := Write(dir, WriteOptions{Config: ck.Config, DType: dtype, MaxShardBytes: 200}, data); err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir); !slices.Contains(got, "model.safetensors.index.json") || !slices.Contains(got, "config.json") {
		t.Errorf("got %v, want an index", got)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestWriteLeavesNothingBehind(t *testing.T) {
	ck := source(t)
	dtype, data := asStored(ck, []int{0, 1})
	full := errors.New("no space left on device")
	n := 0
	for _, tc := range []struct {
		name string
		o    WriteOptions
		data func(safetensors.Spec, io.Writer) error
		want string
	}{
		{"data fails in the middle", WriteOptions{}, func(s safetensors.Spec, w io.Writer) error {
			if n++; n == 7 {
				return full
			}
			return data(s, w)
		}, "no space left on device"},
		{"too little data", WriteOptions{}, func(safetensors.Spec, io.Writer) error { return nil }, "got 0 bytes of data, want"},
		{"a further file is no name", WriteOptions{Files: map[string][]byte{"../x": nil}}, data, `"../x" is not a name for a further file`},
		{"a further file takes the config's name", WriteOptions{Files: map[string][]byte{"config.json": nil}}, data, `"config.json" is not a name`},
		{"no such source", WriteOptions{Source: filepath.Join(ck.Dir, "nowhere")}, data, "nowhere: no such file"},
	} {
		for _, old := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				parent := t.TempDir()
				dir := filepath.Join(parent, "m")
				var before []string
				if old {
					if err := Write(dir, WriteOptions{Config: ck.Config, DType: dtype}, data); err != nil {
						t.Fatal(err)
					}
					before = list(t, parent)
				}
				n = 0
				tc.o.Config, tc.o.DType, tc.o.Force = ck.Config, dtype, old
				err := Write(dir, tc.o, tc.data)
				if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "model: "+dir+": not written: ") || strings.Contains(err.Error(), ".tmp") {
					t.Errorf("got %v, want %q in it, and no temporary name", err, tc.want)
				}
				if got := list(t, parent); !slices.Equal(got, before) {
					t.Errorf("got files %v, want %v", got, before)
				}
				if entries, _ := os.ReadDir(parent); len(entries) > 1 || len(entries) == 1 && !old {
					t.Errorf("left behind: %v", entries)
				}
			})
		}
	}
}

func TestWriteExisting(t *testing.T) {
	ck := source(t)
	dtype, data := asStored(ck, []int{0, 1})
	o := WriteOptions{Config: ck.Config, DType: dtype, Source: ck.Dir}
	written := 0
	write := func(dir string, force bool) error {
		o.Force, written = force, 0
		return Write(dir, o, func(s safetensors.Spec, w io.Writer) error {
			written++
			return data(s, w)
		})
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "m")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, false); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
	if err := write(dir, false); !errors.Is(err, fs.ErrExist) || written > 0 {
		t.Errorf("onto a model: got %v after %d tensors, want %v before any", err, written, fs.ErrExist)
	}
	writeFile(t, filepath.Join(dir, "mark"), "old")
	if err := write(dir, true); err != nil {
		t.Errorf("onto a model with force: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mark")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old directory is still there: %v", err)
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := write(ck.Dir, true); err == nil || !strings.Contains(err.Error(), "is the model that this one is made from") {
		t.Errorf("onto its own source: got %v", err)
	}
	other := filepath.Join(parent, "photos")
	if err := os.Mkdir(other, 0o777); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(other, "holiday.jpg"), "x")
	if err := write(other, true); err == nil || !strings.Contains(err.Error(), "has no config.json") {
		t.Errorf("onto something else with force: got %v", err)
	}
	if err := write(filepath.Join(other, "holiday.jpg"), true); err == nil || !strings.Contains(err.Error(), "is not a directory") {
		t.Errorf("onto a file with force: got %v", err)
	}
	if err := write(filepath.Join(other, "holiday.jpg", "m"), false); err == nil {
		t.Error("below a file: no error")
	}
}
