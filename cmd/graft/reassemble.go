package main

import (
	"context"

	"github.com/spf13/cobra"

	"graft/elo"
)

type reassembleOptions struct {
	model, small, output, layers string
	force, json                  bool
}

func newReassemble(a *app) *cobra.Command {
	var o reassembleOptions
	cmd := &cobra.Command{
		Use: "reassemble MODEL SMALL -o DIR", Short: "Graft a small model's layers back into its base", Args: exactly("MODEL", "SMALL"),
		Long: `Write MODEL with the layers that SMALL is made of in place of its own. Every other
tensor stays as it is, byte for byte. SMALL may have been trained by any program;
if it has lost its graft.json, --layers says which layers of MODEL it is made of.`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.model, o.small = args[0], args[1]
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runReassemble(ctx, a, o) })
		},
	}
	outputFlag(cmd, &o.output)
	f := cmd.Flags()
	f.StringVar(&o.layers, "layers", "", "`layers` of MODEL that SMALL is made of; by default as it was cut")
	f.BoolVar(&o.force, "force", false, "replace the output if it exists, once the new one is complete")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runReassemble(ctx context.Context, a *app, o reassembleOptions) error {
	if err := needOutput("reassemble", o.output); err != nil {
		return err
	}
	if err := modelPaths(&o.model, &o.small); err != nil {
		return err
	}
	env := &elo.Env{Report: &progress{a: a}, Force: o.force}
	if _, err := elo.Reassemble(ctx, env, o.model, o.small, o.layers, o.output); err != nil {
		return err
	}
	return reportModel(a, o.output, o.json)
}
