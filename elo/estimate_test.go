package elo_test

import (
	"math"
	"testing"

	"graft/elo"
	"graft/model"
)

func TestEstimates(t *testing.T) {
	b := newBench(t)
	ck, err := model.Open(b.base)
	must(t, err)
	defer ck.Close()
	r := elo.Defaults() // 8192 tokens, capped at the base's 512
	list, err := elo.Estimates(env(t, "cpu").Backend, ck, r)
	must(t, err)
	// Width 64, feed-forward 172, 8 heads of 8 over 4, vocabulary 512, tied.
	const layer, norms, embed, final = 64*64*2 + 64*32*2 + 3*64*172, 2 * 64, 512 * 64, 64
	// A (query, key) pair costs 2 products forward and 5 backward in each layer,
	// over 64 values; 513/2 keys are seen on average.
	const attention = 7 * 2 * 64 * 513 / 2
	want := []struct {
		stage           string
		params, trained int64
		flops           float64
	}{
		// A frozen head passes the gradient on: 4 per parameter; trained layers 6.
		{elo.StagePretrain, 2*(layer+norms) + embed + final, 2 * (layer + norms), 2*(6*layer+attention) + 4*embed},
		{elo.StageInPlace, 5*(layer+norms) + embed + final, 2 * (layer + norms), 2*6*layer + 3*4*layer + 5*attention + 4*embed},
		{elo.StageAlign, 5*(layer+norms) + embed + final, 5*(layer+norms) + embed + final, 5*(6*layer+attention) + 6*embed},
		{elo.StageFull, 5*(layer+norms) + embed + final, 5*(layer+norms) + embed + final, 5*(6*layer+attention) + 6*embed},
	}
	for i, w := range want {
		e := list[i]
		if e.Stage != w.stage || e.Params != w.params || e.Trained != w.trained || math.Abs(e.FLOPs-w.flops) > 1e-6*w.flops {
			t.Errorf("got %s, %d parameters, %d trained, %.0f FLOPs a token, want %+v", e.Stage, e.Params, e.Trained, e.FLOPs, w)
		}
		if m := e.Memory; m.Moments != 8*w.trained || m.Gradients != 4*w.trained || m.Total() <= m.Moments {
			t.Errorf("%s: got %d bytes of moments, %d of gradients, %d in all, want %d, %d and more", w.stage, m.Moments, m.Gradients, m.Total(), 8*w.trained, 4*w.trained)
		}
	}
	stage, whole := elo.Speedup(list[0], list[3], 0.1)
	if ratio := want[3].flops / want[0].flops; math.Abs(stage-ratio) > 1e-6 || math.Abs(whole-1/(0.9/ratio+0.1)) > 1e-6 {
		t.Errorf("got %v and %v, want %v and 1/(0.9/%v + 0.1)", stage, whole, ratio, ratio)
	}
}
