package main

import (
	"context"

	"github.com/spf13/cobra"

	"graft/elo"
)

type splitOptions struct {
	model, output, layers string
	force, json           bool
}

func newSplit(a *app) *cobra.Command {
	var o splitOptions
	cmd := &cobra.Command{
		Use: "split MODEL -o DIR", Short: "Cut the small model out of a model, untrained", Args: exactly("MODEL"),
		Long: `Cut a small model out of a model: embedding, the chosen layers, final norm and
head, byte for byte. It is an ordinary model directory that any trainer can take;
graft reassemble puts its layers back.`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.model = args[0]
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runSplit(ctx, a, o) })
		},
	}
	outputFlag(cmd, &o.output)
	f := cmd.Flags()
	f.StringVar(&o.layers, "layers", "first,last", "`layers` to take: numbers from 0, or from -1 downwards counted from the end, first, last, ranges a..b")
	f.BoolVar(&o.force, "force", false, "replace the output if it exists, once the new one is complete")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runSplit(ctx context.Context, a *app, o splitOptions) error {
	if err := needOutput("split", o.output); err != nil {
		return err
	}
	if err := modelPaths(&o.model); err != nil {
		return err
	}
	env := &elo.Env{Report: &progress{a: a}, Force: o.force}
	if _, err := elo.Split(ctx, env, o.model, o.layers, o.output); err != nil {
		return err
	}
	return reportModel(a, o.output, o.json)
}
