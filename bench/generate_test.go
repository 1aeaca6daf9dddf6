package bench

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"graft/kernels"
	"graft/model"
	"graft/model/safetensors"
)

// BenchmarkGenerate continues a text with a model of the shape of SmolLM2-135M
// (Allal et al. 2025), its bf16 weights drawn at random, token by token with a
// key/value cache. Each token reads every weight once, so that memory sets the
// pace: between the tokens all threads read as many bytes and do nothing with
// them, and %read is the share of that rate which the tokens reach, the median
// over the rounds.
func BenchmarkGenerate(b *testing.B) {
	ck := randomSmolLM2(b)
	var weights int64
	for _, t := range ck.Config.Tensors(ck.Config.AllLayers()) {
		n := int64(2)
		for _, d := range t.Shape {
			n *= int64(d)
		}
		weights += n
	}
	for _, c := range []struct {
		name   string
		prompt int
	}{{"after 32", 32}, {"after 1000", 1000}} {
		b.Run(c.name, func(b *testing.B) { generate(b, ck, c.prompt, weights) })
	}
}

// generate reads prompt tokens and then times rounds of tokens that follow.
func generate(b *testing.B, ck *model.Checkpoint, prompt int, weights int64) {
	const round = 4
	be := openDevice(b)
	gen, err := model.NewGenerator(be, ck, model.GeneratorOptions{Context: prompt + 256})
	if err != nil {
		b.Fatal(err)
	}
	defer gen.Close()
	if err := gen.Load(ck); err != nil {
		b.Fatal(err)
	}
	read := newReader(b, be, weights)
	kv := int64(ck.Config.Layers * 2 * ck.Config.KVHeads * ck.Config.HeadDim * 4)
	ids, one := make([]int, prompt), []int{7}
	used := gen.Context()
	var shares, rates, reads []float64
	for b.Loop() {
		if used+round > gen.Context() {
			b.StopTimer()
			gen.Reset()
			if _, err := gen.Feed(b.Context(), ids); err != nil {
				b.Fatal(err)
			}
			used = prompt
			b.StartTimer()
		}
		start := time.Now()
		bytes := int64(0)
		for range round {
			if _, err := gen.Feed(b.Context(), one); err != nil {
				b.Fatal(err)
			}
			used++
			bytes += weights + int64(used)*kv
		}
		took := time.Since(start).Seconds()
		b.StopTimer()
		reads = append(reads, read())
		b.StartTimer()
		rates = append(rates, round/took)
		shares = append(shares, 100*float64(bytes)/took/reads[len(reads)-1])
	}
	b.ReportMetric(median(rates), "tokens/s")
	b.ReportMetric(median(reads)/1e9, "read-GB/s")
	b.ReportMetric(median(shares), "%read")
}

// newReader returns a function that reads size bytes of the device's memory
// with all of its threads and gives the rate in bytes a second.
func newReader(b *testing.B, be kernels.Backend, size int64) func() float64 {
	buf, err := be.Alloc(size, kernels.Host)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { buf.Close() })
	mem := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(buf.Bytes()))), size/8)
	for i := range mem {
		mem[i] = uint64(i)
	}
	threads := max(1, be.Caps().Threads)
	const piece = 1 << 17 // words
	var found atomic.Uint64
	return func() float64 {
		var next atomic.Int64
		var all sync.WaitGroup
		start := time.Now()
		for range threads {
			all.Go(func() {
				for {
					lo := int(next.Add(piece)) - piece
					if lo >= len(mem) {
						return
					}
					found.Add(sumWords(mem[lo:min(lo+piece, len(mem))]))
				}
			})
		}
		all.Wait()
		return float64(size) / time.Since(start).Seconds()
	}
}

// sumWords reads four parts side by side with two sums each, so that nothing
// but the memory is waited for: one core reads four streams faster than one.
func sumWords(x []uint64) uint64 {
	q := len(x) / 8 * 2
	var a, b, c, d, e, f, g, h uint64
	w, y, z := x[q:2*q], x[2*q:3*q], x[3*q:4*q]
	for i := 0; i+1 < q; i += 2 {
		a += x[i]
		b += x[i+1]
		c += w[i]
		d += w[i+1]
		e += y[i]
		f += y[i+1]
		g += z[i]
		h += z[i+1]
	}
	for _, v := range x[4*q:] {
		a += v
	}
	return a + b + c + d + e + f + g + h
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// randomSmolLM2 writes and opens a checkpoint of the model's shape.
func randomSmolLM2(b *testing.B) *model.Checkpoint {
	b.Helper()
	doc, err := json.Marshal(map[string]any{
		"model_type": "llama", "architectures": []string{"LlamaForCausalLM"}, "hidden_act": "silu",
		"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
		"num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
		"max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "tie_word_embeddings": true,
	})
	if err != nil {
		b.Fatal(err)
	}
	cfg, err := model.ParseConfig("config.json", doc)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2, 2))
	block := make([]float32, 1<<16)
	for i := range block {
		block[i] = float32(0.02 * r.NormFloat64())
	}
	dir := filepath.Join(b.TempDir(), "model")
	err = model.Write(dir, model.WriteOptions{Config: cfg, DType: func(string) safetensors.DType { return safetensors.BF16 }},
		func(spec safetensors.Spec, w io.Writer) error {
			n := 1
			for _, d := range spec.Shape {
				n *= int(d)
			}
			for ; n > 0; n -= min(n, len(block)) {
				if err := safetensors.WriteF32(w, spec.DType, block[:min(n, len(block))]); err != nil {
					return err
				}
			}
			return nil
		})
	if err != nil {
		b.Fatal(err)
	}
	ck, err := model.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ck.Close() })
	return ck
}
