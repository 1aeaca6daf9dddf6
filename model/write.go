package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"graft/internal/newdir"
	"graft/model/safetensors"
)

// WriteOptions say what model directory Write makes.
type WriteOptions struct {
	// Config of the model; the tensors are those of all its layers.
	Config *Config
	// Source is a directory that tokenizer, chat template, generation config and
	// licence are copied from; "" for none.
	Source string
	// Tokenizer is a directory whose tokenizer, chat template and generation
	// config are copied instead of those of Source; "" for none.
	Tokenizer string
	// Spare are further directories that must not be replaced. Source and
	// Tokenizer never are.
	Spare []string
	// Files are further small files by name. They win over those of Source.
	Files map[string][]byte
	// DType is the type that each tensor is stored in; nil is F32 for all.
	DType func(name string) safetensors.DType
	// Extra, if set, adds what is not small to the directory before it gets its
	// name.
	Extra func(dir string) error
	// Force replaces an existing model directory, when the new one is complete.
	Force bool
	// MaxShardBytes is where a new weights file begins; 0 is 5 GB.
	MaxShardBytes int64
}

// Write makes a Hugging Face model directory. data is called for each tensor,
// one after the other, to write its bytes in the type that spec names.
//
// The directory appears under its name only when every file is on the disk; if
// anything fails nothing is left and an existing directory is as it was. An
// existing directory is refused (the error is fs.ErrExist) unless it is empty,
// or is a model and o.Force is set.
func Write(dir string, o WriteOptions, data func(spec safetensors.Spec, w io.Writer) error) error {
	dir = filepath.Clean(dir)
	if err := checkTarget(dir, o); err != nil {
		return at(dir, err)
	}
	d, err := newdir.Create(dir, o.Force)
	if err != nil {
		return at(dir, err)
	}
	defer d.Discard() // also when data panics
	if err := fill(d.Path(), o, data); err != nil {
		return fmt.Errorf("model: %s: not written: %w", dir, inTemp(err, d.Path(), dir))
	}
	if err := d.Commit(); err != nil {
		return at(dir, err)
	}
	return nil
}

// checkTarget refuses a directory that must not be replaced.
func checkTarget(dir string, o WriteOptions) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("is not a directory: %w", fs.ErrExist)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	for _, dir := range append([]string{o.Source, o.Tokenizer}, o.Spare...) {
		if src, err := os.Stat(dir); err == nil && os.SameFile(src, info) {
			return errors.New("is the model that this one is made from")
		}
	}
	if !o.Force {
		return fmt.Errorf("is not empty, and replacing it was not asked for: %w", fs.ErrExist)
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == configName }) {
		return fmt.Errorf("has no %s, so it is not a model directory and is not replaced: %w", configName, fs.ErrExist)
	}
	return nil
}

// inTemp names the final place in a message about the temporary one.
func inTemp(err error, temp, dir string) error {
	text := strings.ReplaceAll(err.Error(), temp, dir)
	if text == err.Error() {
		return err
	}
	return &renamed{text, err}
}

// renamed is an error with another text.
type renamed struct {
	text string
	err  error
}

func (e *renamed) Error() string { return e.text }
func (e *renamed) Unwrap() error { return e.err }

// fill writes the files of a model into an empty directory.
func fill(dir string, o WriteOptions, data func(safetensors.Spec, io.Writer) error) error {
	var specs []safetensors.Spec
	types := map[safetensors.DType]bool{}
	for _, t := range o.Config.Tensors(nil) {
		s := safetensors.Spec{Name: t.Name, DType: safetensors.F32, Shape: t.Shape}
		if o.DType != nil {
			s.DType = o.DType(t.Name)
		}
		types[s.DType] = true
		specs = append(specs, s)
	}
	if err := safetensors.WriteModel(dir, specs, safetensors.ModelOptions{MaxShardBytes: o.MaxShardBytes}, data); err != nil {
		return err
	}
	c := o.Config
	if len(types) == 1 {
		c = c.withDType(torchName(specs[0].DType))
	}
	files := map[string][]byte{configName: c.JSON()}
	for name, content := range o.Files {
		if !furtherName(name) {
			return fmt.Errorf("%s is not a name for a further file", quote(name))
		}
		files[name] = content
	}
	if err := copyFiles(dir, o, files); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	if o.Extra != nil {
		return o.Extra(dir)
	}
	return nil
}

// furtherName tells names of files that may be written beside a model's own.
func furtherName(name string) bool {
	rest, _ := strings.CutPrefix(name, templateDir+"/")
	return rest == filepath.Base(rest) && rest != "." && rest != ".." && name != configName
}

// torchName is what PyTorch calls a type.
func torchName(d safetensors.DType) string {
	switch d {
	case safetensors.BF16:
		return "bfloat16"
	case safetensors.F16:
		return "float16"
	case safetensors.F64:
		return "float64"
	}
	return "float32"
}
