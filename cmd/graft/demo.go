package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"graft/elo"
	"graft/elo/compare"
	"graft/elo/demo"
)

// demoOptions are what graft demo is asked for.
type demoOptions struct {
	output string
	tokens int64
	device string
	json   bool
}

// How the demonstration trains. Each method had the same four trials of its
// learning rate; docs/LOG.md has them.
const (
	demoTokens     = 30_000 // for each method; less than two minutes of two cores in all
	demoLeast      = 4_000  // fewer leave no step for alignment
	demoSequence   = 256
	demoMicroBatch = 2
	demoRate       = 1e-3
	demoSlice      = 200 * time.Millisecond // of a method's turn, at least
	heldOutTarget  = 8_000                  // bytes of text to evaluate on
	heldOutSource  = 4_000
)

// demoMarker in a directory says that graft demo wrote it and may do so again.
const demoMarker = ".graft-demo"

const demoNotes = `base: stories260K, a Llama of 260 thousand parameters that knows only English stories
es: the Spanish Bible of Reina-Valera (1909), folded to what the base's 512 tokens spell: accents dropped but on é, ñ kept, no ¿ and ¡
en: the base's own text: it can only be forgotten`

func newDemo(a *app) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo [-o DIR] [--tokens N]",
		Short: "Teach a tiny model Spanish by ELO and by full training, and compare",
		Long: `Teach a tiny embedded model Spanish, by ELO and by full continual pretraining of
everything, on the same tokens and in short turns; then by full training again,
stopped at the time that ELO took. Print what each gained, forgot and cost. It needs
no network and nothing else, and takes under two minutes on two cores. Models, curves
(demo.png) and figures (demo.json) go into DIR, which is rewritten the next time. The
exit code is 1 when alignment did not help, Spanish gained less than half of full
training's gain, or stage one ran less than 1.8 times as many tokens a second as
full training.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.tokens < demoLeast {
				return usagef("demo: --tokens: found %d, want %d or more", o.tokens, demoLeast)
			}
			if o.output == "" {
				return usagef("demo: -o: found \"\", want a directory to write")
			}
			return runDemo(a, o)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output-dir", "o", "graft-demo", "`DIR` to write")
	cmd.Flags().Int64Var(&o.tokens, "tokens", demoTokens, "`N` tokens for each method to train on")
	deviceFlag(cmd.Flags(), &o.device)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the figures as JSON instead of tables")
	return cmd
}

func runDemo(a *app, o demoOptions) (err error) {
	if err := demoDirectory(o.output); err != nil {
		return err
	}
	recipe, err := demoRecipe(o)
	if err != nil {
		return err
	}
	for _, line := range bytes.Split([]byte(demoNotes), []byte("\n")) {
		a.note(string(line))
	}
	entries, closeAll, err := demoEntries(a, o, recipe)
	if err != nil {
		return closeAll(err)
	}
	var results, short []compare.Result
	err = interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) (err error) {
		if results, err = compare.Race(ctx, demoSlice, entries); err != nil {
			return err
		}
		// What full training comes to in the time that ELO took.
		again := entries[1]
		again.Env.Times = elo.Times{}
		again.Recipe.MaxTokens = max(1, compare.TokensInTime(results[0], results[1]))
		again.Recipe.OutputDir += ".short"
		short, err = compare.Race(ctx, demoSlice, []compare.Entry{again})
		return err
	})
	a.console.end()
	if err = closeAll(err); err != nil {
		return err
	}
	report, err := compare.NewReport(results[0], results[1], &short[0], []string{"es", "en"})
	if err != nil {
		return err
	}
	if err := writeDemo(a, o, report); err != nil {
		return err
	}
	if !report.Passed {
		return fmt.Errorf("demo: %s", report.Failures[0])
	}
	return nil
}

// demoDirectory makes an empty directory with the marker; what an earlier demo
// wrote goes, anything else stays and is an error.
func demoDirectory(dir string) error {
	marker := filepath.Join(dir, demoMarker)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Lstat(marker); err != nil {
			return fmt.Errorf("demo: %s has files that graft demo did not write (no %s): choose another directory with -o", dir, demoMarker)
		}
	}
	// The marker goes last, so that what is left of a half-removed directory is
	// still known.
	for _, e := range entries {
		if e.Name() == demoMarker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.WriteFile(marker, []byte("written by graft demo, which replaces this directory\n"), 0o666); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// demoRecipe writes base and corpora out and returns what both methods share.
func demoRecipe(o demoOptions) (elo.Recipe, error) {
	r := elo.Defaults()
	r.BaseModel = filepath.Join(o.output, "base")
	r.SequenceLen, r.MicroBatchSize, r.MaxTokens = demoSequence, demoMicroBatch, o.tokens
	r.Pretrain.LearningRate, r.Align.LearningRate = demoRate, demoRate
	if err := os.CopyFS(r.BaseModel, demo.Base()); err != nil {
		return r, fmt.Errorf("demo: %w", err)
	}
	for _, c := range []struct {
		lang, role string
		load       func() (train, heldOut []string, err error)
		held       int
	}{{"es", "target", demo.Spanish, heldOutTarget}, {"en", "source", demo.English, heldOutSource}} {
		train, held, err := c.load()
		if err != nil {
			return r, err
		}
		data := elo.Dataset{Path: filepath.Join(o.output, c.lang+".jsonl"), Lang: c.lang, Role: c.role}
		eval := elo.Dataset{Path: filepath.Join(o.output, c.lang+".heldout.jsonl"), Lang: c.lang}
		if err := errors.Join(writeTexts(data.Path, train), writeTexts(eval.Path, firstBytes(held, c.held))); err != nil {
			return r, fmt.Errorf("demo: %w", err)
		}
		r.Datasets, r.Eval = append(r.Datasets, data), append(r.Eval, eval)
	}
	return r, nil
}

// firstBytes takes documents until they have n bytes.
func firstBytes(docs []string, n int) []string {
	for i, d := range docs {
		if n -= len(d); n <= 0 {
			return docs[:i+1]
		}
	}
	return docs
}

func writeTexts(path string, docs []string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, d := range docs {
		if err := enc.Encode(struct {
			Text string `json:"text"`
		}{d}); err != nil {
			return err
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// demoEntries prepares both runs, each with a device of its own.
func demoEntries(a *app, o demoOptions, r elo.Recipe) (entries []compare.Entry, closeAll func(error) error, err error) {
	closeAll = func(err error) error {
		for _, e := range entries {
			err = closeDevice(err, e.Env.Backend)
		}
		return err
	}
	p := &demoProgress{a: a, total: 2 * o.tokens}
	for _, method := range []string{elo.MethodELO, elo.MethodFull} {
		be, err := openDevice(a, o.device)
		if err != nil {
			return entries, closeAll, err
		}
		x := r
		x.Method, x.OutputDir = method, filepath.Join(o.output, method)
		entries = append(entries, compare.Entry{Name: method, Env: elo.Env{Backend: be, Report: p}, Recipe: x})
	}
	return entries, closeAll, nil
}

// writeDemo prints the report and keeps it.
func writeDemo(a *app, o demoOptions, r *compare.Report) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	var png bytes.Buffer
	if err := r.WritePNG(&png); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"demo.json": append(text, '\n'), "demo.png": png.Bytes()} {
		if err := os.WriteFile(filepath.Join(o.output, name), data, 0o666); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if o.json {
		_, err := a.out.Write(append(text, '\n'))
		return err
	}
	fmt.Fprintf(a.out, "%s\n\n", demoNotes)
	if err := r.Write(a.out); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "all with steps of %d x %d tokens, nothing recomputed, learning rate %g (four trials each)\n", demoMicroBatch, demoSequence, demoRate)
	_, err = fmt.Fprintf(a.out, "models, curves and figures are in %s\n", o.output)
	return err
}

// demoProgress shows how far both runs together are. The race calls it from one
// run at a time.
type demoProgress struct {
	a     *app
	done  int64
	total int64
	shown int64 // tenths that a line has been printed for
}

func (p *demoProgress) Note(string)      {}
func (p *demoProgress) Warn(text string) { p.a.warn(text) }
func (p *demoProgress) Eval(e elo.EvalReport) {
	text := e.When + ":"
	for _, s := range e.Scores {
		text += fmt.Sprintf(" %s %.3f", s.Name, s.BitsPerByte())
	}
	p.a.note(text + " bits per byte")
}

func (p *demoProgress) Step(s elo.StepReport) {
	p.done += s.Targets
	if p.a.bars {
		p.draw(s)
		return
	}
	if tenth := min(10, 10*p.done/p.total); tenth > p.shown {
		p.shown = tenth
		p.a.note(fmt.Sprintf("%d %% trained, now %s: %s", 10*tenth, s.Stage, stepText(s)))
	}
}

func (p *demoProgress) draw(s elo.StepReport) {
	c := &p.a.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == nil {
		c.bar = progressbar.NewOptions64(p.total, progressbar.OptionSetWriter(c.w), progressbar.OptionUseANSICodes(true),
			progressbar.OptionEnableColorCodes(false), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	c.bar.Describe(fmt.Sprintf("%-8s loss %.3f", s.Stage, s.Loss))
	_ = c.bar.Set64(min(p.done, p.total)) // a bar that cannot be drawn stops nothing
}
