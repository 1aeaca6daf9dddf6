package main

import (
	"fmt"
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
or one of the methods to compare with. A recipe is a YAML file:

  base_model: models/base
  output_dir: out
  datasets:
    - {path: ko.jsonl, lang: ko}
    - {path: en.txt, lang: en, role: source}
  eval: [{path: held.txt, lang: ko}]
  pretrain: {learning_rate: 1e-4}
  align: {learning_rate: 5e-6}

Paths are relative to the working directory. A dataset also has field (of JSON
objects, by default text), text (paragraph, line or file: what a document of a .txt
file is) and weight. --set changes a key: --set pretrain.learning_rate=1e-5,
--set datasets.0.path=texts. All other keys, with their defaults:

` + strings.TrimSuffix(recipeHelp(), "\n") + `

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

// recipeHelp lists the keys that a recipe has beside paths and corpora.
func recipeHelp() string {
	r := elo.Defaults()
	var b strings.Builder
	for _, k := range recipeKeys {
		key, ofStage := strings.CutPrefix(k.key, "stage.")
		name := key
		if ofStage {
			name, key = "  "+key, "pretrain."+key
		}
		if k.key == "stage.learning_rate" {
			b.WriteString("  pretrain, align, sft\n")
		}
		if k.key == "sft.num_epochs" {
			b.WriteString("  sft, which runs last when it has datasets of conversations, and eval\n")
		}
		if rest, ofSFT := strings.CutPrefix(k.key, "sft."); ofSFT {
			name = "  " + rest
		}
		v, err := r.Get(key)
		if err != nil {
			continue // a test holds the table against the recipe
		}
		fmt.Fprintf(&b, "  %-40s %s\n", fmt.Sprintf("%s: %v", name, v), strings.ReplaceAll(k.usage, "`", ""))
	}
	return b.String()
}
