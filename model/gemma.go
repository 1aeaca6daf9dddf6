package model

import (
	"math"

	"graft/tensor"
)

// gemma2 scales its embedding, norms before and after each half of a layer with
// weights that count from one, caps scores and logits, and lets every other
// layer see a window only (Gemma Team 2024).
var gemma2 = family{
	modelType:    "gemma2",
	architecture: "Gemma2ForCausalLM",
	tensors:      gemmaTensors,
	block:        gemmaBlock,
	read: func(c *Config, r *reader) {
		c.readGemma(r, 8192)
		c.ScoreCap = readCap(r, "attn_logit_softcapping", 50)
		c.LogitCap = readCap(r, "final_logit_softcapping", 30)
		full := LayerKind{RoPE: readRoPE(r, 10000, c.MaxPositions)}
		sliding := LayerKind{Window: readWindow(r, 4096), RoPE: full.RoPE}
		c.readKinds(r, full, sliding, func(layer int) bool { return layer%2 == 0 })
	},
}

// gemma3 is the text model of Gemma 3: queries and keys are normed instead of
// capped, and one layer in six sees everything, with a rotary base of its own
// (Gemma Team 2025).
var gemma3 = family{
	modelType:    "gemma3_text",
	architecture: "Gemma3ForCausalLM",
	tensors:      gemmaTensors,
	block:        gemmaBlock,
	heads:        8,
	vocab:        262208,
	read: func(c *Config, r *reader) {
		c.readGemma(r, 131072)
		c.QKNorm = true
		c.LogitCap = readCap(r, "final_logit_softcapping", 0)
		global, local := readTwoRoPEs(r, c.MaxPositions)
		pattern := r.integer("sliding_window_pattern", 6, 1, maxLayers)
		c.readKinds(r, LayerKind{RoPE: global}, LayerKind{Window: readWindow(r, 4096), RoPE: local},
			func(layer int) bool { return (layer+1)%pattern != 0 })
	},
}

// readGemma reads what both have.
func (c *Config) readGemma(r *reader, positions int) {
	c.KVHeads = r.integer("num_key_value_heads", 4, 1, maxHeads)
	c.HeadDim = r.integer("head_dim", 256, 1, maxHeadDim)
	c.MaxPositions = r.integer("max_position_embeddings", positions, 1, maxPositions)
	c.NormEps = r.number("rms_norm_eps", 1e-6, 0, true)
	c.NormPlusOne = true
	c.readAct(r, "hidden_activation", "gelu_pytorch_tanh")
	c.Tied = r.boolean("tie_word_embeddings", true)
	c.QKVBias = r.boolean("attention_bias", false)
	c.OutBias = c.QKVBias
	c.EmbedScale = math.Sqrt(float64(c.Width))
	c.ScoreScale = 1 / math.Sqrt(r.number("query_pre_attn_scalar", 256, 0, false))
	if r.boolean("use_bidirectional_attention", false) {
		r.fail("use_bidirectional_attention", "is true: only causal decoders are supported")
	}
}

// readCap reads a soft cap; null is none.
func readCap(r *reader, key string, def float64) float64 {
	if _, ok := r.o.get(key); !ok && r.o.has(key) {
		return 0
	}
	return r.number(key, def, 0, false)
}

func gemmaTensors(c *Config, layer int) []Tensor {
	l := layerTensors{c: c, layer: layer}
	l.norm("input_layernorm", c.Width)
	l.attention()
	l.norm("post_attention_layernorm", c.Width)
	l.norm("pre_feedforward_layernorm", c.Width)
	l.feedForward()
	l.norm("post_feedforward_layernorm", c.Width)
	return l.all
}

// gemmaBlock is one layer on the residual stream x (N, C): what attention and
// feed-forward give is normed once more before it is added.
func gemmaBlock(b *builder, layer int, x *tensor.Tensor) *tensor.Tensor {
	c, p := b.c, layerPrefix(layer)
	h := b.attention(layer, b.norm(x, p+"input_layernorm"))
	h = b.linear(h, p+"self_attn.o_proj", c.Width, c.Heads*c.HeadDim, c.OutBias, nil)
	h = b.norm(h, p+"post_attention_layernorm")
	before := b.w.Weight(p+"pre_feedforward_layernorm.weight", c.Width)
	h, x = b.g.AddRMSNorm(h, x, before, c.NormEps, b.normFlags()...)
	h = b.feedForward(layer, h, nil)
	return b.g.Add(x, b.norm(h, p+"post_feedforward_layernorm"))
}
