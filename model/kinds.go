package model

import (
	"strconv"
	"strings"
)

// The field that names the attention of each layer, and what it may say.
const (
	layerTypesKey    = "layer_types"
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// alike gives all layers one kind.
func (c *Config) alike(k LayerKind) {
	c.readAs(func(int) LayerKind { return k })
}

func (c *Config) readAs(kind func(layer int) LayerKind) {
	c.Kinds = make([]LayerKind, c.Layers)
	for i := range c.Kinds {
		c.Kinds[i] = kind(i)
	}
}

// readKinds reads layer_types; where it is absent, slides says which layers have
// the sliding kind.
func (c *Config) readKinds(r *reader, full, sliding LayerKind, slides func(layer int) bool) {
	types := r.texts(layerTypesKey)
	if types != nil && len(types) != c.Layers {
		r.fail(layerTypesKey, "has %d entries, want one for each of %d layers", len(types), c.Layers)
		return
	}
	c.readAs(func(layer int) LayerKind {
		slide := slides(layer)
		if types != nil {
			slide = types[layer] == slidingAttention
			if !slide && types[layer] != fullAttention {
				r.fail(layerTypesKey, "has %s for layer %d, want %s or %s", quote(types[layer]), layer, fullAttention, slidingAttention)
			}
		}
		if !slide {
			return full
		}
		if sliding.Window == 0 {
			r.fail(layerTypesKey, "has %s for layer %d, but there is no sliding_window", slidingAttention, layer)
		}
		return sliding
	})
}

// layerTypes is the field for some of the layers.
func (c *Config) layerTypes(layers []int) string {
	list := make([]string, len(layers))
	for i, k := range c.kinds(layers) {
		list[i] = strconv.Quote(fullAttention)
		if k.Window > 0 {
			list[i] = strconv.Quote(slidingAttention)
		}
	}
	return "[" + strings.Join(list, ",") + "]"
}

// readWindow reads sliding_window. Absent means Transformers' default; only null
// means none.
func readWindow(r *reader, def int) int {
	if _, ok := r.o.get("sliding_window"); !ok && r.o.has("sliding_window") {
		return 0
	}
	return r.integer("sliding_window", def, 1, maxPositions)
}
