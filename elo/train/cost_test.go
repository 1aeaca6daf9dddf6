package train

import (
	"math"
	"strings"
	"testing"

	"graft/elo/data"
	"graft/tensor/optim"
)

// TestCostCountsWindows takes a step on full rows of one document each, of a model in
// which every other layer sees 5 keys: the step's work is PerToken for each token, and
// less than that of a model which sees everything.
func TestCostCountsWindows(t *testing.T) {
	const seqLen, rows = 16, 2
	c := data.NewCorpus("made up", "xx")
	for range rows {
		// Letters whose ids the small vocabulary has.
		if err := c.AddText(letters{}, data.Policy{}, strings.Repeat("ab", seqLen)[:seqLen+1]); err != nil {
			t.Fatal(err)
		}
	}
	s, err := data.NewStream([]data.Part{{Corpus: c}}, data.Options{SeqLen: seqLen, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	tr := openTrainer(t, "../../model/testdata/gemma2-random", 1, Setup{Train: all, SeqLen: seqLen, MicroBatch: rows, Accumulate: 1, Optim: optim.Defaults()})
	var m Metrics
	if err := tr.Step(t.Context(), s, 1e-4, 1, &m); err != nil {
		t.Fatal(err)
	}
	cost := tr.Cost()
	got, want := cost.FLOPs(&m), tr.PerToken()*rows*seqLen
	if math.Abs(got-want) > 1e-9*want {
		t.Errorf("a step is %v FLOPs, %v tokens of PerToken %v", got, rows*seqLen, want)
	}
	if len(cost.Attention) != 2 || m.Pairs[0] == m.Pairs[1] {
		t.Errorf("attention costs %+v with pairs %v, want those of two windows", cost.Attention, m.Pairs)
	}
}

type letters struct{}

func (letters) AppendIDs(dst []int32, text string, _ bool) ([]int32, error) {
	for _, r := range text {
		dst = append(dst, int32(r-'a')+3)
	}
	return dst, nil
}

// TestMeanKeys counts what the queries of a row see, one by one.
func TestMeanKeys(t *testing.T) {
	for _, tc := range []struct{ T, window int }{{1, 0}, {8, 0}, {8, 1}, {8, 3}, {8, 8}, {8, 100}} {
		sum := 0
		for q := range tc.T {
			seen := q + 1
			if tc.window > 0 {
				seen = min(seen, tc.window)
			}
			sum += seen
		}
		if got, want := meanKeys(tc.T, tc.window), float64(sum)/float64(tc.T); got != want {
			t.Errorf("T %d, window %d: got %v, want %v", tc.T, tc.window, got, want)
		}
	}
}
