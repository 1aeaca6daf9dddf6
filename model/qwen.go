package model

// qwen2 is Qwen2 and Qwen2.5: Llama with biases on queries, keys and values, and
// a window in the upper layers where the config asks for one.
var qwen2 = family{
	modelType:    "qwen2",
	architecture: "Qwen2ForCausalLM",
	tensors:      llamaTensors,
	block:        llamaBlock,
	read: func(c *Config, r *reader) {
		c.KVHeads = r.integer("num_key_value_heads", 32, 1, maxHeads)
		c.readHeadDim(r)
		c.QKVBias = true
		c.readQwen(r)
	},
}

// qwen3 is the dense Qwen3: no biases, queries and keys normed, heads of any
// size.
var qwen3 = family{
	modelType:    "qwen3",
	architecture: "Qwen3ForCausalLM",
	tensors:      llamaTensors,
	block:        llamaBlock,
	read: func(c *Config, r *reader) {
		c.KVHeads = r.integer("num_key_value_heads", 32, 1, maxHeads)
		c.HeadDim = r.integer("head_dim", 128, 1, maxHeadDim)
		c.QKVBias = r.boolean("attention_bias", false)
		c.OutBias = c.QKVBias
		c.QKNorm = true
		c.readQwen(r)
	},
}

// readQwen reads what both have.
func (c *Config) readQwen(r *reader) {
	c.MaxPositions = r.integer("max_position_embeddings", 32768, 1, maxPositions)
	c.NormEps = r.number("rms_norm_eps", 1e-6, 0, true)
	c.readAct(r, "hidden_act", "silu")
	c.Tied = r.boolean("tie_word_embeddings", false)
	full := LayerKind{RoPE: readRoPE(r, 10000, c.MaxPositions)}
	sliding, lower := full, c.Layers
	if r.boolean("use_sliding_window", false) {
		sliding.Window = readWindow(r, 4096)
		lower = r.integer("max_window_layers", 28, 0, maxLayers)
	}
	c.readKinds(r, full, sliding, func(layer int) bool { return sliding.Window > 0 && layer >= lower })
}
