package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"graft/internal/diskspace"
)

// File is one file of a repository at a commit.
type File struct {
	Name string // slash-separated
	Size int64  // bytes
	ETag string // SHA-256, or git's SHA-1 of a blob; "" for what was there before
}

// Snapshot is a model in the cache.
type Snapshot struct {
	Dir     string // the model directory
	Commit  string // "" when offline and unknown
	Files   []File // that were asked for
	Fetched int64  // bytes that came from the server
}

// Options change what Fetch does. The zero value downloads what a model
// directory needs.
type Options struct {
	// Include are globs of the files to download instead: *.gguf. As in the
	// Python tools * also matches slashes.
	Include []string
	Report  Reporter // nil is silence

	transport http.RoundTripper // nil is the network
	pause     func(ctx context.Context, d time.Duration) error
	symlink   func(old, new string) error
	stall     time.Duration
}

// Reporter hears how a download goes; its methods are called one at a time.
type Reporter interface {
	// Plan gives what will be downloaded, before it is.
	Plan(files []File)
	// Progress gives how many bytes of a file are there: first what was there
	// before; at f.Size the file is complete and right.
	Progress(f File, have int64)
	// Note says why nothing moves.
	Note(text string)
}

func (o *Options) note(text string) {
	if o.Report != nil {
		o.Report.Note(text)
	}
}

func (o *Options) progress(f File, have int64) {
	if o.Report != nil {
		o.Report.Progress(f, have)
	}
}

func (o *Options) wait(ctx context.Context, d time.Duration) error {
	if o.pause != nil {
		return o.pause(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Fetch downloads a model repository's files at a revision, those that are not
// in the cache yet. What was complete stays after an error; the model appears
// under its revision only when everything is there.
func Fetch(ctx context.Context, cfg Config, repo, rev string, opt Options) (*Snapshot, error) {
	if err := errors.Join(checkRepo(repo), checkRevision(rev)); err != nil {
		return nil, err
	}
	if _, err := matcher(opt.Include); err != nil {
		return nil, err
	}
	if cfg.Offline {
		return offline(cfg, repo, rev, opt)
	}
	if opt.symlink == nil {
		opt.symlink = os.Symlink
	}
	if opt.stall == 0 {
		opt.stall = stall
	}
	c, err := newClient(cfg, opt)
	if err != nil {
		return nil, err
	}
	commit, names, err := c.describe(ctx, repo, rev)
	if err != nil {
		return nil, err
	}
	f := &fetch{client: c, repo: repo, rev: rev, commit: commit}
	return f.run(ctx, names)
}

// offline is Fetch when the Hub must not be asked.
func offline(cfg Config, repo, rev string, opt Options) (*Snapshot, error) {
	dir, err := cfg.Find(repo, rev)
	if err != nil {
		return nil, fmt.Errorf("%w, and %w", err, ErrOffline)
	}
	s := &Snapshot{Dir: dir, Commit: filepath.Base(dir)}
	var names []string
	sizes := map[string]int64{}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		names, sizes[name] = append(names, name), info.Size()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hub: %s: the cache is damaged: %w", repo, err)
	}
	if len(opt.Include) > 0 {
		if names, err = choose(repo, names, opt.Include); err != nil {
			return nil, fmt.Errorf("%w in the cache, and %w", err, ErrOffline)
		}
	}
	for _, n := range names {
		s.Files = append(s.Files, File{Name: n, Size: sizes[n]})
	}
	return s, nil
}

// fetch is one download at work.
type fetch struct {
	*client
	repo, rev, commit string
	files             []File // all that were asked for
	missing           []File // of these, not in the snapshot
	fetched           int64
}

func (f *fetch) run(ctx context.Context, names []string) (*Snapshot, error) {
	if err := f.list(ctx, names); err != nil {
		return nil, err
	}
	blobs := f.blobs()
	if err := f.checkSpace(blobs); err != nil {
		return nil, err
	}
	if f.opt.Report != nil {
		f.opt.Report.Plan(blobs)
	}
	for _, b := range blobs {
		if err := f.download(ctx, b); err != nil {
			return nil, f.explain(fmt.Errorf("%s: %w", b.Name, err), f.repo, f.rev)
		}
	}
	if err := f.publish(); err != nil {
		return nil, fmt.Errorf("hub: %s: %w", f.repo, err)
	}
	return &Snapshot{Dir: f.cfg.snapshot(f.repo, f.commit), Commit: f.commit, Files: f.files, Fetched: f.fetched}, nil
}

// list chooses the files, and asks for lengths and checksums of those that are
// not there. Nothing is written.
func (f *fetch) list(ctx context.Context, names []string) error {
	slices.Sort(names)
	names, err := choose(f.repo, slices.Compact(names), f.opt.Include)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := checkFile(n); err != nil {
			return err
		}
	}
	for _, n := range names {
		// What a commit has never changes.
		path := filepath.Join(f.cfg.snapshot(f.repo, f.commit), filepath.FromSlash(n))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			f.files = append(f.files, File{Name: n, Size: info.Size()})
			continue
		}
		file, err := f.head(ctx, f.repo, f.commit, n)
		if err != nil {
			return err
		}
		f.files = append(f.files, file)
		f.missing = append(f.missing, file)
	}
	return nil
}

// blobs are the contents to download, each once.
func (f *fetch) blobs() []File {
	var out []File
	for _, m := range f.missing {
		same := func(o File) bool { return o.ETag == m.ETag }
		if !f.have(m) && !slices.ContainsFunc(out, same) {
			out = append(out, m)
		}
	}
	return out
}

// have reports whether a blob is there; those that are have been verified.
func (f *fetch) have(m File) bool {
	info, err := os.Stat(f.cfg.blob(f.repo, m.ETag))
	return err == nil && info.Mode().IsRegular() && info.Size() == m.Size
}

// checkSpace refuses a download that the disk has no room for.
func (f *fetch) checkSpace(blobs []File) error {
	var need int64
	for _, b := range blobs {
		if need += b.Size; need < 0 {
			return fmt.Errorf("hub: %s: the server tells impossible lengths", f.repo)
		}
		if info, err := os.Stat(f.cfg.blob(f.repo, b.ETag) + incomplete); err == nil {
			need -= min(info.Size(), b.Size)
		}
	}
	dir := f.cfg.Cache
	for up := filepath.Dir(dir); up != dir; dir, up = up, filepath.Dir(up) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	if free, ok := diskspace.Free(dir); ok && free < need {
		return fmt.Errorf("hub: %s needs %d MiB, and %s has %d MiB free", f.repo, need>>20, f.cfg.Cache, free>>20)
	}
	return nil
}

// publish makes the complete download visible: links first, the ref last.
func (f *fetch) publish() error {
	for _, m := range f.missing {
		if err := f.cfg.link(f.repo, f.commit, m, f.opt.symlink); err != nil {
			return err
		}
	}
	if len(f.missing) > 0 {
		if err := f.cfg.tag(); err != nil {
			return err
		}
	}
	return f.cfg.writeRef(f.repo, f.rev, f.commit)
}
