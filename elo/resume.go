package elo

import "graft/elo/checkpoint"

// Saved says what an interrupted run was, by the directory that it was saved
// in: the verb (pretrain, align or run), its recipe, and how far it came.
type Saved struct {
	Verb   string
	Recipe Recipe
	Stage  string
	Step   int
}

// ReadSaved reads what was saved in dir, without its weights.
func ReadSaved(dir string) (Saved, error) {
	var s state
	if err := checkpoint.Meta(dir, &s); err != nil {
		return Saved{}, err
	}
	return Saved{Verb: s.Resume.Verb, Recipe: s.Recipe, Stage: s.Stage, Step: s.Step}, nil
}
