package model

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
)

// llamaJSON is a config with the given further fields.
func llamaJSON(fields string) []byte {
	return []byte(`{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
		"intermediate_size": 172, "num_hidden_layers": 5, "num_attention_heads": 8, "vocab_size": 512` + fields + `}`)
}

func mistralJSON(fields string) []byte {
	return []byte(strings.NewReplacer("llama", "mistral", "Llama", "Mistral").Replace(string(llamaJSON(fields))))
}

func each(c *Config, set func(*LayerKind)) {
	for i := range c.Kinds {
		set(&c.Kinds[i])
	}
}

// llama31 is the rotary scaling of Llama 3.1.
var llama31 = RoPE{Theta: 5e5, Type: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, OriginalPositions: 8192}

func TestConfigFields(t *testing.T) {
	for _, tc := range []struct {
		name string
		doc  []byte
		want func(c *Config) // changes the defaults into what is wanted
	}{
		{"defaults of Transformers", llamaJSON(``), func(*Config) {}},
		{"null is absent", llamaJSON(`, "head_dim": null, "num_key_value_heads": null, "rope_scaling": null, "eos_token_id": null, "quantization_config": null`), func(*Config) {}},
		{"unknown fields", llamaJSON(`, "use_cache": true, "whatever": {"a": [1, null]}`), func(*Config) {}},
		{"grouped heads", llamaJSON(`, "num_key_value_heads": 4`), func(c *Config) { c.KVHeads = 4 }},
		{"head size", llamaJSON(`, "head_dim": 16`), func(c *Config) { c.HeadDim = 16 }},
		{"integers written as floats", llamaJSON(`, "head_dim": 16.0, "max_position_embeddings": 1e3`), func(c *Config) { c.HeadDim, c.MaxPositions = 16, 1000 }},
		{"flags", llamaJSON(`, "tie_word_embeddings": true, "attention_bias": true, "mlp_bias": true`), func(c *Config) { c.Tied, c.QKVBias, c.OutBias, c.MLPBias = true, true, true, true }},
		{"gelu", llamaJSON(`, "hidden_act": "gelu_pytorch_tanh"`), func(c *Config) { c.Act = kernels.GELUTanh }},
		{"one end token", llamaJSON(`, "bos_token_id": 1, "eos_token_id": 2`), func(c *Config) { c.BOS, c.EOS = []int{1}, []int{2} }},
		{"several end tokens", llamaJSON(`, "eos_token_id": [2, 7]`), func(c *Config) { c.EOS = []int{2, 7} }},
		{"norm", llamaJSON(`, "rms_norm_eps": 1e-05`), func(c *Config) { c.NormEps = 1e-5 }},
		{"rope theta", llamaJSON(`, "rope_theta": 500000.0`), func(c *Config) { each(c, func(k *LayerKind) { k.RoPE.Theta = 500000 }) }},
		{"rope parameters", llamaJSON(`, "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}`), func(c *Config) { each(c, func(k *LayerKind) { k.RoPE.Theta = 500000 }) }},
		{"linear", llamaJSON(`, "rope_scaling": {"type": "linear", "factor": 2.0}`), func(c *Config) { each(c, func(k *LayerKind) { k.RoPE.Type, k.RoPE.Factor = "linear", 2 }) }},
		{"llama3", llamaJSON(`, "rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}`),
			func(c *Config) { each(c, func(k *LayerKind) { k.RoPE = llama31 }) }},
		{"llama3 as rope parameters", llamaJSON(`, "rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}`),
			func(c *Config) { each(c, func(k *LayerKind) { k.RoPE = llama31 }) }},
		{"the same scaling twice", llamaJSON(`, "rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000}`),
			func(c *Config) { each(c, func(k *LayerKind) { k.RoPE.Type, k.RoPE.Factor = "linear", 2 }) }},
		{"mistral's defaults", mistralJSON(``), func(c *Config) {
			c.ModelType, c.KVHeads, c.MaxPositions = "mistral", 8, 131072
			each(c, func(k *LayerKind) { k.Window = 4096 })
		}},
		{"mistral without window", mistralJSON(`, "sliding_window": null`), func(c *Config) { c.ModelType, c.KVHeads, c.MaxPositions = "mistral", 8, 131072 }},
		{"mistral with window", mistralJSON(`, "sliding_window": 32, "num_key_value_heads": 2`), func(c *Config) {
			c.ModelType, c.KVHeads, c.MaxPositions = "mistral", 2, 131072
			each(c, func(k *LayerKind) { k.Window = 32 })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseConfig("config.json", tc.doc)
			if err != nil {
				t.Fatal(err)
			}
			want := &Config{ModelType: "llama", Width: 64, FFN: 172, Layers: 5, Heads: 8, KVHeads: 8, HeadDim: 8, Vocab: 512,
				MaxPositions: 2048, NormEps: 1e-6, EmbedScale: 1, Kinds: make([]LayerKind, 5)}
			each(want, func(k *LayerKind) { k.RoPE = RoPE{Theta: 10000, Type: "default"} })
			tc.want(want)
			want.ScoreScale = 1 / math.Sqrt(float64(want.HeadDim))
			got.raw, got.family = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	replace := func(old, new string) []byte { return bytes.Replace(llamaJSON(``), []byte(old), []byte(new), 1) }
	for _, tc := range []struct {
		name string
		doc  []byte
		want string // the whole message after the file's name
	}{
		{"nothing", nil, `is cut off: the JSON object does not end`},
		{"not JSON", []byte(`{"model_type" = 3}`), `is not JSON: ...`},
		{"a list", []byte(`[]`), `is not a JSON object`},
		{"cut off", llamaJSON(``)[:100], `is cut off: the JSON object does not end`},
		{"trailing text", append(llamaJSON(``), '}'), `has something after the JSON object`},
		{"duplicate", llamaJSON(`, "vocab_size": 3`), `"vocab_size" is given twice`},
		{"another family", replace(`"llama"`, `"gpt_neox"`), `model_type "gpt_neox" is not supported (have llama, mistral, qwen2, qwen3, gemma2, gemma3_text, gemma3)`},
		{"no family", []byte(`{}`), `model_type is missing (have llama, mistral, qwen2, qwen3, gemma2, gemma3_text, gemma3)`},
		{"no head", replace("LlamaForCausalLM", "LlamaForSequenceClassification"), `architectures is ["LlamaForSequenceClassification"], want LlamaForCausalLM`},
		{"quantised", llamaJSON(`, "quantization_config": {"quant_method": "gptq"}`), `quantization_config is {"quant_method":"gptq"}: quantised weights are not supported`},
		{"missing size", replace(`"hidden_size": 64,`, ``), `hidden_size is missing, want an integer from 1 to 1048576`},
		{"zero layers", replace(`layers": 5`, `layers": 0`), `num_hidden_layers is 0, want an integer from 1 to 4096`},
		{"too many layers", replace(`layers": 5`, `layers": 1000000000`), `num_hidden_layers is 1000000000, want an integer from 1 to 4096`},
		{"negative", replace(`"vocab_size": 512`, `"vocab_size": -512`), `vocab_size is -512, want an integer from 1 to 67108864`},
		{"beyond 64 bits", replace(`"vocab_size": 512`, `"vocab_size": 99999999999999999999999`), `vocab_size is 99999999999999999999999, want an integer from 1 to 67108864`},
		{"fraction", replace(`"vocab_size": 512`, `"vocab_size": 512.5`), `vocab_size is 512.5, want an integer from 1 to 67108864`},
		{"text for a number", replace(`"vocab_size": 512`, `"vocab_size": "512"`), `vocab_size is "512", want an integer from 1 to 67108864`},
		{"NaN", llamaJSON(`, "rms_norm_eps": NaN`), `is not JSON: ...`},
		{"negative epsilon", llamaJSON(`, "rms_norm_eps": -1`), `rms_norm_eps is -1, want a number from 0`},
		{"heads do not divide", replace(`heads": 8`, `heads": 7`), `hidden_size is 64, want a multiple of num_attention_heads = 7 when head_dim is not given`},
		{"kv heads do not divide", llamaJSON(`, "num_key_value_heads": 3`), `num_attention_heads is 8, want a multiple of num_key_value_heads = 3`},
		{"odd head size", llamaJSON(`, "head_dim": 7`), `head_dim is 7, want an even number: rotary embedding turns pairs`},
		{"unknown activation", llamaJSON(`, "hidden_act": "relu"`), `hidden_act is "relu", want silu or gelu_pytorch_tanh`},
		{"flag", llamaJSON(`, "mlp_bias": 1`), `mlp_bias is 1, want true or false`},
		{"end token out of range", llamaJSON(`, "eos_token_id": [2, 512]`), `eos_token_id has 512, want ids from 0 to vocab_size - 1 = 511`},
		{"end token as text", llamaJSON(`, "eos_token_id": "</s>"`), `eos_token_id is "</s>", want a token id or a list of them`},
		{"theta", llamaJSON(`, "rope_theta": 0`), `rope_theta is 0, want a number above 0`},
		{"unknown scaling", llamaJSON(`, "rope_scaling": {"rope_type": "longrope", "factor": 4}`), `rope_scaling.rope_type "longrope" is not supported (have default, linear, llama3, yarn)`},
		{"unknown scaling in rope parameters", llamaJSON(`, "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4}`), `rope_parameters.rope_type "dynamic" is not supported (have default, linear, llama3, yarn)`},
		{"scaling without factor", llamaJSON(`, "rope_scaling": {"type": "linear"}`), `rope_scaling.factor is missing, want a number`},
		{"scaling is no object", llamaJSON(`, "rope_scaling": 8`), `rope_scaling is 8, want a JSON object`},
		{"partial rotation", llamaJSON(`, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}`), `rope_parameters.partial_rotary_factor is 0.5, want 1`},
		{"frequency factors in the wrong order", llamaJSON(`, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0, "original_max_position_embeddings": 8192}`),
			`rope_scaling.high_freq_factor is 1, want more than low_freq_factor = 4`},
		{"two scalings", llamaJSON(`, "rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "linear", "factor": 4}`),
			`rope_parameters and rope_scaling disagree: linear by 4 with theta 10000, and linear by 2 with theta 10000`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseConfig("dir/config.json", tc.doc)
			want, cut := strings.CutSuffix("model: dir/config.json: "+tc.want, "...") // the rest is encoding/json's
			if err == nil || err.Error() != want && !(cut && strings.HasPrefix(err.Error(), want)) {
				t.Errorf("got  %v\nwant %v", err, want)
			}
		})
	}
}

func compact(t *testing.T, doc []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, doc); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	return b.String()
}

func TestSelect(t *testing.T) {
	c, err := ParseConfig("c", llamaJSON(`, "layer_types": ["a", "b", "c", "d", "e"], "z": 1.50, "a": "<x>", "eos_token_id": [1, 2]`))
	if err != nil {
		t.Fatal(err)
	}
	small, err := c.Select([]int{0, 4})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(`_layers":5`, `_layers":2`, `["a","b","c","d","e"]`, `["a","e"]`).Replace(compact(t, c.JSON()))
	if got := compact(t, small.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if small.Layers != 2 || c.Layers != 5 {
		t.Errorf("got %d and %d layers, want 2 and 5", small.Layers, c.Layers)
	}
	for name, layers := range map[string][]int{"none": {}, "out of range": {0, 5}, "negative": {-1}, "descending": {4, 0}, "twice": {1, 1}} {
		if _, err := c.Select(layers); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if c, err = ParseConfig("c", llamaJSON(`, "layer_types": ["a"]`)); err == nil {
		_, err = c.Select([]int{0})
	}
	if want := "model: config.json: layer_types has 1 entries, want one for each of 5 layers"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestParseLayers(t *testing.T) {
	for spec, want := range map[string][]int{
		"first,last": {0, 31}, "0,-1": {0, 31}, "-1,0": {0, 31}, "2..4": {2, 3, 4}, " 30.. last , first ": {0, 30, 31}, "5": {5}, "-32": {0},
	} {
		if got, err := ParseLayers(spec, 32); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", spec, got, err, want)
		}
	}
	for spec, want := range map[string]string{
		"":          `model: layers "": "" is not a layer number, first, last or a range a..b; the model has 5 layers, 0 to 4`,
		"0,x":       `model: layers "0,x": "x" is not a layer number, first, last or a range a..b; the model has 5 layers, 0 to 4`,
		"0,5":       `model: layers "0,5": 5 is out of range; the model has 5 layers, 0 to 4`,
		"-6":        `model: layers "-6": -6 is out of range; the model has 5 layers, 0 to 4`,
		"0,-5":      `model: layers "0,-5": layer 0 is given twice; the model has 5 layers, 0 to 4`,
		"3..1":      `model: layers "3..1": the range 3..1 is empty; the model has 5 layers, 0 to 4`,
		"0..999999": `model: layers "0..999999": 0..999999 is out of range; the model has 5 layers, 0 to 4`,
	} {
		if _, err := ParseLayers(spec, 5); err == nil || err.Error() != want {
			t.Errorf("%q: got  %v\nwant %v", spec, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	layers := []int{0, 31}
	for original, small := range map[string]string{
		"model.layers.31.mlp.up_proj.weight": "model.layers.1.mlp.up_proj.weight",
		"model.layers.0.x":                   "model.layers.0.x",
		EmbedName:                            EmbedName, NormName: NormName, HeadName: HeadName,
	} {
		if got, ok := SmallName(original, layers); got != small || !ok {
			t.Errorf("SmallName(%q) is %q, %v, want %q", original, got, ok, small)
		}
		if got, ok := OriginalName(small, layers); got != original || !ok {
			t.Errorf("OriginalName(%q) is %q, %v, want %q", small, got, ok, original)
		}
	}
	if got, ok := SmallName("model.layers.1.x", layers); ok {
		t.Errorf("a layer that was left out is called %q", got)
	}
	if got, ok := OriginalName("model.layers.2.x", layers); ok {
		t.Errorf("a layer the small model does not have is called %q", got)
	}
}

func TestFrequencies(t *testing.T) {
	// At theta 16 and head size 4 the frequencies are 1 and 1/4.
	for _, tc := range []struct {
		name string
		p    RoPE
		want []float32
	}{
		{"default", RoPE{Theta: 16, Type: "default"}, []float32{1, 0.25}},
		{"linear", RoPE{Theta: 16, Type: "linear", Factor: 4}, []float32{0.25, 0.0625}},
		// 8 pi positions: the pairs turn 4 and 1 times. Above 3 turns a frequency
		// stays; 1 turn lies half way between 0 and 2 in the second case.
		{"llama3, long wave divided", RoPE{Theta: 16, Type: "llama3", Factor: 8, LowFreq: 1, HighFreq: 3, OriginalPositions: 25}, []float32{1, 0.25 / 8}},
		{"llama3, all kept", RoPE{Theta: 16, Type: "llama3", Factor: 8, LowFreq: 0.1, HighFreq: 0.9, OriginalPositions: 25}, []float32{1, 0.25}},
	} {
		got := tc.p.frequencies(4)
		for i := range tc.want {
			if math.Abs(float64(got[i]-tc.want[i])) > 1e-6 {
				t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
				break
			}
		}
	}
	// In between both are mixed: 25 positions at frequency 1/4 are 0.9947 turns,
	// 0.49735 of the way from 0 to 2.
	p := RoPE{Theta: 16, Type: "llama3", Factor: 8, LowFreq: 1e-9, HighFreq: 2, OriginalPositions: 25}
	mix := 25 * 0.25 / (2 * math.Pi) / 2
	if got, want := float64(p.frequencies(4)[1]), 0.25*(mix+(1-mix)/8); math.Abs(got-want) > 1e-7 {
		t.Errorf("mixed: got %v, want %v", got, want)
	}
}
