package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// File is an open GGUF file. Its methods may be called from several goroutines
// at once, except Close, after which nothing may be used any more.
type File struct {
	path   string
	header *header
	index  map[string]int // name -> place in header.infos

	data  []byte       // the whole file when it is in memory, else nil
	src   io.ReaderAt  // the file when data is nil
	close func() error // nil once closed
}

// Open opens the file and checks its header. Tensors are read when they are
// asked for.
func Open(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, at(path, err)
	}
	return f, nil
}

func open(path string) (*File, error) {
	// Asked before opening: opening a named pipe waits for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("expected a regular file, found another kind")
	}
	osFile, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := openFile(path, osFile)
	if err != nil {
		osFile.Close()
		return nil, err
	}
	return f, nil
}

// openFile takes over osFile unless it fails.
func openFile(path string, osFile *os.File) (*File, error) {
	info, err := osFile.Stat() // the file may be another one by now
	if err != nil {
		return nil, err
	}
	if info.Size() < prefixSize {
		return nil, tooShort(info.Size())
	}
	h, err := readHeader(osFile, info.Size())
	if err != nil {
		return nil, err
	}
	return newFile(path, h, nil, osFile, osFile.Close), nil
}

// Parse checks a file that is in memory. The name is for messages. data is used,
// not copied; Close forgets it.
func Parse(name string, data []byte) (*File, error) {
	if len(data) < prefixSize {
		return nil, at(name, tooShort(int64(len(data))))
	}
	h, err := parse(data, int64(len(data)))
	if err != nil {
		return nil, at(name, named(data, err))
	}
	return newFile(name, h, data, nil, func() error { return nil }), nil
}

func tooShort(size int64) error {
	return malformed("header", "expected at least %d bytes, found a file of %d", prefixSize, size)
}

// named says what a file is that is not GGUF, where that is known.
func named(data []byte, err error) error {
	if what := otherFormat(data); what != "" {
		return formatError(err.Error() + ": " + what)
	}
	return err
}

// readHeader reads as much of a file as its header takes, in growing pieces.
func readHeader(src io.ReaderAt, size int64) (*header, error) {
	for n := min(size, 1<<20); ; {
		data := make([]byte, n)
		if err := readFull(src, data, 0); err != nil {
			return nil, err
		}
		h, err := parse(data, size)
		var short errShort
		if !errors.As(err, &short) {
			if err != nil {
				return nil, named(data, err)
			}
			return h, nil
		}
		n = min(size, max(4*n, short.need)) // take saw that need is within the file
	}
}

// readFull reads len(p) bytes at off, of which it is known that they were there
// when the file was opened.
func readFull(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}

func newFile(path string, h *header, data []byte, src io.ReaderAt, closing func() error) *File {
	f := &File{path: path, header: h, index: make(map[string]int, len(h.infos)), data: data, src: src, close: closing}
	for i, info := range h.infos {
		f.index[info.Name] = i
	}
	return f
}

// Path returns the path or name the file was opened by.
func (f *File) Path() string { return f.path }

// Version returns the version of the format.
func (f *File) Version() int { return int(f.header.version) }

// Keys returns the metadata's keys in the order of the file.
func (f *File) Keys() []string { return slices.Clone(f.header.keys) }

// Value returns the metadata value of a key, and whether there is one.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.header.values[key]
	return v, ok
}

// Names returns the tensors' names in the order of their place in the file.
func (f *File) Names() []string {
	names := make([]string, len(f.header.infos))
	for i, info := range f.header.infos {
		names[i] = info.Name
	}
	return names
}

// Info returns what the named tensor is, and whether there is one.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	info := f.header.infos[i]
	info.Shape = slices.Clone(info.Shape)
	return info, true
}

// ReadF32 reads len(dst) elements of a tensor, from element first on, as
// float32. Reading whole blocks from a block's beginning is fastest.
func (f *File) ReadF32(dst []float32, name string, first int64) error {
	info, err := f.find(name)
	if err == nil {
		err = f.readF32(dst, info, first)
	}
	if err != nil {
		return at(f.path, fmt.Errorf("%s: %w", tensorPlace(name), err))
	}
	return nil
}

// chunk is how many bytes are decoded at a time where they must be read first.
const chunk = 1 << 16

func (f *File) readF32(dst []float32, info *Info, first int64) error {
	t, _ := info.Type.traits()
	if t.decode == nil {
		return typeError(fmt.Sprintf("type: expected one of %s, found %v", ReadableTypes(), info.Type))
	}
	if n := info.Elements(); first < 0 || first > n || int64(len(dst)) > n-first {
		return fmt.Errorf("expected elements within its %d, found %d from %d on", n, len(dst), first)
	}
	block := int64(t.block)
	if skip := first % block; skip != 0 || int64(len(dst)) < block {
		n, err := f.readPart(dst, info, t, first/block, skip)
		if err != nil {
			return err
		}
		dst, first = dst[n:], first+n
	}
	whole := int64(len(dst)) / block
	if err := f.readBlocks(dst[:whole*block], info, t, first/block); err != nil {
		return err
	}
	if dst = dst[whole*block:]; len(dst) == 0 {
		return nil
	}
	_, err := f.readPart(dst, info, t, first/block+whole, 0)
	return err
}

// readPart reads what dst has room for of one block behind its first skip
// elements, and returns how many that are.
func (f *File) readPart(dst []float32, info *Info, t traits, block, skip int64) (int64, error) {
	if len(dst) == 0 {
		return 0, nil
	}
	var whole [256]float32 // the largest block
	if err := f.readBlocks(whole[:t.block], info, t, block); err != nil {
		return 0, err
	}
	return int64(copy(dst, whole[skip:t.block])), nil
}

// readBlocks reads whole blocks, from the given one on.
func (f *File) readBlocks(dst []float32, info *Info, t traits, block int64) error {
	off := info.Offset + block*int64(t.bytes)
	size := int64(len(dst) / t.block * t.bytes)
	if f.data != nil {
		t.decode(dst, f.data[off:off+size])
		return nil
	}
	buf := make([]byte, min(size, int64(chunk/t.bytes*t.bytes)))
	for len(dst) > 0 {
		n := min(len(buf)/t.bytes, len(dst)/t.block)
		if err := readFull(f.src, buf[:n*t.bytes], off); err != nil {
			return err
		}
		t.decode(dst[:n*t.block], buf[:n*t.bytes])
		dst, off = dst[n*t.block:], off+int64(n*t.bytes)
	}
	return nil
}

// Bytes returns the tensor's bytes as stored. They must not be written to.
func (f *File) Bytes(name string) ([]byte, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, at(f.path, fmt.Errorf("%s: %w", tensorPlace(name), err))
	}
	if f.data != nil {
		return f.data[info.Offset : info.Offset+info.Size : info.Offset+info.Size], nil
	}
	b := make([]byte, info.Size) // the file has as many: checked when it was opened
	if err := readFull(f.src, b, info.Offset); err != nil {
		return nil, at(f.path, fmt.Errorf("%s: %w", tensorPlace(name), err))
	}
	return b, nil
}

func (f *File) find(name string) (*Info, error) {
	if f.close == nil {
		return nil, errClosed
	}
	i, ok := f.index[name]
	if !ok {
		return nil, ErrNoTensor
	}
	return &f.header.infos[i], nil
}

// Close releases the file. Closing again does nothing.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	closing := f.close
	f.close, f.data = nil, nil
	if err := closing(); err != nil {
		return at(f.path, err)
	}
	return nil
}
