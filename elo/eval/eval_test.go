package eval

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"

	"graft/elo/data"
	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/model"
)

func TestScores(t *testing.T) {
	s := NewScores("es", PerToken)
	b := &data.Batch{Targets: []int32{5, -1, 7, 8}, Index: []int32{0, 0, 2, 2}, Bytes: 6}
	s.Add(b, []float32{1, 100, 2, 3})
	s.Add(b, []float32{2, 100, 2, 2})
	if s.Nats != 12 || s.Tokens != 6 || s.Bytes != 12 {
		t.Errorf("got %v nats, %d tokens, %d bytes, want 12, 6, 12", s.Nats, s.Tokens, s.Bytes)
	}
	want := []Doc{
		{0, 3, 2, []int32{5, 5}, []float32{1, 2}}, {Index: 1},
		{2, 9, 4, []int32{7, 8, 7, 8}, []float32{2, 3, 2, 2}}}
	if !reflect.DeepEqual(s.Docs, want) {
		t.Errorf("got %v, want %v", s.Docs, want)
	}
	for detail, want := range map[Detail][]Doc{Totals: nil, PerDocument: {{Index: 0, Nats: 1, Tokens: 1}, {Index: 1}, {Index: 2, Nats: 5, Tokens: 2}}} {
		s := NewScores("es", detail)
		s.Add(b, []float32{1, 100, 2, 3})
		if !reflect.DeepEqual(s.Docs, want) {
			t.Errorf("detail %d: got %v, want %v", detail, s.Docs, want)
		}
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"per token", s.PerToken(), 2}, {"perplexity", s.Perplexity(), math.Exp(2)},
		{"bits per byte", s.BitsPerByte(), 12 / math.Ln2 / 12}, {"document", s.Docs[2].PerToken(), 9.0 / 4},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// once gives one batch.
type once struct {
	b    *data.Batch
	done bool
}

func (o *once) NewBatch(int) *data.Batch { return &data.Batch{} }

func (o *once) Next(b *data.Batch) error {
	if o.done {
		return io.EOF
	}
	o.done = true
	*b = *o.b
	return nil
}

// TestGolden compares every position's loss with PyTorch's in float64
// (testdata/pytorch/make.py).
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("../../testdata/pytorch/tinyllama-random/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Batch struct{ Tokens, Positions, First, End, Targets [][]int32 }
		Full  struct {
			TokenLoss [][]float64 `json:"token_loss"`
		}
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	in := g.Batch
	b := &data.Batch{B: len(in.Tokens), T: len(in.Tokens[0]), IDs: slices.Concat(in.Tokens...), Positions: slices.Concat(in.Positions...),
		Documents: append(slices.Concat(in.First...), slices.Concat(in.End...)...), Targets: slices.Concat(in.Targets...)}
	ck, err := model.Open("../../testdata/models/tinyllama-random")
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	be, err := kernels.Open("cpu:2")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m, err := New(be, ck, b.T, b.B)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Run(t.Context(), &once{b: b}, nil); err == nil {
		t.Error("scored before the weights were loaded")
	}
	if err := m.Load(ck); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = m.Run(t.Context(), &once{b: b}, func(_ *data.Batch, losses []float32) {
		for i, want := range slices.Concat(g.Full.TokenLoss...) {
			seen++
			if math.Abs(float64(losses[i])-want) > 1e-5*max(1, want) {
				t.Errorf("position %d: got %v, want %v", i, losses[i], want)
			}
		}
	})
	if err != nil || seen != b.B*b.T {
		t.Errorf("%d positions, %v, want %d", seen, err, b.B*b.T)
	}
}
