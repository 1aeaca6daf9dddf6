package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"graft/model"
	"graft/model/tokenizer"
)

type tokenizeOptions struct {
	model   string
	ids     []string // arguments after the model; with --decode
	decode  bool
	special *bool // nil is the default of the direction
	json    bool
}

func newTokenize(a *app) *cobra.Command {
	var o tokenizeOptions
	var special bool
	cmd := &cobra.Command{
		Use: "tokenize MODEL", Short: "Turn text on standard input into token ids, or back",
		Long: `Turn the text on standard input, verbatim, into token ids with the model's
tokenizer; only tokenizer.json is needed. The text must be UTF-8. Special tokens
are added as when training, unless --special=false.

With --decode, ids separated by spaces, given as arguments or on standard input,
become text again, printed without a line end of its own. Special tokens are left
out unless --special.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.decode && len(args) > 0 {
				return nil
			}
			return exactly("MODEL")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model, o.ids = args[0], args[1:]
			if cmd.Flags().Changed("special") {
				o.special = &special
			}
			return runTokenize(a, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.decode, "decode", false, "turn ids into text")
	f.BoolVar(&special, "special", true, "add special tokens; with --decode, print them (then the default is false)")
	f.BoolVar(&o.json, "json", false, `print JSON: {"ids":[...]}, with --decode {"text":"..."}`)
	return cmd
}

func runTokenize(a *app, o tokenizeOptions) error {
	if err := modelPaths(&o.model); err != nil {
		return err
	}
	tok, err := model.OpenTokenizer(o.model)
	if err != nil {
		return err
	}
	if o.decode {
		return decodeIDs(a, o, tok)
	}
	text, err := io.ReadAll(a.in)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	ids, err := tok.AppendIDs([]int32{}, string(text), o.special == nil || *o.special)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if o.json {
		return a.writeJSON(map[string][]int32{"ids": ids})
	}
	var line []byte
	for i, id := range ids {
		if i > 0 {
			line = append(line, ' ')
		}
		line = strconv.AppendInt(line, int64(id), 10)
	}
	_, err = a.out.Write(append(line, '\n'))
	return err
}

func decodeIDs(a *app, o tokenizeOptions, tok *tokenizer.Tokenizer) error {
	fields := strings.Fields(strings.Join(o.ids, " "))
	if len(o.ids) == 0 {
		doc, err := io.ReadAll(a.in)
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		fields = strings.Fields(string(bytes.ToValidUTF8(doc, []byte("\uFFFD"))))
	}
	ids := make([]int32, len(fields))
	for i, f := range fields {
		id, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return fmt.Errorf("id %d of %d: found %s, want a number", i+1, len(fields), clip(f))
		}
		if _, ok := tok.IDToToken(int32(id)); !ok {
			return fmt.Errorf("id %d of %d: %s has no token %d, its ids end at %d", i+1, len(fields), o.model, id, tok.VocabSize()-1)
		}
		ids[i] = int32(id)
	}
	text := tok.Decode(ids, o.special == nil || !*o.special)
	if o.json {
		return a.writeJSON(map[string]string{"text": text})
	}
	_, err := a.out.WriteString(text)
	return err
}

// clip quotes a text for a message, at most 40 bytes of it.
func clip(s string) string {
	if len(s) > 40 {
		return strconv.Quote(strings.ToValidUTF8(s[:40], "")) + "..."
	}
	return strconv.Quote(s)
}
