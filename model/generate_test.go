package model

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

func openGenerator(t testing.TB, device, dir string, o GeneratorOptions) (*Generator, *Checkpoint) {
	t.Helper()
	be := kerneltest.OpenDevice(t, device)
	ck, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ck.Close() })
	g, err := NewGenerator(be, ck, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	if err := g.Load(ck); err != nil {
		t.Fatal(err)
	}
	return g, ck
}

func generate(t *testing.T, g *Generator, r Request) ([]int, Reason) {
	t.Helper()
	var ids []int
	reason, err := g.Generate(context.Background(), r, func(id int) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, reason
}

// readForward reads golden_forward.json of stories260K: 200 greedy tokens after
// BOS, equal to the sample in llama2.c's documentation, and a row of logits.
func readForward(t *testing.T) (ids []int, logits []float32) {
	t.Helper()
	doc, err := os.ReadFile("testdata/stories260K_forward.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		IDs    []int     `json:"greedy_ids"`
		Logits []float32 `json:"logits_last_of_prefix32"`
	}
	if err := json.Unmarshal(doc, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.IDs) != 201 || len(f.Logits) != 512 {
		t.Fatalf("the reference has %d ids and %d logits, want 201 and 512", len(f.IDs), len(f.Logits))
	}
	return f.IDs, f.Logits
}

func TestGreedyStories(t *testing.T) {
	want, logits := readForward(t)
	for _, device := range devices() {
		t.Run(device, func(t *testing.T) {
			g, _ := openGenerator(t, device, goldenModels["stories260K"], GeneratorOptions{Context: 256, Prefill: 16})
			got, reason := generate(t, g, Request{Prompt: want[:1], MaxTokens: len(want) - 1})
			if !slices.Equal(got, want[1:]) {
				t.Errorf("got %v, want %v", got, want[1:])
			}
			if reason != StopLength {
				t.Errorf("stopped by %v, want %v", reason, StopLength)
			}
			g.Reset()
			row, err := g.Feed(context.Background(), want[:32])
			if err != nil {
				t.Fatal(err)
			}
			for i, x := range row {
				if !(math.Abs(float64(x-logits[i])) <= 1e-4) {
					t.Errorf("logit %d: got %v, want %v", i, x, logits[i])
				}
			}
		})
	}
}

func TestGreedyTinyLlama(t *testing.T) {
	want := readGolden(t, references+"/tinyllama-random").Greedy
	for _, device := range devices() {
		t.Run(device, func(t *testing.T) {
			// Pieces of one, several and a partial one, and all at once.
			for _, prefill := range []int{1, 3, 64} {
				g, _ := openGenerator(t, device, goldenModels["tinyllama-random"], GeneratorOptions{Context: 39, Prefill: prefill})
				got, reason := generate(t, g, Request{Prompt: want.Prompt})
				if !slices.Equal(got[:32], want.IDs) {
					t.Errorf("prefill %d: got %v, want %v", prefill, got, want.IDs)
				}
				if reason != StopContext || len(got) != 39-len(want.Prompt)+1 {
					t.Errorf("prefill %d: stopped by %v after %d tokens, want %v after %d", prefill, reason, len(got), StopContext, 33)
				}
				got, reason = generate(t, g, Request{Prompt: want.Prompt, Stop: []int{-1, want.IDs[3]}})
				if !slices.Equal(got, want.IDs[:3]) || reason != StopToken {
					t.Errorf("prefill %d: got %v until %v, want %v", prefill, got, reason, want.IDs[:3])
				}
			}
		})
	}
}

func TestGenerateRefuses(t *testing.T) {
	g, ck := openGenerator(t, "ref", goldenModels["tinyllama-random"], GeneratorOptions{Context: 8, Prefill: 4})
	for _, tc := range []struct {
		name, want string
		r          Request
	}{
		{"empty prompt", "at least one token", Request{}},
		{"long prompt", "the prompt has 9 tokens, the context 8", Request{Prompt: make([]int, 9)}},
		{"unknown token", "token 1 is id 97, want 0 to 96", Request{Prompt: []int{0, 97}}},
		{"negative token", "token 0 is id -1", Request{Prompt: []int{-1}}},
		{"negative length", "-1 tokens to generate", Request{Prompt: []int{1}, MaxTokens: -1}},
		{"temperature", "temperature -1", Request{Prompt: []int{1}, Sampling: Sampling{Temperature: -1}}},
		{"NaN temperature", "temperature NaN", Request{Prompt: []int{1}, Sampling: Sampling{Temperature: math.NaN()}}},
		{"top-k", "top-k -1", Request{Prompt: []int{1}, Sampling: Sampling{TopK: -1}}},
		{"top-p", "top-p 1.5", Request{Prompt: []int{1}, Sampling: Sampling{TopP: 1.5}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := g.Generate(context.Background(), tc.r, func(int) error { return nil })
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	stop := errors.New("enough")
	n := 0
	_, err := g.Generate(context.Background(), Request{Prompt: []int{1}}, func(int) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("got %v after %d tokens, want the error of emit after 1", err, n)
	}
	be, err := kernels.Open("ref")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	for _, o := range []GeneratorOptions{{Context: 257}, {Context: -1}, {Prefill: -1}, {Layers: []int{4}}, {Act: kernels.I32}} {
		if g, err := NewGenerator(be, ck, o); err == nil {
			g.Close()
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestSampler(t *testing.T) {
	logits := []float32{1, 3, -2, 3, 2, 0.5, float32(math.Inf(-1))}
	for _, tc := range []struct {
		name    string
		o       Sampling
		allowed []int // ids that may be drawn
	}{
		{"greedy takes the first of equals", Sampling{}, []int{1}},
		{"all", Sampling{Temperature: 1}, []int{0, 1, 2, 3, 4, 5}},
		{"top-k 1", Sampling{Temperature: 1, TopK: 1}, []int{1}},
		{"top-k 3", Sampling{Temperature: 1, TopK: 3}, []int{1, 3, 4}},
		{"top-k above the vocabulary", Sampling{Temperature: 2, TopK: 100}, []int{0, 1, 2, 3, 4, 5}},
		// The two best have 0.78 of the mass.
		{"top-p inside the first", Sampling{Temperature: 1, TopP: 0.3}, []int{1}},
		{"top-p of two", Sampling{Temperature: 1, TopP: 0.7}, []int{1, 3}},
		{"top-p of three", Sampling{Temperature: 1, TopP: 0.8}, []int{1, 3, 4}},
		{"top-p 1", Sampling{Temperature: 2, TopP: 1}, []int{0, 1, 2, 3, 4, 5}},
		// Of the best three, two have 0.84.
		{"top-p after top-k", Sampling{Temperature: 1, TopK: 3, TopP: 0.8}, []int{1, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const draws = 20000
			var s sampler
			count := make([]float64, len(logits))
			for i := range draws {
				id, err := s.next(logits, tc.o, uint64(i))
				if err != nil {
					t.Fatal(err)
				}
				count[id]++
			}
			temp, total := max(tc.o.Temperature, 1e-9), 0.0
			for _, id := range tc.allowed {
				total += math.Exp(float64(logits[id]-3) / temp)
			}
			for id, n := range count {
				p := 0.0
				if slices.Contains(tc.allowed, id) {
					p = math.Exp(float64(logits[id]-3)/temp) / total
				}
				// Five standard deviations of a binomial count.
				if d := math.Abs(n - p*draws); d > 5*math.Sqrt(draws*p*(1-p)) {
					t.Errorf("token %d drawn %v times, want about %v", id, n, p*draws)
				}
			}
		})
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		if _, err := new(sampler).next([]float32{0, bad, 1}, Sampling{}, 0); !errors.Is(err, errLogits) {
			t.Errorf("logit %v: got %v, want %v", bad, err, errLogits)
		}
	}
}

func TestSamplingDependsOnSeedAlone(t *testing.T) {
	g, _ := openGenerator(t, "ref", goldenModels["tinyllama-random"], GeneratorOptions{Context: 48, Prefill: 4})
	r := Request{Prompt: []int{1}, MaxTokens: 40, Sampling: Sampling{Temperature: 1, TopK: 50, TopP: 0.95, Seed: 7}}
	a, _ := generate(t, g, r)
	b, _ := generate(t, g, r)
	r.Sampling.Seed = 8
	c, _ := generate(t, g, r)
	if !slices.Equal(a, b) {
		t.Errorf("the same seed gave %v and %v", a, b)
	}
	if slices.Equal(a, c) {
		t.Errorf("two seeds gave %v", a)
	}
}

func TestSamplingDoesNotAllocate(t *testing.T) {
	logits := make([]float32, 1000)
	for i := range logits {
		logits[i] = float32(i%37) / 10
	}
	var s sampler
	o := Sampling{Temperature: 0.8, TopK: 40, TopP: 0.9}
	if n := testing.AllocsPerRun(10, func() { s.next(logits, o, 3) }); n > 0 {
		t.Errorf("%v allocations a token, want none", n)
	}
}

func TestDecodingDoesNotAllocate(t *testing.T) {
	for _, device := range []string{"cpu", "vulkan"} {
		t.Run(device, func(t *testing.T) {
			g, _ := openGenerator(t, device, goldenModels["tinyllama-random"], GeneratorOptions{})
			ctx, one := context.Background(), []int{1}
			n := testing.AllocsPerRun(20, func() {
				if _, err := g.Feed(ctx, one); err != nil {
					t.Fatal(err)
				}
			})
			if n > 0 {
				t.Errorf("%v allocations a token, want none", n)
			}
		})
	}
}
