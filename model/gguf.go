package model

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"graft/model/gguf"
	"graft/model/safetensors"
)

const ggufSuffix = ".gguf"

// findGGUF says which GGUF file a path means: itself, or the only one of a
// directory without safetensors. It is "" for other directories.
func findGGUF(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil // reading its config will say why
	}
	if !info.IsDir() {
		if !isGGUF(path) {
			return "", fmt.Errorf("is a file, want a model directory or a %s file", ggufSuffix)
		}
		return path, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if isSafetensors(e) {
			return "", nil
		}
		if isGGUF(e.Name()) && !e.IsDir() {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return filepath.Join(path, found[0]), nil
	}
	return "", fmt.Errorf("has %d %s files: name one of %s", len(found), ggufSuffix, strings.Join(found[:min(len(found), 4)], ", "))
}

func isGGUF(name string) bool { return strings.EqualFold(filepath.Ext(name), ggufSuffix) }

func isSafetensors(e fs.DirEntry) bool {
	return strings.HasSuffix(e.Name(), ".safetensors") || strings.HasSuffix(e.Name(), ".safetensors.index.json")
}

// ggufWeights are weights in a GGUF file, seen as the Hugging Face checkpoint
// that it was made from: under those names, their rows in that order, quantised
// ones as F32.
type ggufWeights struct {
	file    *gguf.File
	tensors map[string]ggufTensor
	names   []string
}

// ggufTensor says how a tensor of the checkpoint is found in the file.
type ggufTensor struct {
	info gguf.Info
	// turned is the number of heads whose rows the file has in another order:
	// elements of rotary pairs side by side instead of half a head apart.
	turned   int
	plusOne  bool // the file has w + 1
	leftover bool // not of the model
}

func newGGUFWeights(file *gguf.File, a *ggufArch, c *Config) *ggufWeights {
	w := &ggufWeights{file: file, tensors: map[string]ggufTensor{}}
	for _, name := range file.Names() {
		if name == ropeFactorsName { // the config has what they say
			continue
		}
		t := ggufTensor{}
		t.info, _ = file.Info(name)
		known, ok := a.checkpointName(name)
		if !ok {
			known, t.leftover = name, true
		}
		t.plusOne = a.plusOne && strings.HasSuffix(known, "norm.weight")
		if a.turned {
			switch {
			case strings.Contains(known, ".q_proj."):
				t.turned = c.Heads
			case strings.Contains(known, ".k_proj."):
				t.turned = c.KVHeads
			}
		}
		w.tensors[known] = t
		w.names = append(w.names, known)
	}
	return w
}

// dtype is the type that holds the tensor's values exactly; for types that cannot
// be read it is a name that safetensors does not have.
func (t ggufTensor) dtype() safetensors.DType {
	switch {
	case t.info.Type == gguf.F16 && !t.plusOne:
		return safetensors.F16
	case t.info.Type == gguf.BF16 && !t.plusOne:
		return safetensors.BF16
	case t.info.Type.Readable():
		return safetensors.F32
	}
	return safetensors.DType("GGUF " + t.info.Type.String())
}

func (w *ggufWeights) Info(name string) (safetensors.Info, bool) {
	t, ok := w.tensors[name]
	if !ok {
		return safetensors.Info{}, false
	}
	d := t.dtype()
	return safetensors.Info{Name: name, DType: d, Shape: slices.Clone(t.info.Shape), Size: t.info.Elements() * int64(d.Size())}, true
}

func (w *ggufWeights) Names() []string { return w.names }

func (w *ggufWeights) PathOf(string) string { return w.file.Path() }

func (w *ggufWeights) Close() error { return w.file.Close() }

func (w *ggufWeights) ReadF32(dst []float32, name string) error {
	t, ok := w.tensors[name]
	if !ok {
		return at(w.file.Path(), fmt.Errorf("tensor %s is missing", quote(name)))
	}
	if n := t.info.Elements(); int64(len(dst)) != n {
		return at(w.file.Path(), fmt.Errorf("tensor %s has %d elements, want %d", quote(name), n, len(dst)))
	}
	return w.read(dst, t, 0)
}

func (w *ggufWeights) ReadF64(dst []float64, name string, first int64) error {
	t, ok := w.tensors[name]
	if !ok {
		return at(w.file.Path(), fmt.Errorf("tensor %s is missing", quote(name)))
	}
	narrow := make([]float32, len(dst)) // holds every type here exactly
	if err := w.read(narrow, t, first); err != nil {
		return err
	}
	for i, x := range narrow {
		dst[i] = float64(x)
	}
	return nil
}

func (w *ggufWeights) Bytes(name string) ([]byte, error) {
	r, err := w.reader(name)
	if err != nil {
		return nil, err
	}
	info, _ := w.Info(name)
	b := make([]byte, info.Size)
	_, err = io.ReadFull(r, b)
	return b, err
}

func (w *ggufWeights) reader(name string) (io.Reader, error) {
	t, ok := w.tensors[name]
	if !ok {
		return nil, at(w.file.Path(), fmt.Errorf("tensor %s is missing", quote(name)))
	}
	return &ggufReader{w: w, t: t, piece: make([]float32, min(t.info.Elements(), 1<<16))}, nil
}

// ggufReader reads a tensor's bytes as the checkpoint has them.
type ggufReader struct {
	w     *ggufWeights
	t     ggufTensor
	first int64 // element that is decoded next
	piece []float32
	bytes bytes.Buffer // decoded and not read yet
}

func (r *ggufReader) Read(p []byte) (int, error) {
	if r.bytes.Len() == 0 {
		n := min(int64(len(r.piece)), r.t.info.Elements()-r.first)
		if n == 0 {
			return 0, io.EOF
		}
		if err := r.w.read(r.piece[:n], r.t, r.first); err != nil {
			return 0, err
		}
		r.bytes.Reset()
		if err := safetensors.WriteF32(&r.bytes, r.t.dtype(), r.piece[:n]); err != nil {
			return 0, err
		}
		r.first += n
	}
	return r.bytes.Read(p)
}

// read reads elements in the checkpoint's order, from first on.
func (w *ggufWeights) read(dst []float32, t ggufTensor, first int64) error {
	if err := w.readRows(dst, t, first); err != nil {
		return err
	}
	if t.plusOne {
		for i := range dst {
			dst[i]--
		}
	}
	return nil
}

func (w *ggufWeights) readRows(dst []float32, t ggufTensor, first int64) error {
	if t.turned == 0 {
		return w.file.ReadF32(dst, t.info.Name, first)
	}
	row := t.info.Elements() / int64(t.info.Shape[0]) // elements of one
	for len(dst) > 0 {
		n := min(int64(len(dst)), row-first%row)
		from := int64(t.fileRow(int(first/row)))*row + first%row
		if err := w.file.ReadF32(dst[:n], t.info.Name, from); err != nil {
			return err
		}
		dst, first = dst[n:], first+n
	}
	return nil
}

// fileRow is where the file has a row of the checkpoint: within a head, row i of
// half j is row 2i + j.
func (t ggufTensor) fileRow(r int) int {
	head := t.info.Shape[0] / t.turned
	half := head / 2
	in := r % head
	return r - in + in%half*2 + in/half
}

// Quantisation says how the weights of a GGUF file's layers are quantised, by
// the type that most of them have: "4-bit (Q4_K)". It is "" where they are not.
func (ck *Checkpoint) Quantisation() string {
	w, ok := ck.set.(*ggufWeights)
	if !ok {
		return ""
	}
	elements := map[gguf.Type]int64{}
	most := gguf.F32
	for _, t := range ck.Config.Tensors(nil) {
		info := w.tensors[t.Name].info
		if t.Layer < 0 || !t.Matrix() {
			continue
		}
		elements[info.Type] += info.Elements()
		if n, m := elements[info.Type], elements[most]; n > m || n == m && info.Type < most {
			most = info.Type
		}
	}
	if !most.Quantised() {
		return ""
	}
	return fmt.Sprintf("%d-bit (%v)", most.Bits(), most)
}

// Stored says in what type a tensor lies in its file, and how many bytes it
// takes there. Quantised types have names of their own; Info tells what they
// are read as.
func (ck *Checkpoint) Stored(name string) (dtype string, size int64) {
	if w, ok := ck.set.(*ggufWeights); ok {
		t := w.tensors[name]
		return t.info.Type.String(), t.info.Size
	}
	info, _ := ck.Info(name)
	return string(info.DType), info.Size
}
