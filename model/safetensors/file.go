package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
)

var errClosed = errors.New("file is closed")

// File is an open safetensors file. Its methods may be called from several
// goroutines at once, except Close, after which nothing may be used any more.
type File struct {
	path   string
	header *header
	index  map[string]int // name -> place in header.infos

	data  []byte       // the whole file when it is in memory, else nil
	src   io.ReaderAt  // the whole file in any case
	close func() error // nil once closed
}

// Open opens the file and checks its header. The data is read when it is asked
// for.
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
	if err := checkRegular(info); err != nil {
		return nil, err
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
	info, err := osFile.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkRegular(info); err != nil {
		return nil, err
	}
	if err := checkSize(info.Size()); err != nil {
		return nil, err
	}
	return newFile(path, osFile, info.Size(), nil, osFile.Close)
}

// Parse checks a file that is in memory, for example an embedded one. The name
// is for messages. data is used, not copied; Close forgets it.
func Parse(name string, data []byte) (*File, error) {
	if err := checkSize(int64(len(data))); err != nil {
		return nil, at(name, err)
	}
	f, err := newFile(name, bytes.NewReader(data), int64(len(data)), data, func() error { return nil })
	if err != nil {
		return nil, at(name, err)
	}
	return f, nil
}

func checkRegular(info os.FileInfo) error {
	if info.IsDir() {
		return errors.New("is a directory, want a file")
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file")
	}
	return nil
}

func checkSize(size int64) error {
	if size < prefixSize {
		return malformed("file of %d bytes is too short for the header's length", size)
	}
	return nil
}

// newFile reads the header. data may be nil; src and size are the whole file.
func newFile(path string, src io.ReaderAt, size int64, data []byte, closing func() error) (*File, error) {
	var prefix [prefixSize]byte
	if err := readFull(src, prefix[:], 0); err != nil {
		return nil, err
	}
	n, err := headerSize(prefix[:], size)
	if err != nil {
		return nil, err
	}
	var doc []byte
	if data != nil {
		doc = data[prefixSize : prefixSize+n]
	} else {
		doc = make([]byte, n) // at most 100 MB, and not more than the file has
		if err := readFull(src, doc, prefixSize); err != nil {
			return nil, err
		}
	}
	h, err := parseHeader(doc, size-prefixSize-n)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, header: h, index: make(map[string]int, len(h.infos)), data: data, src: src, close: closing}
	for i, info := range h.infos {
		f.index[info.Name] = i
	}
	return f, nil
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
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, cause(err))
}

// Path returns the path or name the file was opened by.
func (f *File) Path() string { return f.path }

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

// Metadata returns the texts stored beside the tensors, for example
// "format": "pt".
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// Bytes returns the tensor's bytes, all of them in memory: [File.Reader] is for
// tensors that may be large. They must not be written to. They begin at any
// address; the format does not align.
func (f *File) Bytes(name string) ([]byte, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, at(f.path, err)
	}
	if f.data != nil {
		return f.data[info.Offset : info.Offset+info.Size : info.Offset+info.Size], nil
	}
	if info.Size > math.MaxInt {
		return nil, at(f.path, atTensor(name, fmt.Errorf("%d bytes do not fit into memory here", info.Size)))
	}
	b := make([]byte, info.Size) // the file has as many: checked when it was opened
	if err := readFull(f.src, b, info.Offset); err != nil {
		return nil, at(f.path, atTensor(name, err))
	}
	return b, nil
}

// Reader returns a reader of the tensor's bytes, for copying it elsewhere
// without holding it. It must not be used after Close.
func (f *File) Reader(name string) (*io.SectionReader, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, at(f.path, err)
	}
	return io.NewSectionReader(f.src, info.Offset, info.Size), nil
}

func (f *File) find(name string) (*Info, error) {
	if f.close == nil {
		return nil, errClosed
	}
	i, ok := f.index[name]
	if !ok {
		return nil, atTensor(name, ErrNoTensor)
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
