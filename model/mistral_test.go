package model

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"graft/model/safetensors"
)

// mistralDir is a model as Transformers 5 writes it, with a window of 5 keys
// and linear rotary scaling; testdata/mistral.py made it and its references.
const mistralDir = "testdata/mistral-random"

func TestMistralGradients(t *testing.T) {
	ck, err := Open(mistralDir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if ck.Config.Window != 5 || ck.Config.RoPE != (RoPE{Theta: 300, Type: "linear", Factor: 2}) {
		t.Fatalf("window %d and rope %v, want 5 and linear by 2 with theta 300", ck.Config.Window, ck.Config.RoPE)
	}
	want, err := safetensors.Open(filepath.Join(mistralDir, "gradients.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	g := readGolden(t, mistralDir)
	for _, device := range devices() {
		t.Run(device, func(t *testing.T) {
			wrt := ck.Config.Tensors(nil)
			got := gradients(t, device, ck, g, g.Full, Options{}, wrt)
			if loss := float64(got.Float32s("loss")[0]); !(math.Abs(loss-g.Full.Loss) <= 1e-5*g.Full.Loss) {
				t.Errorf("loss: got %v, want %v", loss, g.Full.Loss)
			}
			checkGradients(t, got, want, wrt, func(string) float64 { return 1e-5 })
		})
	}
}

func TestMistralGreedy(t *testing.T) {
	want := readGolden(t, mistralDir).Greedy
	for _, device := range devices() {
		g, _ := openGenerator(t, device, mistralDir, GeneratorOptions{Prefill: 2})
		got, _ := generate(t, g, Request{Prompt: want.Prompt, MaxTokens: len(want.IDs)})
		if !slices.Equal(got, want.IDs) {
			t.Errorf("%s: got %v, want %v", device, got, want.IDs)
		}
	}
}
