package elo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"graft/elo/data"
	"graft/elo/train"
	"graft/model"
	"graft/model/safetensors"
)

// recordName lies beside the weights of every model that this package writes.
const recordName = "graft.json"

// mastersDir holds F32 masters; a directory of its own, since inference
// programs load every safetensors file beside config.json.
const mastersDir = "graft"

const mastersName = "masters.safetensors"

// Kinds of models in a Record.
const (
	KindSmall   = "small"   // cut out, trained or not
	KindGrafted = "grafted" // layers put back
	KindTrained = "trained" // aligned, or trained in one of the other ways
	KindChat    = "chat"    // with a chat vector added
)

// Record says how a model directory came to be.
type Record struct {
	Format    int               `json:"format"`
	Kind      string            `json:"kind"`
	Base      string            `json:"base"`                     // as it was given
	Quantised string            `json:"base_quantised,omitempty"` // how the base's weights were: losses include the repair of that
	Depth     int               `json:"base_layers"`              // of the base
	Chat      *ChatVectorSource `json:"chat_vector,omitempty"`
	Layers    []int             `json:"layers,omitempty"` // of the base, that the small model is made of
	Prefix    []Moved           `json:"prefixes,omitempty"`
	Recipe    *Recipe           `json:"recipe,omitempty"`
	Cursor    *data.Cursor      `json:"cursor,omitempty"` // where the next stage goes on
	Usage     []data.Usage      `json:"usage,omitempty"`  // realised bytes and tokens by corpus
	Stages    []StageSummary    `json:"stages,omitempty"`
	Device    string            `json:"device,omitempty"`
	Numerics  string            `json:"numerics,omitempty"` // fingerprint
}

// Moved pairs a layer's tensor prefixes in the base and in the small model.
type Moved struct {
	Base  string `json:"base"`
	Small string `json:"small"`
}

// StageSummary is what a stage did.
type StageSummary struct {
	Stage     string  `json:"stage"`
	Steps     int     `json:"steps"`
	Tokens    int64   `json:"tokens"`  // targets
	Seconds   float64 `json:"seconds"` // of training steps alone
	FinalLoss float64 `json:"final_loss"`
}

// recordFormat is the version of Record.
const recordFormat = 1

func prefixes(layers []int) []Moved {
	var m []Moved
	for i, l := range layers {
		m = append(m, Moved{Base: fmt.Sprintf("model.layers.%d.", l), Small: fmt.Sprintf("model.layers.%d.", i)})
	}
	return m
}

// newRecord begins the record of what is made of some layers of a base.
func newRecord(ck *model.Checkpoint, layers []int) (Record, error) {
	q, err := Quantised(ck)
	return Record{Base: ck.Path, Quantised: q, Depth: ck.Config.Layers, Layers: layers, Prefix: prefixes(layers)}, err
}

// Quantised says how the weights of a model were quantised, such as
// "4-bit (Q4_K)": as its file has them, or as the record tells of the model that
// it was made from. It is "" where neither says so.
func Quantised(ck *model.Checkpoint) (string, error) {
	if q := ck.Quantisation(); q != "" {
		return q, nil
	}
	rec, _, err := ReadRecord(ck.Dir)
	return rec.Quantised, err
}

// RepairNote is what a report on a model made of quantised weights must say; it
// is "" for how = "".
func RepairNote(how string) string {
	if how == "" {
		return ""
	}
	return "base was " + how + ", losses include its repair"
}

func (r Record) encode() []byte {
	r.Format = recordFormat
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		// Every field is a plain value; only NaN in a summary could fail.
		text = []byte("{}")
	}
	return append(text, '\n')
}

// ReadRecord reads the record of a model directory; ok is false when it has
// none.
func ReadRecord(dir string) (rec Record, ok bool, err error) {
	path := filepath.Join(dir, recordName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return rec, false, nil
	}
	if err != nil {
		return rec, false, fmt.Errorf("elo: %w", err)
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		return rec, false, fmt.Errorf("elo: %s: %w", path, err)
	}
	if rec.Format != recordFormat {
		return rec, false, fmt.Errorf("elo: %s: format %d, want %d", path, rec.Format, recordFormat)
	}
	return rec, true, nil
}

// masters are F32 values of trained tensors, by their names in the model at
// hand.
type masters struct {
	file   *safetensors.File
	rename func(string) (string, bool) // name at hand to name in the file
}

var _ train.Masters = (*masters)(nil)

// openMasters opens the masters of a model; nil when it has none, or when its
// weights have been changed since, by another program.
func openMasters(ck *model.Checkpoint) (*masters, error) {
	f, err := safetensors.Open(filepath.Join(ck.Dir, mastersDir, mastersName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &masters{file: f, rename: func(n string) (string, bool) { return n, true }}
	if ok, err := m.match(ck); !ok || err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// match reports whether every master rounds to the weight that is stored.
func (m *masters) match(ck *model.Checkpoint) (bool, error) {
	for _, name := range m.file.Names() {
		master, _ := m.file.Info(name)
		info, ok := ck.Info(name)
		if !ok || !slices.Equal(info.Shape, master.Shape) {
			return false, nil
		}
		stored, err := ck.Reader(name)
		if err != nil {
			return false, err
		}
		same := sameWriter{with: stored}
		err = m.write(&same, info.DType, name)
		if errors.Is(err, errOther) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

var errOther = errors.New("elo: other bytes")

// sameWriter fails with errOther where what is written is not what is read.
type sameWriter struct {
	with io.Reader
	buf  []byte
}

func (s *sameWriter) Write(p []byte) (int, error) {
	s.buf = slices.Grow(s.buf[:0], len(p))[:len(p)]
	if _, err := io.ReadFull(s.with, s.buf); err != nil {
		return 0, err
	}
	if !bytes.Equal(p, s.buf) {
		return 0, errOther
	}
	return len(p), nil
}

// write writes a tensor in the given type, by its name in the file.
func (m *masters) write(w io.Writer, dt safetensors.DType, name string) error {
	info, _ := m.file.Info(name)
	n := int(info.Elements())
	x := make([]float32, min(n, 1<<18))
	for first := 0; first < n; first += len(x) {
		x = x[:min(len(x), n-first)]
		if err := narrow(x, first, name, m.file.ReadF64); err != nil {
			return err
		}
		if err := safetensors.WriteF32(w, dt, x); err != nil {
			return err
		}
	}
	return nil
}

func (m *masters) Has(name string) bool {
	n, ok := m.rename(name)
	if ok {
		_, ok = m.file.Info(n)
	}
	return ok
}

func (m *masters) ReadF32(dst []float32, name string, first int) error {
	n, _ := m.rename(name)
	return narrow(dst, first, n, m.file.ReadF64)
}

// narrow reads elements of a tensor, from first on, rounded to float32.
func narrow(dst []float32, first int, name string, read func(dst []float64, name string, first int64) error) error {
	wide := make([]float64, min(len(dst), 1<<16))
	for len(dst) > 0 {
		wide = wide[:min(len(wide), len(dst))]
		if err := read(wide, name, int64(first)); err != nil {
			return err
		}
		for i, v := range wide {
			dst[i] = float32(v)
		}
		dst, first = dst[len(wide):], first+len(wide)
	}
	return nil
}

func (m *masters) close() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}

// asMasters avoids an interface that holds a nil pointer.
func (m *masters) asMasters() train.Masters {
	if m == nil {
		return nil
	}
	return m
}

// writeMasters writes the F32 values of the given tensors below dir. write
// writes one by its name at hand; name gives the name in the file.
func writeMasters(dir string, specs []safetensors.Spec, fill func(w *safetensors.Writer) error) error {
	sub := filepath.Join(dir, mastersDir)
	if err := os.Mkdir(sub, 0o755); err != nil {
		return err
	}
	w, err := safetensors.Create(filepath.Join(sub, mastersName), specs, nil)
	if err != nil {
		return err
	}
	defer w.Discard()
	if err := fill(w); err != nil {
		return err
	}
	return w.Close()
}
