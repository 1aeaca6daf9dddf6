package elo

import (
	"context"
	"fmt"
	"strings"

	"graft/elo/data"
	"graft/elo/eval"
	"graft/model"
	"graft/model/tokenizer"
)

// corpora are the tokenised texts of a run.
type corpora struct {
	tok   *tokenizer.Tokenizer
	parts []data.Part
	eval  []*data.Corpus
	seq   int // positions of a sequence: the recipe's, capped by the model
	pad   int32
	chats bool // conversations
}

// loadCorpora tokenises what the recipe names and holds it against the model.
func loadCorpora(ctx context.Context, env *Env, r *Recipe, ck *model.Checkpoint) (*corpora, error) {
	tok, err := ck.Tokenizer()
	if err != nil {
		return nil, err
	}
	c := &corpora{tok: tok, seq: SequenceLen(r.SequenceLen, ck.Config)}
	if c.seq < r.SequenceLen {
		env.report().Note(fmt.Sprintf("sequences of %d tokens: the model has no more positions", c.seq))
	}
	policy, err := Policy(ck)
	if err != nil {
		return nil, err
	}
	for _, d := range r.Datasets {
		corpus, err := loadCorpus(ctx, d, policy, tok, ck)
		if err != nil {
			return nil, err
		}
		c.parts = append(c.parts, data.Part{Corpus: corpus, Weight: d.Weight, Target: d.Role != "source"})
	}
	for _, d := range r.Eval {
		corpus, err := loadCorpus(ctx, d, EvalPolicy(), tok, ck)
		if err != nil {
			return nil, err
		}
		c.eval = append(c.eval, corpus)
	}
	return c, nil
}

// SequenceLen caps a sequence length by the model's positions.
func SequenceLen(want int, c *model.Config) int {
	if c.MaxPositions > 0 {
		return min(want, c.MaxPositions)
	}
	return want
}

// Policy says which special tokens a document gets for a model: what its
// tokenizer adds, and the end-of-text token behind, unless that token's
// embedding was never trained: the base then never saw texts end that way, and
// while the head is frozen it cannot learn to.
func Policy(ck *model.Checkpoint) (data.Policy, error) {
	p := data.Policy{AddSpecial: true}
	if len(ck.EOS) == 0 || ck.EOS[0] >= ck.Config.Vocab {
		return p, nil
	}
	untrained, err := untrainedRows(ck)
	if err == nil && !untrained[ck.EOS[0]] {
		p.AppendEOS, p.EOS = true, int32(ck.EOS[0])
	}
	return p, err
}

// EvalPolicy says which special tokens a document gets when it is scored: those
// that the tokenizer adds, and no end-of-text token, so that the figures are
// those of the text and equal what other programs get.
func EvalPolicy() data.Policy { return data.Policy{AddSpecial: true} }

// untrainedRows tells which rows of the embedding look never trained.
func untrainedRows(ck *model.Checkpoint) ([]bool, error) {
	norms, err := ck.EmbeddingNorms()
	if err != nil {
		return nil, err
	}
	return data.Untrained(norms), nil
}

func loadCorpus(ctx context.Context, d Dataset, policy data.Policy, tok *tokenizer.Tokenizer, ck *model.Checkpoint) (*data.Corpus, error) {
	corpus, err := data.Load(ctx, d.Path, d.Lang, tok, data.LoadOptions{
		Read:   data.ReadOptions{Field: d.Field, Text: data.TextUnit(d.Text)},
		Policy: policy,
	})
	if err != nil {
		return nil, err
	}
	return corpus, CheckIDs(corpus, tok, ck.Config.Vocab)
}

// CheckIDs refuses tokens that the model has no embedding for.
func CheckIDs(c *data.Corpus, tok *tokenizer.Tokenizer, vocab int) error {
	for i := range c.Len() {
		for _, id := range c.IDs(i) {
			if int(id) >= vocab {
				token, _ := tok.IDToToken(id)
				return fmt.Errorf("elo: %s: token %q has id %d, but the model's vocabulary ends at %d (vocab_size)", c.Path(), token, id, vocab-1)
			}
		}
	}
	return nil
}

// stream mixes and packs the training corpora.
func (c *corpora) stream(r *Recipe) (*data.Stream, error) {
	if c.chats {
		// Whole: what lies in the next row would not see what it answers.
		return data.NewStream(c.parts, data.Options{SeqLen: c.seq, Seed: r.Seed, Epochs: r.SFT.NumEpochs, Whole: true,
			Pad: c.pad, TargetShare: tuningShare})
	}
	return data.NewStream(c.parts, data.Options{SeqLen: c.seq, Seed: r.Seed, Unit: data.Unit(r.MixUnit),
		Epochs: r.NumEpochs, Tokens: r.MaxTokens, Pad: c.pad})
}

// evaluate scores every held-out corpus by run.
func (c *corpora) evaluate(run func(s *data.Stream, add func(b *data.Batch, losses []float32)) error) ([]eval.Scores, error) {
	var all []eval.Scores
	for _, corpus := range c.eval {
		s, err := data.NewStream([]data.Part{{Corpus: corpus}}, data.Options{SeqLen: c.seq, InOrder: true, Whole: true, Pad: c.pad})
		if err != nil {
			return nil, err
		}
		name := corpus.Lang()
		if name == "" {
			name = corpus.Path()
		}
		scores := eval.NewScores(name, eval.Totals)
		if err := run(s, scores.Add); err != nil {
			return nil, err
		}
		all = append(all, *scores)
	}
	return all, nil
}

// isFallback tells tokens that spell a byte as <0xNN> because the vocabulary has
// nothing better. Byte-level vocabularies have bytes of their own kind, which
// are trained like any other token.
func (c *corpora) isFallback(id int32) bool {
	token, _ := c.tok.IDToToken(id)
	return c.tok.IsByte(id) && strings.HasPrefix(token, "<0x")
}

// spellingLimit is the share of dead tokens above which a target cannot be
// learned through a frozen embedding.
const spellingLimit = 0.02

// checkSpelling warns when the target's tokens are ones that the model cannot
// have learned: while the embedding is frozen their rows are noise.
func (c *corpora) checkSpelling(env *Env, ck *model.Checkpoint) error {
	untrained, err := untrainedRows(ck)
	if err != nil {
		return err
	}
	for _, p := range c.parts {
		if !p.Target {
			continue
		}
		s := data.Spell(p.Corpus, func(id int32) bool { return c.isFallback(id) || untrained[id] })
		if s.Share <= spellingLimit {
			continue
		}
		worst := ""
		if len(s.Worst) > 0 {
			worst, _ = c.tok.IDToToken(s.Worst[0].ID)
		}
		env.report().Warn(fmt.Sprintf("%s: the vocabulary cannot spell %.1f %% of the tokens (most often %q): their embedding rows are byte fallback or were never trained, and stay as they are while the embedding is frozen",
			p.Corpus.Path(), 100*s.Share, worst))
	}
	return nil
}
