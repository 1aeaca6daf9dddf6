package main

import (
	"github.com/spf13/cobra"

	"graft/elo"
)

func newSFT(a *app) *cobra.Command {
	o := trainOptions{recipe: elo.Defaults()}
	cmd := &cobra.Command{
		Use:   "sft MODEL DATA... -o DIR",
		Short: "Stage three: tune the whole model on conversations",
		Long: `Instruction tuning: train everything in a model on conversations, rendered with its
chat template. DATA is .jsonl or .json, also .gz and .zst, or a directory of them; an
object has messages, each with role and content, and maybe tools:

  {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}

Only what the assistant says is learned, all its turns, with the token that ends them:
graft chat-template shows which. Conversations keep to themselves; one that is longer
than a sequence is cut there, one without an answer left out, and both are counted.
DATA:lang names the language; what --source-data brings is half of the mix.

An interrupt finishes the step and saves the run in DIR.resume; --resume continues it
to the same bits.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) >= 2 || o.resume != "" && len(args) == 0 {
				return nil
			}
			return exactly("MODEL", "DATA")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.given = len(args) > 0; o.given {
				o.recipe.BaseModel = args[0]
				for _, path := range args[1:] {
					if err := (corpusFlag{&o.recipe.SFT.Datasets, ""}).Set(path); err != nil {
						return usagef("sft: DATA: %w", err)
					}
				}
			}
			if err := o.checkUsage(cmd); err != nil {
				return err
			}
			return runTraining(a, "sft", o, elo.TuneSFT)
		},
	}
	f := cmd.Flags()
	outputFlag(cmd, &o.recipe.OutputDir)
	f.Var(corpusFlag{&o.recipe.SFT.Datasets, "source"}, "source-data", "conversations in a language that the model knows, half of the mix; may be repeated")
	f.Var(corpusFlag{&o.recipe.SFT.Eval, ""}, "eval", "held-out conversations to evaluate on; may be repeated")
	recipeFlags(f, &o.recipe, "sft", "method", "layers", "align_share", "num_epochs", "max_tokens", "mix_unit")
	trainFlags(cmd, &o)
	return cmd
}
