package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of the tensors outside the layers.
const (
	EmbedName = "model.embed_tokens.weight" // (V, C)
	NormName  = "model.norm.weight"         // (C)
	HeadName  = "lm_head.weight"            // (V, C), absent when tied
)

// Tensor is a weight of a model, by its Hugging Face name.
type Tensor struct {
	Name  string
	Shape []int
	Layer int // the layer it belongs to, -1 outside of all
}

// Len is the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Matrix tells matrices from vectors: by convention weight decay applies to
// matrices only, not to norms and biases.
func (t Tensor) Matrix() bool { return len(t.Shape) > 1 }

// Tensors lists the weights of a model that runs the given layers (nil is all),
// in canonical order: embedding, layers, final norm, head. Layers keep the
// numbers they have in this model. A tied head is not listed.
func (c *Config) Tensors(layers []int) []Tensor {
	ts := []Tensor{{Name: EmbedName, Shape: []int{c.Vocab, c.Width}, Layer: -1}}
	if layers == nil {
		layers = c.AllLayers()
	}
	for _, l := range layers {
		ts = append(ts, c.family.tensors(c, l)...)
	}
	ts = append(ts, Tensor{Name: NormName, Shape: []int{c.Width}, Layer: -1})
	if !c.Tied {
		ts = append(ts, Tensor{Name: HeadName, Shape: []int{c.Vocab, c.Width}, Layer: -1})
	}
	return ts
}

// AllLayers is 0, 1, ... Layers-1.
func (c *Config) AllLayers() []int {
	layers := make([]int, c.Layers)
	for i := range layers {
		layers[i] = i
	}
	return layers
}

// Params counts the parameters of the given layers (nil is all) with embedding,
// norm and head.
func (c *Config) Params(layers []int) int64 {
	var n int64
	for _, t := range c.Tensors(layers) {
		n += int64(t.Len())
	}
	return n
}

// SmallName is the name in a model made of the given layers of what this name
// is in the original; ok is false for layers that are not among them.
func SmallName(original string, layers []int) (small string, ok bool) {
	l, rest, ok := cutLayer(original)
	if !ok {
		return original, true
	}
	i := slices.Index(layers, l)
	if i < 0 {
		return "", false
	}
	return layerPrefix(i) + rest, true
}

// OriginalName is the inverse of SmallName.
func OriginalName(small string, layers []int) (original string, ok bool) {
	i, rest, ok := cutLayer(small)
	if !ok {
		return small, true
	}
	if i >= len(layers) {
		return "", false
	}
	return layerPrefix(layers[i]) + rest, true
}

// cutLayer splits model.layers.L.rest.
func cutLayer(name string) (layer int, rest string, ok bool) {
	tail, ok := strings.CutPrefix(name, "model.layers.")
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(tail, ".")
	if !ok {
		return 0, "", false
	}
	layer, err := strconv.Atoi(number)
	if err != nil || layer < 0 || strconv.Itoa(layer) != number {
		return 0, "", false
	}
	return layer, rest, true
}

// ParseLayers reads a choice among n layers, ascending: numbers from 0, or from
// -1 downwards counted from the end, first, last, and ranges a..b with both
// ends, separated by commas: "first,last", "0,-1", "0,2..4".
func ParseLayers(spec string, n int) ([]int, error) {
	fail := func(format string, args ...any) ([]int, error) {
		return nil, fmt.Errorf("model: layers %s: %s; the model has %d layers, 0 to %d", quote(spec), fmt.Sprintf(format, args...), n, n-1)
	}
	var layers []int
	for item := range strings.SplitSeq(spec, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(item), "..")
		if !isRange {
			hi = lo
		}
		a, ok := parseLayer(lo, n)
		b, ok2 := parseLayer(hi, n)
		if !ok || !ok2 {
			return fail("%s is not a layer number, first, last or a range a..b", quote(strings.TrimSpace(item)))
		}
		if a < 0 || a >= n || b < 0 || b >= n {
			return fail("%s is out of range", strings.TrimSpace(item))
		}
		if b < a {
			return fail("the range %s is empty", strings.TrimSpace(item))
		}
		for l := a; l <= b; l++ {
			if slices.Contains(layers, l) {
				return fail("layer %d is given twice", l)
			}
			layers = append(layers, l)
		}
	}
	slices.Sort(layers)
	return layers, nil
}

// parseLayer reads one number; the result may be out of range.
func parseLayer(s string, n int) (int, bool) {
	switch s = strings.TrimSpace(s); s {
	case "first":
		return 0, true
	case "last":
		return n - 1, true
	}
	l, err := strconv.Atoi(s)
	if err != nil {
		return 0, false
	}
	if l < 0 {
		l += n
	}
	return l, true
}
