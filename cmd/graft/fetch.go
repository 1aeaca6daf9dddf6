package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"graft/model/hub"
)

type fetchOptions struct {
	name     string
	revision string
	include  []string
	json     bool
}

// fetched is what --json prints.
type fetched struct {
	Model      string        `json:"model"`
	Revision   string        `json:"revision"`
	Commit     string        `json:"commit"`
	Path       string        `json:"path"`
	Files      []fetchedFile `json:"files"`
	Downloaded int64         `json:"downloaded_bytes"`
}

type fetchedFile struct {
	Name string `json:"name"`
	Size int64  `json:"bytes"`
}

func newFetch(a *app) *cobra.Command {
	var o fetchOptions
	cmd := &cobra.Command{
		Use: "fetch ORG/NAME", Short: "Download a model from the Hugging Face Hub", Args: exactly("ORG/NAME"),
		Long: `Download a model from the Hugging Face Hub into the cache of the Python tools, and
print the directory it lies in. Without --include these are config, safetensors,
tokenizer, chat templates and licence. What is there is not downloaded again, a
download that was cut goes on where it ended, and checksums are verified. All verbs
then take ORG/NAME, or ORG/NAME@REVISION, as MODEL.

HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean
to the Python tools. The token is sent to the endpoint's own host alone.`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.name = args[0]
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runFetch(ctx, a, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.revision, "revision", "", "branch, tag or commit to download, a `revision`; by default "+hub.DefaultRevision)
	f.StringArrayVar(&o.include, "include", nil, "download the files that match a `glob` instead, as *.gguf; may be repeated")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runFetch(ctx context.Context, a *app, o fetchOptions) error {
	repo, rev, err := hub.ParseName(o.name)
	if err == nil && o.revision != "" {
		if strings.Contains(o.name, "@") {
			return usagef("fetch: %s names a revision, and --revision another", o.name)
		}
		_, rev, err = hub.ParseName(repo + "@" + o.revision)
	}
	if err != nil {
		return usagef("fetch: %s", strings.TrimPrefix(err.Error(), "hub: "))
	}
	cfg, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	p := &fetchProgress{a: a}
	got, err := hub.Fetch(ctx, cfg, repo, rev, hub.Options{Include: o.include, Report: p})
	a.console.end()
	if err != nil {
		return err
	}
	if got.Fetched == 0 {
		a.note(fmt.Sprintf("%s: everything is there, nothing was downloaded", repo))
	}
	if !o.json {
		_, err = fmt.Fprintln(a.out, got.Dir)
		return err
	}
	out := fetched{Model: repo, Revision: rev, Commit: got.Commit, Path: got.Dir, Files: []fetchedFile{}, Downloaded: got.Fetched}
	for _, f := range got.Files {
		out.Files = append(out.Files, fetchedFile{f.Name, f.Size})
	}
	return a.writeJSON(out)
}

// fetchProgress reports a download: a bar where the console is a terminal, else
// a line a file, and now and then one within a large file.
type fetchProgress struct {
	a      *app
	total  int64            // bytes of all files
	have   map[string]int64 // bytes of each
	sum    int64            // of have
	before int64            // of sum, what did not come now
	start  time.Time
	said   time.Time // the last line
}

// patience is how long a log stays silent.
const patience = 10 * time.Second

var _ hub.Reporter = (*fetchProgress)(nil)

func (p *fetchProgress) Note(text string) { p.a.note(text) }

func (p *fetchProgress) Plan(files []hub.File) {
	p.have, p.start, p.said = map[string]int64{}, time.Now(), time.Now()
	for _, f := range files {
		p.total += f.Size
	}
	if len(files) == 0 {
		return
	}
	p.a.note(fmt.Sprintf("%d files to download, %s", len(files), sizeText(p.total)))
	if c := &p.a.console; p.a.bars {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bar = progressbar.NewOptions64(max(p.total, 1), progressbar.OptionSetWriter(c.w), progressbar.OptionSetWidth(16),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionThrottle(redraw),
			progressbar.OptionEnableColorCodes(p.a.colour), progressbar.OptionUseANSICodes(true), progressbar.OptionShowDescriptionAtLineEnd())
	}
}

func (p *fetchProgress) Progress(f hub.File, have int64) {
	was, known := p.have[f.Name]
	if !known {
		p.before += have
	}
	p.sum += have - was
	p.have[f.Name] = have
	p.draw()
	switch text := p.text(time.Since(p.start)); {
	case have == f.Size:
		p.a.note(fmt.Sprintf("%s %s: %s", f.Name, sizeText(f.Size), text))
	case p.a.bars || time.Since(p.said) < patience:
		return
	default:
		p.a.note(f.Name + ": " + text)
	}
	p.said = time.Now()
}

// text says how far the download is after a time.
func (p *fetchProgress) text(after time.Duration) string {
	text := fmt.Sprintf("%s of %s", sizeText(p.sum), sizeText(p.total))
	rate := float64(p.sum-p.before) / max(after.Seconds(), 1e-3)
	if rate <= 0 {
		return text
	}
	left := time.Duration(float64(p.total-p.sum) / rate * float64(time.Second))
	return fmt.Sprintf("%s, %s/s, eta %s", text, sizeText(int64(rate)), timeText(left))
}

func (p *fetchProgress) draw() {
	c := &p.a.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == nil {
		return
	}
	text := p.text(time.Since(p.start))
	if room := p.a.width - 30; p.a.width > 0 && len(text) > room { // a line that wraps cannot be cleared
		text = text[:max(0, room)]
	}
	// What cannot be drawn is no reason to stop.
	_ = c.bar.Set64(p.sum)
	c.bar.Describe(text)
}

// modelPath is where a model lies that the user calls name: a path, or else a
// model in the cache, org/name or org/name@revision.
func modelPath(name string) (string, error) {
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return name, nil // opening it will say what is wrong with it
	}
	repo, rev, err := hub.ParseName(name)
	if err != nil {
		return name, nil // it can only be a path
	}
	cfg, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", err
	}
	dir, err := cfg.Find(repo, rev)
	if errors.Is(err, hub.ErrNotCached) {
		return "", fmt.Errorf("%s: no such directory, and no such model in the cache: if it is one of the Hub, run graft fetch %s", name, name)
	}
	return dir, err
}

// modelPaths replaces names by where the models lie; empty ones stay.
func modelPaths(names ...*string) error {
	for _, n := range names {
		if *n == "" {
			continue
		}
		path, err := modelPath(*n)
		if err != nil {
			return err
		}
		*n = path
	}
	return nil
}
