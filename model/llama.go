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
		c.RoPE = readRoPE(r, 10000)
		c.readAct(r, "hidden_act", "silu")
		c.Tied = r.boolean("tie_word_embeddings", false)
		c.AttentionBias = r.boolean("attention_bias", false)
		c.MLPBias = r.boolean("mlp_bias", false)
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
		c.RoPE = readRoPE(r, 10000)
		c.readAct(r, "hidden_act", "silu")
		c.Tied = r.boolean("tie_word_embeddings", false)
		if _, ok := r.o.get("sliding_window"); ok || !r.o.has("sliding_window") {
			// Absent means Transformers' default; only null means none.
			c.Window = r.integer("sliding_window", 4096, 1, maxPositions)
		}
	},
}

func llamaTensors(c *Config, layer int) []Tensor {
	p := layerPrefix(layer)
	C, F, Q, KV := c.Width, c.FFN, c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	var ts []Tensor
	linear := func(name string, out, in int, bias bool) {
		ts = append(ts, Tensor{Name: p + name + ".weight", Shape: []int{out, in}, Layer: layer})
		if bias {
			ts = append(ts, Tensor{Name: p + name + ".bias", Shape: []int{out}, Layer: layer})
		}
	}
	norm := func(name string) {
		ts = append(ts, Tensor{Name: p + name + ".weight", Shape: []int{C}, Layer: layer})
	}
	norm("input_layernorm")
	linear("self_attn.q_proj", Q, C, c.AttentionBias)
	linear("self_attn.k_proj", KV, C, c.AttentionBias)
	linear("self_attn.v_proj", KV, C, c.AttentionBias)
	linear("self_attn.o_proj", C, Q, c.AttentionBias)
	norm("post_attention_layernorm")
	linear("mlp.gate_proj", F, C, c.MLPBias)
	linear("mlp.up_proj", F, C, c.MLPBias)
	linear("mlp.down_proj", C, F, c.MLPBias)
	return ts
}

func layerPrefix(layer int) string { return fmt.Sprintf("model.layers.%d.", layer) }

// llamaBlock is one layer on the residual stream x (N, C): attention and gated
// feed-forward, each after a norm and added back (Touvron et al. 2023).
func llamaBlock(b *builder, layer int, x *tensor.Tensor) *tensor.Tensor {
	c, p := b.c, layerPrefix(layer)
	C, F, H, K, D := c.Width, c.FFN, c.Heads, c.KVHeads, c.HeadDim

	h := b.norm(x, p+"input_layernorm")                                              // (N, C)
	q := b.linear(h, p+"self_attn.q_proj", H*D, C, c.AttentionBias, nil)             // (N, H*D)
	k := b.linear(h, p+"self_attn.k_proj", K*D, C, c.AttentionBias, nil)             // (N, K*D)
	v := b.linear(h, p+"self_attn.v_proj", K*D, C, c.AttentionBias, nil)             // (N, K*D)
	o := b.attention(layer, b.rotate(q, H), b.rotate(k, K), v, c.Window)             // (N, H*D)
	x = b.linear(o, p+"self_attn.o_proj", C, H*D, c.AttentionBias, x)                // (N, C)
	h = b.norm(x, p+"post_attention_layernorm")                                      // (N, C)
	gate := b.linear(h, p+"mlp.gate_proj", F, C, c.MLPBias, nil)                     // (N, F)
	up := b.linear(h, p+"mlp.up_proj", F, C, c.MLPBias, nil)                         // (N, F)
	return b.linear(b.g.GLU(gate, up, c.Act), p+"mlp.down_proj", C, F, c.MLPBias, x) // (N, C)
}
