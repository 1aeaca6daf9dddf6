package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"graft/model/gguf"
)

// ggufArch is an architecture of GGUF that this package can read: what the
// converter of llama.cpp, which wrote the file, made of a family.
type ggufArch struct {
	name    string            // general.architecture
	turned  bool              // rows of q and k are in another order
	plusOne bool              // norms are stored as w + 1
	layer   map[string]string // names of a layer's tensors that are its own
	config  func(m *metadata)
}

func ggufArchs() []*ggufArch {
	gemma := map[string]string{
		"post_attention_norm": "post_attention_layernorm",
		"ffn_norm":            "pre_feedforward_layernorm",
		"post_ffw_norm":       "post_feedforward_layernorm",
	}
	qwen := func(f *family) func(m *metadata) {
		return func(m *metadata) {
			m.refuse("attention.sliding_window", "windows of this architecture are not supported")
			m.begin(f)
		}
	}
	return []*ggufArch{
		{name: "llama", turned: true, config: llamaFromGGUF},
		{name: "qwen2", config: qwen(&qwen2)},
		{name: "qwen3", config: qwen(&qwen3)},
		{name: "gemma2", plusOne: true, layer: gemma, config: gemma2FromGGUF},
		{name: "gemma3", plusOne: true, layer: gemma, config: gemma3FromGGUF},
	}
}

// ggufLayer names a layer's tensors as most architectures have them.
func ggufLayer() map[string]string {
	return map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
}

// ropeFactorsName holds what Llama 3's rotary frequencies are divided by, F32
// (D/2).
const ropeFactorsName = "rope_freqs.weight"

// checkpointName is the name that the checkpoint has for a tensor of the file.
func (a *ggufArch) checkpointName(name string) (string, bool) {
	switch name {
	case "token_embd.weight":
		return EmbedName, true
	case "output_norm.weight":
		return NormName, true
	case "output.weight":
		return HeadName, true
	}
	rest, ok := strings.CutPrefix(name, "blk.")
	number, rest, ok2 := strings.Cut(rest, ".")
	what, kind, ok3 := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	if !ok || !ok2 || !ok3 || err != nil || layer < 0 || strconv.Itoa(layer) != number || kind != "weight" && kind != "bias" {
		return "", false
	}
	known, ok := a.layer[what]
	if !ok {
		known, ok = ggufLayer()[what]
	}
	return layerPrefix(layer) + known + "." + kind, ok
}

// metadata turns a GGUF file's metadata into a config.json. The first error is
// kept.
type metadata struct {
	f    *gguf.File
	arch string
	o    object
	err  error
}

// configOfGGUF is the config.json of the checkpoint that a file was made from.
func configOfGGUF(f *gguf.File) (*Config, *ggufArch, error) {
	m := &metadata{f: f}
	if n, _ := m.value("split.count").Int(); n > 1 {
		return nil, nil, fmt.Errorf("split.count: expected a model in one file, found one in %d: merge them with llama-gguf-split --merge", n)
	}
	var names []string
	archs := ggufArchs()
	for _, a := range archs {
		names = append(names, a.name)
	}
	arch, ok := m.value("general.architecture").Text()
	i := slices.Index(names, arch)
	if i < 0 {
		found := "nothing"
		if ok {
			found = quote(arch)
		}
		return nil, nil, fmt.Errorf("general.architecture: expected one of %s, found %s", strings.Join(names, ", "), found)
	}
	m.arch = arch + "."
	archs[i].config(m)
	if m.err != nil {
		return nil, nil, m.err
	}
	c, err := parseConfig(m.o.encode())
	if err != nil {
		return nil, nil, fmt.Errorf("its metadata as %s: %w", configName, err)
	}
	return c, archs[i], nil
}

// value is that of a key, or one of no kind.
func (m *metadata) value(key string) gguf.Value {
	v, ok := m.f.Value(key)
	if !ok {
		return gguf.Value{Kind: absent}
	}
	return v
}

// absent is no kind of the format.
const absent gguf.Kind = math.MaxUint32

func (m *metadata) fail(key, want string) {
	if m.err != nil {
		return
	}
	found := "nothing"
	if v := m.value(key); v.Kind != absent {
		found = v.String()
	}
	m.err = fmt.Errorf("%s: expected %s, found %s", key, want, found)
}

func (m *metadata) has(key string) bool { return m.value(m.arch+key).Kind != absent }

// set gives the config a field, as JSON.
func (m *metadata) set(field, value string) { m.o = m.o.with(field, value) }

// integer returns a whole number of the architecture's keys; def below 0 makes
// it required.
func (m *metadata) integer(key string, def int64) int64 {
	if def >= 0 && !m.has(key) {
		return def
	}
	n, ok := m.value(m.arch + key).Int()
	if !ok || n < 0 || n > math.MaxInt32 {
		m.fail(m.arch+key, "a whole number")
		return 1
	}
	return n
}

// number returns a number of the architecture's keys as JSON; "" for def makes
// it required.
func (m *metadata) number(key, def string) string {
	if def != "" && !m.has(key) {
		return def
	}
	s, ok := m.value(m.arch + key).Number()
	if !ok {
		m.fail(m.arch+key, "a number")
	}
	return s
}

func (m *metadata) setInteger(field, key string) int64 {
	n := m.integer(key, -1)
	m.set(field, strconv.FormatInt(n, 10))
	return n
}

// refuse is for keys that change what the model computes.
func (m *metadata) refuse(key, why string) {
	if n, ok := m.value(m.arch + key).Int(); m.has(key) && (!ok || n != 0) {
		m.fail(m.arch+key, "none: "+why)
	}
}

// begin writes the fields that all families have.
func (m *metadata) begin(f *family) {
	m.refuse("expert_count", "mixtures of experts are not supported")
	for _, key := range []string{"logit_scale", "embedding_scale", "residual_scale", "attention.scale", "attention.clamp_kqv", "attention.max_alibi_bias"} {
		m.refuse(key, "it is not supported")
	}
	m.set("architectures", fmt.Sprintf("[%q]", f.architecture))
	m.set("model_type", strconv.Quote(f.modelType))
	width := m.setInteger("hidden_size", "embedding_length")
	m.setInteger("intermediate_size", "feed_forward_length")
	m.setInteger("num_hidden_layers", "block_count")
	heads := m.setInteger("num_attention_heads", "attention.head_count")
	m.set("num_key_value_heads", strconv.FormatInt(m.integer("attention.head_count_kv", heads), 10))
	m.headDim(width, heads)
	m.setInteger("max_position_embeddings", "context_length")
	m.set("rms_norm_eps", m.number("attention.layer_norm_rms_epsilon", ""))
	m.rope()
	m.vocabulary()
	_, untied := m.f.Info("output.weight")
	m.set("tie_word_embeddings", strconv.FormatBool(!untied))
	m.set("torch_dtype", `"float32"`)
}

func (m *metadata) headDim(width, heads int64) {
	d := m.integer("attention.key_length", width/max(1, heads))
	if v := m.integer("attention.value_length", d); v != d {
		m.fail(m.arch+"attention.value_length", fmt.Sprintf("the %d of keys", d))
	}
	if r := m.integer("rope.dimension_count", d); r != d {
		m.fail(m.arch+"rope.dimension_count", fmt.Sprintf("all %d of a head", d))
	}
	m.set("head_dim", strconv.FormatInt(d, 10))
}

// vocabulary sets what the embedding and the tokenizer's keys say.
func (m *metadata) vocabulary() {
	info, ok := m.f.Info("token_embd.weight")
	if !ok || len(info.Shape) != 2 {
		if m.err == nil {
			m.err = fmt.Errorf("tensor %q: expected a matrix, found shape %v", "token_embd.weight", info.Shape)
		}
		return
	}
	m.set("vocab_size", strconv.Itoa(info.Shape[0]))
	id := func(key string) (string, bool) {
		n, ok := m.value("tokenizer.ggml." + key).Int()
		return strconv.FormatInt(n, 10), ok && n >= 0 && n < int64(info.Shape[0])
	}
	if bos, ok := id("bos_token_id"); ok {
		m.set("bos_token_id", bos)
	}
	eos, ok := id("eos_token_id")
	eot, ok2 := id("eot_token_id")
	switch {
	case ok && ok2 && eot != eos:
		m.set("eos_token_id", "["+eos+","+eot+"]")
	case ok:
		m.set("eos_token_id", eos)
	}
	if pad, ok := id("padding_token_id"); ok {
		m.set("pad_token_id", pad)
	}
}

// rope sets rope_theta and rope_scaling.
func (m *metadata) rope() {
	theta := m.number("rope.freq_base", "10000.0")
	m.set("rope_theta", theta)
	kind := "none"
	if m.has("rope.scaling.type") {
		kind, _ = m.value(m.arch + "rope.scaling.type").Text()
	}
	factor := func() string { return m.number("rope.scaling.factor", m.number("rope.scale_linear", "1.0")) }
	_, factors := m.f.Info(ropeFactorsName)
	switch {
	case factors && kind == "none":
		m.llama3(theta)
	case factors:
		m.fail(m.arch+"rope.scaling.type", "none beside "+ropeFactorsName)
	case kind == "none":
	case kind == "linear":
		m.set("rope_scaling", fmt.Sprintf(`{"rope_type": "linear", "factor": %s}`, factor()))
	case kind == "yarn":
		if m.number("rope.scaling.attn_factor", "1.0") != "1.0" || m.number("rope.scaling.yarn_log_multiplier", "0.0") != "0.0" {
			m.fail(m.arch+"rope.scaling.attn_factor", "none, nor yarn_log_multiplier: they are not supported")
		}
		m.set("rope_scaling", fmt.Sprintf(`{"rope_type": "yarn", "factor": %s, "original_max_position_embeddings": %d, "beta_fast": %s, "beta_slow": %s}`,
			factor(), m.integer("rope.scaling.original_context_length", -1),
			m.number("rope.scaling.yarn_beta_fast", "32.0"), m.number("rope.scaling.yarn_beta_slow", "1.0")))
	default:
		m.fail(m.arch+"rope.scaling.type", "none, linear or yarn")
	}
}

var errFactors = errors.New("tensor " + strconv.Quote(ropeFactorsName) + ": expected the factors of Llama 3's rotary scaling, found others")

// llama3 finds the parameters of Llama 3's rotary scaling in the factors that a
// file has instead. Every published model has the same but for the factor, which
// is the last one's; that they give the others too is checked.
func (m *metadata) llama3(theta string) {
	if m.err != nil {
		return
	}
	info, _ := m.f.Info(ropeFactorsName)
	d := m.integer("attention.key_length", m.integer("embedding_length", -1)/max(1, m.integer("attention.head_count", -1)))
	n := info.Elements()
	base, err := strconv.ParseFloat(theta, 64)
	if m.err != nil || err != nil || n == 0 || n != d/2 || n > maxHeadDim {
		m.err = errors.Join(m.err, errFactors)
		return
	}
	got := make([]float32, n)
	if m.err = m.f.ReadF32(got, ropeFactorsName, 0); m.err != nil {
		return
	}
	p := RoPE{Type: "llama3", Theta: base, Factor: float64(got[n-1]), LowFreq: 1, HighFreq: 4, OriginalPositions: 8192}
	for i, f := range got {
		plain := math.Pow(base, -2*float64(i)/float64(d))
		// The factors were computed and stored in float32, over some ten operations.
		if want := plain / p.llama3(plain); !(math.Abs(float64(f)-want) <= 1e-5*want) {
			m.err = errFactors
			return
		}
	}
	m.set("rope_scaling", fmt.Sprintf(`{"rope_type": "llama3", "factor": %s, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}`,
		jsonFloat(p.Factor)))
}

func jsonFloat(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 32)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// llamaFromGGUF is Llama, or Mistral where there is a window.
func llamaFromGGUF(m *metadata) {
	if m.has("attention.sliding_window") {
		m.begin(&mistral)
		m.setInteger("sliding_window", "attention.sliding_window")
		return
	}
	m.begin(&llama)
	_, attention := m.f.Info("blk.0.attn_q.bias")
	_, mlp := m.f.Info("blk.0.ffn_up.bias")
	m.set("attention_bias", strconv.FormatBool(attention))
	m.set("mlp_bias", strconv.FormatBool(mlp))
}

// The largest models of both generations of Gemma scale scores by the width of
// a head as it would be without head_dim; llama.cpp tells them by their layers.
const gemma2Large, gemma3Large = 46, 62

func (m *metadata) gemma(f *family, large int64) {
	m.begin(f)
	m.set("hidden_activation", `"gelu_pytorch_tanh"`)
	heads := m.integer("attention.head_count", -1)
	each := m.integer("embedding_length", -1) / max(1, heads)
	if m.integer("block_count", -1) != large {
		each = m.integer("attention.key_length", each)
	}
	m.set("query_pre_attn_scalar", strconv.FormatInt(each, 10))
	m.setInteger("sliding_window", "attention.sliding_window")
}

func gemma2FromGGUF(m *metadata) {
	m.gemma(&gemma2, gemma2Large)
	// What llama.cpp takes where an early file does not say.
	m.set("attn_logit_softcapping", m.number("attn_logit_softcapping", "50.0"))
	m.set("final_logit_softcapping", m.number("final_logit_softcapping", "30.0"))
}

func gemma3FromGGUF(m *metadata) {
	m.gemma(&gemma3, gemma3Large)
	m.set("rope_theta", m.number("rope.freq_base", "1000000.0"))
	m.set("rope_local_base_freq", m.number("rope.freq_base_swa", "10000.0"))
	m.refuse("attention.sliding_window_pattern", "one layer in six sees everything")
	m.set("final_logit_softcapping", m.number("final_logit_softcapping", "null"))
}
