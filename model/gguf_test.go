package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/model/gguf"
	"graft/model/safetensors"
)

func ggufPath(arch string) string { return filepath.Join("testdata", "gguf", arch+ggufSuffix) }

// A file of each architecture is the model that it was made from: the config of
// that, and the tensors that Transformers reads from the file, to the bit.
func TestGGUFGolden(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("testdata", "gguf", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]struct {
		Config json.RawMessage
		CRC32  map[string]uint32
	}
	if err := json.Unmarshal(doc, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden) != len(ggufArchs()) {
		t.Errorf("golden.json has %d architectures, want all %d", len(golden), len(ggufArchs()))
	}
	quantised := map[string]string{"llama": "8-bit (Q8_0)", "qwen2": "4-bit (Q4_1)", "qwen3": "4-bit (Q4_0)"}
	dtypes := map[string]kernels.DType{"gemma2": kernels.BF16, "gemma3": kernels.F16}
	for arch, want := range golden {
		t.Run(arch, func(t *testing.T) {
			ck, err := Open(ggufPath(arch))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			wantConfig(t, ck.Config, want.Config)
			tensors := ck.Config.Tensors(nil)
			if len(tensors) != len(want.CRC32) {
				t.Errorf("got %d tensors, want %d", len(tensors), len(want.CRC32))
			}
			for _, w := range tensors {
				wantTensor(t, ck, w, want.CRC32[w.Name])
			}
			if got := ck.Quantisation(); got != quantised[arch] {
				t.Errorf("quantisation: got %q, want %q", got, quantised[arch])
			}
			if got := ck.DType(EmbedName); got != dtypes[arch] {
				t.Errorf("type of the embedding: got %v, want %v", got, dtypes[arch])
			}
			if got := ck.DType(NormName); got != kernels.F32 {
				t.Errorf("type of the final norm: got %v, want %v", got, kernels.F32)
			}
		})
	}
}

// A file of any size, named by GRAFT_GGUF, holds what Transformers reads from
// it. testdata/gguf_reference.py makes the sums beside it.
func TestGGUFReference(t *testing.T) {
	path := os.Getenv("GRAFT_GGUF")
	if path == "" {
		t.Skip("GRAFT_GGUF is not set: no file to compare with Transformers")
	}
	doc, err := os.ReadFile(path + ".crc32.json")
	if err != nil {
		t.Fatal(err)
	}
	var sums map[string]uint32
	if err := json.Unmarshal(doc, &sums); err != nil {
		t.Fatal(err)
	}
	ck, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	for _, w := range ck.Config.Tensors(nil) {
		sum := crc32.NewIEEE()
		if err := ck.Convert(sum, safetensors.F32, w.Name); err != nil {
			t.Fatal(err)
		}
		if want, ok := sums[w.Name]; !ok || sum.Sum32() != want {
			t.Errorf("%s: got CRC %d, want %d %v", w.Name, sum.Sum32(), want, ok)
		}
	}
	t.Logf("%d tensors, %s", len(ck.Config.Tensors(nil)), ck.Quantisation())
}

// wantConfig compares what a config says, whatever its text is.
func wantConfig(t *testing.T, got *Config, doc []byte) {
	t.Helper()
	want, err := ParseConfig("golden", doc)
	if err != nil {
		t.Fatal(err)
	}
	a, b := *got, *want
	a.raw, b.raw = nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("config:\ngot  %+v\nwant %+v", a, b)
	}
}

// wantTensor reads a tensor in every way that there is.
func wantTensor(t *testing.T, ck *Checkpoint, w Tensor, want uint32) {
	t.Helper()
	values := make([]float32, w.Len())
	if err := ck.ReadF32(values, w.Name); err != nil {
		t.Fatal(err)
	}
	var whole, converted bytes.Buffer
	if err := safetensors.WriteF32(&whole, safetensors.F32, values); err != nil {
		t.Fatal(err)
	}
	if got := crc32.ChecksumIEEE(whole.Bytes()); got != want {
		t.Errorf("%s: got CRC %d, want %d", w.Name, got, want)
	}
	for _, piece := range []int{7, 100, pieceLen} {
		converted.Reset()
		err := ck.pieces(w.Name, safetensors.F32, piece, func(b []byte) error {
			if len(b) > 4*piece {
				t.Errorf("%s: got a piece of %d bytes, want at most %d elements", w.Name, len(b), piece)
			}
			converted.Write(b)
			return nil
		})
		if err != nil || !bytes.Equal(converted.Bytes(), whole.Bytes()) {
			t.Errorf("%s in pieces of %d: other values, or %v", w.Name, piece, err)
		}
	}
	exact := make([]float64, 7)
	for first := 0; first < len(values); first += len(exact) {
		exact = exact[:min(len(exact), len(values)-first)]
		if err := ck.ReadF64(exact, w.Name, int64(first)); err != nil {
			t.Fatal(err)
		}
		for i, x := range exact {
			if want := float64(values[first+i]); x != want {
				t.Fatalf("%s: [%d] as float64: got %v, want %v", w.Name, first+i, x, want)
			}
		}
	}
	info, ok := ck.Info(w.Name)
	stored, err := ck.Bytes(w.Name)
	if !ok || err != nil || int64(len(stored)) != info.Size || info.Elements() != int64(w.Len()) {
		t.Errorf("%s: got %d bytes (%v) for %+v", w.Name, len(stored), err, info)
	}
	for i, x := range values {
		if got := decode(stored[i*info.DType.Size():], info.DType); got != float64(x) {
			t.Fatalf("%s: [%d] as %s: got %v, want %v", w.Name, i, info.DType, got, x)
		}
	}
}

// What is written of a GGUF file is a checkpoint with the same config and
// values, exact in F32, rounded in BF16 when that is asked for.
func TestWriteFromGGUF(t *testing.T) {
	for _, arch := range []string{"llama", "gemma3"} {
		for _, dt := range []safetensors.DType{safetensors.F32, safetensors.BF16} {
			ck, err := Open(ggufPath(arch))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			dir := filepath.Join(t.TempDir(), "out")
			err = Write(dir, WriteOptions{Config: ck.Config, Source: ck.Dir, DType: func(string) safetensors.DType { return dt }},
				func(s safetensors.Spec, w io.Writer) error { return ck.Convert(w, s.DType, s.Name) })
			if err != nil {
				t.Fatal(err)
			}
			out, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			wantConfig(t, out.Config, ck.Config.JSON())
			for _, w := range ck.Config.Tensors(nil) {
				a, b := make([]float32, w.Len()), make([]float32, w.Len())
				if err := ck.ReadF32(a, w.Name); err != nil {
					t.Fatal(err)
				}
				if err := out.ReadF32(b, w.Name); err != nil {
					t.Fatal(err)
				}
				for i := range a {
					if tol := math.Abs(float64(a[i])) / 256; a[i] != b[i] && (dt == safetensors.F32 || math.Abs(float64(a[i]-b[i])) > tol) {
						t.Fatalf("%s as %s: [%d]: got %v, want %v", w.Name, dt, i, b[i], a[i])
					}
				}
			}
			if got := out.Quantisation(); got != "" {
				t.Errorf("what was written is %s, want not quantised", got)
			}
		}
	}
}

// ggufFile is a tiny file to be: metadata and tensors.
type ggufFile struct {
	texts   map[string]string
	ints    map[string]uint32
	floats  map[string]float32
	lists   map[string][]string
	kinds   []int32   // tokenizer.ggml.token_type
	scores  []float32 // tokenizer.ggml.scores
	bools   map[string]bool
	tensors []safetensors.Spec   // zeros; shapes outermost first
	types   map[string]gguf.Type // of tensors that are not F32
	factors []float32
}

func tinyGGUF() *ggufFile {
	f := &ggufFile{
		texts: map[string]string{"general.architecture": "llama"},
		ints: map[string]uint32{"llama.block_count": 1, "llama.context_length": 64, "llama.embedding_length": 8, "llama.feed_forward_length": 6,
			"llama.attention.head_count": 2, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.eot_token_id": 3},
		floats: map[string]float32{"llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 5e6},
	}
	add := func(name string, shape ...int) {
		f.tensors = append(f.tensors, safetensors.Spec{Name: name, Shape: shape})
	}
	add("token_embd.weight", 5, 8)
	add("output_norm.weight", 8)
	for _, n := range []string{"attn_norm", "ffn_norm"} {
		add("blk.0."+n+".weight", 8)
	}
	for _, n := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
		add("blk.0."+n+".weight", 8, 8)
	}
	add("blk.0.ffn_gate.weight", 6, 8)
	add("blk.0.ffn_up.weight", 6, 8)
	add("blk.0.ffn_down.weight", 8, 6)
	return f
}

// write makes the file; every tensor gets as many bytes as the largest takes.
func (f *ggufFile) write(t testing.TB, path string) {
	t.Helper()
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	b := le.AppendUint32([]byte("GGUF"), 3)
	b = le.AppendUint64(b, uint64(len(f.tensors)))
	pairs := len(f.texts) + len(f.ints) + len(f.floats) + len(f.lists) + len(f.bools)
	for _, there := range []bool{f.kinds != nil, f.scores != nil} {
		if there {
			pairs++
		}
	}
	b = le.AppendUint64(b, uint64(pairs))
	list := func(b []byte, key string, kind gguf.Kind, n int) []byte {
		b = le.AppendUint32(text(b, key), uint32(gguf.Array))
		return le.AppendUint64(le.AppendUint32(b, uint32(kind)), uint64(n))
	}
	for k, v := range f.lists {
		b = list(b, k, gguf.Text, len(v))
		for _, s := range v {
			b = text(b, s)
		}
	}
	if f.kinds != nil {
		b = list(b, "tokenizer.ggml.token_type", gguf.Int32, len(f.kinds))
		for _, k := range f.kinds {
			b = le.AppendUint32(b, uint32(k))
		}
	}
	if f.scores != nil {
		b = list(b, "tokenizer.ggml.scores", gguf.Float32, len(f.scores))
		for _, x := range f.scores {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	}
	for k, v := range f.bools {
		one := byte(0)
		if v {
			one = 1
		}
		b = append(le.AppendUint32(text(b, k), uint32(gguf.Bool)), one)
	}
	for k, v := range f.texts {
		b = text(le.AppendUint32(text(b, k), uint32(gguf.Text)), v)
	}
	for k, v := range f.ints {
		b = le.AppendUint32(le.AppendUint32(text(b, k), uint32(gguf.Uint32)), v)
	}
	for k, v := range f.floats {
		b = le.AppendUint32(le.AppendUint32(text(b, k), uint32(gguf.Float32)), math.Float32bits(v))
	}
	const room = 512
	for i, s := range f.tensors {
		b = le.AppendUint32(text(b, s.Name), uint32(len(s.Shape)))
		for _, d := range slices.Backward(s.Shape) {
			b = le.AppendUint64(b, uint64(d))
		}
		b = le.AppendUint64(le.AppendUint32(b, uint32(f.types[s.Name])), uint64(i*room))
	}
	b = append(b, make([]byte, -len(b)&31)...)
	for range f.tensors {
		b = append(b, make([]byte, room)...)
	}
	for i, x := range f.factors { // of the last tensor
		le.PutUint32(b[len(b)-room+4*i:], math.Float32bits(x))
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func (f *ggufFile) withFactors(x ...float32) {
	f.tensors = append(f.tensors, safetensors.Spec{Name: ropeFactorsName, Shape: []int{len(x)}})
	f.factors = x
}

func TestGGUFRefuses(t *testing.T) {
	text := func(k, v string) func(*ggufFile) { return func(f *ggufFile) { f.texts[k] = v } }
	number := func(k string, v uint32) func(*ggufFile) { return func(f *ggufFile) { f.ints[k] = v } }
	drop := func(k string) func(*ggufFile) {
		return func(f *ggufFile) { delete(f.ints, k); delete(f.texts, k); delete(f.floats, k) }
	}
	for _, tc := range []struct {
		name string
		edit func(f *ggufFile)
		want string
	}{
		{"as it should be", func(*ggufFile) {}, ""},
		{"another architecture", text("general.architecture", "mamba"), `general.architecture: expected one of llama, qwen2, qwen3, gemma2, gemma3, found "mamba"`},
		{"no architecture", drop("general.architecture"), `general.architecture: expected one of llama, qwen2, qwen3, gemma2, gemma3, found nothing`},
		{"in parts", number("split.count", 3), `split.count: expected a model in one file, found one in 3: merge them with llama-gguf-split --merge`},
		{"no width", drop("llama.embedding_length"), `llama.embedding_length: expected a whole number, found nothing`},
		{"width as text", func(f *ggufFile) { drop("llama.embedding_length")(f); f.texts["llama.embedding_length"] = "8" }, `llama.embedding_length: expected a whole number, found "8"`},
		{"no layers", number("llama.block_count", 0), `its metadata as config.json: num_hidden_layers is 0, want an integer from 1 to 4096`},
		{"no heads", number("llama.attention.head_count", 0), `its metadata as config.json: num_attention_heads is 0, want an integer from 1 to 16384`},
		{"experts", number("llama.expert_count", 8), `llama.expert_count: expected none: mixtures of experts are not supported, found uint32 8`},
		{"part of a head turns", number("llama.rope.dimension_count", 2), `llama.rope.dimension_count: expected all 4 of a head, found uint32 2`},
		{"other values", number("llama.attention.value_length", 2), `llama.attention.value_length: expected the 4 of keys, found uint32 2`},
		{"scaling", text("llama.rope.scaling.type", "longrope"), `llama.rope.scaling.type: expected none, linear or yarn, found "longrope"`},
		{"linear without a factor", text("llama.rope.scaling.type", "linear"), ""},
		{"yarn without a context", text("llama.rope.scaling.type", "yarn"), `llama.rope.scaling.original_context_length: expected a whole number, found nothing`},
		{"too many layers", number("llama.block_count", 2), `tensor "model.layers.1.input_layernorm.weight" is missing; its metadata wants it with shape [8]`},
		{"another width", number("llama.feed_forward_length", 7), `tensor "model.layers.0.mlp.gate_proj.weight" has shape [6 8]; its metadata wants [7 8]`},
		{"no embedding", func(f *ggufFile) { f.tensors = f.tensors[1:] }, `tensor "token_embd.weight": expected a matrix, found shape []`},
		{"an unknown tensor", func(f *ggufFile) {
			f.tensors[1].Name = "blk.0.ssm_a"
			f.tensors = append(f.tensors, tinyGGUF().tensors[1])
		},
			`tensor "blk.0.ssm_a" is not part of a llama model with 1 layers as its metadata describes it`},
		{"an integer below a layer", func(f *ggufFile) { f.tensors[2].Name = "blk.00.attn_norm.weight" }, `tensor "model.layers.0.input_layernorm.weight" is missing; its metadata wants it with shape [8]`},
		{"a type that is not read", func(f *ggufFile) { f.types = map[string]gguf.Type{"output_norm.weight": 28} },
			`tensor "model.norm.weight" is GGUF F64, want one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16`},
		{"factors of Llama 3", func(f *ggufFile) { f.withFactors(1, 8) }, ""},
		{"other factors", func(f *ggufFile) { f.withFactors(2, 8) }, `tensor "rope_freqs.weight": expected the factors of Llama 3's rotary scaling, found others`},
		{"factors that are no numbers", func(f *ggufFile) { f.withFactors(1, float32(math.NaN())) }, `tensor "rope_freqs.weight": expected the factors of Llama 3's rotary scaling, found others`},
		{"too few factors", func(f *ggufFile) { f.withFactors(8) }, `tensor "rope_freqs.weight": expected the factors of Llama 3's rotary scaling, found others`},
		{"factors and scaling", func(f *ggufFile) { f.withFactors(1, 8); f.texts["llama.rope.scaling.type"] = "linear" }, `llama.rope.scaling.type: expected none beside rope_freqs.weight, found "linear"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tinyGGUF()
			tc.edit(f)
			path := filepath.Join(t.TempDir(), "m.gguf")
			f.write(t, path)
			ck, err := Open(path)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				ck.Close()
				return
			}
			if want := "model: " + path + ": " + tc.want; err == nil || err.Error() != want {
				t.Errorf("\ngot  %v\nwant %s", err, want)
			}
		})
	}
}

func TestGGUFDetails(t *testing.T) {
	f := tinyGGUF()
	f.ints["llama.attention.sliding_window"] = 16
	f.withFactors(1, 8)
	dir := t.TempDir()
	f.write(t, filepath.Join(dir, "m.GGUF"))
	ck, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	c := ck.Config
	want := RoPE{Theta: 5e6, Type: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, OriginalPositions: 8192}
	if c.ModelType != "mistral" || c.Kinds[0].Window != 16 || !c.Tied || c.KVHeads != 2 || c.Kinds[0].RoPE != want {
		t.Errorf("got %+v, want a mistral with a window of 16 and %+v", c, want)
	}
	if !slices.Equal(ck.EOS, []int{2, 3}) || ck.Path != dir || ck.Dir != dir {
		t.Errorf("got EOS %v, path %s, directory %s, want [2 3] and %s", ck.EOS, ck.Path, ck.Dir, dir)
	}
	if dt, n := ck.Stored(EmbedName); dt != "F32" || n != 160 {
		t.Errorf("stored as %s in %d bytes, want F32 and 160", dt, n)
	}
}

func TestGGUFIsFound(t *testing.T) {
	dir := t.TempDir()
	put := func(name string) { writeFile(t, filepath.Join(dir, name), "no such thing") }
	put("a.gguf")
	if _, err := Open(dir); err == nil || !strings.HasPrefix(err.Error(), "gguf: "+filepath.Join(dir, "a.gguf")+": ") {
		t.Errorf("one file: got %v, want that it is no GGUF", err)
	}
	put("b.gguf")
	if want := fmt.Sprintf("model: %s: has 2 .gguf files: name one of a.gguf, b.gguf", dir); errText(dir) != want {
		t.Errorf("two files: got %s, want %s", errText(dir), want)
	}
	put("model.safetensors")
	if got := errText(dir); !strings.Contains(got, "config.json") {
		t.Errorf("beside safetensors: got %s, want that config.json is missing", got)
	}
	put("c.txt")
	file := filepath.Join(dir, "c.txt")
	if want := "model: " + file + ": is a file, want a model directory or a .gguf file"; errText(file) != want {
		t.Errorf("another file: got %s, want %s", errText(file), want)
	}
}

func errText(path string) string {
	_, err := Open(path)
	return fmt.Sprint(err)
}
