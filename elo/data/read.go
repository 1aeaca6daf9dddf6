package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// TextUnit says what one document of a .txt file is.
type TextUnit string

// The units of a .txt file. Paragraph is the default although the Hugging Face
// "text" loader takes lines: its trainers join the lines again, whereas
// documents here never see each other, and a book wrapped at 70 columns would
// fall into documents of a dozen words.
const (
	Paragraph TextUnit = "paragraph" // blank lines separate documents; line ends inside one are kept, as LF
	Line      TextUnit = "line"      // every line is a document
	File      TextUnit = "file"      // the whole file is one document, verbatim but for a byte order mark
)

// DefaultMaxBytes is the longest line or document a reader accepts unless told
// otherwise: 1 GiB.
const DefaultMaxBytes = 1 << 30

// ErrEmpty is the cause of the error for a corpus without any text.
var ErrEmpty = errors.New("no documents")

// ReadOptions says how files become documents. The zero value is the default.
type ReadOptions struct {
	Field    string   // field of a JSON object that holds the text; "" is "text"
	Text     TextUnit // what a document of a .txt file is; "" is Paragraph
	Objects  bool     // a document is a JSON object as it stands, not the text in a field; there are none in .txt files
	MaxBytes int64    // longest line and document in bytes; 0 is DefaultMaxBytes, which is also the most
}

func (o ReadOptions) withDefaults() (ReadOptions, error) {
	if o.Field == "" {
		o.Field = "text"
	}
	switch o.Text {
	case "":
		o.Text = Paragraph
	case Paragraph, Line, File:
	default:
		return o, fmt.Errorf("data: text unit: expected %q, %q or %q, found %q", Paragraph, Line, File, o.Text)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxBytes < 0 || o.MaxBytes > DefaultMaxBytes {
		return o, fmt.Errorf("data: longest document: expected 1 to %d bytes, found %d", DefaultMaxBytes, o.MaxBytes)
	}
	return o, nil
}

// Document is one text of a corpus and where it came from.
type Document struct {
	Text string
	File string
	Line int // where it starts, from 1: line, or element of a .json array
}

// formats maps an extension to its reader. A reader calls yield for every
// document, blank ones included, until yield returns false or the file ends.
var formats = map[string]func(r io.Reader, name string, o ReadOptions, yield func(Document) bool) error{
	".txt":   readText,
	".jsonl": readJSONLines,
	".json":  readJSON,
}

const formatList = ".txt, .jsonl or .json, plain or with .gz or .zst"

// Read yields the documents of a file or of all files below a directory, in
// order of their paths, one after another without holding a file in memory.
// The extension tells the format: .txt, .jsonl (an object a line) and .json
// (an array of objects or strings, or an object a line), each also with .gz or
// .zst behind it. Other files and those whose name starts with a dot are
// passed over in a directory. Documents of nothing but white space are left
// out; a path that has no others yields [ErrEmpty]. An error ends the sequence
// and names file, line, what was expected and what was found.
func Read(path string, o ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		o, err := o.withDefaults()
		if err != nil {
			yield(Document{}, err)
			return
		}
		files, err := list(path)
		if err != nil {
			yield(Document{}, err)
			return
		}
		found, more := false, true
		for _, f := range files {
			err := readFile(f, o, func(d Document) bool {
				found = true
				more = yield(d, nil)
				return more
			})
			if !more {
				return
			}
			if err != nil {
				yield(Document{}, err)
				return
			}
		}
		if !found {
			yield(Document{}, empty(path))
		}
	}
}

// ReadFrom is [Read] for a file that is open already. Its name tells the
// format and stands in messages.
func ReadFrom(r io.Reader, name string, o ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		o, err := o.withDefaults()
		if err == nil {
			err = known(name)
		}
		found, more := false, true
		if err == nil {
			err = decode(r, name, o, func(d Document) bool {
				found = true
				more = yield(d, nil)
				return more
			})
		}
		if !more {
			return
		}
		if err == nil && !found {
			err = empty(name)
		}
		if err != nil {
			yield(Document{}, err)
		}
	}
}

func empty(path string) error {
	return fmt.Errorf("data: %s: expected text, found %w", path, ErrEmpty)
}

// known refuses a name that tells no format.
func known(name string) error {
	if ext, _ := format(name); formats[ext] == nil {
		return fmt.Errorf("data: %s: expected %s, found extension %q", name, formatList, filepath.Ext(name))
	}
	return nil
}

// format splits a file name into its format's extension and its compression's.
func format(name string) (ext, packed string) {
	name = strings.ToLower(filepath.Base(name))
	if e := filepath.Ext(name); e == ".gz" || e == ".zst" {
		packed, name = e, strings.TrimSuffix(name, e)
	}
	return filepath.Ext(name), packed
}

// list returns the corpus files at or below path, sorted.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, known(path)
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != path && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		ext, _ := format(p)
		if d.IsDir() || formats[ext] == nil {
			return nil
		}
		// Download caches fill directories with links to files.
		if d.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(p); err != nil || info.IsDir() {
				return err
			}
		}
		files = append(files, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("data: %s: expected files in %s, found %w", path, formatList, ErrEmpty)
	}
	slices.SortFunc(files, func(a, b string) int {
		return strings.Compare(filepath.ToSlash(a), filepath.ToSlash(b))
	})
	return files, nil
}

func readFile(name string, o ReadOptions, yield func(Document) bool) error {
	info, err := os.Stat(name) // before opening: a named pipe would block
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("data: %s: expected a regular file, found %s", name, fileKind(info.Mode()))
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	return decode(f, name, o, yield)
}

// fileKind names what is no regular file.
func fileKind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// decode unpacks r and yields its documents but for blank ones.
func decode(r io.Reader, name string, o ReadOptions, yield func(Document) bool) error {
	ext, packed := format(name)
	switch packed {
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("data: %s: expected gzip data: %w", name, unexpected(err))
		}
		defer z.Close()
		r = z
	case ".zst":
		// 128 MiB is the window of zstd's own --long and bounds what a header can ask for.
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("data: %s: expected zstd data: %w", name, unexpected(err))
		}
		defer z.Close()
		r = z
	}
	return formats[ext](r, name, o, func(d Document) bool {
		return strings.TrimSpace(d.Text) == "" || yield(d)
	})
}

// unexpected makes an end of input inside a header say so.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func readText(r io.Reader, name string, o ReadOptions, yield func(Document) bool) error {
	if o.Objects {
		return fmt.Errorf("data: %s: expected .jsonl or .json, which hold objects, found text", name)
	}
	if o.Text == File {
		return readWhole(r, name, o, yield)
	}
	l := newLineReader(r, name, o.MaxBytes)
	var doc []byte
	first := 0 // line at which doc starts, 0 outside a document
	for {
		line, err := l.next()
		if err != nil && err != io.EOF {
			return err
		}
		blank := err == io.EOF || len(bytes.TrimSpace(line)) == 0
		switch {
		case o.Text == Line:
			if !blank && !yield(Document{string(line), name, l.line}) {
				return nil
			}
		case blank:
			if first != 0 && !yield(Document{string(doc), name, first}) {
				return nil
			}
			doc, first = doc[:0], 0
		default:
			if first == 0 {
				first = l.line
			} else {
				doc = append(doc, '\n')
			}
			if int64(len(doc)+len(line)) > o.MaxBytes {
				return tooLong(name, first, "document", o.MaxBytes)
			}
			doc = append(doc, line...)
		}
		if err == io.EOF {
			return nil
		}
	}
}

func readWhole(r io.Reader, name string, o ReadOptions, yield func(Document) bool) error {
	b, err := io.ReadAll(io.LimitReader(r, o.MaxBytes+1))
	if err != nil {
		return fmt.Errorf("data: %s: %w", name, err)
	}
	if int64(len(b)) > o.MaxBytes {
		return tooLong(name, 1, "file", o.MaxBytes)
	}
	if i := invalidUTF8(b); i >= 0 {
		return notUTF8(name, 1+bytes.Count(b[:i], []byte("\n")), int64(i), b[i:])
	}
	yield(Document{string(withoutBOM(b)), name, 1})
	return nil
}
