package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// A token file is the magic, the length of a JSON header (u32), the header,
// tokens and bytes of every document (u32 each) and all ids (u16 or u32), with
// nothing behind; numbers are little-endian.
const (
	cacheMagic   = "graft-t1"
	cacheHeader  = 1 << 16 // longest header
	cachePattern = "tokens-*.tmp"
)

type tokenHeader struct {
	Path        string `json:"path"`
	Lang        string `json:"lang"`
	Documents   int64  `json:"documents"`
	Tokens      int64  `json:"tokens"`
	IDBytes     int64  `json:"id_bytes"` // 2 or 4
	Fingerprint string `json:"fingerprint"`
}

// Save writes the corpus to a token file that [Open] reads. The file appears
// under its name only when it is complete and on the disk.
func (c *Corpus) Save(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), cachePattern)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("data: %s: %w", path, err)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := c.write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// write's errors are kept by the writer and come back from its Flush.
func (c *Corpus) write(w *bufio.Writer) error {
	h := tokenHeader{Path: c.path, Lang: c.lang, Documents: int64(len(c.docs)), Tokens: c.tokens, IDBytes: 2, Fingerprint: c.Fingerprint()}
	for i := range c.docs {
		for _, id := range c.IDs(i) {
			if id > math.MaxUint16 {
				h.IDBytes = 4
			}
		}
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(head) > cacheHeader {
		return fmt.Errorf("header: expected at most %d bytes, found %d", cacheHeader, len(head))
	}
	var b [8]byte
	w.WriteString(cacheMagic)
	w.Write(binary.LittleEndian.AppendUint32(b[:0], uint32(len(head))))
	w.Write(head)
	for _, d := range c.docs {
		w.Write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b[:0], uint32(d.tokens)), uint32(d.bytes)))
	}
	for i := range c.docs {
		for _, id := range c.IDs(i) {
			binary.LittleEndian.PutUint32(b[:], uint32(id))
			w.Write(b[:h.IDBytes])
		}
	}
	return nil
}

// Open reads a token file and checks it against the hash it carries.
func Open(path string) (*Corpus, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	c, err := readTokens(bufio.NewReaderSize(f, 1<<20), info.Size())
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", path, unexpected(err))
	}
	return c, nil
}

// readTokens reads a token file of the given size. Everything the header
// claims is held against the size before anything is allocated for it.
func readTokens(r io.Reader, size int64) (*Corpus, error) {
	var b [12]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, err
	}
	if string(b[:8]) != cacheMagic {
		return nil, fmt.Errorf("magic: expected %q, found %q", cacheMagic, b[:8])
	}
	n := int64(binary.LittleEndian.Uint32(b[8:]))
	if n > cacheHeader || n > size-12 {
		return nil, fmt.Errorf("header: expected at most %d bytes, found %d", min(cacheHeader, size-12), n)
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	var h tokenHeader
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	rest := size - 12 - n
	if h.IDBytes != 2 && h.IDBytes != 4 {
		return nil, fmt.Errorf("id_bytes: expected 2 or 4, found %d", h.IDBytes)
	}
	if h.Documents < 0 || h.Tokens < 0 || h.Documents > rest/8 || h.Tokens > rest/h.IDBytes || 8*h.Documents+h.IDBytes*h.Tokens != rest {
		return nil, fmt.Errorf("size: expected %d documents and %d tokens, found %d bytes for them", h.Documents, h.Tokens, rest)
	}
	c := NewCorpus(h.Path, h.Lang)
	if err := c.readBody(r, h); err != nil {
		return nil, err
	}
	if got := c.Fingerprint(); got != h.Fingerprint {
		return nil, fmt.Errorf("fingerprint: expected %s, found %s: the file is damaged", h.Fingerprint, got)
	}
	return c, nil
}

func (c *Corpus) readBody(r io.Reader, h tokenHeader) error {
	sizes := make([]byte, 8*h.Documents)
	if _, err := io.ReadFull(r, sizes); err != nil {
		return err
	}
	var raw []byte
	var ids []int32
	left := h.Tokens
	for i := range h.Documents {
		tokens := int64(binary.LittleEndian.Uint32(sizes[8*i:]))
		bytes := int64(binary.LittleEndian.Uint32(sizes[8*i+4:]))
		if tokens > left || tokens > math.MaxInt32 || bytes > math.MaxInt32 {
			return fmt.Errorf("document %d: expected at most %d tokens, found %d in %d bytes", i+1, left, tokens, bytes)
		}
		left -= tokens
		raw = slices.Grow(raw[:0], int(tokens*h.IDBytes))[:tokens*h.IDBytes]
		if _, err := io.ReadFull(r, raw); err != nil {
			return err
		}
		ids = ids[:0]
		for k := range tokens {
			if h.IDBytes == 2 {
				ids = append(ids, int32(binary.LittleEndian.Uint16(raw[2*k:])))
			} else {
				ids = append(ids, int32(binary.LittleEndian.Uint32(raw[4*k:])))
			}
		}
		if err := c.add(ids, int(bytes)); err != nil {
			return err
		}
	}
	if left != 0 {
		return fmt.Errorf("tokens: expected %d in all documents, found %d", h.Tokens, h.Tokens-left)
	}
	return nil
}

// Cache keeps tokenised corpora between runs, so that a resumed run does not
// tokenise again.
type Cache struct {
	Dir string // an existing directory
	// Tokenizer tells one tokenizer from another, for instance by a hash of
	// its tokenizer.json.
	Tokenizer string
}

// Load works like the function [Load] and keeps the result in a file of the
// directory. It is used again as long as the tokenizer, the options and the
// names, sizes and times of change of the corpus files are the same, and it is
// intact.
func (k Cache) Load(ctx context.Context, path, lang string, enc Encoder, o LoadOptions) (*Corpus, error) {
	key, err := k.key(path, lang, o)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(k.Dir, key+".tokens")
	if c, err := Open(name); err == nil {
		if o.Progress != nil {
			o.Progress(c.Len(), c.Bytes())
		}
		return c, nil
	}
	c, err := Load(ctx, path, lang, enc, o)
	if err != nil {
		return nil, err
	}
	return c, c.Save(name)
}

// key is a hash of all that the tokens depend on.
func (k Cache) key(path, lang string, o LoadOptions) (string, error) {
	read, err := o.Read.withDefaults()
	if err != nil {
		return "", err
	}
	files, err := list(path)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %q %q %q %+v %+v\n", cacheMagic, k.Tokenizer, path, lang, read, o.Policy)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return "", fmt.Errorf("data: %w", err)
		}
		abs, err := filepath.Abs(f)
		if err != nil {
			return "", fmt.Errorf("data: %w", err)
		}
		fmt.Fprintf(&b, "%q %d %d\n", abs, info.Size(), info.ModTime().UnixNano())
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:16]), nil
}
