package elo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"graft/elo/data"
	"graft/elo/sft"
	"graft/model"
	"graft/model/chat"
	"graft/model/tokenizer"
)

// templateName is what a chat template is called in a model directory.
const templateName = "chat_template.jinja"

// SFT is the third stage: instruction tuning of the whole model on conversations.
// It runs when it has datasets.
type SFT struct {
	Datasets  []Dataset `yaml:"datasets" json:"datasets"`
	Eval      []Dataset `yaml:"eval" json:"eval"`
	NumEpochs int       `yaml:"num_epochs" json:"num_epochs"`
	// ChatTemplate is a file that replaces the model's own template, in the
	// output too; "" is the model's.
	ChatTemplate string `yaml:"chat_template" json:"chat_template,omitempty"`
	// Date is what a template that asks for the date is told, as 2026-12-31.
	Date  string `yaml:"date" json:"date,omitempty"`
	Stage `yaml:",inline"`
}

// tuningShare is the part of the conversations' mix that the target language
// gets: the paper has both languages 1:1.
const tuningShare = 0.5

func (s *SFT) check() error {
	if len(s.Datasets) == 0 && s.NumEpochs == 0 {
		return nil // saved before there was this stage
	}
	if s.NumEpochs < 1 {
		return fmt.Errorf("elo: sft.num_epochs: found %d, want 1 or more", s.NumEpochs)
	}
	if _, err := sft.ParseDate(s.Date); err != nil {
		return fmt.Errorf("elo: sft.date: %w", err)
	}
	for key, list := range map[string][]Dataset{"sft.datasets": s.Datasets, "sft.eval": s.Eval} {
		if err := checkDatasets(key, list); err != nil {
			return err
		}
		for i, d := range list {
			if d.Field != "" || d.Text != "" {
				return fmt.Errorf("elo: %s[%d]: conversations have neither field nor text", key, i)
			}
		}
	}
	return s.Stage.check("sft")
}

// onlySFT reports whether a recipe tunes and does nothing else.
func (r *Recipe) onlySFT() bool { return len(r.Datasets) == 0 && len(r.SFT.Datasets) > 0 }

// template opens the chat template that a recipe uses for a model.
func (s *SFT) template(ck *model.Checkpoint) (*chat.Template, error) {
	t, err := ck.ChatTemplate(s.ChatTemplate)
	if errors.Is(err, chat.ErrNoTemplate) {
		return nil, fmt.Errorf("%w; sft.chat_template names a file with one", err)
	}
	return t, err
}

// loadChats tokenises the conversations that the recipe names.
func loadChats(ctx context.Context, env *Env, r *Recipe, ck *model.Checkpoint) (*corpora, error) {
	tok, err := ck.Tokenizer()
	if err != nil {
		return nil, err
	}
	t, err := r.SFT.template(ck)
	if err != nil {
		return nil, err
	}
	if t.AsksDate() && r.SFT.Date == "" {
		return nil, fmt.Errorf("elo: %s: %w: set sft.date (--date), so that every run reads the same", t.Path(), sft.ErrDate)
	}
	now, err := sft.ParseDate(r.SFT.Date)
	if err != nil {
		return nil, err
	}
	c := &corpora{tok: tok, seq: SequenceLen(r.SequenceLen, ck.Config), chats: true}
	if c.seq < r.SequenceLen {
		env.report().Note(fmt.Sprintf("sequences of %d tokens: the model has no more positions", c.seq))
	}
	how := sft.Options{Positions: c.seq, Now: now}
	for _, d := range r.SFT.Datasets {
		e := sft.New(tok, t, how)
		corpus, err := loadChat(ctx, env, d, e, tok, ck)
		if err != nil {
			return nil, err
		}
		c.parts = append(c.parts, data.Part{Corpus: corpus, Weight: d.Weight, Target: d.Role != "source"})
		warnEnd(env, e, tok, ck)
	}
	for _, d := range r.SFT.Eval {
		corpus, err := loadChat(ctx, env, d, sft.New(tok, t, how), tok, ck)
		if err != nil {
			return nil, err
		}
		c.eval = append(c.eval, corpus)
	}
	return c, nil
}

func loadChat(ctx context.Context, env *Env, d Dataset, e *sft.Encoder, tok *tokenizer.Tokenizer, ck *model.Checkpoint) (*data.Corpus, error) {
	corpus, err := data.Load(ctx, d.Path, d.Lang, nil, data.LoadOptions{Read: sft.Read(), Marker: e})
	if err != nil {
		return nil, err
	}
	n := e.Counts()
	env.report().Note(fmt.Sprintf("%s: %v", d.Path, n))
	if corpus.Len() == 0 {
		return nil, fmt.Errorf("elo: %s: none of %d conversations has an answer to learn within %d tokens", d.Path, n.Conversations, ck.Config.MaxPositions)
	}
	if n.Inside > 0 {
		env.report().Warn(fmt.Sprintf("%s: %d answers begin inside a token, so prompts are tokenised otherwise when the model is used", d.Path, n.Inside))
	}
	return corpus, CheckIDs(corpus, tok, ck.Config.Vocab)
}

// warnEnd warns when the model would not stop at what its answers end with.
func warnEnd(env *Env, e *sft.Encoder, tok *tokenizer.Tokenizer, ck *model.Checkpoint) {
	id, ok := e.End()
	if !ok || slices.Contains(ck.EOS, int(id)) {
		return
	}
	token, _ := tok.IDToToken(id)
	env.report().Warn(fmt.Sprintf("answers end with %q, which is no eos_token_id of %s: set it in generation_config.json, or programs do not stop there", token, ck.Path))
}

// TuneSFT trains all of r.BaseModel on the conversations of r.SFT and writes the
// result with the chat template.
func TuneSFT(ctx context.Context, env *Env, r Recipe) error { return begin(ctx, env, r, verbSFT, nil) }

// sft is stage three: it trains everything on conversations.
func (p *pipeline) sft(ctx context.Context, follows string) error {
	rec, ok, err := ReadRecord(p.ck.Dir)
	if err != nil {
		return err
	}
	if ok && rec.Kind == KindSmall {
		return fmt.Errorf("elo: %s is a small model: reassemble it with its base first", p.ck.Dir)
	}
	if !ok {
		rec = Record{Base: p.ck.Path, Depth: p.ck.Config.Layers}
	}
	var files map[string][]byte
	if path := p.r.SFT.ChatTemplate; path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("elo: %w", err)
		}
		files = map[string][]byte{templateName: text}
	}
	masters, err := openMasters(p.ck)
	if err != nil {
		return err
	}
	defer masters.close()
	s, err := p.chats.stream(p.r)
	if err != nil {
		return err
	}
	done, err := runStage(ctx, p.env, p.r, &job{name: StageSFT, ck: p.ck, train: everything, masters: masters.asMasters(), how: p.r.SFT.Stage,
		end: s.Rows(), state: stateDir(p.r.OutputDir), before: WhenBeforeSFT, follows: follows}, p.chats, p.rs, p.resuming(StageSFT))
	if err != nil {
		return err
	}
	p.reportScores(WhenSFT, done.scores)
	p.complete(&rec, KindTrained, done)
	return p.writeWhole(ctx, rec, done, p.r.OutputDir, files)
}
