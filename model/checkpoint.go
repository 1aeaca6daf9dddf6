package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"graft/kernels"
	"graft/model/gguf"
	"graft/model/safetensors"
	"graft/tensor"
)

// Checkpoint is an open model directory: its config and its weights, which are
// read when they are asked for. Its methods may not be used after Close.
type Checkpoint struct {
	Path   string // as Open was given it
	Dir    string // where tokenizer and other companions lie
	Config *Config
	// NoConfig is why Config is nil, as only Inspect leaves it.
	NoConfig error
	// EOS are the tokens that end a text: those of generation_config.json if it
	// names some, else those of config.json.
	EOS []int
	// LeftOut counts the tensors of a multimodal checkpoint that are not of its
	// text model, by the part they belong to.
	LeftOut map[string]int

	set    weights
	stored map[string]string // what tensors are called in the files, where that differs
	told   string            // where the config comes from, for messages
}

// Open opens a Hugging Face model directory, or a GGUF file, or a directory
// that has one of those and no safetensors. It holds the tensors against the
// config: every one must be there, in its shape and a floating-point type, and
// no other. Nothing is read but headers.
//
// A GGUF file is seen as the checkpoint that it was made from, config.json
// included. Its quantised tensors are F32, which holds their values exactly.
func Open(path string) (*Checkpoint, error) {
	file, err := findGGUF(path)
	if err != nil {
		return nil, at(path, err)
	}
	ck, err := openFiles(path, file)
	if err != nil {
		return nil, err
	}
	ck.rename()
	if err = ck.check(); err == nil {
		err = ck.readGeneration()
	}
	if err != nil {
		return nil, errors.Join(err, ck.Close())
	}
	return ck, nil
}

// Inspect opens a model of which nothing is promised, to tell what is there: its
// tensors are not held against the config, and where that cannot be used Config
// is nil and NoConfig says why.
func Inspect(path string) (*Checkpoint, error) {
	file, err := findGGUF(path)
	if err != nil {
		return nil, at(path, err)
	}
	ck, err := openFiles(path, file)
	if err == nil {
		ck.rename()
		return ck, nil
	}
	if file != "" {
		return nil, err
	}
	set, noWeights := safetensors.OpenModel(path)
	if noWeights != nil {
		return nil, noWeights // which would be in the way even with a config
	}
	return &Checkpoint{Path: path, Dir: path, NoConfig: err, set: tensorFiles{set}}, nil
}

// Names lists the tensors, by the names that they would have in the text model
// alone. What the model does not use is left out: a head that is stored though it
// is tied and equal to the embedding, and buffers of rotary frequencies.
func (ck *Checkpoint) Names() []string {
	known := map[string]string{}
	for name, stored := range ck.stored {
		known[stored] = name
	}
	var names []string
	for _, name := range ck.set.Names() {
		if n, ok := known[name]; ok {
			name = n
		}
		tied := name == HeadName && ck.Config != nil && ck.Config.Tied
		if rotaryBuffer(name) || tied && ck.checkTied() == nil {
			continue
		}
		names = append(names, name)
	}
	return names
}

// rotaryBuffer tells a buffer that old versions of Transformers stored.
func rotaryBuffer(name string) bool { return strings.HasSuffix(name, "rotary_emb.inv_freq") }

// openFiles opens config and weights: those of a directory, or of a GGUF file
// unless it is "".
func openFiles(path, file string) (*Checkpoint, error) {
	if file != "" {
		f, err := gguf.Open(file)
		if err != nil {
			return nil, err
		}
		c, arch, err := configOfGGUF(f)
		if err != nil {
			return nil, errors.Join(at(file, err), f.Close())
		}
		return &Checkpoint{Path: path, Dir: filepath.Dir(file), Config: c, EOS: c.EOS, set: newGGUFWeights(f, arch, c), told: "its metadata"}, nil
	}
	c, err := ReadConfig(filepath.Join(path, configName))
	if err != nil {
		return nil, err
	}
	set, err := safetensors.OpenModel(path)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Path: path, Dir: path, Config: c, EOS: c.EOS, set: tensorFiles{set}, told: configName}, nil
}

// Close releases the weights.
func (ck *Checkpoint) Close() error { return ck.set.Close() }

// Info says in what type and shape a tensor is stored.
func (ck *Checkpoint) Info(name string) (safetensors.Info, bool) { return ck.set.Info(ck.name(name)) }

// PathOf is the file that holds a tensor, "" if none does.
func (ck *Checkpoint) PathOf(name string) string { return ck.set.PathOf(ck.name(name)) }

// Bytes returns a tensor as stored, all of it in memory.
func (ck *Checkpoint) Bytes(name string) ([]byte, error) { return ck.set.Bytes(ck.name(name)) }

// Reader reads a tensor's bytes as stored without holding them.
func (ck *Checkpoint) Reader(name string) (io.Reader, error) { return ck.set.reader(ck.name(name)) }

// ReadF32 reads a tensor into dst, which has its number of elements.
func (ck *Checkpoint) ReadF32(dst []float32, name string) error {
	return ck.set.ReadF32(dst, ck.name(name))
}

// ReadF64 reads len(dst) elements of a tensor from element first on, with their
// exact values.
func (ck *Checkpoint) ReadF64(dst []float64, name string, first int64) error {
	return ck.set.ReadF64(dst, ck.name(name), first)
}

// SameBytes reports whether a tensor of a and one of b are stored as the same
// bytes.
func SameBytes(a *Checkpoint, nameA string, b *Checkpoint, nameB string) (bool, error) {
	x, err := a.Reader(nameA)
	if err != nil {
		return false, err
	}
	y, err := b.Reader(nameB)
	if err != nil {
		return false, err
	}
	return sameBytes(x, y)
}

// name is what a tensor is called in the files.
func (ck *Checkpoint) name(name string) string {
	if s, ok := ck.stored[name]; ok {
		return s
	}
	return name
}

// rename finds the text model's tensors in a wrapper's checkpoint.
func (ck *Checkpoint) rename() {
	w := ck.Config.wrapper
	if w == nil {
		return
	}
	ck.stored = map[string]string{}
	for _, t := range append(ck.Config.Tensors(nil), Tensor{Name: HeadName}) {
		for _, s := range w.stored(t.Name) {
			if _, ok := ck.set.Info(s); ok {
				ck.stored[t.Name] = s
				break
			}
		}
	}
}

// leaveOut counts a tensor that is not of the text model, if it is such.
func (ck *Checkpoint) leaveOut(name string) bool {
	w := ck.Config.wrapper
	if w == nil {
		return false
	}
	i := slices.IndexFunc(w.rest, func(p string) bool { return strings.HasPrefix(name, p) })
	if i < 0 {
		return false
	}
	if ck.LeftOut == nil {
		ck.LeftOut = map[string]int{}
	}
	ck.LeftOut[strings.TrimSuffix(strings.TrimPrefix(w.rest[i], "model."), ".")]++
	return true
}

// DType is the type that keeps a weight as it is stored: BF16 and F16 stay, F32
// and F64 are F32.
func (ck *Checkpoint) DType(name string) kernels.DType {
	info, _ := ck.Info(name)
	switch info.DType {
	case safetensors.BF16:
		return kernels.BF16
	case safetensors.F16:
		return kernels.F16
	}
	return kernels.F32
}

func (ck *Checkpoint) check() error {
	want := map[string]bool{}
	for _, t := range ck.Config.Tensors(nil) {
		want[ck.name(t.Name)] = true
		info, ok := ck.Info(t.Name)
		if !ok {
			return at(ck.Path, fmt.Errorf("tensor %s is missing; %s wants it with shape %v", quote(t.Name), ck.told, t.Shape))
		}
		if !slices.Equal(info.Shape, t.Shape) {
			return ck.wrong(t.Name, "has shape %v; %s wants %v", info.Shape, ck.told, t.Shape)
		}
		switch info.DType {
		case safetensors.F32, safetensors.BF16, safetensors.F16, safetensors.F64:
		default:
			return ck.wrong(t.Name, "is %s, want %s", info.DType, ck.readable())
		}
	}
	for _, name := range ck.set.Names() {
		if want[name] || rotaryBuffer(name) {
			continue
		}
		if ck.leaveOut(name) {
			continue
		}
		if name == ck.name(HeadName) && ck.Config.Tied {
			if err := ck.checkTied(); err != nil {
				return err
			}
			continue
		}
		return ck.wrong(name, "is not part of a %s model with %d layers as %s describes it", ck.Config.ModelType, ck.Config.Layers, ck.told)
	}
	return nil
}

// readable lists the types that weights may have.
func (ck *Checkpoint) readable() string {
	if _, ok := ck.set.(*ggufWeights); ok {
		return "one of " + gguf.ReadableTypes()
	}
	return "F32, BF16, F16 or F64"
}

// wrong is an error about a tensor; it names the file that holds it.
func (ck *Checkpoint) wrong(name, format string, args ...any) error {
	return at(ck.PathOf(name), fmt.Errorf("tensor %s %s", quote(name), fmt.Sprintf(format, args...)))
}

// checkTied accepts a head that is stored though it is tied, if it is the same.
func (ck *Checkpoint) checkTied() error {
	same, err := SameBytes(ck, HeadName, ck, EmbedName)
	if err != nil {
		return err
	}
	if !same {
		return ck.wrong(HeadName, "differs from %s, but %s has tie_word_embeddings true", EmbedName, ck.told)
	}
	return nil
}

// generationName holds defaults for generating text. It is optional.
const generationName = "generation_config.json"

func (ck *Checkpoint) readGeneration() error {
	path := filepath.Join(ck.Dir, generationName)
	doc, err := readSmall(path, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return at(path, err)
	}
	o, err := parseObject(doc)
	if err != nil {
		return at(path, err)
	}
	r := &reader{o: o}
	if eos := r.tokens("eos_token_id", ck.Config.Vocab); eos != nil {
		ck.EOS = eos
	}
	if r.err != nil {
		return at(path, r.err)
	}
	return nil
}

// Load copies a tensor into a slot of a store from element offset on, converted
// to the slot's type, piece by piece. Values that F16 cannot hold are an error.
func (ck *Checkpoint) Load(s *tensor.Store, name, slot string, offset int) error {
	return ck.load(s, name, slot, offset, pieceLen)
}

// load is Load in pieces of so many elements.
func (ck *Checkpoint) load(s *tensor.Store, name, slot string, offset, piece int) error {
	dst, ok := s.Slot(slot)
	if !ok {
		return fmt.Errorf("model: no memory named %q for tensor %s", slot, quote(name))
	}
	to, err := storedAs(dst.DType)
	if err != nil {
		return fmt.Errorf("model: %q: %w", slot, err)
	}
	at := int64(offset) * int64(to.Size())
	return ck.pieces(name, to, piece, func(data []byte) error {
		err := s.Write(slot, at, data)
		at += int64(len(data))
		return err
	})
}

// LoadParams loads the weights of the given layers (nil is all) into the slots
// of their own names, as Params declares them, and the constants. Weights that
// have no such slot are left out.
func (ck *Checkpoint) LoadParams(s *tensor.Store, layers []int) error {
	for _, t := range ck.Config.Tensors(layers) {
		if _, ok := s.Slot(t.Name); !ok {
			continue
		}
		if err := ck.Load(s, t.Name, t.Name, 0); err != nil {
			return err
		}
	}
	return ck.Config.WriteConstants(s)
}

// EmbeddingNorms returns the Euclidean norm of each row of the embedding (V).
func (ck *Checkpoint) EmbeddingNorms() ([]float32, error) {
	norms := make([]float32, ck.Config.Vocab)
	at, sum := 0, 0.0
	err := ck.pieces(EmbedName, safetensors.F32, pieceLen, func(data []byte) error {
		for ; len(data) > 0; data = data[4:] {
			x := decode(data, safetensors.F32)
			sum += x * x
			if at++; at%ck.Config.Width == 0 {
				norms[at/ck.Config.Width-1] = float32(math.Sqrt(sum))
				sum = 0
			}
		}
		return nil
	})
	return norms, err
}
