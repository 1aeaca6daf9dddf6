package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"graft/elo"
	"graft/elo/data"
	"graft/elo/eval"
	"graft/model"
	"graft/model/tokenizer"
)

type evalOptions struct {
	model       string
	files       []string
	text        textOptions
	sequenceLen int
	batch       int
	device      string
	json        bool
	perToken    bool
}

func newEval(a *app) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use: "eval MODEL FILE...", Short: "Measure how well a model predicts texts",
		Long: `Measure how well a model predicts texts: negative log-likelihood per token in
nats, perplexity, and bits per byte, which compares models with different
vocabularies. A line for each FILE; --json adds every document. A document longer
than a sequence is scored in pieces that do not see each other. Documents get the
special tokens that the tokenizer adds, and no end-of-text token.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("MODEL", "FILE")(cmd, args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o.model, o.files = args[0], args[1:]
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runEval(ctx, a, o) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.sequenceLen, "sequence-len", 2048, "`tokens` of a sequence, capped by the model's positions")
	f.IntVar(&o.batch, "micro-batch-size", 1, "`sequences` that go through the model at once")
	textFlags(f, &o.text)
	deviceFlag(f, &o.device)
	f.BoolVar(&o.json, "json", false, "print JSON: an object for each file, with every document")
	f.BoolVar(&o.perToken, "per-token", false, "with --json: in every document the ids predicted and the loss of each, in nats")
	return cmd
}

func (o *evalOptions) check() error {
	if err := o.text.check("eval"); err != nil {
		return err
	}
	if o.sequenceLen < 2 {
		return usagef("eval: --sequence-len: found %d, want 2 or more", o.sequenceLen)
	}
	if o.perToken && !o.json {
		return usagef("eval: --per-token: found no --json, want both: losses of tokens have no other form")
	}
	if o.batch < 1 || o.batch > 1<<20 {
		return usagef("eval: --micro-batch-size: found %d, want 1 or more", o.batch)
	}
	return nil
}

func runEval(ctx context.Context, a *app, o evalOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if err := modelPaths(&o.model); err != nil {
		return err
	}
	be, err := openDevice(a, o.device)
	if err != nil {
		return err
	}
	defer func() { err = closeDevice(err, be) }()
	ck, err := model.Open(o.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	tok, err := ck.Tokenizer()
	if err != nil {
		return err
	}
	var corpora []*data.Corpus // all before the first is scored: the last may not be readable
	for _, file := range o.files {
		c, err := o.load(ctx, ck, tok, file)
		if err != nil {
			return err
		}
		corpora = append(corpora, c)
	}
	seq := elo.SequenceLen(o.sequenceLen, ck.Config)
	m, err := eval.New(be, ck, seq, o.batch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	a.planned(be, m.Memory(), m.Replaced())
	quantised, err := elo.Quantised(ck)
	if err != nil {
		return err
	}
	if note := elo.RepairNote(quantised); note != "" {
		a.note(note)
	}
	if err := m.Load(ck); err != nil {
		return err
	}
	for _, c := range corpora {
		if err := o.score(ctx, a, m, c, seq); err != nil {
			return err
		}
	}
	return nil
}

func (o *evalOptions) detail() eval.Detail {
	switch {
	case o.perToken:
		return eval.PerToken
	case o.json:
		return eval.PerDocument
	}
	return eval.Totals
}

func (o *evalOptions) load(ctx context.Context, ck *model.Checkpoint, tok *tokenizer.Tokenizer, file string) (*data.Corpus, error) {
	d := parseCorpus(file)
	c, err := data.Load(ctx, d.Path, d.Lang, tok, data.LoadOptions{
		Read: data.ReadOptions{Field: o.text.field, Text: data.TextUnit(o.text.text)}, Policy: elo.EvalPolicy()})
	if err != nil {
		return nil, err
	}
	if c.Pairs() == 0 {
		return nil, fmt.Errorf("%s has no two tokens in one document: nothing to predict", d.Path)
	}
	return c, elo.CheckIDs(c, tok, ck.Config.Vocab)
}

func (o *evalOptions) score(ctx context.Context, a *app, m *eval.Model, c *data.Corpus, seq int) error {
	s, err := data.NewStream([]data.Part{{Corpus: c}}, data.Options{SeqLen: seq, InOrder: true, Whole: true})
	if err != nil {
		return err
	}
	scores := eval.NewScores(c.Path(), o.detail())
	if err := m.Run(ctx, s, scores.Add); err != nil {
		return err
	}
	if math.IsNaN(scores.Nats) || math.IsInf(scores.Nats, 0) {
		return fmt.Errorf("%s: the loss of %s is %v: the weights are not finite, or overflow", o.model, c.Path(), scores.Nats)
	}
	info := newScoreInfo(*scores)
	if o.json {
		err = a.writeJSON(info)
	} else {
		_, err = fmt.Fprintln(a.out, info)
	}
	return errors.Join(err, a.out.Flush())
}
