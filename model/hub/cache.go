package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// folder is a repository's place in the cache.
func (c Config) folder(repo string) string {
	return filepath.Join(c.Cache, folderName(repo))
}

func folderName(repo string) string { return "models--" + strings.ReplaceAll(repo, "/", "--") }

func (c Config) snapshot(repo, commit string) string {
	return filepath.Join(c.folder(repo), "snapshots", commit)
}

func (c Config) blob(repo, etag string) string { return filepath.Join(c.folder(repo), "blobs", etag) }

// Find returns the directory of a model that was fetched, by this package or by
// the Python tools. It wraps ErrNotCached when there is none. It does not say
// whether every file is there.
func (c Config) Find(repo, rev string) (dir string, err error) {
	if err := errors.Join(checkRepo(repo), checkRevision(rev)); err != nil {
		return "", err
	}
	commit := rev
	if !commitID.MatchString(rev) {
		b, err := os.ReadFile(filepath.Join(c.folder(repo), "refs", filepath.FromSlash(rev)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("hub: %w", err)
		}
		commit = strings.TrimSpace(string(b))
	}
	if commitID.MatchString(commit) {
		dir = c.snapshot(repo, commit)
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return dir, nil
		}
	}
	return "", fmt.Errorf("hub: %s at revision %s: %w (%s)", repo, rev, ErrNotCached, c.Cache)
}

// cacheTag marks the cache for programs that make backups, as huggingface_hub
// does.
const cacheTag = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by huggingface_hub.
# For information about cache directory tags, see:
#	https://bford.info/cachedir/
`

func (c Config) tag() error {
	path := filepath.Join(c.Cache, "CACHEDIR.TAG")
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return writeFile(path, cacheTag)
}

// writeRef notes which commit a branch or tag was.
func (c Config) writeRef(repo, rev, commit string) error {
	if rev == commit {
		return nil
	}
	path := filepath.Join(c.folder(repo), "refs", filepath.FromSlash(rev))
	if b, err := os.ReadFile(path); err == nil && string(b) == commit {
		return nil // perhaps in a cache that may not be written to
	}
	return writeFile(path, commit)
}

// writeFile writes a small file, whole or not at all.
func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	temp := tempName(path)
	if err := os.WriteFile(temp, []byte(text), 0o666); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// tempName is an unused name beside path.
func tempName(path string) string { return fmt.Sprintf("%s.%08x.tmp", path, rand.Uint32()) }

// link puts a blob into a snapshot, by a relative symbolic link. Where there are
// none, as for most users of Windows, the file gets a second name, or is copied.
func (c Config) link(repo, commit string, f File, symlink func(old, new string) error) error {
	path := filepath.Join(c.snapshot(repo, commit), filepath.FromSlash(f.Name))
	if info, err := os.Stat(path); err == nil && info.Size() == f.Size {
		return nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	blob := c.blob(repo, f.ETag)
	old, err := filepath.Rel(dir, blob)
	if err != nil {
		return err
	}
	temp := tempName(path)
	err = errors.ErrUnsupported
	if !c.Copies {
		err = symlink(old, temp)
	}
	if err != nil {
		if err = os.Link(blob, temp); err != nil {
			err = copyFile(temp, blob)
		}
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return fmt.Errorf("linking %s: %w", f.Name, err)
	}
	return nil
}

func copyFile(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
