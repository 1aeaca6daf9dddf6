package tokenizer_test

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"testing"

	"graft/model/tokenizer"
)

type componentCase struct {
	Name        string          `json:"name"`
	Model       string          `json:"model"`
	ModelFields map[string]any  `json:"model_fields"`
	Normalizer  json.RawMessage `json:"normalizer"`
	Pre         json.RawMessage `json:"pre_tokenizer"`
	Post        json.RawMessage `json:"post_processor"`
	Decoder     json.RawMessage `json:"decoder"`
	Added       json.RawMessage `json:"added_tokens"`
	Results     []struct {
		Text           int      `json:"text"`
		IDs            []int32  `json:"ids"`
		Special        []int32  `json:"special"`
		Tokens         []string `json:"tokens"`
		Offsets        []int    `json:"offsets"`
		OffsetsSpecial []int    `json:"offsets_special"`
		Decoded        *string  `json:"decoded"`
		Skipped        *string  `json:"skipped"`
	} `json:"results"`
}

func (c *componentCase) file(t *testing.T, models map[string]map[string]any) []byte {
	model := maps.Clone(models[c.Model])
	for k, v := range c.ModelFields {
		if model[k] = v; k == "type" && v == nil {
			delete(model, k)
		}
	}
	data, err := json.Marshal(map[string]any{
		"version": "1.0", "normalizer": c.Normalizer, "pre_tokenizer": c.Pre, "post_processor": c.Post,
		"decoder": c.Decoder, "added_tokens": c.Added, "model": model,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func flatten(pairs [][2]int) []int {
	out := make([]int, 0, 2*len(pairs))
	for _, p := range pairs {
		out = append(out, p[0], p[1])
	}
	return out
}

// TestComponents compares every component and flag of the format with the
// official library, on tiny tokenizers made by testdata/components.py. Set
// COMPONENTS to check another output of that script.
func TestComponents(t *testing.T) {
	path := "testdata/components.golden.json.gz"
	if p := os.Getenv("COMPONENTS"); p != "" {
		path = p
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Models map[string]map[string]any `json:"models"`
		Texts  []string                  `json:"texts"`
		Cases  []componentCase           `json:"cases"`
	}
	if err := json.NewDecoder(z).Decode(&golden); err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := tokenizer.Parse(c.Name, c.file(t, golden.Models))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range c.Results {
				text := golden.Texts[r.Text]
				e, err := tok.Encode(text, false)
				if err != nil {
					t.Fatal(err)
				}
				check(t, text, "ids", e.IDs, r.IDs)
				check(t, text, "tokens", e.Tokens, r.Tokens)
				check(t, text, "offsets", flatten(e.Offsets), r.Offsets)
				if e, err = tok.Encode(text, true); err != nil {
					t.Fatal(err)
				}
				check(t, text, "ids with special tokens", e.IDs, r.Special)
				check(t, text, "offsets with special tokens", flatten(e.Offsets), r.OffsetsSpecial)
				for special, want := range map[bool][]int32{false: r.IDs, true: r.Special} {
					ids, err := tok.AppendIDs(nil, text, special)
					if err != nil {
						t.Fatal(err)
					}
					check(t, text, "ids of AppendIDs", ids, want)
				}
				if r.Decoded != nil {
					check(t, text, "decoded", tok.Decode(r.Special, false), *r.Decoded)
				}
				if r.Skipped != nil {
					check(t, text, "decoded without special tokens", tok.Decode(r.Special, true), *r.Skipped)
				}
			}
		})
	}
}
