package elo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"graft/elo/data"
	"graft/elo/eval"
	"graft/elo/train"
	"graft/model"
)

// Verbs that can be interrupted and resumed.
const (
	verbPretrain = "pretrain"
	verbAlign    = "align"
	verbRun      = "run"
	verbSFT      = "sft"
)

// Pretrain trains the layers r.Layers of r.BaseModel as a small model, on the
// first 1 - AlignShare of the data, and writes the small model. The base may
// also be a small model that Split wrote: then all its layers train.
func Pretrain(ctx context.Context, env *Env, r Recipe) error {
	return begin(ctx, env, r, verbPretrain, nil)
}

// Align trains all of r.BaseModel, which Reassemble wrote, on the data behind
// where the small model's training ended. A model without that record is
// trained on all of the data.
func Align(ctx context.Context, env *Env, r Recipe) error {
	return begin(ctx, env, r, verbAlign, nil)
}

// Run does the whole method r.Method and writes the result. Beside it, as
// OutputDir.small, stays the small model of MethodELO.
func Run(ctx context.Context, env *Env, r Recipe) error { return begin(ctx, env, r, verbRun, nil) }

// Resume goes on with what was interrupted and saved in dir.
func Resume(ctx context.Context, env *Env, dir string) (err error) {
	from, err := openState(env, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.data.Close()) }()
	env.Force = env.Force || from.Resume.Force
	env.report().Note(fmt.Sprintf("%s goes on after step %d of stage %s", from.Resume.Verb, from.Step, from.Stage))
	return begin(ctx, env, from.Recipe, from.Resume.Verb, from)
}

// begin checks what can be checked before anything is computed.
func begin(ctx context.Context, env *Env, r Recipe, verb string, from *saved) (err error) {
	if err := r.Check(); err != nil {
		return err
	}
	if err := preflight(r.OutputDir, r.BaseModel, env.Force); err != nil {
		return err
	}
	ck, err := model.Open(r.BaseModel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	if err := checkState(env, r.OutputDir, from); err != nil {
		return err
	}
	if err := checkSpace(env, &r, ck, verb, from); err != nil {
		return err
	}
	start := time.Now()
	var c, chats *corpora
	err = env.beforeTraining(ctx, func(ctx context.Context) (err error) {
		if verb != verbSFT && !(verb == verbRun && r.onlySFT()) {
			if c, err = loadCorpora(ctx, env, &r, ck); err != nil {
				return err
			}
		}
		if verb == verbSFT || verb == verbRun && len(r.SFT.Datasets) > 0 {
			chats, err = loadChats(ctx, env, &r, ck)
		}
		return err
	})
	if err != nil {
		return err
	}
	since(&env.Times.Tokenise, start)
	base, err := Quantised(ck)
	if err != nil {
		return err
	}
	if note := RepairNote(base); note != "" {
		env.report().Note(note)
	}
	env.report().Note(fmt.Sprintf("tokenised in %.1f s", env.Times.Tokenise))
	p := &pipeline{env: env, r: &r, ck: ck, c: c, chats: chats, output: r.OutputDir, rs: resume{Verb: verb, Force: env.Force}, from: from, quantised: base}
	switch verb {
	case verbPretrain:
		err = p.pretrain(ctx, r.OutputDir)
	case verbAlign:
		err = p.align(ctx)
	case verbRun:
		err = p.run(ctx)
	case verbSFT:
		err = p.sft(ctx, "")
	default:
		err = fmt.Errorf("elo: %s: unknown verb %q", from.dir, verb)
	}
	if err != nil {
		return err
	}
	return removeState(stateDir(r.OutputDir))
}

// pipeline is a verb at work.
type pipeline struct {
	env       *Env
	r         *Recipe
	ck        *model.Checkpoint
	c         *corpora
	chats     *corpora // conversations; nil without instruction tuning
	output    string   // where the result of continual pretraining goes
	rs        resume
	from      *saved // a state to go on from; nil once it has been used
	quantised string // how the base's weights were, "" for not at all
}

// resuming reports whether the saved state is of this stage, and takes it.
func (p *pipeline) resuming(stage string) *saved {
	if p.from == nil || p.from.Stage != stage {
		return nil
	}
	s := p.from
	p.from = nil
	return s
}

// layerOf tells whether a tensor belongs to one of the layers.
func layerOf(layers []int) func(model.Tensor) bool {
	in := map[int]bool{}
	for _, l := range layers {
		in[l] = true
	}
	return func(t model.Tensor) bool { return in[t.Layer] }
}

func everything(model.Tensor) bool { return true }

// rows gives the row at which stage one ends and the last row.
func (p *pipeline) rows() (split, all int64, err error) {
	s, err := p.c.stream(p.r)
	if err != nil {
		return 0, 0, err
	}
	return s.ShareRows(1-p.r.AlignShare, p.r.rowsPerStep()), s.Rows(), nil
}

// pretrain is stage one: it writes the small model.
func (p *pipeline) pretrain(ctx context.Context, output string) error {
	rec, isSmall, err := p.smallRecord()
	if err != nil {
		return err
	}
	if err := p.c.checkSpelling(p.env, p.ck); err != nil {
		return err
	}
	split, _, err := p.rows()
	if err != nil {
		return err
	}
	run := rec.Layers
	if isSmall {
		run = p.ck.Config.AllLayers()
	}
	p.env.report().Note(fmt.Sprintf("small model of layers %v (%s)", rec.Layers, prefixList(rec.Layers)))
	masters, err := openMasters(p.ck)
	if err != nil {
		return err
	}
	defer masters.close()
	done, err := runStage(ctx, p.env, p.r, &job{name: StagePretrain, ck: p.ck, layers: run, train: layerOf(run), masters: masters.asMasters(),
		how: p.r.Pretrain, end: split, state: stateDir(p.r.OutputDir)}, p.c, p.rs, p.resuming(StagePretrain))
	if err != nil {
		return err
	}
	p.reportScores(WhenSmall, done.scores)
	p.complete(&rec, KindSmall, done)
	err = done.keep(writeSmall(ctx, p.env, p.ck, run, output, rec, done.WriteWeight))
	return closing(err, done)
}

// smallRecord is the record of stage one's result; isSmall when the base is a
// small model already.
func (p *pipeline) smallRecord() (rec Record, isSmall bool, err error) {
	rec, ok, err := ReadRecord(p.ck.Dir)
	if err != nil || ok && rec.Kind == KindSmall {
		return rec, ok, err
	}
	layers, err := model.ParseLayers(p.r.Layers, p.ck.Config.Layers)
	if err != nil {
		return rec, false, err
	}
	rec, err = newRecord(p.ck, layers)
	return rec, false, err
}

func prefixList(layers []int) string {
	s := ""
	for i, l := range layers {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("model.layers.%d.", l)
	}
	return s
}

// complete fills in what a stage has done.
func (p *pipeline) complete(rec *Record, kind string, done *trained) {
	rec.Quantised = cmp.Or(rec.Quantised, p.quantised)
	rec.Kind, rec.Recipe, rec.Cursor, rec.Usage = kind, p.r, &done.cursor, done.usage
	rec.Stages = append(rec.Stages, done.summary)
	caps := p.env.Backend.Caps()
	rec.Device, rec.Numerics = caps.Device, caps.Fingerprint
	for _, u := range done.usage {
		name := u.Path
		if u.Lang != "" {
			name += " (" + u.Lang + ")"
		}
		p.env.report().Note(fmt.Sprintf("read %d tokens, %d bytes of %s", u.Tokens, u.Bytes, name))
	}
}

// align is stage two: it trains everything and writes the result.
func (p *pipeline) align(ctx context.Context) error {
	rec, ok, err := ReadRecord(p.ck.Dir)
	if err != nil {
		return err
	}
	if ok && rec.Kind == KindSmall {
		return fmt.Errorf("elo: %s is a small model: reassemble it with its base first", p.ck.Dir)
	}
	masters, err := openMasters(p.ck)
	if err != nil {
		return err
	}
	defer masters.close()
	var cursor *data.Cursor
	if ok && rec.Kind == KindGrafted {
		cursor = rec.Cursor
	}
	if cursor == nil {
		p.env.report().Note(p.ck.Path + " does not say how far its data was read: training on all of it")
	}
	return p.alignFrom(ctx, rec, cursor, masters.asMasters())
}

func (p *pipeline) alignFrom(ctx context.Context, rec Record, cursor *data.Cursor, masters train.Masters) error {
	_, all, err := p.rows()
	if err != nil {
		return err
	}
	j := &job{name: StageAlign, ck: p.ck, train: everything, masters: masters, how: p.r.Align,
		begin: cursor, end: all, state: stateDir(p.r.OutputDir), before: WhenGrafted}
	if p.rs.Verb == verbRun {
		j.follows = map[string]string{MethodELO: StagePretrain, MethodInPlace: StageInPlace}[p.r.Method]
	}
	done, err := runStage(ctx, p.env, p.r, j, p.c, p.rs, p.resuming(StageAlign))
	if err != nil {
		return err
	}
	p.reportScores(WhenAligned, done.scores)
	p.complete(&rec, KindTrained, done)
	return p.writeWhole(ctx, rec, done, p.output, nil)
}

// writeWhole writes a model in which what was trained replaces the base's, and
// files the files of those names beside it.
func (p *pipeline) writeWhole(ctx context.Context, rec Record, done *trained, output string, files map[string][]byte) error {
	same := func(name string) string { return name }
	err := done.keep(writeModel(ctx, p.env, p.ck, p.ck.Config, same, output, rec, done.WriteWeight, files))
	return closing(err, done)
}

func (p *pipeline) reportScores(when string, scores []eval.Scores) {
	if len(scores) > 0 {
		p.env.report().Eval(EvalReport{When: when, Scores: scores})
	}
}

// run is all that a recipe asks for: a method, instruction tuning, or both.
func (p *pipeline) run(ctx context.Context) error {
	if p.chats == nil {
		return p.method(ctx)
	}
	if p.c == nil {
		return p.sft(ctx, "")
	}
	p.output = filepath.Clean(p.r.OutputDir) + ".pretrained"
	if p.from == nil || p.from.Stage != StageSFT {
		if err := preflight(p.output, p.r.BaseModel, p.env.Force); err != nil {
			return err
		}
		if err := p.method(ctx); err != nil {
			return err
		}
	}
	ck, err := model.Open(p.output)
	if err != nil {
		return err
	}
	next := *p
	next.ck = ck
	last := StageAlign
	if p.r.Method == MethodFull {
		last = StageFull
	}
	return errors.Join(next.sft(ctx, last), ck.Close())
}

// method is the whole of a method of continual pretraining.
func (p *pipeline) method(ctx context.Context) error {
	if p.from == nil && p.r.Method != MethodFull {
		if err := p.checkAlign(); err != nil {
			return err
		}
	}
	if p.from == nil {
		if err := p.env.beforeTraining(ctx, p.evaluateBase); err != nil {
			return err
		}
	}
	switch p.r.Method {
	case MethodFull:
		return p.full(ctx)
	case MethodInPlace:
		return p.inPlace(ctx)
	}
	small := filepath.Clean(p.r.OutputDir) + ".small"
	if p.from == nil || p.from.Stage == StagePretrain {
		if err := preflight(small, p.r.BaseModel, p.env.Force); err != nil {
			return err
		}
		if err := p.pretrain(ctx, small); err != nil {
			return err
		}
	}
	g, err := openGraft(p.env, p.ck, small, "")
	if err != nil {
		return err
	}
	rec := g.rec
	rec.Base, rec.Layers, rec.Prefix = p.ck.Path, g.layers, prefixes(g.layers)
	err = p.alignFrom(ctx, rec, rec.Cursor, overlay{g})
	return errors.Join(err, g.close())
}

// checkAlign refuses a run whose alignment, which takes far more memory than
// stage one, does not fit the device: now, and not when stage one is done.
func (p *pipeline) checkAlign() error {
	e, err := p.r.estimate(p.env.Backend, p.ck, StageAlign)
	if err != nil {
		return err
	}
	if err := e.Memory.Check(); err != nil {
		return fmt.Errorf("elo: %s: %w", StageAlign, err)
	}
	return nil
}

// overlay gives stage two the grafted layers without writing the grafted model.
type overlay struct{ g *grafting }

func (o overlay) Has(name string) bool {
	_, ok := o.g.smallName(name)
	return ok
}

func (o overlay) ReadF32(dst []float32, name string, first int) error {
	if o.g.masters != nil && o.g.masters.Has(name) {
		return o.g.masters.ReadF32(dst, name, first)
	}
	small, _ := o.g.smallName(name)
	return narrow(dst, first, small, o.g.small.ReadF64)
}

func (p *pipeline) evaluateBase(ctx context.Context) error {
	defer since(&p.env.Times.Evaluate, time.Now())
	if len(p.c.eval) == 0 {
		return nil
	}
	m, err := eval.New(p.env.Backend, p.ck, p.c.seq, p.r.MicroBatchSize)
	if err != nil {
		return err
	}
	err = m.Load(p.ck)
	var scores []eval.Scores
	if err == nil {
		scores, err = p.c.evaluate(func(s *data.Stream, add func(*data.Batch, []float32)) error { return m.Run(ctx, s, add) })
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return err
	}
	p.reportScores(WhenBase, scores)
	return nil
}

// full is continual pretraining of everything, on exactly the rows that the
// stages of the other methods read one after the other.
func (p *pipeline) full(ctx context.Context) error {
	_, all, err := p.rows()
	if err != nil {
		return err
	}
	done, err := runStage(ctx, p.env, p.r, &job{name: StageFull, ck: p.ck, train: everything, how: p.r.Pretrain,
		end: all, state: stateDir(p.r.OutputDir)}, p.c, p.rs, p.resuming(StageFull))
	if err != nil {
		return err
	}
	p.reportScores(WhenFull, done.scores)
	rec := Record{Base: p.ck.Path, Depth: p.ck.Config.Layers}
	p.complete(&rec, KindTrained, done)
	return p.writeWhole(ctx, rec, done, p.output, nil)
}

// inPlace trains the same layers as ELO, but inside the whole model, then
// aligns: the control that tells what leaving the middle out costs.
func (p *pipeline) inPlace(ctx context.Context) error {
	between := filepath.Clean(p.r.OutputDir) + ".inplace"
	if p.from == nil || p.from.Stage == StageInPlace {
		if err := p.inPlaceLayers(ctx, between); err != nil {
			return err
		}
	}
	ck, err := model.Open(between)
	if err != nil {
		return err
	}
	next := *p
	next.ck = ck
	return errors.Join(next.align(ctx), ck.Close())
}

func (p *pipeline) inPlaceLayers(ctx context.Context, output string) error {
	if err := preflight(output, p.r.BaseModel, p.env.Force); err != nil {
		return err
	}
	layers, err := model.ParseLayers(p.r.Layers, p.ck.Config.Layers)
	if err != nil {
		return err
	}
	split, _, err := p.rows()
	if err != nil {
		return err
	}
	done, err := runStage(ctx, p.env, p.r, &job{name: StageInPlace, ck: p.ck, train: layerOf(layers), how: p.r.Pretrain,
		end: split, state: stateDir(p.r.OutputDir)}, p.c, p.rs, p.resuming(StageInPlace))
	if err != nil {
		return err
	}
	p.reportScores(WhenInPlace, done.scores)
	rec := Record{Base: p.ck.Path, Depth: p.ck.Config.Layers, Layers: layers, Prefix: prefixes(layers)}
	p.complete(&rec, KindGrafted, done)
	return p.writeWhole(ctx, rec, done, output, nil)
}
