package model

import (
	"slices"
	"testing"

	"graft/kernels"
)

// A mutant is a mistake in one detail of a family.
type mutant struct {
	name string
	make func(c *Config, g *golden) bool // false where the family has no such detail
}

func mutants() []mutant {
	layers := func(edit func(k *LayerKind) bool) func(c *Config, _ *golden) bool {
		return func(c *Config, _ *golden) bool {
			some := false
			for i := range c.Kinds {
				some = edit(&c.Kinds[i]) || some
			}
			return some
		}
	}
	off := func(field func(c *Config) *bool) func(c *Config, _ *golden) bool {
		return func(c *Config, _ *golden) bool {
			had := *field(c)
			*field(c) = false
			return had
		}
	}
	number := func(field func(c *Config) *float64, to float64) func(c *Config, _ *golden) bool {
		return func(c *Config, _ *golden) bool {
			had := *field(c) != to
			*field(c) = to
			return had
		}
	}
	return []mutant{
		{"window one key wider", layers(func(k *LayerKind) bool {
			if k.Window == 0 {
				return false
			}
			k.Window++
			return true
		})},
		{"kinds of layers moved by one", func(c *Config, _ *golden) bool {
			before := slices.Clone(c.Kinds)
			c.Kinds = append(c.Kinds[1:], c.Kinds[0])
			return !slices.Equal(before, c.Kinds)
		}},
		{"rotary base", layers(func(k *LayerKind) bool { k.RoPE.Theta *= 2; return true })},
		{"rotary scaling", layers(func(k *LayerKind) bool {
			had := k.RoPE.Type
			k.RoPE = RoPE{Theta: k.RoPE.Theta, Type: "default"}
			return had != "default"
		})},
		{"norms count from zero", off(func(c *Config) *bool { return &c.NormPlusOne })},
		{"norms count from one", func(c *Config, _ *golden) bool {
			had := c.NormPlusOne
			c.NormPlusOne = true
			return !had
		}},
		{"queries and keys not normed", off(func(c *Config) *bool { return &c.QKNorm })},
		{"no biases of queries, keys and values", off(func(c *Config) *bool { return &c.QKVBias })},
		{"no bias of attention's output", off(func(c *Config) *bool { return &c.OutBias })},
		{"no biases of the feed-forward part", off(func(c *Config) *bool { return &c.MLPBias })},
		{"activation", func(c *Config, _ *golden) bool {
			if c.Act == kernels.SiLU {
				c.Act = kernels.GELUTanh
			} else {
				c.Act = kernels.SiLU
			}
			return true
		}},
		{"embedding not scaled", number(func(c *Config) *float64 { return &c.EmbedScale }, 1)},
		{"scores not capped", number(func(c *Config) *float64 { return &c.ScoreCap }, 0)},
		{"logits not capped", number(func(c *Config) *float64 { return &c.LogitCap }, 0)},
		{"scale of scores", func(c *Config, _ *golden) bool { c.ScoreScale *= 1.2; return true }},
		{"documents see each other", func(_ *Config, g *golden) bool {
			for _, row := range g.Batch.First {
				for i := range row {
					row[i] = 0
				}
			}
			for _, row := range g.Batch.End {
				for i := range row {
					row[i] = int32(len(row))
				}
			}
			return true
		}},
	}
}

// TestFamiliesBF16Mutants shows that the bounds in BF16 are narrow enough to notice
// every detail of every family, though a mutant has bounds of its own.
func TestFamiliesBF16Mutants(t *testing.T) {
	for _, name := range Families() {
		for _, m := range mutants() {
			ck, err := Open(familyDir(name))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			g, wrt := readGolden(t, familyDir(name)), ck.Config.Tensors(nil)
			want := exactResults(t, ck, familyDir(name), g, wrt)
			if !m.make(ck.Config, &g) {
				continue
			}
			wrt = ck.Config.Tensors(nil) // without those the mutant does not have
			t.Run(name+"/"+m.name, func(t *testing.T) {
				bounds := bf16Bounds(t, ck, g, wrt, 2)
				got := gradients(t, "cpu", ck, g, g.Full, Options{Act: kernels.BF16}, wrt)
				over, most := 0, 0.0
				for name, b := range bounds {
					ratio := distance(got.Float32s(name), want.Float32s(name)) / b
					most = max(most, ratio)
					if ratio > 1 {
						over++
					}
				}
				if over == 0 {
					t.Errorf("no result is beyond its bound, the worst is at %.2g of it", most)
				}
				t.Logf("%d of %d results beyond their bounds, the worst %.2g times", over, len(bounds), most)
			})
		}
	}
}
