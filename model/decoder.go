package model

import (
	"fmt"
	"math"

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
		return g.Attention(q, k, v, vis, c.scoreScale(), 0)
	}
	return b.hidden()
}

// Losses returns the cross-entropy (N), in nats, of the tokens that follow, 0
// where the target is -1. The logits are never stored.
func (c *Config) Losses(g *tensor.Graph, w Weights, hidden, targets *tensor.Tensor) *tensor.Tensor {
	return g.LinearCE(hidden, c.head(w), targets, 1, 0)
}

// Logits returns (N, V) in F32 for hidden (N, C).
func (c *Config) Logits(g *tensor.Graph, w Weights, hidden *tensor.Tensor) *tensor.Tensor {
	if g.Err() == nil && hidden.DType() != kernels.F32 {
		hidden = g.Cast(hidden, kernels.F32)
	}
	return g.MatMul(hidden, c.head(w), tensor.TransB)
}

// head is the output matrix (V, C), which may be the embedding.
func (c *Config) head(w Weights) *tensor.Tensor {
	if c.Tied {
		return w.Weight(EmbedName, c.Vocab, c.Width)
	}
	return w.Weight(HeadName, c.Vocab, c.Width)
}

// scoreScale is 1 / sqrt(D).
func (c *Config) scoreScale() float32 { return float32(1 / math.Sqrt(float64(c.HeadDim))) }

// Constant is a table that programs read as a parameter and that is not in the
// checkpoint.
type Constant struct {
	Name   string
	Values []float32
}

// frequenciesName is the rotary frequencies' parameter, F32 (D/2).
const frequenciesName = "rope.frequencies"

// Constants lists the tables that the decoder's programs read.
func (c *Config) Constants() []Constant {
	return []Constant{{frequenciesName, c.RoPE.frequencies(c.HeadDim)}}
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

// norm is RMSNorm by the weight of the given name.
func (b *builder) norm(x *tensor.Tensor, name string) *tensor.Tensor {
	return b.g.RMSNorm(x, b.w.Weight(name+".weight", b.c.Width), b.c.NormEps)
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

// rotate applies rotary embedding to x (N, heads*D) and returns (N, heads, D).
func (b *builder) rotate(x *tensor.Tensor, heads int) *tensor.Tensor {
	freqs := b.g.Param(frequenciesName, kernels.F32, b.c.HeadDim/2)
	return b.g.RoPE(b.g.Reshape(x, -1, heads, b.c.HeadDim), b.in.Positions, freqs, 1)
}

// attention is scaled dot-product attention of q (N, H, D) over k (N, K, D) and
// v (N, K*D), as (N, H*D).
func (b *builder) attention(layer int, q, k, v *tensor.Tensor, window int) *tensor.Tensor {
	v = b.g.Reshape(v, -1, b.c.KVHeads, b.c.HeadDim)
	o := b.attend(layer, q, k, v, window)
	return b.g.Reshape(o, -1, b.c.Heads*b.c.HeadDim)
}

// split separates the sequences: (N, H, D) to (B, T, H, D).
func (b *builder) split(x *tensor.Tensor) *tensor.Tensor {
	return b.g.Reshape(x, b.in.B, b.in.T, -1, b.c.HeadDim)
}
