// Package checkpoint saves the state of a run so that it can go on with the
// same bits, and refuses a state that is damaged.
//
//	err := checkpoint.Save("out.resume", meta, slots)   // whole or not at all
//	st, err := checkpoint.Open("out.resume", &meta)
//	defer st.Close()
//	err = st.Restore("optim.weight", write)
//
// A state is a directory with state.json, which anybody can read, and
// state.safetensors, whose hash is in it. An older state stays until the new
// one is on the disk. The package does not know what the slots mean.
package checkpoint

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"graft/internal/newdir"
	"graft/model/safetensors"
)

// Names of the files of a state.
const (
	metaFile = "state.json"
	dataFile = "state.safetensors"
)

// version of the layout; a state of another one is refused.
const version = 1

// Slot is a piece of memory to be saved: F32 values as bytes.
type Slot struct {
	Name  string
	Bytes int64
	Read  func(offset int64, dst []byte) error
}

// header is state.json.
type header struct {
	Format  string          `json:"format"`
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"` // of state.safetensors
	Meta    json.RawMessage `json:"meta"`
}

const format = "graft training state"

// chunk is what is copied at once.
const chunk = 1 << 20

// Save writes a state, replacing an older one of the same name; a directory
// that is something else is refused. meta is what Open gives back; it must
// marshal to JSON.
func Save(dir string, meta any, slots []Slot) error {
	if err := replaceable(dir); err != nil {
		return err
	}
	raw, err := json.Marshal(meta)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	d, err := newdir.Create(dir, true)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer d.Discard()
	data := filepath.Join(d.Path(), dataFile)
	if err := writeSlots(data, slots); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	sum, err := hashFile(data)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	text, err := json.MarshalIndent(header{format, version, sum, raw}, "", " ")
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	if err := os.WriteFile(filepath.Join(d.Path(), metaFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	if err := d.Commit(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// replaceable reports why a directory is not ours to replace.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if _, err := readHeader(dir); err != nil {
		return fmt.Errorf("checkpoint: %s exists and is not a training state: %w", dir, os.ErrExist)
	}
	return nil
}

func writeSlots(path string, slots []Slot) error {
	specs := make([]safetensors.Spec, len(slots))
	for i, s := range slots {
		if s.Bytes%4 != 0 {
			return fmt.Errorf("slot %q has %d bytes, want a multiple of 4", s.Name, s.Bytes)
		}
		specs[i] = safetensors.Spec{Name: s.Name, DType: safetensors.F32, Shape: []int{int(s.Bytes / 4)}}
	}
	w, err := safetensors.Create(path, specs, nil)
	if err != nil {
		return err
	}
	defer w.Discard()
	buf := make([]byte, chunk)
	for _, s := range slots {
		err := w.Fill(s.Name, func(to io.Writer) error {
			for at := int64(0); at < s.Bytes; at += chunk {
				part := buf[:min(chunk, s.Bytes-at)]
				if err := s.Read(at, part); err != nil {
					return err
				}
				if _, err := to.Write(part); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return w.Close()
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, bufio.NewReaderSize(f, chunk)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// State is an open state.
type State struct {
	dir  string
	file *safetensors.File
}

func readHeader(dir string) (header, error) {
	var h header
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return h, fmt.Errorf("checkpoint: %s is not a training state: %w", dir, err)
	}
	if err := json.Unmarshal(text, &h); err != nil || h.Format != format {
		return h, fmt.Errorf("checkpoint: %s: format is %q, want %q", path, h.Format, format)
	}
	if h.Version != version {
		return h, fmt.Errorf("checkpoint: %s: version %d, want %d", path, h.Version, version)
	}
	return h, nil
}

// Meta fills meta, a pointer, without looking at the data: what it takes to say
// what a state is.
func Meta(dir string, meta any) error {
	h, err := readHeader(dir)
	if err != nil {
		return err
	}
	return h.decode(dir, meta)
}

func (h header) decode(dir string, meta any) error {
	if err := json.Unmarshal(h.Meta, meta); err != nil {
		return fmt.Errorf("checkpoint: %s: meta: %w", filepath.Join(dir, metaFile), err)
	}
	return nil
}

// Open reads a state and fills meta, a pointer. It refuses data whose hash is
// not the one that was saved.
func Open(dir string, meta any) (*State, error) {
	h, err := readHeader(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, dataFile)
	sum, err := hashFile(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if sum != h.SHA256 {
		return nil, fmt.Errorf("checkpoint: %s is damaged: sha256 %s, want %s", path, sum, h.SHA256)
	}
	if err := h.decode(dir, meta); err != nil {
		return nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &State{dir: dir, file: f}, nil
}

// Restore hands a slot's bytes, size in all, to write, piece by piece.
func (s *State) Restore(name string, size int64, write func(offset int64, src []byte) error) error {
	r, err := s.file.Reader(name)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", s.dir, err)
	}
	if r.Size() != size {
		return fmt.Errorf("checkpoint: %s: %q has %d bytes, want %d", s.dir, name, r.Size(), size)
	}
	buf := make([]byte, min(chunk, size))
	for at := int64(0); at < size; at += chunk {
		piece := buf[:min(chunk, size-at)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return fmt.Errorf("checkpoint: %s: %q: %w", s.dir, name, err)
		}
		if err := write(at, piece); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the files.
func (s *State) Close() error { return s.file.Close() }
