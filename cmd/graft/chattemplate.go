package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"graft/elo/data"
	"graft/elo/sft"
	"graft/model"
	"graft/model/chat"
	"graft/model/tokenizer"
)

type chatTemplateOptions struct {
	model, file    string
	template, date string
	line           int
	prompt, json   bool
}

// shown is what --json prints.
type shown struct {
	Text    string   `json:"text"`
	IDs     []int32  `json:"ids,omitempty"`
	Trained [][2]int `json:"trained"` // first and one past the last of ids
}

func newChatTemplate(a *app) *cobra.Command {
	var o chatTemplateOptions
	cmd := &cobra.Command{
		Use: "chat-template MODEL [FILE]", Short: "Show what a conversation is to a model, and what of it is learned",
		Long: `Render a conversation with the model's chat template and show which tokens graft sft
would train, between ⟦ and ⟧. FILE, or standard input, is a JSON object with messages,
or just the array of messages; of a .jsonl file it is the first line, or --line.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return exactly("MODEL")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if o.model = args[0]; len(args) > 1 {
				o.file = args[1]
			}
			return runChatTemplate(a, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.line, "line", 0, "`number` of the conversation in a .jsonl file: its line")
	f.StringVar(&o.template, "chat-template", "", "`FILE` with a template, in the place of the model's")
	f.StringVar(&o.date, "date", "", "what a template that asks is told: a `date` as 2026-12-31; by default today")
	f.BoolVar(&o.prompt, "generation-prompt", false, "add what comes before the assistant's next turn, and mark nothing")
	f.BoolVar(&o.json, "json", false, `print JSON: {"text":"...","ids":[...],"trained":[[first,end],...]}`)
	f.SortFlags = false
	return cmd
}

func runChatTemplate(a *app, o chatTemplateOptions) error {
	if err := modelPaths(&o.model); err != nil {
		return err
	}
	now, err := sft.ParseDate(o.date)
	if err != nil {
		return usagef("--date: %w", err)
	}
	if o.date == "" {
		now = time.Now()
	}
	how := chat.Options{GenerationPrompt: o.prompt, Now: func() time.Time { return now }}
	t, err := model.OpenChatTemplate(o.model, o.template)
	if err != nil {
		return err
	}
	doc, name, err := readConversation(a, o)
	if err != nil {
		return err
	}
	c, err := chat.Parse([]byte(doc))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := t.Render(c, how)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if o.prompt {
		return showText(a, o, text)
	}
	tok, err := model.OpenTokenizer(o.model)
	if err != nil {
		return err
	}
	tokens, err := t.Tokens(tok, c, how)
	if errors.Is(err, chat.ErrNotPrefix) && !o.json {
		if err := showText(a, o, text); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return showTokens(a, o, tok, text, tokens)
}

// readConversation returns the JSON of a conversation and what to call it.
func readConversation(a *app, o chatTemplateOptions) (doc, name string, err error) {
	plain := strings.TrimSuffix(strings.TrimSuffix(o.file, ".gz"), ".zst")
	if strings.HasSuffix(plain, ".jsonl") {
		for d, err := range data.Read(o.file, sft.Read()) {
			if err != nil {
				return "", "", err
			}
			if o.line == 0 || d.Line == o.line {
				return d.Text, fmt.Sprintf("%s:%d", d.File, d.Line), nil
			}
		}
		return "", "", fmt.Errorf("%s: has no conversation in line %d", o.file, o.line)
	}
	if o.line != 0 {
		return "", "", usagef("--line: is for .jsonl files")
	}
	r, name := a.in, "standard input"
	if o.file != "" {
		f, err := os.Open(o.file)
		if err != nil {
			return "", "", err
		}
		defer f.Close()
		r, name = f, o.file
	}
	const limit = 64 << 20
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	return string(text), name, nil
}

func showText(a *app, o chatTemplateOptions, text string) error {
	if o.json {
		return a.writeJSON(shown{Text: text, Trained: [][2]int{}})
	}
	_, err := a.out.WriteString(text + "\n")
	return err
}

func showTokens(a *app, o chatTemplateOptions, tok *tokenizer.Tokenizer, text string, t chat.Tokens) error {
	out := shown{Text: text, IDs: t.IDs, Trained: [][2]int{}}
	trained := 0
	for i, m := range t.Trained {
		if !m {
			continue
		}
		trained++
		if i > 0 && t.Trained[i-1] {
			out.Trained[len(out.Trained)-1][1] = i + 1
			continue
		}
		out.Trained = append(out.Trained, [2]int{i, i + 1})
	}
	if o.json {
		return a.writeJSON(out)
	}
	e, err := tok.Encode(text, false)
	if err != nil {
		return err
	}
	runes, at := []rune(text), 0
	for _, run := range out.Trained {
		lo, hi := e.Offsets[run[0]][0], e.Offsets[run[1]-1][1]
		fmt.Fprintf(a.out, "%s⟦%s⟧", string(runes[at:lo]), string(runes[lo:hi]))
		at = hi
	}
	fmt.Fprintln(a.out, string(runes[at:]))
	a.note(fmt.Sprintf("%d tokens, %d of them trained", len(t.IDs), trained))
	if t.Inside > 0 {
		a.warn(fmt.Sprintf("%d answers begin inside a token: the prompt alone is tokenised otherwise", t.Inside))
	}
	return nil
}
