package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"graft/model"
	"graft/model/tokenizer"
)

type generateOptions struct {
	model, prompt string
	maxTokens     int
	context       int
	sampling      model.Sampling
	device        string
	json          bool
}

// generation is what --json prints.
type generation struct {
	Prompt  []int32 `json:"prompt_ids"`
	IDs     []int32 `json:"ids"`
	Text    string  `json:"text"`
	Stop    string  `json:"stop"`
	Seconds float64 `json:"seconds"` // prompt included
}

func newGenerate(a *app) *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use: "generate MODEL PROMPT", Short: "Continue a text", Args: exactly("MODEL", "PROMPT"),
		Long: `Continue a text and print the continuation only. An empty prompt is the
beginning-of-text token alone. Without --temperature the most likely token is
taken each time; the same seed gives the same text on the same device.`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.model, o.prompt = args[0], args[1]
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runGenerate(ctx, a, o) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.maxTokens, "max-tokens", 256, "`tokens` to generate at most")
	f.IntVar(&o.context, "context", 0, "`tokens` of prompt and continuation that fit; 0 is what the model knows, at most 4096")
	f.Float64Var(&o.sampling.Temperature, "temperature", 0, "`factor` that flattens the probabilities; 0 takes the most likely token")
	f.IntVar(&o.sampling.TopK, "top-k", 0, "sample from the most likely `n` tokens; 0 is all")
	f.Float64Var(&o.sampling.TopP, "top-p", 0, "sample from the most likely tokens that together reach this `probability`; 0 is all")
	f.Uint64Var(&o.sampling.Seed, "seed", 42, "`seed` of the random numbers")
	deviceFlag(f, &o.device)
	f.BoolVar(&o.json, "json", false, "print JSON: ids, text and why it ended")
	return cmd
}

func (o *generateOptions) check() error {
	s := o.sampling
	switch {
	case o.maxTokens < 1:
		return usagef("--max-tokens: found %d, want 1 or more", o.maxTokens)
	case o.context < 0:
		return usagef("--context: found %d, want 0 or more", o.context)
	case !(s.Temperature >= 0 && s.Temperature <= 1e6):
		return usagef("--temperature: found %v, want 0 or more", s.Temperature)
	case s.TopK < 0:
		return usagef("--top-k: found %d, want 0 or more", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return usagef("--top-p: found %v, want 0 to 1", s.TopP)
	}
	return nil
}

func runGenerate(ctx context.Context, a *app, o generateOptions) (err error) {
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
	prompt, err := promptIDs(tok, ck, o.prompt)
	if err != nil {
		return err
	}
	g, err := model.NewGenerator(be, ck, model.GeneratorOptions{Context: o.context})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	a.planned(be, g.Memory(), g.Replaced())
	if err := g.Load(ck); err != nil {
		return err
	}
	return generate(ctx, a, o, g, tok, prompt, ck.EOS)
}

// promptIDs encodes the prompt as documents are when training. Where the
// tokenizer adds nothing, an empty prompt is the config's BOS.
func promptIDs(tok *tokenizer.Tokenizer, ck *model.Checkpoint, prompt string) ([]int32, error) {
	ids, err := tok.AppendIDs(nil, prompt, true)
	if err != nil {
		return nil, fmt.Errorf("PROMPT: %w", err)
	}
	if len(ids) == 0 && len(ck.Config.BOS) > 0 {
		ids = append(ids, int32(ck.Config.BOS[0]))
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("PROMPT is empty, and %s names no beginning-of-text token to start from", ck.Path)
	}
	return ids, nil
}

func generate(ctx context.Context, a *app, o generateOptions, g *model.Generator, tok *tokenizer.Tokenizer, prompt []int32, stop []int) error {
	out := generation{Prompt: prompt, IDs: []int32{}}
	req := model.Request{MaxTokens: o.maxTokens, Stop: stop, Sampling: o.sampling}
	// The stream is fed the prompt too: how a text begins depends on what is
	// before it, such as a space that only the first word loses.
	text := tok.NewStream(true)
	for _, id := range prompt {
		req.Prompt = append(req.Prompt, int(id))
		text.Next(id)
	}
	show := func(s string) error {
		out.Text += s
		if o.json || s == "" {
			return nil
		}
		if _, err := a.out.WriteString(s); err != nil {
			return err
		}
		return a.out.Flush()
	}
	start := time.Now()
	why, err := g.Generate(ctx, req, func(id int) error {
		out.IDs = append(out.IDs, int32(id))
		return show(text.Next(int32(id)))
	})
	if err == nil {
		err = show(text.Flush())
	}
	if err != nil {
		return err
	}
	out.Stop, out.Seconds = why.String(), time.Since(start).Seconds()
	if o.json {
		return a.writeJSON(out)
	}
	if why == model.StopContext {
		a.warn(fmt.Sprintf("the context of %d tokens is full", g.Context()))
	}
	return a.out.WriteByte('\n')
}
