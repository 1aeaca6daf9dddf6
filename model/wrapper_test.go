package model

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"graft/model/safetensors"
)

// multimodal writes the tiny Gemma 3 as part of a model with eyes, its tensors named
// by rename.
func multimodal(t *testing.T, config string, rename func(string) string, extra ...string) string {
	t.Helper()
	text, err := Open(familyDir("gemma3_text"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	original := map[string]string{}
	var specs []safetensors.Spec
	for _, w := range text.Config.Tensors(nil) {
		info, _ := text.Info(w.Name)
		s := info.Spec()
		s.Name = rename(w.Name)
		original[s.Name] = w.Name
		specs = append(specs, s)
	}
	for _, name := range extra {
		specs = append(specs, safetensors.Spec{Name: name, DType: safetensors.F32, Shape: []int{2}})
	}
	err = safetensors.WriteModel(dir, specs, safetensors.ModelOptions{}, func(s safetensors.Spec, w io.Writer) error {
		data := make([]byte, 8)
		if from, ok := original[s.Name]; ok {
			if data, err = text.Bytes(from); err != nil {
				return err
			}
		}
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func wrapped(t *testing.T, fields string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(familyDir("gemma3_text"), configName))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "vision_config": {"a": 1}, "text_config": %s%s}`, text, fields)
}

func TestWrapperUsesTheTextModel(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rename func(string) string
		extra  []string
	}{
		{"as Transformers 5 writes it", func(s string) string { return strings.Replace(s, "model.", "model.language_model.", 1) },
			[]string{"model.vision_tower.a", "model.vision_tower.b", "model.multi_modal_projector.c"}},
		{"as Transformers 4 wrote it", func(s string) string { return "language_model." + s },
			[]string{"vision_tower.a", "vision_tower.b", "multi_modal_projector.c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ck, err := Open(multimodal(t, wrapped(t, `, "eos_token_id": [1, 7]`), tc.rename, tc.extra...))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			text, err := Open(familyDir("gemma3_text"))
			if err != nil {
				t.Fatal(err)
			}
			defer text.Close()
			for _, w := range text.Config.Tensors(nil) {
				got, err := ck.Bytes(w.Name)
				want, err2 := text.Bytes(w.Name)
				if err != nil || err2 != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: differs, or %v, %v", w.Name, err, err2)
				}
			}
			if ck.LeftOut["vision_tower"] != 2 || ck.LeftOut["multi_modal_projector"] != 1 {
				t.Errorf("left out %v, want 2 and 1", ck.LeftOut)
			}
			small, err := ck.Config.Select([]int{0, 3})
			if err != nil {
				t.Fatal(err)
			}
			if doc := string(small.JSON()); strings.Contains(doc, "vision") || small.ModelType != "gemma3_text" || !strings.Contains(doc, `"Gemma3ForCausalLM"`) {
				t.Errorf("the small model's config is not that of a text model: %s", doc)
			}
		})
	}
}

func TestWrapperRefuses(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"no text", `{"model_type": "gemma3"}`, `text_config is missing, want the text model's config`},
		{"another text model", `{"model_type": "gemma3", "text_config": {"model_type": "llama"}}`, `text_config.model_type is "llama", want "gemma3_text"`},
		{"a classifier", `{"model_type": "gemma3", "architectures": ["Gemma3ForSequenceClassification"], "text_config": {}}`,
			`architectures is ["Gemma3ForSequenceClassification"], want Gemma3ForConditionalGeneration`},
		{"quantised", `{"model_type": "gemma3", "quantization_config": {"bits": 4}, "text_config": {}}`, `quantization_config is {"bits":4}: quantised weights are not supported`},
	} {
		if _, err := ParseConfig("config.json", []byte(tc.doc)); err == nil || err.Error() != "model: config.json: "+tc.want {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	dir := multimodal(t, wrapped(t, ""), func(s string) string { return "language_model." + s }, "audio_tower.a")
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), `tensor "audio_tower.a" is not part of a gemma3_text model`) {
		t.Errorf("an unknown part: got %v", err)
	}
}
