package elo_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"graft/elo"
)

func TestParseRecipe(t *testing.T) {
	const doc = `
# comments and anchors are allowed
base_model: models/007        # a text, whatever it looks like
output_dir: "out"
layers: 0
max_tokens: 1e9
seed: 18446744073709551615
sequence_len: 1_024
gradient_checkpointing: true
datasets:
  - {path: ko.txt, lang: no, weight: 9}
  - path: en.txt
    lang: 'en'
    role: source
    weight: 1
pretrain: &stage
  learning_rate: 5e-4
  lr_scheduler: wsd
align: *stage
num_epochs:
`
	got, err := elo.ParseRecipe("r.yaml", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	want := elo.Defaults()
	want.BaseModel, want.OutputDir, want.Layers = "models/007", "out", "0"
	want.MaxTokens, want.Seed, want.SequenceLen, want.GradientCheckpointing = 1e9, 1<<64-1, 1024, true
	want.Datasets = []elo.Dataset{{Path: "ko.txt", Lang: "no", Weight: 9}, {Path: "en.txt", Lang: "en", Role: "source", Weight: 1}}
	want.Pretrain.LearningRate, want.Pretrain.Scheduler = 5e-4, "wsd"
	want.Align = want.Pretrain
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestParseRecipeEmpty(t *testing.T) {
	for _, doc := range []string{"", "# nothing\n", "---\n", "null\n"} {
		got, err := elo.ParseRecipe("r.yaml", []byte(doc))
		if err != nil || !reflect.DeepEqual(got, elo.Defaults()) {
			t.Errorf("%q: got %+v, %v, want the defaults", doc, got, err)
		}
	}
}

func TestParseRecipeErrors(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"unknown key", "seed: 1\nsede: 2\n", `r.yaml:2: unknown key "sede": did you mean seed?`},
		{"of another group", "seed: 1\n\nlearning_rate: 1\n", `r.yaml:3: unknown key "learning_rate": did you mean pretrain.learning_rate or align.learning_rate or sft.learning_rate?`},
		{"of the top", "align:\n  seed: 1\n", `r.yaml:2: unknown key "seed" in align: did you mean seed?`},
		{"nothing alike", "align:\n  zzzzzzzzzzzz: 1\n", `r.yaml:2: unknown key "zzzzzzzzzzzz" in align: the keys there are learning_rate, lr_scheduler, warmup_ratio,`},
		{"in a list", "datasets:\n- path: a\n- pat: b\n", `r.yaml:3: unknown key "pat" in datasets.1: did you mean datasets.1.path?`},
		{"in flow style", "align: {learning_rat: 1}\n", `r.yaml:1: unknown key "learning_rat" in align: did you mean align.learning_rate?`},
		{"case counts", "Seed: 1\n", `r.yaml:1: unknown key "Seed": did you mean seed?`},
		{"merge key", "align:\n  <<: 3\n", `r.yaml:2: unknown key "<<" in align`},
		{"not whole", "seed: 1\nnum_epochs: 1.5\n", `r.yaml:2: num_epochs: found "1.5", want a whole number`},
		{"negative", "seed: -1\n", `r.yaml:1: seed: found "-1", want a whole number, 0 or more`},
		{"too large", "num_epochs: 99999999999999999999\n", `num_epochs: found "99999999999999999999", want a whole number`},
		{"not a number", "align:\n  learning_rate: fast\n", `r.yaml:2: align.learning_rate: found "fast", want a number`},
		{"infinite", "align:\n  learning_rate: .inf\n", `align.learning_rate: found ".inf", want a number`},
		{"overflowing", "align:\n  learning_rate: 1e999\n", `align.learning_rate: found "1e999", want a number`},
		{"not a truth", "gradient_checkpointing: maybe\n", `gradient_checkpointing: found "maybe", want true or false`},
		{"list for text", "layers: [0, 4]\n", `r.yaml:1: layers: found a list, want a text`},
		{"text for list", "datasets: ko.txt\n", `r.yaml:1: datasets: found "ko.txt", want a list`},
		{"text for group", "align: 3\n", `r.yaml:1: align: found "3", want keys and values`},
		{"a list", "- a\n", `r.yaml:1: found a list, want keys and values`},
		{"twice", "seed: 1\nseed: 2\n", `r.yaml:2: mapping key "seed" already defined`},
		{"two documents", "seed: 1\n---\nseed: 2\n", `r.yaml:3: a second document begins here`},
		{"syntax", "seed: 1\na: b: c\n", `r.yaml:2: `},
		{"unknown alias", "align: *none\n", `none`},
		{"brackets", strings.Repeat("[", 1<<19), `r.yaml: is nested more than 64 deep`},
		{"dashes", strings.Repeat("- ", 1<<18), `r.yaml: is nested more than 64 deep`},
		{"bytes", "seed: 1\nlayers: \xff\n", `r.yaml:2: is not UTF-8: byte 16 is 0xFF`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := elo.ParseRecipe("r.yaml", []byte(c.doc))
			if err == nil || !strings.HasPrefix(err.Error(), "elo: r.yaml") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %s", err, c.want)
			}
		})
	}
}

func TestReadRecipeErrors(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long.yaml")
	if err := os.WriteFile(long, make([]byte, 1<<20+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none.yaml"), "none.yaml: no such file"},
		{dir, "is a directory, want a YAML file"},
		{long, "is above the limit of 1048576 bytes"},
	} {
		if _, err := elo.ReadRecipe(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.path, err, c.want)
		}
	}
}

func TestRecipeSet(t *testing.T) {
	r := elo.Defaults()
	for _, s := range [][2]string{
		{"base_model", "a: b, [c]"}, {"seed", "7"}, {"align.learning_rate", "1e-3"}, {"gradient_checkpointing", "true"},
		{"datasets.0.path", "x"}, {"datasets.1.path", "y"}, {"datasets.1.weight", "0.5"}, {"datasets.0.weight", "2"},
		{"eval", "[{path: e, lang: es}]"}, {"pretrain", "{learning_rate: 2e-3, lr_scheduler: linear}"},
	} {
		if err := r.Set(s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	want := elo.Defaults()
	want.BaseModel, want.Seed, want.GradientCheckpointing, want.Align.LearningRate = "a: b, [c]", 7, true, 1e-3
	want.Datasets = []elo.Dataset{{Path: "x", Weight: 2}, {Path: "y", Weight: 0.5}}
	want.Eval = []elo.Dataset{{Path: "e", Lang: "es"}}
	want.Pretrain.LearningRate, want.Pretrain.Scheduler = 2e-3, "linear"
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got\n%+v\nwant\n%+v", r, want)
	}
	if key := r.Differs(&want); key != "" {
		t.Errorf("Differs: got %q, want none", key)
	}
	want.Align.Beta2 = 0.5
	if key := r.Differs(&want); key != "align.adam_beta2" {
		t.Errorf("Differs: got %q, want align.adam_beta2", key)
	}
	if v, err := r.Get("datasets.1.weight"); err != nil || v != 0.5 {
		t.Errorf("Get: got %v, %v, want 0.5", v, err)
	}
	for _, c := range []struct{ key, value, want string }{
		{"sede", "1", `unknown key "sede": did you mean seed?`},
		{"align.seed", "1", `unknown key "seed" in align: did you mean seed?`},
		{"seed.x", "1", `seed is a value and has no key "x"`},
		{"datasets.9.path", "a", `datasets: found element "9", want a number from 0 to 2`},
		{"seed", "x", `seed: found "x", want a whole number, 0 or more`},
		{"datasets", "", `datasets: found nothing, want a list`},
		{"datasets", "a: [", `datasets:1: `},
		{"", "", `unknown key ""`},
	} {
		if err := r.Set(c.key, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Set(%q, %q): got %v, want %s", c.key, c.value, err, c.want)
		}
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add("seed: 1\nalign: {learning_rate: 1}\ndatasets: [{path: &a x}, {path: *a}]\n")
	f.Add("a: &a *a\n---\n? b\n: |\n  c")
	f.Fuzz(func(t *testing.T, doc string) {
		if _, err := elo.ParseRecipe("r.yaml", []byte(doc)); err != nil && !strings.HasPrefix(err.Error(), "elo: r.yaml") {
			t.Errorf("got %v, want the file's name", err)
		}
	})
}
