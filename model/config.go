package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"graft/kernels"
)

// configName is the file of a model directory that says what the model is.
const configName = "config.json"

// Bounds of what a config may ask for: above every published model, and low
// enough that products of two of them fit into 64 bits. Nothing is allocated
// from these numbers before the weights' file has confirmed them.
const (
	maxWidth     = 1 << 20
	maxFFN       = 1 << 22
	maxLayers    = 1 << 12
	maxHeads     = 1 << 14
	maxHeadDim   = 1 << 14
	maxVocab     = 1 << 26
	maxPositions = 1 << 30
)

// Config describes a decoder, as read from a Hugging Face config.json. Letters
// are those of shape comments.
type Config struct {
	ModelType    string
	Width        int // C, hidden_size
	FFN          int // F, intermediate_size
	Layers       int // num_hidden_layers
	Heads        int // H, num_attention_heads
	KVHeads      int // K, num_key_value_heads
	HeadDim      int // D, head_dim
	Vocab        int // V, vocab_size
	MaxPositions int // max_position_embeddings

	NormEps     float64
	NormPlusOne bool               // norms multiply by 1 + w
	QKNorm      bool               // queries and keys are normed, head by head
	Act         kernels.Activation // of the gated linear unit
	Tied        bool               // the head is the embedding
	QKVBias     bool               // of the projections to queries, keys and values
	OutBias     bool               // of attention's output projection
	MLPBias     bool
	EmbedScale  float64 // factor of the embedding's rows
	ScoreScale  float64 // factor of attention's scores
	ScoreCap    float64 // soft cap on the scores; 0 is none
	LogitCap    float64 // soft cap on the logits; 0 is none
	Kinds       []LayerKind
	BOS, EOS    []int // token ids, none when the config names none

	family  *family
	wrapper *wrapper // that the text model was taken out of, nil for none
	raw     object   // every field of the file, or of the text model's part
}

// LayerKind is what may differ between the layers of a model.
type LayerKind struct {
	Window int  // keys a query sees, itself included; 0 is all
	RoPE   RoPE // of queries and keys
}

// ReadConfig reads a config.json, or the one in a model directory.
func ReadConfig(path string) (*Config, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, configName)
	}
	doc, err := readSmall(path, maxConfigBytes)
	if err != nil {
		return nil, at(path, err)
	}
	c, err := parseConfig(doc)
	if err != nil {
		return nil, at(path, err)
	}
	return c, nil
}

// ParseConfig reads a config.json that is in memory. The name is for messages.
func ParseConfig(name string, doc []byte) (*Config, error) {
	c, err := parseConfig(doc)
	if err != nil {
		return nil, at(name, err)
	}
	return c, nil
}

// at names the package and the file an error is about.
func at(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == path {
		err = pe.Err
	}
	return fmt.Errorf("model: %s: %w", path, err)
}

// readSmall reads a whole regular file of up to limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(doc)) > limit {
		err = fmt.Errorf("is above the limit of %d bytes", limit)
	}
	return doc, err
}

func parseConfig(doc []byte) (*Config, error) {
	o, err := parseObject(doc)
	if err != nil {
		return nil, err
	}
	w := findWrapper(o)
	if w != nil {
		if o, err = w.unwrap(o); err != nil {
			return nil, err
		}
	}
	r := &reader{o: o}
	c := &Config{raw: o, wrapper: w, ModelType: r.text("model_type", "")}
	if c.family, err = findFamily(c.ModelType); err != nil {
		return nil, err
	}
	arch := r.texts("architectures")
	if r.err == nil && len(arch) > 0 && !slices.Contains(arch, c.family.architecture) {
		return nil, fmt.Errorf("architectures is %s, want %s", clip(jsonList(arch)), c.family.architecture)
	}
	if r.o.has("quantization_config") {
		if raw, ok := r.o.get("quantization_config"); ok {
			return nil, fmt.Errorf("quantization_config is %s: quantised weights are not supported", clip(raw))
		}
	}
	c.family.sizes(c, r)
	c.family.read(c, r)
	if r.err != nil {
		return nil, r.err
	}
	if c.EmbedScale == 0 {
		c.EmbedScale = 1
	}
	if c.ScoreScale == 0 {
		c.ScoreScale = 1 / math.Sqrt(float64(c.HeadDim))
	}
	return c, c.check()
}

// sizes reads what every family has under the same names. Only families whose
// configs are published without some of them have defaults.
func (f *family) sizes(c *Config, r *reader) {
	c.Width = r.integer("hidden_size", 0, 1, maxWidth)
	c.FFN = r.integer("intermediate_size", 0, 1, maxFFN)
	c.Layers = r.integer("num_hidden_layers", 0, 1, maxLayers)
	c.Heads = r.integer("num_attention_heads", f.heads, 1, maxHeads)
	c.Vocab = r.integer("vocab_size", f.vocab, 1, maxVocab)
	c.BOS = r.tokens("bos_token_id", c.Vocab)
	c.EOS = r.tokens("eos_token_id", c.Vocab)
}

// readAct reads the activation of the gated linear unit.
func (c *Config) readAct(r *reader, key, def string) {
	acts := map[string]kernels.Activation{"silu": kernels.SiLU, "swish": kernels.SiLU, "gelu_pytorch_tanh": kernels.GELUTanh}
	name := r.text(key, def)
	act, ok := acts[name]
	if !ok {
		r.fail(key, "is %s, want silu or gelu_pytorch_tanh", quote(name))
	}
	c.Act = act
}

// readHeadDim reads head_dim, by default hidden_size / num_attention_heads.
func (c *Config) readHeadDim(r *reader) {
	if _, ok := r.o.get("head_dim"); !ok && r.err == nil && c.Width%c.Heads != 0 {
		r.fail("hidden_size", "is %d, want a multiple of num_attention_heads = %d when head_dim is not given", c.Width, c.Heads)
	}
	c.HeadDim = r.integer("head_dim", c.Width/max(1, c.Heads), 1, maxHeadDim)
}

// check holds the fields against each other.
func (c *Config) check() error {
	if c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("num_attention_heads is %d, want a multiple of num_key_value_heads = %d", c.Heads, c.KVHeads)
	}
	if c.HeadDim%2 != 0 {
		return fmt.Errorf("head_dim is %d, want an even number: rotary embedding turns pairs", c.HeadDim)
	}
	if w := c.Heads * c.HeadDim; w > maxWidth {
		return fmt.Errorf("num_attention_heads * head_dim is %d, want at most %d", w, maxWidth)
	}
	return nil
}

// perLayer names the lists of config.json that have one entry per layer.
var perLayer = []string{layerTypesKey, "mlp_layer_types", "no_rope_layers", "attention_layers", "sliding_window_layers"}

// Select is the config of a model made of some of the layers: num_hidden_layers
// and the lists with one entry per layer are cut, all else stays. layers are
// ascending indices into this model.
func (c *Config) Select(layers []int) (*Config, error) {
	if err := c.checkLayers(layers); err != nil {
		return nil, err
	}
	o := c.raw.with("num_hidden_layers", strconv.Itoa(len(layers)))
	for _, key := range perLayer {
		raw, ok := o.get(key)
		if !ok {
			continue
		}
		list, err := rawList(raw)
		if err != nil || len(list) != c.Layers {
			return nil, fmt.Errorf("model: %s: %s has %d entries, want one for each of %d layers", configName, key, len(list), c.Layers)
		}
		cut := make([]string, len(layers))
		for i, l := range layers {
			cut[i] = string(list[l])
		}
		o = o.with(key, "["+strings.Join(cut, ",")+"]")
	}
	small, err := c.reparse(o, layers)
	if err != nil || slices.Equal(small.Kinds, c.kinds(layers)) {
		return small, err
	}
	// The kinds followed from the layers' numbers, which are others now: say them.
	if small, err = c.reparse(o.with(layerTypesKey, c.layerTypes(layers)), layers); err != nil {
		return nil, err
	}
	if !slices.Equal(small.Kinds, c.kinds(layers)) {
		return nil, fmt.Errorf("model: %s cannot say what kinds of attention layers %v have", configName, layers)
	}
	return small, nil
}

func (c *Config) reparse(o object, layers []int) (*Config, error) {
	small, err := parseConfig(o.encode())
	if err != nil {
		return nil, fmt.Errorf("model: %s with layers %v: %w", configName, layers, err)
	}
	return small, nil
}

// kinds are those of some of the layers.
func (c *Config) kinds(layers []int) []LayerKind {
	ks := make([]LayerKind, len(layers))
	for i, l := range layers {
		ks[i] = c.Kinds[l]
	}
	return ks
}

func (c *Config) checkLayers(layers []int) error {
	if len(layers) == 0 {
		return errors.New("model: no layers chosen")
	}
	for i, l := range layers {
		if l < 0 || l >= c.Layers {
			return fmt.Errorf("model: layer %d: the model has %d layers, 0 to %d", l, c.Layers, c.Layers-1)
		}
		if i > 0 && l <= layers[i-1] {
			return fmt.Errorf("model: layers %v are not in ascending order", layers)
		}
	}
	return nil
}

// JSON is config.json as it is written: every field that was read, in its
// order.
func (c *Config) JSON() []byte { return c.raw.encode() }

// withDType is the config of the model stored in another type; name is that of
// PyTorch. Transformers 5 calls the field dtype, older ones torch_dtype.
func (c *Config) withDType(name string) *Config {
	d := *c
	key := "torch_dtype"
	if c.raw.has("dtype") {
		key = "dtype"
	}
	d.raw = c.raw.with(key, strconv.Quote(name))
	return &d
}
