package elo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"graft/internal/diskspace"
	"graft/kernels"
	"graft/model"
)

// preflight refuses an output that could not be written after hours of work.
// Force replaces models only, and never the one that is read.
func preflight(output, base string, force bool) error {
	entries, err := os.ReadDir(output)
	isModel := func(e os.DirEntry) bool { return e.Name() == "config.json" }
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("elo: output %s: %w", output, err)
	case len(entries) > 0 && !force:
		return fmt.Errorf("elo: output %s: %w: choose another name, or force to replace it", output, os.ErrExist)
	case len(entries) > 0 && sameDir(output, base):
		return fmt.Errorf("elo: output %s is the base model: choose another name", output)
	case len(entries) > 0 && !slices.ContainsFunc(entries, isModel):
		return fmt.Errorf("elo: output %s has no config.json, so it is not a model and is not replaced: %w", output, os.ErrExist)
	}
	parent := filepath.Dir(filepath.Clean(output))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return fmt.Errorf("elo: output %s: %w", output, err)
	}
	probe, err := os.MkdirTemp(parent, ".graft-probe-*")
	if err != nil {
		return fmt.Errorf("elo: output %s: cannot write there: %w", output, err)
	}
	return os.Remove(probe)
}

func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// checkState refuses to begin a run where the state of another one lies, which
// the first save would replace and the end remove.
func checkState(env *Env, output string, from *saved) error {
	dir := stateDir(output)
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) || from != nil && sameDir(from.dir, dir) {
		return nil
	}
	s, err := ReadSaved(dir)
	switch {
	case err != nil:
		return fmt.Errorf("elo: %s is where an interrupted run would be saved, and is not a saved run: %w", dir, os.ErrExist)
	case !env.Force:
		return fmt.Errorf("elo: %s holds an interrupted run (%s, stage %s, step %d): resume it, force to begin anew, or choose another output: %w",
			dir, s.Verb, s.Stage, s.Step, os.ErrExist)
	}
	return nil
}

// checkSpace refuses a run whose results the disk has no room for now, and
// warns when an interrupt could not be saved.
func checkSpace(env *Env, r *Recipe, ck *model.Checkpoint, verb string, from *saved) error {
	free, ok := diskspace.Free(filepath.Dir(filepath.Clean(r.OutputDir)))
	if !ok {
		return nil
	}
	results, state, err := r.space(ck, verb)
	if err != nil {
		return err
	}
	if from != nil {
		results, state = 0, 0 // parts of both are on the disk already
	}
	warning, err := roomFor(r, results, state, free)
	if warning != "" {
		env.report().Warn(warning)
	}
	return err
}

// space is how many bytes a verb writes: models, and the state of its largest
// stage.
func (r *Recipe) space(ck *model.Checkpoint, verb string) (results, state int64, err error) {
	layers, err := model.ParseLayers(r.Layers, ck.Config.Layers)
	if err != nil {
		return 0, 0, err
	}
	if verb == verbPretrain {
		if rec, ok, err := ReadRecord(ck.Dir); err != nil {
			return 0, 0, err
		} else if ok && rec.Kind == KindSmall {
			layers = ck.Config.AllLayers()
		}
	}
	// An F32 master and two moments of each trained parameter.
	const perTrained = 12
	var whole, small, masters, inLayers int64
	for _, t := range ck.Config.Tensors(nil) {
		info, _ := ck.Info(t.Name)
		whole += info.Size
		chosen := slices.Contains(layers, t.Layer)
		if chosen || t.Layer < 0 {
			small += info.Size
		}
		if chosen {
			inLayers += int64(t.Len())
			if ck.DType(t.Name) != kernels.F32 {
				masters += 4 * int64(t.Len())
			}
		}
	}
	everything := perTrained * ck.Config.Params(nil)
	switch {
	case verb == verbPretrain:
		return small + masters, perTrained * inLayers, nil
	case verb == verbAlign || verb == verbSFT || r.onlySFT() || r.Method == MethodFull:
		return whole, everything, nil
	case r.Method == MethodInPlace:
		return 2*whole + masters, everything, nil
	}
	return small + masters + whole, everything, nil
}

// roomFor compares what a run writes with what is free.
func roomFor(r *Recipe, results, state, free int64) (warning string, err error) {
	need, what := results, "the result takes"
	if r.SaveSteps > 0 {
		need, what = results+2*state, "results and saved states take" // a new state lies beside the old one
	}
	switch {
	case need > free && results <= free:
		return "", fmt.Errorf("elo: output %s: %s %s, and %s are free there; save_steps: 0 saves none while it trains", r.OutputDir, what, sizeText(need), sizeText(free))
	case need > free:
		return "", fmt.Errorf("elo: output %s: %s %s, and %s are free there", r.OutputDir, what, sizeText(need), sizeText(free))
	case results+state > free:
		return fmt.Sprintf("%s are free for %s: an interrupted run, which takes %s, could not be saved", sizeText(free), r.OutputDir, sizeText(state)), nil
	}
	return "", nil
}

func sizeText(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
}
