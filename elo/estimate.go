package elo

import (
	"errors"
	"fmt"

	"graft/elo/train"
	"graft/kernels"
	"graft/model"
)

// Estimate is what a stage would take, known without running it.
type Estimate struct {
	Stage   string       `json:"stage"`
	Params  int64        `json:"parameters"` // of the layers that run, embedding and head
	Trained int64        `json:"trained"`    // of those
	Memory  train.Memory `json:"-"`
	// FLOPs is the work for one token of full sequences of one document each,
	// attention and recomputation included.
	FLOPs float64 `json:"flops_per_token"`
}

// Estimates plans the stages of all methods for a base on a device: pretrain,
// inplace, align and full, in this order. Nothing large is allocated and no
// weights are read. Only the recipe's layers, shapes, types and optimizer matter.
func Estimates(be kernels.Backend, ck *model.Checkpoint, r Recipe) ([]Estimate, error) {
	var list []Estimate
	for _, stage := range []string{StagePretrain, StageInPlace, StageAlign} {
		e, err := r.estimate(be, ck, stage)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	full := list[len(list)-1] // the same programs as alignment
	full.Stage = StageFull
	return append(list, full), nil
}

// NewTrainer plans the trainer of a stage as a run of the recipe on this base
// would. allowSlow accepts operations that the backend lacks.
func NewTrainer(be kernels.Backend, ck *model.Checkpoint, r Recipe, stage string, allowSlow bool) (*train.Trainer, error) {
	layers, err := model.ParseLayers(r.Layers, ck.Config.Layers)
	if err != nil {
		return nil, err
	}
	j := &job{name: stage, ck: ck, train: everything, how: r.Pretrain}
	switch stage {
	case StagePretrain:
		j.layers, j.train = layers, layerOf(layers)
	case StageInPlace:
		j.train = layerOf(layers)
	case StageAlign:
		j.how = r.Align
	case StageFull:
	default:
		return nil, fmt.Errorf("elo: unknown stage %q", stage)
	}
	setup, err := r.setup(j, SequenceLen(r.SequenceLen, ck.Config), allowSlow)
	if err != nil {
		return nil, err
	}
	return train.New(be, setup)
}

func (r *Recipe) estimate(be kernels.Backend, ck *model.Checkpoint, stage string) (e Estimate, err error) {
	t, err := NewTrainer(be, ck, *r, stage, true)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	e = Estimate{Stage: stage, Params: ck.Config.Params(t.Setup().Layers), Memory: t.Memory(), FLOPs: t.PerToken()}
	for _, p := range t.Flat().Params() {
		n := int64(1)
		for _, d := range p.Shape {
			n *= int64(d)
		}
		e.Trained += n
	}
	return e, nil
}

// Speedup predicts from work alone how many times as fast as full training the
// first stage and the whole of ELO are, when the alignment takes the given share
// of the data: 1 / ((1 - share) / stage + share). Devices reach other shares of
// their peak on other shapes, so a measured figure differs.
func Speedup(pretrain, full Estimate, alignShare float64) (stage, whole float64) {
	stage = full.FLOPs / pretrain.FLOPs
	return stage, 1 / ((1-alignShare)/stage + alignShare)
}
