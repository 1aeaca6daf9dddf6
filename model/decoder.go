package model

import (
	"fmt"
	"slices"

	"graft/internal/f16"
	"graft/kernels"
	"graft/tensor"
)

// Weights gives the builder the memory of a weight by its Hugging Face name:
// a frozen parameter, a trained part of a flat slot, or whatever the caller
// wants it to be. A name may be asked for repeatedly and must then be the same
// tensor, since gradients are taken by tensor: keep what Graph.Part returned.
type Weights interface {
	Weight(name string, shape ...int) *tensor.Tensor
}

// WeightsFunc makes a function a Weights.
type WeightsFunc func(name string, shape ...int) *tensor.Tensor

// Weight calls f.
func (f WeightsFunc) Weight(name string, shape ...int) *tensor.Tensor { return f(name, shape...) }

// Params gives every weight a parameter of its own, named as the weight, stored
// in the type that dtype returns for the name.
func Params(g *tensor.Graph, dtype func(name string) kernels.DType) Weights {
	return WeightsFunc(func(name string, shape ...int) *tensor.Tensor {
		return g.Param(name, dtype(name), shape...)
	})
}

// Batch is what a decoder reads: B sequences of T tokens, N = B*T, with
// documents packed into them.
type Batch struct {
	B, T      int
	IDs       *tensor.Tensor // I32 (N)
	Positions *tensor.Tensor // I32 (N), of each token in its document
	Documents *tensor.Tensor // I32 (2, B, T): first and one past the last row of each token's document
	Targets   *tensor.Tensor // I32 (N), the token to predict, -1 for none
	Sorted    tensor.Sorted  // needed only when the embedding takes a gradient
}

// Names of the inputs that Inputs declares.
const (
	InputIDs       = "ids"
	InputPositions = "positions"
	InputDocuments = "documents"
	InputTargets   = "targets"
	InputOrder     = "order"
	InputStarts    = "starts"
)

// Inputs declares a batch as inputs of the graph. With sorted it has the order
// that the embedding's gradient needs.
func Inputs(g *tensor.Graph, b, t int, sorted bool) Batch {
	n := b * t
	in := Batch{B: b, T: t,
		IDs:       g.Input(InputIDs, kernels.I32, n),
		Positions: g.Input(InputPositions, kernels.I32, n),
		Documents: g.Input(InputDocuments, kernels.I32, 2, b, t),
		Targets:   g.Input(InputTargets, kernels.I32, n),
	}
	if sorted {
		in.Sorted = tensor.Sorted{Order: g.Input(InputOrder, kernels.I32, n), Starts: g.Input(InputStarts, kernels.I32, n+1)}
	}
	return in
}

// Options choose how a decoder is built. The zero value runs all layers in F32.
type Options struct {
	Layers     []int         // which layers run, ascending; nil is all
	Act        kernels.DType // of activations: F32 or BF16
	Checkpoint bool          // keep only each layer's input for the backward pass
	// After, if set, is called with the output x (N, C) of each layer and
	// returns what goes on in its place.
	After func(layer int, x *tensor.Tensor) *tensor.Tensor
}

// Hidden writes the decoder up to its final norm and returns (N, C).
func (c *Config) Hidden(g *tensor.Graph, w Weights, in Batch, o Options) (*tensor.Tensor, error) {
	b := &builder{g: g, w: w, c: c, in: in, o: o}
	b.attend = func(_ int, q, k, v *tensor.Tensor, window int) *tensor.Tensor {
		q, k, v = b.split(q), b.split(k), b.split(v)
		vis := tensor.Visible{Documents: in.Documents, Window: window}
		return g.Attention(q, k, v, vis, float32(c.ScoreScale), float32(c.ScoreCap))
	}
	return b.hidden()
}

// Losses returns the cross-entropy (N), in nats, of the tokens that follow, 0
// where the target is -1. The logits are never stored.
func (c *Config) Losses(g *tensor.Graph, w Weights, hidden, targets *tensor.Tensor) *tensor.Tensor {
	return g.LinearCE(hidden, c.head(w), targets, 1, float32(c.LogitCap))
}

// Logits returns (N, V) in F32 for hidden (N, C).
func (c *Config) Logits(g *tensor.Graph, w Weights, hidden *tensor.Tensor) *tensor.Tensor {
	if g.Err() == nil && hidden.DType() != kernels.F32 {
		hidden = g.Cast(hidden, kernels.F32)
	}
	z := g.MatMul(hidden, c.head(w), tensor.TransB)
	if limit := float32(c.LogitCap); limit != 0 {
		z = g.Affine(g.Tanh(g.Affine(z, 1/limit, 0)), limit, 0)
	}
	return z
}

// head is the output matrix (V, C), which may be the embedding.
func (c *Config) head(w Weights) *tensor.Tensor {
	if c.Tied {
		return w.Weight(EmbedName, c.Vocab, c.Width)
	}
	return w.Weight(HeadName, c.Vocab, c.Width)
}

// Constant is a table that programs read as a parameter and that is not in the
// checkpoint.
type Constant struct {
	Name   string
	Values []float32
}

// Constants lists the tables that the decoder's programs read.
func (c *Config) Constants() []Constant {
	var all []Constant
	for i, p := range c.ropes() {
		all = append(all, Constant{frequenciesName(i), p.frequencies(c.HeadDim)})
	}
	return all
}

// ropes lists the different rotary embeddings of the layers, by first use.
func (c *Config) ropes() []RoPE {
	var all []RoPE
	for _, k := range c.Kinds {
		if !slices.Contains(all, k.RoPE) {
			all = append(all, k.RoPE)
		}
	}
	return all
}

// frequenciesName is the parameter that holds the frequencies of ropes()[i],
// F32 (D/2).
func frequenciesName(i int) string {
	if i == 0 {
		return "rope.frequencies"
	}
	return fmt.Sprintf("rope.frequencies.%d", i)
}

// WriteConstants puts the tables into a store's memory.
func (c *Config) WriteConstants(s *tensor.Store) error {
	for _, t := range c.Constants() {
		slot, ok := s.Slot(t.Name)
		if !ok {
			continue
		}
		data, err := tensor.Encode(slot, t.Values)
		if err != nil {
			return err
		}
		if err := s.Write(t.Name, 0, data); err != nil {
			return err
		}
	}
	return nil
}

// builder writes a decoder into a graph.
type builder struct {
	g  *tensor.Graph
	w  Weights
	c  *Config
	in Batch
	o  Options
	// attend is attention on q (N, H, D), k and v (N, K, D): over the batch, or
	// over a cache.
	attend func(layer int, q, k, v *tensor.Tensor, window int) *tensor.Tensor
}

func (b *builder) hidden() (*tensor.Tensor, error) {
	if b.o.Act != kernels.F32 && b.o.Act != kernels.BF16 {
		return nil, fmt.Errorf("model: activations in %v, want f32 or bf16", b.o.Act)
	}
	layers := b.o.Layers
	if layers == nil {
		layers = b.c.AllLayers()
	}
	if err := b.c.checkLayers(layers); err != nil {
		return nil, err
	}
	table := b.w.Weight(EmbedName, b.c.Vocab, b.c.Width)
	x := b.g.EmbedAs(b.o.Act, b.in.IDs, table, b.in.Sorted) // (N, C)
	if s := b.embedScale(); s != 1 {
		x = b.g.Affine(x, s, 0)
	}
	for _, l := range layers {
		b.g.Scope(fmt.Sprintf("layers.%d", l), func() { x = b.layer(l, x) })
		if b.o.After != nil {
			x = b.o.After(l, x)
		}
	}
	return b.norm(x, "model.norm"), b.g.Err()
}

func (b *builder) layer(l int, x *tensor.Tensor) *tensor.Tensor {
	if !b.o.Checkpoint {
		return b.c.family.block(b, l, x)
	}
	b.g.Checkpoint(func() { x = b.c.family.block(b, l, x) })
	return x
}

// embedScale is rounded to the type of activations, as the models that have one
// were trained with it (sqrt(3072) = 55.43 is 55.5 in BF16).
func (b *builder) embedScale() float32 {
	s := float32(b.c.EmbedScale)
	if b.o.Act == kernels.BF16 {
		s = f16.FromBF16(f16.ToBF16(s))
	}
	return s
}

// norm is RMSNorm of x (N, C) by the weight (C) of the given name.
func (b *builder) norm(x *tensor.Tensor, name string) *tensor.Tensor {
	return b.g.RMSNorm(x, b.w.Weight(name+".weight", x.Dim(1)), b.c.NormEps, b.normFlags()...)
}

func (b *builder) normFlags() []tensor.Flag {
	if b.c.NormPlusOne {
		return []tensor.Flag{tensor.PlusOne}
	}
	return nil
}

// linear is x (N, in) times the weight (out, in) of the given name, plus its
// bias and a residual (N, out), which may be nil.
func (b *builder) linear(x *tensor.Tensor, name string, out, in int, bias bool, residual *tensor.Tensor) *tensor.Tensor {
	w := b.w.Weight(name+".weight", out, in)
	var add *tensor.Tensor
	if bias {
		add = b.w.Weight(name+".bias", out)
	}
	return b.g.Linear(x, w, add, residual, tensor.TransB)
}

// rotate applies a layer's rotary embedding to x (N, heads, D).
func (b *builder) rotate(layer int, x *tensor.Tensor) *tensor.Tensor {
	p := b.c.Kinds[layer].RoPE
	freqs := b.g.Param(frequenciesName(slices.Index(b.c.ropes(), p)), kernels.F32, b.c.HeadDim/2)
	return b.g.RoPE(x, b.in.Positions, freqs, p.scale())
}

// attention is self-attention of a layer on its normed input h (N, C) up to, and
// without, the output projection: (N, H*D).
func (b *builder) attention(layer int, h *tensor.Tensor) *tensor.Tensor {
	c, p := b.c, layerPrefix(layer)+"self_attn."
	heads := func(name string, n int) *tensor.Tensor { // (N, n, D)
		return b.g.Reshape(b.linear(h, p+name, n*c.HeadDim, c.Width, c.QKVBias, nil), -1, n, c.HeadDim)
	}
	q, k, v := heads("q_proj", c.Heads), heads("k_proj", c.KVHeads), heads("v_proj", c.KVHeads)
	if c.QKNorm {
		each := func(x *tensor.Tensor, name string, n int) *tensor.Tensor {
			return b.g.Reshape(b.norm(b.g.Reshape(x, -1, c.HeadDim), p+name), -1, n, c.HeadDim)
		}
		q, k = each(q, "q_norm", c.Heads), each(k, "k_norm", c.KVHeads)
	}
	o := b.attend(layer, b.rotate(layer, q), b.rotate(layer, k), v, c.Kinds[layer].Window)
	return b.g.Reshape(o, -1, c.Heads*c.HeadDim)
}

// feedForward is the gated linear unit of a layer on its normed input h (N, C),
// with a residual (N, C) that may be nil.
func (b *builder) feedForward(layer int, h, residual *tensor.Tensor) *tensor.Tensor {
	c, p := b.c, layerPrefix(layer)+"mlp."
	gate := b.linear(h, p+"gate_proj", c.FFN, c.Width, c.MLPBias, nil) // (N, F)
	up := b.linear(h, p+"up_proj", c.FFN, c.Width, c.MLPBias, nil)     // (N, F)
	return b.linear(b.g.GLU(gate, up, c.Act), p+"down_proj", c.Width, c.FFN, c.MLPBias, residual)
}

// split separates the sequences: (N, H, D) to (B, T, H, D).
func (b *builder) split(x *tensor.Tensor) *tensor.Tensor {
	return b.g.Reshape(x, b.in.B, b.in.T, -1, b.c.HeadDim)
}
