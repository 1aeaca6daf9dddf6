package safetensors

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The names Transformers gives a model's weights.
const (
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
)

// Set is the tensors of one model, in one file or several. Its methods are
// those of [File] and may be used alike.
type Set struct {
	files []*File
	where map[string]*File
}

// OpenModel opens the weights of a model directory: model.safetensors, or else
// the shards that model.safetensors.index.json names. Every tensor of the index
// must be in the shard it names, and no tensor in two shards; tensors of a
// shard that the index leaves out are there too, as in Transformers.
func OpenModel(dir string) (*Set, error) {
	single, index := filepath.Join(dir, singleName), filepath.Join(dir, indexName)
	if exists(single) {
		f, err := Open(single)
		if err != nil {
			return nil, err
		}
		return newSet([]*File{f})
	}
	if exists(index) {
		return openIndex(dir, index)
	}
	return nil, at(dir, noWeights(dir))
}

// exists is true for what cannot be examined too, so that opening it says why.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func openIndex(dir, index string) (*Set, error) {
	weights, err := readIndex(index)
	if err != nil {
		return nil, at(index, err)
	}
	shards := weights.shards()
	var missing []string
	for _, shard := range shards {
		if !exists(filepath.Join(dir, shard)) {
			missing = append(missing, shard)
		}
	}
	if len(missing) > 0 {
		return nil, at(dir, fmt.Errorf("missing %d of the %d shards that %s names: %s: %w",
			len(missing), len(shards), indexName, listNames(missing), os.ErrNotExist))
	}
	var files []*File
	for _, shard := range shards {
		f, err := Open(filepath.Join(dir, shard))
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	s, err := newSet(files)
	if err != nil {
		return nil, err
	}
	for _, entry := range weights {
		if f, ok := s.where[entry.tensor]; !ok || filepath.Base(f.path) != entry.shard {
			err := malformed("is not in %s, where weight_map has it", entry.shard)
			if ok {
				err = malformed("is in %s, but weight_map has it in %s", filepath.Base(f.path), entry.shard)
			}
			s.Close()
			return nil, at(index, atTensor(entry.tensor, err))
		}
	}
	return s, nil
}

// newSet takes over the files, and closes them if it fails.
func newSet(files []*File) (*Set, error) {
	s := &Set{files: files, where: map[string]*File{}}
	for _, f := range files {
		for _, info := range f.header.infos {
			if other := s.where[info.Name]; other != nil {
				closeAll(files)
				return nil, at(f.path, atTensor(info.Name, malformed("is in %s too", filepath.Base(other.path))))
			}
			s.where[info.Name] = f
		}
	}
	return s, nil
}

// noWeights says what was looked for, and what is there instead.
func noWeights(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	hint := ""
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "pytorch_model.bin" || name == "pytorch_model.bin.index.json":
			hint = "; " + name + " is there: convert it with Transformers' save_pretrained, which writes safetensors"
		case name == "adapter_model.safetensors":
			hint = "; " + name + " is there: this is an adapter, not a whole model"
		case hint == "" && strings.HasSuffix(name, ".safetensors"):
			hint = "; " + quote(name) + " is there, but under that name it is not taken for the whole model"
		case hint == "" && strings.HasSuffix(name, ".gguf"):
			hint = "; " + quote(name) + " is there, which is another format"
		}
	}
	return fmt.Errorf("neither %s nor %s%s: %w", singleName, indexName, hint, os.ErrNotExist)
}

// listNames joins names for a message, the first few of many.
func listNames(names []string) string {
	const limit = 5
	if len(names) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), len(names)-limit)
	}
	return strings.Join(names, ", ")
}

// Paths returns the files the tensors are in, in the order of their names.
func (s *Set) Paths() []string {
	paths := make([]string, len(s.files))
	for i, f := range s.files {
		paths[i] = f.path
	}
	return paths
}

// PathOf returns the file that holds the named tensor, "" if none does.
func (s *Set) PathOf(name string) string {
	if f := s.where[name]; f != nil {
		return f.path
	}
	return ""
}

// Names returns the tensors' names, file by file, in the order of their place.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.where))
	for _, f := range s.files {
		names = append(names, f.Names()...)
	}
	return names
}

// Info works like [File.Info].
func (s *Set) Info(name string) (Info, bool) {
	f := s.where[name]
	if f == nil {
		return Info{}, false
	}
	return f.Info(name)
}

// Bytes works like [File.Bytes].
func (s *Set) Bytes(name string) ([]byte, error) {
	f, err := s.file(name)
	if err != nil {
		return nil, err
	}
	return f.Bytes(name)
}

// Reader works like [File.Reader].
func (s *Set) Reader(name string) (*io.SectionReader, error) {
	f, err := s.file(name)
	if err != nil {
		return nil, err
	}
	return f.Reader(name)
}

// ReadF32 works like [File.ReadF32].
func (s *Set) ReadF32(dst []float32, name string) error {
	f, err := s.file(name)
	if err != nil {
		return err
	}
	return f.ReadF32(dst, name)
}

// ReadF64 works like [File.ReadF64].
func (s *Set) ReadF64(dst []float64, name string, first int64) error {
	f, err := s.file(name)
	if err != nil {
		return err
	}
	return f.ReadF64(dst, name, first)
}

// file returns the file that has the tensor. With none, the first file's path
// stands for the model's in the message.
func (s *Set) file(name string) (*File, error) {
	if f := s.where[name]; f != nil {
		return f, nil
	}
	return nil, at(filepath.Dir(s.files[0].path), atTensor(name, ErrNoTensor))
}

// Metadata returns the metadata of the first file; all shards of a model have
// the same.
func (s *Set) Metadata() map[string]string { return s.files[0].Metadata() }

// Close closes all files. Closing again does nothing.
func (s *Set) Close() error { return closeAll(s.files) }

func closeAll(files []*File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// weightMap is the index's map in the order of the document.
type weightMap []struct{ tensor, shard string }

// shards returns the files it names, sorted.
func (w weightMap) shards() []string {
	var names []string
	for _, entry := range w {
		names = append(names, entry.shard)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readIndex reads model.safetensors.index.json.
func readIndex(path string) (weightMap, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(info); err != nil {
		return nil, err
	}
	if info.Size() > maxHeaderSize {
		return nil, malformed("index of %d bytes is above the limit of %d", info.Size(), maxHeaderSize)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseIndex(doc)
}

// parseIndex checks an index. Its "metadata" is left alone: total_size is wrong
// in too many published models to mean anything.
func parseIndex(doc []byte) (weightMap, error) {
	r, err := newJSONReader(doc)
	if err != nil {
		return nil, err
	}
	var weights weightMap
	err = r.object("index", func(key string) error {
		if key != "weight_map" {
			return r.skip()
		}
		return r.object("weight_map", func(tensor string) error {
			shard, err := r.text("the file")
			if err == nil {
				err = checkShardName(shard)
			}
			if err != nil {
				return fmt.Errorf("weight_map: %w", atTensor(tensor, err))
			}
			weights = append(weights, struct{ tensor, shard string }{tensor, shard})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(weights) == 0 {
		return nil, malformed("has no weight_map, or an empty one")
	}
	return weights, nil
}

// checkShardName makes sure that a shard lies in the model's directory.
func checkShardName(name string) error {
	if name == "." || strings.ContainsAny(name, "/\\\x00") || !filepath.IsLocal(name) {
		return malformed("file %s is not a plain file name", quote(name))
	}
	if !strings.HasSuffix(name, ".safetensors") {
		return malformed("file %s is not a .safetensors file", quote(name))
	}
	return nil
}
