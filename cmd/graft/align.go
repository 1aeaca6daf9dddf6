package main

import (
	"github.com/spf13/cobra"

	"graft/elo"
)

func newAlign(a *app) *cobra.Command {
	o := trainOptions{recipe: elo.Defaults()}
	cmd := &cobra.Command{
		Use:   "align MODEL --data PATH[:lang] -o DIR",
		Short: "Stage two: train the whole model on the rest of the data",
		Long: `Stage two of ELO: train everything in a model that graft reassemble wrote, on the
data behind where stage one ended. Give the corpora and settings of the data that
graft pretrain was given; what differs is refused. A model that was not
reassembled is trained on all of the data.

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
			return runTraining(a, "align", o, elo.Align)
		},
	}
	outputFlag(cmd, &o.recipe.OutputDir)
	dataFlags(cmd.Flags(), &o.recipe, &o.text)
	recipeFlags(cmd.Flags(), &o.recipe, "align", "method", "layers", "align_share")
	trainFlags(cmd, &o)
	return cmd
}
