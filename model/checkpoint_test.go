package model

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"graft/internal/f16"
	"graft/kernels"
	"graft/model/safetensors"
	"graft/tensor"
)

// tiny is a config of two layers, tied if asked for.
func tiny(tied bool) string {
	return fmt.Sprintf(`{"model_type": "llama", "hidden_size": 4, "intermediate_size": 6, "num_hidden_layers": 2,
		"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 5, "eos_token_id": 2, "tie_word_embeddings": %v}`, tied)
}

// content of a tensor: made from its name, exact in every type.
func content(name string, n int) []float32 {
	h := uint32(2166136261)
	for _, c := range name {
		h = (h ^ uint32(c)) * 16777619
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(int32(h+uint32(i)*37)%64) / 16
	}
	return out
}

// writeTiny writes a model directory in the way of other tools. edit changes
// its tensors.
func writeTiny(t *testing.T, tied bool, dt safetensors.DType, edit func(specs []safetensors.Spec) []safetensors.Spec) string {
	t.Helper()
	dir := t.TempDir()
	c, err := ParseConfig("tiny", []byte(tiny(tied)))
	if err != nil {
		t.Fatal(err)
	}
	var specs []safetensors.Spec
	for _, w := range c.Tensors(nil) {
		specs = append(specs, safetensors.Spec{Name: w.Name, DType: dt, Shape: w.Shape})
	}
	if edit != nil {
		specs = edit(specs)
	}
	writeFile(t, filepath.Join(dir, "config.json"), tiny(tied))
	err = safetensors.WriteModel(dir, specs, safetensors.ModelOptions{}, func(s safetensors.Spec, w io.Writer) error {
		n := Tensor{Shape: s.Shape}.Len()
		if s.DType == safetensors.I32 {
			_, err := w.Write(make([]byte, 4*n))
			return err
		}
		name := s.Name
		if name == HeadName && tied && len(s.Shape) == 2 {
			name = EmbedName // a head that is stored though tied
		}
		return safetensors.WriteF32(w, s.DType, content(name, n))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// change returns an edit of the named tensor; nil drops it.
func change(name string, f func(s *safetensors.Spec)) func([]safetensors.Spec) []safetensors.Spec {
	return func(specs []safetensors.Spec) []safetensors.Spec {
		i := slices.IndexFunc(specs, func(s safetensors.Spec) bool { return s.Name == name })
		if f == nil {
			return slices.Delete(specs, i, i+1)
		}
		f(&specs[i])
		return specs
	}
}

func add(s safetensors.Spec) func([]safetensors.Spec) []safetensors.Spec {
	return func(specs []safetensors.Spec) []safetensors.Spec { return append(specs, s) }
}

func TestOpenRefuses(t *testing.T) {
	up := "model.layers.1.mlp.up_proj.weight"
	head := safetensors.Spec{Name: HeadName, DType: safetensors.F32, Shape: []int{5, 4}}
	for _, tc := range []struct {
		name string
		tied bool
		edit func([]safetensors.Spec) []safetensors.Spec
		want string // after "model: DIR", "" is no error
	}{
		{"as it should be", false, nil, ""},
		{"missing", false, change(up, nil), `: tensor "model.layers.1.mlp.up_proj.weight" is missing; config.json wants it with shape [6 4]`},
		{"missing head", false, change(HeadName, nil), `: tensor "lm_head.weight" is missing; config.json wants it with shape [5 4]`},
		{"transposed", false, change(up, func(s *safetensors.Spec) { s.Shape = []int{4, 6} }),
			`/model.safetensors: tensor "model.layers.1.mlp.up_proj.weight" has shape [4 6]; config.json wants [6 4]`},
		{"another vocabulary", true, change(EmbedName, func(s *safetensors.Spec) { s.Shape[0] = 6 }),
			`/model.safetensors: tensor "model.embed_tokens.weight" has shape [6 4]; config.json wants [5 4]`},
		{"integers", false, change(up, func(s *safetensors.Spec) { s.DType = safetensors.I32 }),
			`/model.safetensors: tensor "model.layers.1.mlp.up_proj.weight" is I32, want F32, BF16, F16 or F64`},
		{"a layer too many", false, add(safetensors.Spec{Name: "model.layers.2.mlp.up_proj.weight", DType: safetensors.F32, Shape: []int{6, 4}}),
			`/model.safetensors: tensor "model.layers.2.mlp.up_proj.weight" is not part of a llama model with 2 layers as config.json describes it`},
		{"a bias that the config lacks", false, add(safetensors.Spec{Name: "model.layers.0.self_attn.q_proj.bias", DType: safetensors.F32, Shape: []int{4}}),
			`/model.safetensors: tensor "model.layers.0.self_attn.q_proj.bias" is not part of a llama model with 2 layers as config.json describes it`},
		{"stored frequencies", false, add(safetensors.Spec{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", DType: safetensors.F32, Shape: []int{1}}), ""},
		{"tied head stored too", true, add(head), ""},
		{"tied head of another type", true, add(safetensors.Spec{Name: HeadName, DType: safetensors.BF16, Shape: []int{5, 4}}),
			`/model.safetensors: tensor "lm_head.weight" differs from model.embed_tokens.weight, but config.json has tie_word_embeddings true`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := writeTiny(t, tc.tied, safetensors.F32, tc.edit)
			ck, err := Open(dir)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := ck.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if want := "model: " + dir + tc.want; err == nil || filepath.ToSlash(err.Error()) != filepath.ToSlash(want) {
				t.Errorf("got  %v\nwant %v", err, want)
			}
		})
	}
}

func TestOpenReportsFiles(t *testing.T) {
	dir := writeTiny(t, true, safetensors.F32, nil)
	for _, tc := range []struct{ name, file, text, want string }{
		{"generation config names the ends", "generation_config.json", `{"eos_token_id": [3, 4]}`, ""},
		{"generation config is broken", "generation_config.json", `{`, "generation_config.json: is cut off"},
		{"end token out of range", "generation_config.json", `{"eos_token_id": 5}`, "generation_config.json: eos_token_id has 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			writeFile(t, filepath.Join(dir, tc.file), tc.text)
			ck, err := Open(dir)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if !slices.Equal(ck.EOS, []int{3, 4}) || !slices.Equal(ck.Config.EOS, []int{2}) {
				t.Errorf("got %v and %v, want [3 4] and [2]", ck.EOS, ck.Config.EOS)
			}
		})
	}
	if _, err := Open(filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "config.json: no such file") {
		t.Errorf("got %v, want the missing config", err)
	}
	os.Truncate(filepath.Join(dir, "model.safetensors"), 100)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("got %v, want a truncated file", err)
	}
}

// store has one slot "w" of the given type.
func store(t *testing.T, dt kernels.DType, n int) *tensor.Store {
	t.Helper()
	be, err := kernels.Open("ref")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	g := tensor.New("w")
	w := g.Param("w", dt, n)
	g.Output("sum", g.Sum(w))
	p, err := g.Compile()
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewStore(be)
	t.Cleanup(func() { s.Close() })
	if err := s.Declare(p); err != nil {
		t.Fatal(err)
	}
	if err := s.Alloc(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoadConverts(t *testing.T) {
	for _, from := range []safetensors.DType{safetensors.F32, safetensors.BF16, safetensors.F16, safetensors.F64} {
		for _, to := range []kernels.DType{kernels.F32, kernels.BF16, kernels.F16} {
			t.Run(fmt.Sprintf("%s to %v", from, to), func(t *testing.T) {
				ck, err := Open(writeTiny(t, false, from, nil))
				if err != nil {
					t.Fatal(err)
				}
				defer ck.Close()
				const offset = 3
				s := store(t, to, offset+20+1)
				if err := ck.load(s, EmbedName, "w", offset, 7); err != nil {
					t.Fatal(err)
				}
				data := make([]byte, 24*to.Size())
				if err := s.Read("w", 0, data); err != nil {
					t.Fatal(err)
				}
				want := append(append(make([]float32, offset), content(EmbedName, 20)...), 0)
				if got := tensor.Decode(to, data); !slices.Equal(got.([]float32), want) {
					t.Errorf("got %v, want %v", got, want)
				}
				if err := ck.Load(s, EmbedName, "w", offset+2); err == nil {
					t.Error("a tensor was loaded beyond the end of its slot")
				}
				var back strings.Builder
				if err := writeSlot(&back, from, s, "w", offset, 20, 7); err != nil {
					t.Fatal(err)
				}
				stored, err := ck.Bytes(EmbedName)
				if err != nil {
					t.Fatal(err)
				}
				if back.String() != string(stored) {
					t.Errorf("written back as %x, want %x", back.String(), stored)
				}
			})
		}
	}
}

func TestConvertRounds(t *testing.T) {
	for _, tc := range []struct {
		name     string
		x        float64
		from, to safetensors.DType
		want     float64 // NaN: refused
	}{
		{"to bf16, half way to even", 1 + 1.0/256, safetensors.F32, safetensors.BF16, 1},
		{"to bf16, half way up to even", 1 + 3.0/256, safetensors.F32, safetensors.BF16, 1 + 2.0/128},
		{"to f16, above half way", 1 + 1.1/2048, safetensors.F32, safetensors.F16, 1 + 1.0/1024},
		{"beyond f16", 65520, safetensors.F32, safetensors.F16, math.NaN()},
		{"bf16 beyond f16", 1 << 100, safetensors.BF16, safetensors.F16, math.NaN()},
		{"beyond f32", 1e300, safetensors.F64, safetensors.F32, math.NaN()},
		{"infinity stays", math.Inf(1), safetensors.F32, safetensors.F16, math.Inf(1)},
		{"f64 keeps", 1.0 / 3, safetensors.F64, safetensors.F64, 1.0 / 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, dst := make([]byte, tc.from.Size()), make([]byte, tc.to.Size())
			encode(src, tc.from, tc.x)
			err := convert(dst, tc.to, src, tc.from)
			if math.IsNaN(tc.want) {
				if err == nil {
					t.Errorf("got %v, want an error", decode(dst, tc.to))
				}
				return
			}
			if got := decode(dst, tc.to); err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	if got := decode(binary.LittleEndian.AppendUint16(nil, f16.ToF16(1.5)), safetensors.F16); got != 1.5 {
		t.Errorf("got %v, want 1.5", got)
	}
}
