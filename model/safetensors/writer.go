package safetensors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Spec is a tensor to be written.
type Spec struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar
}

// Writer writes one file. Where every tensor lies is settled by [Create], so
// that they can be written in any order, though the order of [Writer.Names] is
// the one without seeks. It is not safe for use by several goroutines.
//
// The file appears under its name at Close, complete and on the disk; before
// that, and after any error, an older file of that name is untouched. The first
// error removes what was written and is returned by every later call.
type Writer struct {
	path    string
	out     *pending
	buf     *bufio.Writer
	infos   []Info
	index   map[string]int
	written []bool
	err     error
}

var errDiscarded = errors.New("writing was given up")

// Create starts a file of the given tensors with the given metadata, which may
// be nil; loaders of PyTorch's family want "format": "pt" in it. Tensors are
// laid out in the order given, those of wider element types first so that all
// are aligned. Nothing is written if a spec is wrong.
func Create(path string, specs []Spec, metadata map[string]string) (*Writer, error) {
	return create(path, specs, metadata, osFiles{})
}

func create(path string, specs []Spec, metadata map[string]string, fsys files) (*Writer, error) {
	doc, infos, err := encodeHeader(specs, metadata)
	if err != nil {
		return nil, at(path, err)
	}
	out, err := newPending(fsys, path)
	if err != nil {
		return nil, at(path, err)
	}
	w := &Writer{path: path, out: out, infos: infos, index: make(map[string]int, len(infos)), written: make([]bool, len(infos))}
	for i, info := range infos {
		w.index[info.Name] = i
	}
	w.buf = bufio.NewWriterSize(nil, 1<<18)
	w.buf.Reset(io.NewOffsetWriter(out, 0))
	w.buf.Write(doc)
	if err := w.buf.Flush(); err != nil {
		return nil, w.fail(err)
	}
	return w, nil
}

// Names returns the tensors' names in the order they lie in the file.
func (w *Writer) Names() []string {
	names := make([]string, len(w.infos))
	for i, info := range w.infos {
		names[i] = info.Name
	}
	return names
}

// Write writes all bytes of the named tensor.
func (w *Writer) Write(name string, data []byte) error {
	return w.Fill(name, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// WriteFrom writes the named tensor from r, which must hold exactly its bytes.
func (w *Writer) WriteFrom(name string, r io.Reader) error {
	return w.Fill(name, func(out io.Writer) error {
		_, err := io.Copy(out, r)
		return err
	})
}

// Fill calls fill with a writer that takes the named tensor's bytes, piece by
// piece and exactly as many as it has. It is buffered.
func (w *Writer) Fill(name string, fill func(io.Writer) error) error {
	if w.err != nil {
		return w.err
	}
	i, ok := w.index[name]
	if !ok {
		return w.fail(atTensor(name, ErrNoTensor))
	}
	if w.written[i] {
		return w.fail(atTensor(name, errors.New("was already written")))
	}
	w.written[i] = true
	info := w.infos[i]
	w.buf.Reset(io.NewOffsetWriter(w.out, info.Offset))
	part := &exactWriter{w: w.buf, left: info.Size, size: info.Size}
	err := fill(part)
	if err == nil && part.left > 0 {
		err = fmt.Errorf("got %d bytes of data, want %d", info.Size-part.left, info.Size)
	}
	if err == nil {
		err = w.buf.Flush()
	}
	if err != nil {
		return w.fail(atTensor(name, err))
	}
	return nil
}

// exactWriter passes on up to left bytes and refuses more.
type exactWriter struct {
	w          io.Writer
	left, size int64
}

func (e *exactWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, fmt.Errorf("got more than %d bytes of data", e.size)
	}
	n, err := e.w.Write(p)
	e.left -= int64(n)
	return n, err
}

// Close checks that every tensor was written, brings the file to the disk and
// gives it its name. If it fails, nothing stays behind.
func (w *Writer) Close() error {
	if err := w.finish(); err != nil {
		return err
	}
	return w.publish()
}

// finish does what can fail before anything becomes visible.
func (w *Writer) finish() error {
	if w.err != nil {
		return w.err
	}
	if i := slices.Index(w.written, false); i >= 0 {
		return w.fail(atTensor(w.infos[i].Name, errors.New("was not written")))
	}
	if err := w.out.sync(); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) publish() error {
	if err := w.out.publish(); err != nil {
		return w.fail(err)
	}
	w.err = at(w.path, errClosed)
	return nil
}

// Discard gives up: what was written is removed. After Close it does nothing,
// so that it can be deferred.
func (w *Writer) Discard() {
	if w.err == nil {
		w.fail(errDiscarded)
	}
}

func (w *Writer) fail(err error) error {
	w.out.discard()
	w.err = at(w.path, err)
	return w.err
}
