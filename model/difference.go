package model

import (
	"fmt"
	"slices"
	"strconv"
)

// Difference is a statement of config.json that differs between two models.
type Difference struct {
	Key string `json:"key"` // the field's name where there is one
	A   string `json:"a"`   // what each says, "" is nothing
	B   string `json:"b"`
}

// VocabKeys are the Keys of Difference about tokens; what the decoder computes
// from an embedding does not depend on them.
var VocabKeys = []string{"vocab_size", "bos_token_id", "eos_token_id"}

// Differences lists in what two configs differ that a model computes by, or that
// bounds it. Fields are compared as they were understood: a default that is
// spelt out and an older spelling are no difference.
func (c *Config) Differences(d *Config) []Difference {
	var out []Difference
	b := d.facts()
	for i, f := range c.facts() {
		if f.value != b[i].value {
			out = append(out, Difference{Key: f.key, A: f.value, B: b[i].value})
		}
	}
	layers := min(c.Layers, d.Layers)
	for _, f := range []struct {
		key string
		of  func(LayerKind) string
	}{
		{"sliding_window", func(k LayerKind) string { return strconv.Itoa(k.Window) }},
		{"rope_parameters", func(k LayerKind) string { return k.RoPE.fields() }},
	} {
		out = append(out, layerDifferences(f.key, layers, func(l int) string { return f.of(c.Kinds[l]) }, func(l int) string { return f.of(d.Kinds[l]) })...)
	}
	return out
}

// layerDifferences compares what layers are, and says runs of layers in which
// the same differs once.
func layerDifferences(key string, layers int, a, b func(layer int) string) []Difference {
	var out []Difference
	for l := 0; l < layers; {
		end := l + 1
		for end < layers && a(end) == a(l) && b(end) == b(l) {
			end++
		}
		if a(l) != b(l) {
			name := key
			switch {
			case end-l == layers:
			case end-l == 1:
				name = fmt.Sprintf("%s of layer %d", key, l)
			default:
				name = fmt.Sprintf("%s of layers %d..%d", key, l, end-1)
			}
			out = append(out, Difference{Key: name, A: a(l), B: b(l)})
		}
		l = end
	}
	return out
}

// fields lists all parameters, where String gives the important ones.
func (p RoPE) fields() string {
	if p.Type == "default" {
		return p.String()
	}
	return fmt.Sprintf("%v (%v, %v, %v, %v, %v)", p, p.LowFreq, p.HighFreq, p.OriginalPositions, p.Truncate, p.Amplitude)
}

type fact struct{ key, value string }

// facts are the fields of a config that are one for all layers.
func (c *Config) facts() []fact {
	text := func(v any) string { return fmt.Sprint(v) }
	return []fact{
		{"model_type", c.ModelType},
		{"hidden_size", text(c.Width)},
		{"intermediate_size", text(c.FFN)},
		{"num_hidden_layers", text(c.Layers)},
		{"num_attention_heads", text(c.Heads)},
		{"num_key_value_heads", text(c.KVHeads)},
		{"head_dim", text(c.HeadDim)},
		{"vocab_size", text(c.Vocab)},
		{"max_position_embeddings", text(c.MaxPositions)},
		{"rms_norm_eps", text(c.NormEps)},
		{"hidden_act", text(c.Act)},
		{"tie_word_embeddings", text(c.Tied)},
		{"attention_bias", text(c.QKVBias)},
		{"bias of attention's output", text(c.OutBias)},
		{"mlp_bias", text(c.MLPBias)},
		{"factor of the embedding", text(c.EmbedScale)},
		{"factor of attention's scores", text(c.ScoreScale)},
		{"attn_logit_softcapping", text(c.ScoreCap)},
		{"final_logit_softcapping", text(c.LogitCap)},
		{"bos_token_id", idText(c.BOS)},
		{"eos_token_id", idText(c.EOS)},
	}
}

func idText(ids []int) string {
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return strconv.Itoa(ids[0])
	}
	return fmt.Sprint(ids)
}

// WithVocabOf is the config of the same decoder with another's tokens:
// vocab_size and the numbers of special tokens.
func (c *Config) WithVocabOf(other *Config) (*Config, error) {
	o := slices.Clone(c.raw)
	for _, key := range []string{"vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"} {
		raw, ok := other.raw.get(key)
		if ok {
			o = o.with(key, string(raw))
		}
	}
	d, err := parseConfig(o.encode())
	if err != nil {
		return nil, fmt.Errorf("model: %s with the vocabulary of another model: %w", configName, err)
	}
	return d, nil
}
