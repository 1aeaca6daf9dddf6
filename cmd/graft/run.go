package main

import (
	"strings"

	"github.com/spf13/cobra"

	"graft/elo"
)

func newRun(a *app) *cobra.Command {
	var o trainOptions
	var set []string
	cmd := &cobra.Command{
		Use:   "run FILE.yaml [--set key=value]",
		Short: "Do all of a recipe: both stages, or a method to compare with",
		Long: `Do all that a recipe asks for: pretrain, reassemble and align one after another,
or one of the methods to compare with. The keys of the file are those of the flags
of graft pretrain, with underscores, and base_model, output_dir, datasets, eval,
pretrain and align. --set changes one: --set pretrain.learning_rate=1e-4,
--set datasets.0.path=texts. Paths are relative to the working directory.

The resolved recipe and the realised tokens and bytes of each corpus are written
into the output as graft.json. An interrupt finishes the step and saves the run in
OUTPUT.resume; --resume continues it to the same bits.`,
		Args: argsOrResume(&o, "FILE.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.given = len(args) > 0; !o.given {
				if len(set) > 0 {
					return usagef("run: --resume goes on as the run was saved: leave out --set, or give FILE.yaml too")
				}
				return runTraining(a, "run", o, elo.Run)
			}
			var err error
			if o.recipe, err = readRecipe(args[0], set); err != nil {
				return err
			}
			return runTraining(a, "run", o, elo.Run)
		},
	}
	cmd.Flags().StringArrayVar(&set, "set", nil, "change a key of the recipe: `key=value`; may be repeated")
	trainFlags(cmd, &o)
	return cmd
}

// readRecipe reads a file and applies --set on top.
func readRecipe(path string, set []string) (elo.Recipe, error) {
	for _, s := range set {
		if key, _, ok := strings.Cut(s, "="); !ok || key == "" {
			return elo.Recipe{}, usagef("run: --set: found %q, want key=value", s)
		}
	}
	r, err := elo.ReadRecipe(path)
	if err != nil {
		return r, err
	}
	for _, s := range set {
		key, value, _ := strings.Cut(s, "=")
		if err := r.Set(key, value); err != nil {
			return r, usagef("run: --set %s: %s", s, strings.TrimPrefix(err.Error(), "elo: "))
		}
	}
	return r, nil
}
