package elo_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"graft/elo"
	"graft/model"
	"graft/model/safetensors"
)

// variant writes a model of its own: src's tensors in another type, each element
// changed.
func variant(t *testing.T, src, dst string, dt safetensors.DType, change func(name string, i int, x float64) float64) {
	t.Helper()
	ck, err := model.Open(src)
	must(t, err)
	defer ck.Close()
	must(t, model.Write(dst, model.WriteOptions{Config: ck.Config, Source: ck.Dir, DType: func(string) safetensors.DType { return dt }},
		func(s safetensors.Spec, w io.Writer) error {
			x := make([]float64, model.Tensor{Shape: s.Shape}.Len())
			if err := ck.ReadF64(x, s.Name, 0); err != nil {
				return err
			}
			if change != nil {
				for i := range x {
					x[i] = change(s.Name, i, x[i])
				}
			}
			return model.WriteF64(w, s.DType, x, 0)
		}))
}

// shake adds to each element something of its own, exact in no type.
func shake(seed, scale float64) func(string, int, float64) float64 {
	return func(name string, i int, x float64) float64 {
		return x + scale*math.Sin(seed+float64(i)+float64(len(name)))
	}
}

// numbers reads all tensors of a model.
func numbers(t *testing.T, dir string) map[string][]float64 {
	t.Helper()
	ck, err := model.Open(dir)
	must(t, err)
	defer ck.Close()
	out := map[string][]float64{}
	for _, w := range ck.Config.Tensors(nil) {
		out[w.Name] = make([]float64, w.Len())
		must(t, ck.ReadF64(out[w.Name], w.Name, 0))
	}
	return out
}

func families(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"tied":   filepath.Join("..", "model", "testdata", "llama-random"),
		"untied": filepath.Join("..", "testdata", "models", "tinyllama-random"),
	}
}

var floats = []safetensors.DType{safetensors.BF16, safetensors.F16, safetensors.F32, safetensors.F64}

func chatVector(t *testing.T, o elo.ChatVectorOptions) error {
	t.Helper()
	return elo.ChatVector(t.Context(), &elo.Env{}, o)
}

// TestChatVectorOfNothing: without a difference the aligned model keeps its
// bits, whatever the types.
func TestChatVectorOfNothing(t *testing.T) {
	for name, src := range families(t) {
		for _, dt := range floats {
			dir := t.TempDir()
			a, b, out := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "out")
			variant(t, src, a, dt, func(name string, i int, x float64) float64 {
				if i == 3 {
					return math.Copysign(0, -1)
				}
				return shake(1, 0.1)(name, i, x)
			})
			variant(t, src, b, safetensors.F16, shake(2, 0.1))
			must(t, chatVector(t, elo.ChatVectorOptions{Aligned: a, Base: b, Instruct: b, Output: out, Factor: 3}))
			if d := differing(tensors(t, a), tensors(t, out)); d != nil {
				t.Errorf("%s %s: tensors differ: %v", name, dt, d)
			}
		}
	}
}

// TestChatVectorOnTheBase: an aligned model that is the base becomes the
// instruct model, rounded to the aligned one's type.
func TestChatVectorOnTheBase(t *testing.T) {
	for name, src := range families(t) {
		for _, dt := range floats {
			for _, other := range floats {
				dir := t.TempDir()
				a, i, want, out := filepath.Join(dir, "a"), filepath.Join(dir, "i"), filepath.Join(dir, "want"), filepath.Join(dir, "out")
				variant(t, src, a, dt, shake(1, 0.1))
				variant(t, a, i, other, shake(2, 0.1))
				variant(t, i, want, dt, nil)
				must(t, chatVector(t, elo.ChatVectorOptions{Aligned: a, Base: a, Instruct: i, Output: out, Factor: 1}))
				if dt == safetensors.F64 { // the sum itself is rounded
					wantNear(t, numbers(t, out), numbers(t, want), 0x1p-52)
					continue
				}
				if d := differing(tensors(t, out), tensors(t, want)); d != nil {
					t.Errorf("%s %s + (%s - %s): tensors differ: %v", name, dt, other, dt, d)
				}
			}
		}
	}
}

func wantNear(t *testing.T, got, want map[string][]float64, bound float64) {
	t.Helper()
	for name, w := range want {
		for i, x := range w {
			if d := math.Abs(got[name][i] - x); d > bound*4 { // the terms are below 4
				t.Fatalf("%s[%d]: got %v, want %v", name, i, got[name][i], x)
			}
		}
	}
}

// TestChatVectorSum holds the sum against its formula with three types and a
// factor, and against each of its terms left out.
func TestChatVectorSum(t *testing.T) {
	src := families(t)["untied"]
	dir := t.TempDir()
	a, b, i, out := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "i"), filepath.Join(dir, "out")
	variant(t, src, a, safetensors.BF16, shake(1, 0.1))
	variant(t, src, b, safetensors.F16, shake(2, 0.1))
	variant(t, src, i, safetensors.F32, shake(3, 0.1))
	must(t, chatVector(t, elo.ChatVectorOptions{Aligned: a, Base: b, Instruct: i, Output: out, Factor: -0.75}))
	x, y, z, got := numbers(t, a), numbers(t, b), numbers(t, i), numbers(t, out)
	if len(got) != len(x) {
		t.Errorf("got %d tensors, want %d", len(got), len(x))
	}
	for name := range x {
		for j := range x[name] {
			want := x[name][j] - 0.75*(z[name][j]-y[name][j])
			if e := math.Abs(got[name][j] - want); e > math.Abs(want)*0x1p-8 {
				t.Fatalf("%s[%d]: got %v, want %v within half a unit of BF16", name, j, got[name][j], want)
			}
		}
	}
	ck, err := model.Open(out)
	must(t, err)
	defer ck.Close()
	for _, w := range ck.Config.Tensors(nil) {
		if info, _ := ck.Info(w.Name); info.DType != safetensors.BF16 {
			t.Errorf("%s is %s, want BF16 as in the aligned model", w.Name, info.DType)
		}
	}
}

// edit replaces a text in a file.
func edit(t *testing.T, path, old, now string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	if strings.Count(string(text), old) != 1 {
		t.Fatalf("%s has %q %d times, want once", path, old, strings.Count(string(text), old))
	}
	must(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, now, 1)), 0o666))
}

// chatty makes an instruct model of a copy of the base: files for chatting, and
// tokens more if asked for.
func chatty(t *testing.T, base, dst string, more int) {
	t.Helper()
	ck, err := model.Open(base)
	must(t, err)
	defer ck.Close()
	doc := strings.Replace(string(ck.Config.JSON()), `"vocab_size": 512`, `"vocab_size": `+map[int]string{0: "512", 2: "514"}[more], 1)
	cfg, err := model.ParseConfig("chatty", []byte(strings.Replace(doc, `"eos_token_id": 2`, `"eos_token_id": 1`, 1)))
	must(t, err)
	must(t, model.Write(dst, model.WriteOptions{Config: cfg, Source: ck.Dir, Files: map[string][]byte{
		"chat_template.jinja":    []byte("instruct's"),
		"generation_config.json": []byte(`{"eos_token_id": [1, 2]}`),
		"LICENSE":                []byte("instruct's"),
	}}, func(s safetensors.Spec, w io.Writer) error {
		x := make([]float64, model.Tensor{Shape: s.Shape}.Len())
		info, _ := ck.Info(s.Name)
		for i := int(info.Elements()); i < len(x); i++ {
			x[i] = float64(i % 7)
		}
		if err := ck.ReadF64(x[:info.Elements()], s.Name, 0); err != nil {
			return err
		}
		for i := range info.Elements() {
			x[i] = shake(4, 0.01)(s.Name, int(i), x[i])
		}
		return model.WriteF64(w, s.DType, x, 0)
	}))
	must(t, os.Mkdir(filepath.Join(dst, "additional_chat_templates"), 0o777))
	must(t, os.WriteFile(filepath.Join(dst, "additional_chat_templates", "tools.jinja"), []byte("tools"), 0o666))
}

// TestChatVectorFiles: what is needed to chat is the instruct model's, the rest
// the aligned model's; the record goes on.
func TestChatVectorFiles(t *testing.T) {
	b := newBench(t)
	a, i, out := b.path("a"), b.path("i"), b.path("out")
	variant(t, b.base, a, safetensors.F32, shake(1, 0.01))
	must(t, os.WriteFile(filepath.Join(a, "chat_template.jinja"), []byte("aligned"), 0o666))
	must(t, os.WriteFile(filepath.Join(a, "graft.json"), []byte(`{"format": 1, "kind": "trained", "base": "hub/base", "base_layers": 5, "base_quantised": "4-bit (Q4_0)", "stages": [{"stage": "align", "steps": 3}]}`), 0o666))
	chatty(t, b.base, i, 0)
	must(t, chatVector(t, elo.ChatVectorOptions{Aligned: a, Base: b.base, Instruct: i, Output: out, Factor: 1}))
	for name, from := range map[string]string{
		"chat_template.jinja": i, "generation_config.json": i, "additional_chat_templates/tools.jinja": i, "tokenizer.json": i, "tokenizer_config.json": i, "LICENSE": a,
	} {
		got, err := os.ReadFile(filepath.Join(out, name))
		want, err2 := os.ReadFile(filepath.Join(from, name))
		if err != nil || err2 != nil || string(got) != string(want) {
			t.Errorf("%s: got %q, want %q (%v, %v)", name, got, want, err, err2)
		}
	}
	ck, err := model.Open(out)
	must(t, err)
	defer ck.Close()
	if len(ck.Config.EOS) != 1 || ck.Config.EOS[0] != 1 || len(ck.EOS) != 2 {
		t.Errorf("got eos %v and %v, want [1] and [1 2] of the instruct model", ck.Config.EOS, ck.EOS)
	}
	rec, ok, err := elo.ReadRecord(out)
	must(t, err)
	if want := (elo.ChatVectorSource{Aligned: a, Base: b.base, Instruct: i, Factor: 1}); !ok || rec.Chat == nil || *rec.Chat != want || rec.Kind != elo.KindChat {
		t.Errorf("got kind %q of %+v, want %q of %+v", rec.Kind, rec.Chat, elo.KindChat, want)
	}
	if rec.Base != "hub/base" || rec.Quantised != "4-bit (Q4_0)" || len(rec.Stages) != 1 {
		t.Errorf("got %+v, want what the aligned model's record tells", rec)
	}
}

func TestChatVectorNewTokens(t *testing.T) {
	b := newBench(t)
	i, out := b.path("i"), b.path("out")
	chatty(t, b.base, i, 2)
	o := elo.ChatVectorOptions{Aligned: b.base, Base: b.base, Instruct: i, Output: out, Factor: 0.5}
	err := chatVector(t, o)
	if want := `tensor "model.embed_tokens.weight" has shape [514 64], want [512 64] as in ` + filepath.Join(b.base, "model.safetensors") + `; it has 2 tokens more, which --new-tokens takes over`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	o.NewTokens = true
	must(t, chatVector(t, o))
	ck, err := model.Open(out)
	must(t, err)
	defer ck.Close()
	if ck.Config.Vocab != 514 {
		t.Errorf("got a vocabulary of %d, want 514", ck.Config.Vocab)
	}
	x, z, got := numbers(t, b.base)[model.EmbedName], numbers(t, i)[model.EmbedName], numbers(t, out)[model.EmbedName]
	for j := range got {
		want := z[j]
		if j < len(x) {
			want = float64(float32(x[j] + 0.5*(z[j]-x[j])))
		}
		if got[j] != want {
			t.Fatalf("embedding[%d]: got %v, want %v", j, got[j], want)
		}
	}
	if rec, _, _ := elo.ReadRecord(out); rec.Chat.NewTokens != 2 {
		t.Errorf("record: got %d new tokens, want 2", rec.Chat.NewTokens)
	}
}

func TestChatVectorRefuses(t *testing.T) {
	b := newBench(t)
	small, renamed := b.path("small"), b.path("renamed")
	_, err := elo.Split(t.Context(), &elo.Env{}, b.base, "first,last", small)
	must(t, err)
	must(t, os.CopyFS(renamed, os.DirFS(b.base)))
	edit(t, filepath.Join(renamed, "tokenizer.json"), `"+": 496, "*": 497`, `"*": 496, "+": 497`)
	nan, huge, untied := b.path("nan"), b.path("huge"), b.path("untied")
	variant(t, b.base, nan, safetensors.F32, nil)
	poison(t, filepath.Join(nan, "model.safetensors"))
	variant(t, b.base, huge, safetensors.F32, func(_ string, _ int, x float64) float64 { return x + 1e30 })
	half := b.path("half")
	variant(t, b.base, half, safetensors.F16, nil)
	must(t, os.CopyFS(untied, os.DirFS(b.base)))
	edit(t, filepath.Join(untied, "config.json"), `"tie_word_embeddings": true`, `"tie_word_embeddings": false`)
	addHead(t, untied)
	qwen := filepath.Join("..", "model", "testdata", "qwen2-random")
	for _, tc := range []struct{ name, a, b, i, want string }{
		{"another family", b.base, b.base, qwen, `elo: ` + qwen + `: config.json: model_type is "qwen2", want "llama" as in ` + b.base},
		{"fewer layers", b.base, b.base, small, `elo: ` + small + `: tensor "model.layers.2.input_layernorm.weight" is missing, want shape [64] as in ` + b.base + `/model.safetensors`},
		{"more layers", small, b.base, b.base, `elo: ` + b.base + `/model.safetensors: found tensor "model.layers.2.input_layernorm.weight" with shape [64], want none of this name, as in ` + small},
		{"a base of other shapes", b.base, families(t)["tied"], b.base, `elo: ` + families(t)["tied"] + `/model.safetensors: tensor "model.embed_tokens.weight" has shape [61 24], want [512 64] as in ` + b.base + `/model.safetensors`},
		{"other words", b.base, b.base, renamed, `elo: ` + renamed + `: tokenizer.json: token 496 is "*", want "+" as in ` + b.base + `: the vocabularies differ`},
		{"an untied head", b.base, b.base, untied, `elo: ` + untied + `: config.json: tie_word_embeddings is false, want true as in ` + b.base},
		{"not a number", nan, b.base, b.base, `is NaN, want a number that F32 can hold`},
		{"too much for the type", half, b.base, huge, `): element 0 is 1.0000000150474662e+30, want a number that F16 can hold`},
		{"no model", b.base, b.base, b.path("nowhere"), `nowhere`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			err := chatVector(t, elo.ChatVectorOptions{Aligned: tc.a, Base: tc.b, Instruct: tc.i, Output: out, Factor: 1, NewTokens: true})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
	for _, out := range []string{b.base, small} {
		err := elo.ChatVector(t.Context(), &elo.Env{Force: true}, elo.ChatVectorOptions{Aligned: half, Base: b.base, Instruct: half, Output: out, Factor: 1})
		if out == b.base && (err == nil || !strings.Contains(err.Error(), "is the model that this one is made from")) || out == small && err != nil {
			t.Errorf("onto %s with force: got %v", out, err)
		}
	}
}

// poison makes the last F32 of a file NaN.
func poison(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	copy(b[len(b)-4:], "\xff\xff\xff\xff")
	must(t, os.WriteFile(path, b, 0o666))
}

// addHead stores a head, the embedding's copy, in a shard of its own.
func addHead(t *testing.T, dir string) {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	must(t, err)
	defer f.Close()
	info, _ := f.Info(model.EmbedName)
	head, err := f.Bytes(model.EmbedName)
	must(t, err)
	where := map[string]string{model.HeadName: "head.safetensors"}
	for _, name := range f.Names() {
		where[name] = "rest.safetensors"
	}
	w, err := safetensors.Create(filepath.Join(dir, "head.safetensors"), []safetensors.Spec{{Name: model.HeadName, DType: info.DType, Shape: info.Shape}}, nil)
	must(t, err)
	must(t, w.Write(model.HeadName, head))
	must(t, w.Close())
	must(t, os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "rest.safetensors")))
	doc, err := json.Marshal(map[string]any{"weight_map": where})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), doc, 0o666))
}
