package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// wrapper is a model type in which a text model stands among others. The text
// model is used as if it stood alone, and written so; the rest is left out.
type wrapper struct {
	modelType    string // of config.json
	architecture string
	text         *family
	config       string   // the field that holds the text model's config
	inherit      []string // fields that it takes from around it where it lacks them
	// stored lists how a tensor of the text model may be called.
	stored func(name string) []string
	rest   []string // beginnings of names that are left out
}

func wrappers() []*wrapper { return []*wrapper{&gemma3Vision} }

// gemma3Vision is Gemma 3 with eyes (4B and above).
var gemma3Vision = wrapper{
	modelType: "gemma3", architecture: "Gemma3ForConditionalGeneration", text: &gemma3, config: "text_config",
	inherit: []string{"bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype", "tie_word_embeddings"},
	stored: func(name string) []string {
		inner, ok := strings.CutPrefix(name, "model.")
		if !ok {
			return []string{"language_model." + name, name}
		}
		return []string{"language_model." + name, "model.language_model." + inner} // before Transformers 5, and since
	},
	rest: []string{"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."},
}

// unwrap gives the text model's config of a wrapper's, as it would stand alone.
func (w *wrapper) unwrap(o object) (object, error) {
	r := &reader{o: o}
	inner := r.object(w.config)
	if r.err == nil && inner == nil {
		r.fail(w.config, "is missing, want the text model's config")
	}
	if arch := r.texts("architectures"); r.err == nil && len(arch) > 0 && !slices.Contains(arch, w.architecture) {
		r.fail("architectures", "is %s, want %s", clip(jsonList(arch)), w.architecture)
	}
	if r.err != nil {
		return nil, r.err
	}
	text := inner.o
	if kind := inner.text("model_type", w.text.modelType); inner.err == nil && kind != w.text.modelType {
		inner.fail("model_type", "is %s, want %s", quote(kind), quote(w.text.modelType))
	}
	if inner.err != nil {
		return nil, inner.err
	}
	text = text.with("model_type", strconv.Quote(w.text.modelType))
	text = text.with("architectures", fmt.Sprintf("[%q]", w.text.architecture))
	for _, key := range w.inherit {
		if raw, ok := o.get(key); ok && !text.has(key) {
			text = text.with(key, string(raw))
		}
	}
	if raw, ok := o.get("quantization_config"); ok {
		text = text.with("quantization_config", string(raw))
	}
	return text, nil
}

func findWrapper(o object) *wrapper {
	raw, _ := o.get("model_type")
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return nil
	}
	for _, w := range wrappers() {
		if w.modelType == name {
			return w
		}
	}
	return nil
}
