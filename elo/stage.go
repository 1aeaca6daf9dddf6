package elo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"graft/elo/data"
	"graft/elo/eval"
	"graft/elo/train"
	"graft/model"
)

// Names of stages.
const (
	StagePretrain = "pretrain" // the small model's layers
	StageAlign    = "align"    // everything, after the graft
	StageFull     = "full"     // everything, on all of the data
	StageSFT      = "sft"      // everything, on conversations
	StageInPlace  = "inplace"  // the same layers inside the whole model
)

// job is one stage of training, ready to go.
type job struct {
	name    string
	ck      *model.Checkpoint
	layers  []int // that run, in ck's numbers; nil is all
	train   func(model.Tensor) bool
	masters train.Masters
	how     Stage
	// begin is where the data goes on; nil is its beginning. end is the row at
	// which the stage ends.
	begin *data.Cursor
	end   int64
	// before names an evaluation before the first step; "" is none.
	before string
	// state is the directory that an interrupted stage is saved in.
	state string
	// follows is the stage of the same run whose result this one begins with.
	follows string
}

// trained is a finished stage. The trainer holds the weights until Close.
type trained struct {
	*train.Trainer
	cursor  data.Cursor
	usage   []data.Usage
	summary StageSummary
	scores  []eval.Scores
	// keep saves the state when what follows training has failed.
	keep func(error) error
}

// runner is a stage that runs.
type runner struct {
	env    *Env
	r      *Recipe
	j      *job
	c      *corpora
	stream *data.Stream
	t      *train.Trainer
	taken  int // steps, skipped ones included
	steps  int
	tokens int64
	spent  time.Duration
	loss   float64
	resume resume
	cost   train.Cost
	// saved tells of the state on the disk that this run can go on from; "" is
	// none.
	saved string
}

// setup is what a stage asks of a trainer.
func (r *Recipe) setup(j *job, seq int, allowSlow bool) (train.Setup, error) {
	dt, err := r.storage(j.ck.DType(model.EmbedName))
	return train.Setup{Config: j.ck.Config, Layers: j.layers, Train: j.train, SeqLen: seq,
		MicroBatch: r.MicroBatchSize, Accumulate: r.GradientAccumulationSteps, Storage: dt, Act: dt,
		Recompute: r.GradientCheckpointing, Optim: j.how.adamw(), AllowSlow: allowSlow}, err
}

// runStage trains. from, which may be nil, is a saved state of this very stage.
func runStage(ctx context.Context, env *Env, r *Recipe, j *job, c *corpora, rs resume, from *saved) (out *trained, err error) {
	x := &runner{env: env, r: r, j: j, c: c, resume: rs}
	if x.stream, err = c.stream(r); err != nil {
		return nil, err
	}
	if j.begin != nil {
		if err := x.stream.Seek(*j.begin); err != nil {
			return nil, err
		}
	}
	x.stream.SetEnd(j.end)
	rows := int64(r.rowsPerStep())
	x.steps = int((min(j.end, x.stream.Rows()) - x.stream.Row() + rows - 1) / rows)
	if x.steps <= 0 {
		return nil, fmt.Errorf("elo: %s: no data is left: the corpora give %d sequences of %d tokens, and the stage would begin at %d",
			j.name, x.stream.Rows(), c.seq, x.stream.Row())
	}
	setup, err := r.setup(j, c.seq, env.AllowSlow)
	if err != nil {
		return nil, err
	}
	if x.t, err = train.New(env.Backend, setup); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = closing(err, x.t)
		}
	}()
	switch {
	case from != nil:
		x.saved = x.savedAt(from.Step)
	case j.follows != "":
		if err := x.handOver(); err != nil {
			return nil, err
		}
	}
	if err := x.prepare(ctx, from); err != nil {
		return nil, x.failed(err)
	}
	if err := x.loop(ctx); err != nil {
		return nil, x.failed(err)
	}
	return x.finish(ctx)
}

// prepare takes the memory and fills it.
func (x *runner) prepare(ctx context.Context, from *saved) error {
	x.cost = x.t.Cost()
	x.env.report().Note(fmt.Sprintf("%s: %s", x.j.name, x.t.Memory()))
	for _, p := range x.t.Replaced() {
		x.env.report().Warn(fmt.Sprintf("%v runs by its plain definition, with %d more bytes: %s", p.Op, p.Bytes, p.Reason))
	}
	if err := x.load(); err != nil {
		return err
	}
	if from == nil || from.Step == 0 {
		return x.evaluateBefore(ctx)
	}
	if err := x.t.Restore(from.data); err != nil {
		return err
	}
	x.taken, x.tokens, x.loss = from.Step, from.Tokens, from.Loss
	x.spent = time.Duration(from.Seconds * float64(time.Second))
	return x.stream.Seek(from.Cursor)
}

func (x *runner) load() error {
	defer since(&x.env.Times.Load, time.Now())
	if err := x.t.Alloc(); err != nil {
		return err
	}
	return x.t.Load(x.j.ck, x.j.masters)
}

func (x *runner) evaluateBefore(ctx context.Context) error {
	if x.j.before == "" || len(x.c.eval) == 0 {
		return nil
	}
	scores, err := x.evaluate(ctx)
	if err == nil {
		x.env.report().Eval(EvalReport{When: x.j.before, Scores: scores})
	}
	return err
}

func (x *runner) evaluate(ctx context.Context) ([]eval.Scores, error) {
	defer since(&x.env.Times.Evaluate, time.Now())
	return x.c.evaluate(func(s *data.Stream, add func(*data.Batch, []float32)) error { return x.t.Eval(ctx, s, add) })
}

func (x *runner) loop(ctx context.Context) error {
	schedule := x.j.how.schedule(x.steps)
	if err := schedule.Check(); err != nil {
		return err
	}
	var m train.Metrics
	for x.taken < x.steps {
		lr := x.j.how.LearningRate * schedule.Factor(x.taken)
		start := time.Now()
		err := x.t.Step(ctx, x.stream, lr, x.j.how.MaxGradNorm, &m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, train.ErrNotFinite) {
			return err
		}
		x.taken++
		if err != nil {
			return x.notFinite(&m)
		}
		took := time.Since(start)
		x.spent += took
		x.env.Times.Train += took.Seconds()
		x.tokens += m.Targets
		x.loss = m.Loss
		x.reportStep(&m, lr, took)
		if x.taken < x.steps {
			if err := x.pause(); err != nil {
				return err
			}
		}
	}
	return nil
}

// pause saves the state when it is due, and stops when asked to.
func (x *runner) pause() error {
	stop := x.env.interrupted()
	if !stop && (x.r.SaveSteps == 0 || x.taken%x.r.SaveSteps != 0) {
		return nil
	}
	if err := x.save(); err != nil {
		return err
	}
	if stop {
		return &Interrupted{State: x.j.state}
	}
	return nil
}

func (x *runner) reportStep(m *train.Metrics, lr float64, took time.Duration) {
	left := time.Duration(float64(x.spent) / float64(x.taken) * float64(x.steps-x.taken))
	x.env.report().Step(StepReport{
		Stage: x.j.name, Step: x.taken, Steps: x.steps, Loss: m.Loss, GradNorm: m.GradNorm, LR: lr,
		Targets: m.Targets, TokensTotal: x.tokens, Rate: float64(m.Targets) / took.Seconds(),
		Seconds: took.Seconds(), FLOPs: x.cost.FLOPs(m), FLOPRate: x.cost.FLOPs(m) / took.Seconds(), LangLoss: m.LangLoss, LangTargets: m.LangTargets, Langs: x.stream.Langs(),
		Elapsed: x.spent, Remaining: left,
	})
}

func (x *runner) finish(ctx context.Context) (*trained, error) {
	scores, err := x.evaluate(ctx)
	if err != nil {
		return nil, x.keep(err)
	}
	return &trained{Trainer: x.t, keep: x.keep, cursor: x.stream.Cursor(), usage: x.stream.Usage(), scores: scores,
		summary: StageSummary{Stage: x.j.name, Steps: x.taken, Tokens: x.tokens, Seconds: x.spent.Seconds(), FinalLoss: finite(x.loss)}}, nil
}

// finite keeps JSON writable.
func finite(x float64) float64 {
	if x-x != 0 {
		return -1
	}
	return x
}
