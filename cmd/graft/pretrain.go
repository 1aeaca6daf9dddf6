package main

import (
	"github.com/spf13/cobra"

	"graft/elo"
)

func newPretrain(a *app) *cobra.Command {
	o := trainOptions{recipe: elo.Defaults()}
	cmd := &cobra.Command{
		Use:   "pretrain MODEL --data PATH[:lang] -o DIR",
		Short: "Stage one: train the chosen layers as a small model",
		Long: `Stage one of ELO: cut the chosen layers with embedding, final norm and head out of
a model, train those layers on the first nine tenths of the data, and write the
small model. MODEL may also be what graft split wrote.

An interrupt finishes the step and saves the run in DIR.resume; --resume continues
it to the same bits.`,
		Args: argsOrResume(&o, "MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.given = len(args) > 0; o.given {
				o.recipe.BaseModel = args[0]
			}
			if err := o.checkUsage(cmd); err != nil {
				return err
			}
			return runTraining(a, "pretrain", o, elo.Pretrain)
		},
	}
	outputFlag(cmd, &o.recipe.OutputDir)
	dataFlags(cmd.Flags(), &o.recipe, &o.text)
	recipeFlags(cmd.Flags(), &o.recipe, "pretrain", "method")
	trainFlags(cmd, &o)
	return cmd
}
