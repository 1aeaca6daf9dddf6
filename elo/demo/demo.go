package demo

import (
	"embed"
	"fmt"
	"io/fs"

	"graft/elo/data"
)

//go:embed base
var base embed.FS

//go:embed corpora
var corpora embed.FS

// holdOutEvery is the distance of held-out documents: the 20th, the 40th and
// so on are never trained on.
const holdOutEvery = 20

// Base returns the base model's directory as Hugging Face lays it out, with
// its licence.
func Base() fs.FS {
	sub, err := fs.Sub(base, "base")
	if err != nil {
		return base // cannot happen: the name is a valid path
	}
	return sub
}

// Spanish returns the target's documents in the order of the book, a chapter
// each, and every twentieth apart for evaluation.
func Spanish() (train, heldOut []string, err error) { return load("es.jsonl.zst") }

// English returns stories told by the base itself, split as in [Spanish]. It
// is the base's own text: it can only be forgotten.
func English() (train, heldOut []string, err error) { return load("en.jsonl.zst") }

func load(name string) (train, heldOut []string, err error) {
	f, err := corpora.Open("corpora/" + name)
	if err != nil {
		return nil, nil, fmt.Errorf("demo: %w", err)
	}
	defer f.Close()
	n := 0
	for d, err := range data.ReadFrom(f, name, data.ReadOptions{}) {
		if err != nil {
			return nil, nil, fmt.Errorf("demo: %w", err)
		}
		if n++; n%holdOutEvery == 0 {
			heldOut = append(heldOut, d.Text)
		} else {
			train = append(train, d.Text)
		}
	}
	return train, heldOut, nil
}
