package main

import (
	"context"
	"math"

	"github.com/spf13/cobra"

	"graft/elo"
)

type chatVectorOptions struct {
	elo.ChatVectorOptions
	force, json bool
}

func newChatVector(a *app) *cobra.Command {
	var o chatVectorOptions
	cmd := &cobra.Command{
		Use: "chat-vector ALIGNED BASE INSTRUCT -o DIR", Short: "Give an adapted model the skills of its base's instruct version",
		Args: exactly("ALIGNED", "BASE", "INSTRUCT"),
		Long: `Write ALIGNED + factor * (INSTRUCT - BASE): ALIGNED is BASE adapted to a language,
INSTRUCT is BASE tuned to follow instructions, and the result is to do both.

Weights are summed in float64 and stored in ALIGNED's types; memory is a few
megabytes, whatever the models' size. The result is meant to be chatted with, so
tokenizer, chat template, generation config and the numbers of special tokens are
INSTRUCT's; config.json otherwise, licence and the rest are ALIGNED's.

The three must be of one family, with the same tensors, shapes and tokens.
INSTRUCT may have appended tokens to the vocabulary, as chat formats do. That is
refused unless --new-tokens is given: their rows are then INSTRUCT's as they are.`,
		Example: `  graft chat-vector out/llama-ko meta-llama/Llama-3.1-8B meta-llama/Llama-3.1-8B-Instruct -o out/llama-ko-chat`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Aligned, o.Base, o.Instruct = args[0], args[1], args[2]
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runChatVector(ctx, a, o) })
		},
	}
	outputFlag(cmd, &o.Output)
	f := cmd.Flags()
	f.Float64Var(&o.Factor, "factor", 1, "what the vector is multiplied by, `x`; below 1 keeps more of the language, above takes more of the chat")
	f.BoolVar(&o.NewTokens, "new-tokens", false, "take over tokens that INSTRUCT has appended to the vocabulary")
	f.BoolVar(&o.force, "force", false, "replace the output if it exists, once the new one is complete")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runChatVector(ctx context.Context, a *app, o chatVectorOptions) error {
	if err := needOutput("chat-vector", o.Output); err != nil {
		return err
	}
	if math.IsNaN(o.Factor) || math.IsInf(o.Factor, 0) {
		return usagef("chat-vector: --factor: found %v, want a finite number", o.Factor)
	}
	if err := modelPaths(&o.Aligned, &o.Base, &o.Instruct); err != nil {
		return err
	}
	env := &elo.Env{Report: &progress{a: a}, Force: o.force}
	if err := elo.ChatVector(ctx, env, o.ChatVectorOptions); err != nil {
		return err
	}
	return reportModel(a, o.Output, o.json)
}
