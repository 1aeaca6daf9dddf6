package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"graft/elo"
)

// trainOptions are what the verbs that train have in common.
type trainOptions struct {
	recipe elo.Recipe
	text   textOptions // of the corpora that flags name
	// given reports whether the command line says what to train; else --resume
	// alone does.
	given         bool
	resume        string
	force         bool
	allowSlow     bool
	otherNumerics bool
	device        string
	json          bool
}

// trainFlags adds the flags that do not belong to the recipe.
func trainFlags(cmd *cobra.Command, o *trainOptions) {
	f := cmd.Flags()
	f.StringVar(&o.resume, "resume", "", "go on with the run that was saved in `DIR`")
	f.BoolVar(&o.force, "force", false, "replace the output if it exists, once the new one is complete")
	f.BoolVar(&o.allowSlow, "allow-slow", false, "run operations that the device lacks by their plain definitions")
	f.BoolVar(&o.otherNumerics, "other-numerics", false, "resume what was saved on another device or version; the bits then differ")
	deviceFlag(f, &o.device)
	f.BoolVar(&o.json, "json", false, "print an object a line for every step and evaluation to standard output")
	f.SortFlags = false
}

// outputFlag adds -o.
func outputFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVarP(dir, "output-dir", "o", "", "`DIR` to write")
}

func needOutput(verb, dir string) error {
	if dir == "" {
		return usagef("%s: -o DIR is missing: where the result goes", verb)
	}
	return nil
}

// argsOrResume wants the argument unless --resume says what to go on with.
func argsOrResume(o *trainOptions, name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if o.resume != "" && len(args) == 0 {
			return nil
		}
		return exactly(name)(cmd, args)
	}
}

// runTraining runs a verb, or goes on with it.
func runTraining(a *app, verb string, o trainOptions, start func(ctx context.Context, env *elo.Env, r elo.Recipe) error) error {
	if o.given { // what was saved names the directory that it read
		if err := modelPaths(&o.recipe.BaseModel); err != nil {
			return err
		}
	}
	output, err := o.check(verb)
	if err != nil {
		return err
	}
	be, err := openDevice(a, o.device)
	if err != nil {
		return err
	}
	p := &progress{a: a, json: o.json}
	env := &elo.Env{Backend: be, Report: p, Force: o.force, AllowSlow: o.allowSlow, OtherNumerics: o.otherNumerics}
	err = interruptible(a, true, func(ctx context.Context, interrupt <-chan struct{}) error {
		env.Interrupt = interrupt
		if o.resume != "" {
			return elo.Resume(ctx, env, o.resume)
		}
		return start(ctx, env, o.recipe)
	})
	a.console.end()
	if err = closeDevice(err, be); err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	return reportModel(a, output, o.json)
}

// check holds the options against each other and returns the directory that
// will be written.
func (o *trainOptions) check(verb string) (output string, err error) {
	if o.given {
		if err := o.recipe.Check(); err != nil {
			return "", err
		}
	}
	if o.resume == "" {
		return o.recipe.OutputDir, nil
	}
	saved, err := elo.ReadSaved(o.resume)
	if err != nil {
		return "", err
	}
	if saved.Verb != verb {
		return "", usagef("%s was saved by `graft %s`: resume it with that", o.resume, saved.Verb)
	}
	if o.given {
		if key := o.recipe.Differs(&saved.Recipe); key != "" {
			now, _ := o.recipe.Get(key)
			was, _ := saved.Recipe.Get(key)
			return "", usagef("--resume: %s is %v in %s, and %v on the command line", key, was, o.resume, now)
		}
	}
	return saved.Recipe.OutputDir, nil
}

// checkUsage makes a recipe that makes no sense a mistake of the command line,
// which is all it comes from in verbs without a file.
func (o *trainOptions) checkUsage(cmd *cobra.Command) error {
	if !o.given {
		var extra []string
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if !notOfRecipe[f.Name] {
				extra = append(extra, "--"+f.Name)
			}
		})
		if len(extra) > 0 {
			return usagef("%s: --resume goes on as the run was saved: leave out %s, or give the whole command line", cmd.Name(), strings.Join(extra, " "))
		}
		return nil
	}
	if err := needOutput(cmd.Name(), o.recipe.OutputDir); err != nil {
		return err
	}
	if err := o.text.check(cmd.Name()); err != nil {
		return err
	}
	o.text.apply(&o.recipe)
	if len(o.recipe.Datasets) == 0 && len(o.recipe.SFT.Datasets) == 0 {
		return usagef("%s: --data is missing: a corpus to train on", cmd.Name())
	}
	if err := o.recipe.Check(); err != nil {
		return usagef("%s: %s", cmd.Name(), strings.TrimPrefix(err.Error(), "elo: "))
	}
	return nil
}

// notOfRecipe are the flags that a resumed run takes.
var notOfRecipe = map[string]bool{"resume": true, "force": true, "allow-slow": true, "other-numerics": true, "device": true, "json": true}

// reportModel prints what was written.
func reportModel(a *app, dir string, asJSON bool) error {
	rec, _, err := elo.ReadRecord(dir)
	if err != nil {
		return err
	}
	if asJSON {
		return a.writeJSON(map[string]any{"event": "done", "output": dir, "kind": rec.Kind, "layers": rec.Prefix, "stages": rec.Stages, "usage": rec.Usage})
	}
	for _, s := range rec.Stages {
		fmt.Fprintf(a.out, "%s: %d steps, %d tokens in %.1f s\n", s.Stage, s.Steps, s.Tokens, s.Seconds)
	}
	for _, m := range rec.Prefix {
		fmt.Fprintln(a.out, movedText(rec, m))
	}
	fmt.Fprintf(a.out, "wrote %s (%s)\n", dir, kindText[rec.Kind])
	return nil
}

var kindText = map[string]string{
	elo.KindSmall: "the small model", elo.KindGrafted: "the base with its layers grafted back", elo.KindTrained: "the trained model",
	elo.KindChat: "the aligned model with the chat vector",
}

// movedText says where a layer of the base is in what was written.
func movedText(rec elo.Record, m elo.Moved) string {
	if rec.Kind == elo.KindSmall {
		return m.Base + " of the base is " + m.Small
	}
	return m.Base + " was trained"
}
