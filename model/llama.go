package model

import (
	"fmt"

	"graft/tensor"
)

// llama is Llama 1 to 3.x and what copies its architecture (TinyLlama, SmolLM2,
// Yi, DeepSeek LLM).
var llama = family{
	modelType:    "llama",
	architecture: "LlamaForCausalLM",
	tensors:      llamaTensors,
	block:        llamaBlock,
	read: func(c *Config, r *reader) {
		c.KVHeads = r.integer("num_key_value_heads", c.Heads, 1, maxHeads)
		c.readHeadDim(r)
		c.MaxPositions = r.integer("max_position_embeddings", 2048, 1, maxPositions)
		c.NormEps = r.number("rms_norm_eps", 1e-6, 0, true)
		c.readAct(r, "hidden_act", "silu")
		c.Tied = r.boolean("tie_word_embeddings", false)
		c.QKVBias = r.boolean("attention_bias", false)
		c.OutBias = c.QKVBias
		c.MLPBias = r.boolean("mlp_bias", false)
		c.alike(LayerKind{RoPE: readRoPE(r, 10000, c.MaxPositions)})
	},
}

// mistral is Llama without biases and with a window on what attention sees.
var mistral = family{
	modelType:    "mistral",
	architecture: "MistralForCausalLM",
	tensors:      llamaTensors,
	block:        llamaBlock,
	read: func(c *Config, r *reader) {
		c.KVHeads = r.integer("num_key_value_heads", 8, 1, maxHeads)
		c.readHeadDim(r)
		c.MaxPositions = r.integer("max_position_embeddings", 4096*32, 1, maxPositions)
		c.NormEps = r.number("rms_norm_eps", 1e-6, 0, true)
		c.readAct(r, "hidden_act", "silu")
		c.Tied = r.boolean("tie_word_embeddings", false)
		c.alike(LayerKind{Window: readWindow(r, 4096), RoPE: readRoPE(r, 10000, c.MaxPositions)})
	},
}

// llamaTensors are the weights of a layer of which llamaBlock makes use.
func llamaTensors(c *Config, layer int) []Tensor {
	l := layerTensors{c: c, layer: layer}
	l.norm("input_layernorm", c.Width)
	l.attention()
	l.norm("post_attention_layernorm", c.Width)
	l.feedForward()
	return l.all
}

// llamaBlock is one layer on the residual stream x (N, C): attention and gated
// feed-forward, each after a norm and added back (Touvron et al. 2023).
func llamaBlock(b *builder, layer int, x *tensor.Tensor) *tensor.Tensor {
	c, p := b.c, layerPrefix(layer)
	h := b.norm(x, p+"input_layernorm")
	x = b.linear(b.attention(layer, h), p+"self_attn.o_proj", c.Width, c.Heads*c.HeadDim, c.OutBias, x)
	return b.feedForward(layer, b.norm(x, p+"post_attention_layernorm"), x)
}

func layerPrefix(layer int) string { return fmt.Sprintf("model.layers.%d.", layer) }

// layerTensors collects the weights of one layer in canonical order.
type layerTensors struct {
	c     *Config
	layer int
	all   []Tensor
}

func (l *layerTensors) add(name string, shape ...int) {
	l.all = append(l.all, Tensor{Name: layerPrefix(l.layer) + name, Shape: shape, Layer: l.layer})
}

func (l *layerTensors) norm(name string, width int) { l.add(name+".weight", width) }

func (l *layerTensors) linear(name string, out, in int, bias bool) {
	l.add(name+".weight", out, in)
	if bias {
		l.add(name+".bias", out)
	}
}

func (l *layerTensors) attention() {
	c := l.c
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	l.linear("self_attn.q_proj", q, c.Width, c.QKVBias)
	l.linear("self_attn.k_proj", kv, c.Width, c.QKVBias)
	l.linear("self_attn.v_proj", kv, c.Width, c.QKVBias)
	l.linear("self_attn.o_proj", c.Width, q, c.OutBias)
	if c.QKNorm {
		l.norm("self_attn.q_norm", c.HeadDim)
		l.norm("self_attn.k_norm", c.HeadDim)
	}
}

func (l *layerTensors) feedForward() {
	c := l.c
	l.linear("mlp.gate_proj", c.FFN, c.Width, c.MLPBias)
	l.linear("mlp.up_proj", c.FFN, c.Width, c.MLPBias)
	l.linear("mlp.down_proj", c.Width, c.FFN, c.MLPBias)
}
