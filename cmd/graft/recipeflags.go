package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"graft/elo"
	"graft/elo/data"
)

// recipeKeys describes the keys of a recipe that are flags, in the order of the
// help. A stage's keys apply to the verb's own stage.
var recipeKeys = []struct{ key, usage string }{
	{"method", "`how` to train: elo, full (everything) or inplace (the same layers in the whole model)"},
	{"layers", "`layers` that train: numbers from 0, or from -1 downwards counted from the end, first, last, ranges a..b"},
	{"sequence_len", "`tokens` of a sequence, capped by the model's positions"},
	{"micro_batch_size", "`sequences` that go through the model at once"},
	{"gradient_accumulation_steps", "micro-`batches` of an optimizer step"},
	{"gradient_checkpointing", "keep only each layer's input for the backward pass: less memory, more work"},
	{"seed", "`seed` of the documents' order"},
	{"num_epochs", "`times` the target corpora are read"},
	{"max_tokens", "end after so many `tokens` instead of after --num-epochs; 0 is no such end"},
	{"save_steps", "save a state for --resume every so many `steps`; 0 is only when interrupted"},
	{"dtype", "`type` of weights and activations: auto (the checkpoint's), float32 or bfloat16"},
	{"optimizer", "`name` of the optimizer: adamw"},
	{"mix_unit", "`unit` of the corpora's mix: tokens or bytes"},
	{"align_share", "`share` of the data that is kept for the alignment"},
	{"stage.learning_rate", "highest learning `rate`"},
	{"stage.lr_scheduler", "learning rate over the run, by `name`: cosine, linear, wsd or constant"},
	{"stage.warmup_ratio", "`share` of the steps in which the learning rate rises"},
	{"stage.decay_ratio", "`share` of the steps in which it falls, with wsd"},
	{"stage.weight_decay", "decoupled weight decay `factor`, of matrices"},
	{"stage.max_grad_norm", "`norm` that gradients are clipped to; 0 is not at all"},
	{"stage.adam_beta1", "AdamW's decay `rate` of the first moment"},
	{"stage.adam_beta2", "AdamW's decay `rate` of the second moment"},
	{"stage.adam_epsilon", "AdamW's `epsilon`"},
	{"sft.num_epochs", "`times` the conversations are read"},
	{"sft.chat_template", "`FILE` with a chat template, in the place of the model's, also in the output"},
	{"sft.date", "what a template that asks is told: a `date` as 2026-12-31"},
}

// recipeFlag is one key of a recipe as a flag.
type recipeFlag struct {
	r    *elo.Recipe
	key  string
	kind string
}

var _ pflag.Value = recipeFlag{}

func (f recipeFlag) Set(s string) error {
	err := f.r.Set(f.key, s)
	if err != nil {
		// pflag names the flag; the key would say the same again.
		_, what, _ := strings.Cut(strings.TrimPrefix(err.Error(), "elo: "), ": ")
		return fmt.Errorf("%s", what)
	}
	return nil
}

func (f recipeFlag) String() string {
	if f.r == nil { // pflag asks a zero value what zero looks like
		return ""
	}
	v, err := f.r.Get(f.key)
	if err != nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (f recipeFlag) Type() string { return f.kind }

// recipeFlags adds flags for the recipe's keys, all but those left out, in kebab
// case. stage is pretrain, align or sft, or "" for a verb without a stage.
func recipeFlags(fs *pflag.FlagSet, r *elo.Recipe, stage string, except ...string) {
	for _, k := range recipeKeys {
		key, ofStage := strings.CutPrefix(k.key, "stage.")
		name, ofSFT := strings.CutPrefix(key, "sft.")
		if slices.Contains(except, key) || ofStage && stage == "" || ofSFT && stage != "sft" {
			continue
		}
		name = strings.ReplaceAll(name, "_", "-")
		if ofStage {
			key = stage + "." + key
		}
		v, err := r.Get(key)
		if err != nil {
			continue // a test holds the table against the recipe
		}
		kind := map[bool]string{true: "bool", false: "value"}[v == false || v == true]
		f := fs.VarPF(recipeFlag{r, key, kind}, name, "", k.usage)
		if kind == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

// corpusFlag collects PATH[:lang] into a list of corpora.
type corpusFlag struct {
	list *[]elo.Dataset
	role string
}

func (f corpusFlag) Set(s string) error {
	d := parseCorpus(s)
	if d.Path == "" {
		return fmt.Errorf("found %q, want a path, or path:language", s)
	}
	d.Role = f.role
	*f.list = append(*f.list, d)
	return nil
}

func (f corpusFlag) String() string { return "" }
func (f corpusFlag) Type() string   { return "path[:lang]" }

// parseCorpus splits PATH:lang. What follows the last colon is a language if it
// looks like the tag of one, so C:\texts and names with colons stay paths.
func parseCorpus(s string) elo.Dataset {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || !isLanguage(s[i+1:]) {
		return elo.Dataset{Path: s}
	}
	return elo.Dataset{Path: s[:i], Lang: s[i+1:]}
}

// isLanguage accepts a name that begins with two letters: ko, pt-BR, korean.
func isLanguage(s string) bool {
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	if len(s) < 2 || !letter(s[0]) || !letter(s[1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !letter(c) && !('0' <= c && c <= '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// textOptions say how files become documents, for all corpora of a command line.
type textOptions struct{ field, text string }

// textFlags adds --field and --text.
func textFlags(fs *pflag.FlagSet, o *textOptions) {
	fs.StringVar(&o.field, "field", "", "`name` of the field of JSON objects that holds the text; by default text")
	fs.StringVar(&o.text, "text", "", "what a document of a .txt file is, a `unit`: paragraph (the default), line or file")
}

func (o textOptions) check(verb string) error {
	switch data.TextUnit(o.text) {
	case "", data.Paragraph, data.Line, data.File:
		return nil
	}
	return usagef("%s: --text: found %q, want %s, %s or %s", verb, o.text, data.Paragraph, data.Line, data.File)
}

// apply sets the options of all corpora of a recipe.
func (o textOptions) apply(r *elo.Recipe) {
	for _, list := range [][]elo.Dataset{r.Datasets, r.Eval} {
		for i := range list {
			list[i].Field, list[i].Text = o.field, o.text
		}
	}
}

// dataFlags adds the corpora of a training verb.
func dataFlags(fs *pflag.FlagSet, r *elo.Recipe, o *textOptions) {
	fs.Var(corpusFlag{&r.Datasets, ""}, "data", "corpus in the target language: a file or a directory of .txt, .jsonl, .json, also .gz and .zst; may be repeated")
	fs.Var(corpusFlag{&r.Datasets, "source"}, "source-data", "corpus in a language that the model knows, a tenth of the mix; may be repeated")
	fs.Var(corpusFlag{&r.Eval, ""}, "eval", "held-out corpus to evaluate on; may be repeated")
	textFlags(fs, o)
}
