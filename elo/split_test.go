package elo_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"graft/elo"
	"graft/model"
	"graft/model/safetensors"
)

// jsonFile reads a JSON object.
func jsonFile(t *testing.T, path string) (o map[string]any) {
	t.Helper()
	doc, err := os.ReadFile(path)
	must(t, err)
	must(t, json.Unmarshal(doc, &o))
	return o
}

// TestSplitWrites: what split and reassemble write is a whole model directory,
// with everything that belongs to the base beside the weights.
func TestSplitWrites(t *testing.T) {
	companions := []string{"generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
		"chat_template.jinja", "additional_chat_templates/tools.jinja", "additional_chat_templates/rag.jinja", "LICENSE"}
	others := []string{"README.md", "optimizer.pt", "trainer_state.json", ".gitattributes"}
	for _, family := range []string{"gemma2", "gemma3_text", "qwen2", "mistral"} {
		t.Run(family, func(t *testing.T) {
			dir := t.TempDir()
			base, small, whole := filepath.Join(dir, "base"), filepath.Join(dir, "small"), filepath.Join(dir, "whole")
			variant(t, filepath.Join("..", "model", "testdata", family+"-random"), base, safetensors.BF16, nil)
			must(t, os.Mkdir(filepath.Join(base, "additional_chat_templates"), 0o777))
			for _, name := range append(others, companions...) {
				must(t, os.WriteFile(filepath.Join(base, name), []byte(fmt.Sprintf(`{"file": %q}`, name)), 0o666))
			}
			ck, err := model.Open(base)
			must(t, err)
			defer ck.Close()
			layers := []int{0, 2, ck.Config.Layers - 1}
			_, err = elo.Split(t.Context(), &elo.Env{}, base, "0,2,-1", small)
			must(t, err)
			_, err = elo.Reassemble(t.Context(), &elo.Env{}, base, small, "", whole)
			must(t, err)

			for _, out := range []string{small, whole} {
				for _, name := range companions {
					got, err := os.ReadFile(filepath.Join(out, name))
					if want := fmt.Sprintf(`{"file": %q}`, name); err != nil || string(got) != want {
						t.Errorf("%s: %s: got %q (%v), want %s", filepath.Base(out), name, got, err, want)
					}
				}
				for _, name := range others {
					if _, err := os.Stat(filepath.Join(out, name)); err == nil {
						t.Errorf("%s: %s was copied", filepath.Base(out), name)
					}
				}
				f, err := safetensors.Open(filepath.Join(out, "model.safetensors"))
				must(t, err)
				if got := f.Metadata()["format"]; got != "pt" {
					t.Errorf("%s: format is %q, want pt", filepath.Base(out), got)
				}
				for _, name := range f.Names() {
					if info, _ := f.Info(name); info.DType != safetensors.BF16 {
						t.Errorf("%s: %s is %s, want BF16", filepath.Base(out), name, info.DType)
					}
					if name == model.HeadName && ck.Config.Tied {
						t.Errorf("%s: the tied head was written", filepath.Base(out))
					}
				}
				must(t, f.Close())
			}

			was, cut, again := jsonFile(t, filepath.Join(base, "config.json")), jsonFile(t, filepath.Join(small, "config.json")), jsonFile(t, filepath.Join(whole, "config.json"))
			if got := fmt.Sprint(cut["num_hidden_layers"]); got != fmt.Sprint(len(layers)) {
				t.Errorf("num_hidden_layers is %s, want %d", got, len(layers))
			}
			if fmt.Sprint(again) != fmt.Sprint(was) {
				t.Errorf("config after reassembling:\ngot  %v\nwant %v", again, was)
			}
			if types, ok := was["layer_types"].([]any); ok {
				want := []any{types[layers[0]], types[layers[1]], types[layers[2]]}
				if fmt.Sprint(cut["layer_types"]) != fmt.Sprint(want) {
					t.Errorf("layer_types is %v, want %v", cut["layer_types"], want)
				}
			} else if family != "mistral" {
				t.Errorf("%s has no layer_types: choose another model", family)
			}
			sm, err := model.Open(small)
			must(t, err)
			defer sm.Close()
			for i, l := range layers {
				if sm.Config.Kinds[i] != ck.Config.Kinds[l] {
					t.Errorf("layer %d is %+v, want %+v of layer %d", i, sm.Config.Kinds[i], ck.Config.Kinds[l], l)
				}
			}
		})
	}
}
