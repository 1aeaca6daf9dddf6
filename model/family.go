package model

import (
	"encoding/json"
	"fmt"
	"strings"

	"graft/tensor"
)

// family is a row of the registry: what config.json calls it and the three
// things in which families differ.
type family struct {
	modelType    string // of config.json
	architecture string // of config.json, with a language-model head
	read         func(c *Config, r *reader)
	tensors      func(c *Config, layer int) []Tensor // of one layer, in canonical order
	block        func(b *builder, layer int, x *tensor.Tensor) *tensor.Tensor
	heads, vocab int // defaults where configs may leave them out, else 0
}

// families is the registry. A new family is a file and a line here.
func families() []*family { return []*family{&llama, &mistral, &qwen2, &qwen3, &gemma2, &gemma3} }

// Families lists the model types that can be read.
func Families() []string {
	var names []string
	for _, f := range families() {
		names = append(names, f.modelType)
	}
	return names
}

// readable is Families and the wrappers whose text model can be read, for messages.
func readable() string {
	names := Families()
	for _, w := range wrappers() {
		names = append(names, w.modelType)
	}
	return strings.Join(names, ", ")
}

func findFamily(modelType string) (*family, error) {
	for _, f := range families() {
		if f.modelType == modelType {
			return f, nil
		}
	}
	if modelType == "" {
		return nil, fmt.Errorf("model_type is missing (have %s)", readable())
	}
	return nil, fmt.Errorf("model_type %s is not supported (have %s)", quote(modelType), readable())
}

func jsonList(s []string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // cannot happen for texts
	}
	return b
}

func rawList(raw json.RawMessage) ([]json.RawMessage, error) {
	var list []json.RawMessage
	err := json.Unmarshal(raw, &list)
	return list, err
}
