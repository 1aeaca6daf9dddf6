// Package newdir makes directories that appear under their name complete or not
// at all.
//
//	d, err := newdir.Create("out", false) // refuses to replace "out"
//	defer d.Discard()
//	... write files into d.Path() ...
//	err = d.Commit()                      // everything on the disk, then renamed
//
// An older directory stays until the new one is complete. It does not lock: two
// writers of one name both succeed, and the later one stays.
package newdir

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Dir is a directory under a temporary name beside its final one.
type Dir struct {
	final, temp string
	force       bool
	done        bool
}

// Create starts a directory that will be called name. Without force it refuses
// a name that exists; an empty directory counts as free.
func Create(name string, force bool) (*Dir, error) {
	name = filepath.Clean(name)
	if !force {
		if err := free(name); err != nil {
			return nil, err
		}
	}
	parent := filepath.Dir(name)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", name, err)
	}
	temp, err := makeTemp(parent, filepath.Base(name))
	if err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", name, err)
	}
	return &Dir{final: name, temp: temp, force: force}, nil
}

// makeTemp makes an unused sibling. os.MkdirTemp would deny it to others.
func makeTemp(parent, base string) (string, error) {
	for try := 0; ; try++ {
		temp := filepath.Join(parent, fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		err := os.Mkdir(temp, 0o777)
		if err == nil || !errors.Is(err, fs.ErrExist) || try == 100 {
			return temp, err
		}
	}
}

// free reports why a name may not be taken.
func free(name string) error {
	entries, err := os.ReadDir(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && len(entries) == 0:
		return nil
	}
	return fmt.Errorf("%s exists: choose another name or allow overwriting: %w", name, fs.ErrExist)
}

// Path is where the files go until Commit.
func (d *Dir) Path() string { return d.temp }

// Commit brings everything to the disk and gives the directory its name. After
// an error nothing has changed but the temporary directory, which is gone.
func (d *Dir) Commit() error {
	if d.done {
		return errors.New("newdir: Commit after Commit or Discard")
	}
	defer d.Discard()
	if err := syncTree(d.temp); err != nil {
		return fmt.Errorf("cannot write %s: %w", d.final, err)
	}
	old, err := d.setAside()
	if err != nil {
		return fmt.Errorf("cannot replace %s: %w", d.final, err)
	}
	if err := os.Rename(d.temp, d.final); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, d.final))
		}
		return fmt.Errorf("cannot write %s: %w", d.final, err)
	}
	d.done = true
	if old != "" {
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("%s is written, but the old one is left as %s: %w", d.final, old, err)
		}
	}
	return syncPath(filepath.Dir(d.final))
}

// setAside renames what has the final name and returns its new one, "" if there
// is nothing.
func (d *Dir) setAside() (string, error) {
	if _, err := os.Lstat(d.final); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if !d.force {
		if err := free(d.final); err != nil {
			return "", err
		}
	}
	old := d.temp + ".old"
	return old, os.Rename(d.final, old)
}

// Discard removes what was written, unless it was committed.
func (d *Dir) Discard() {
	if !d.done {
		d.done = true
		os.RemoveAll(d.temp)
	}
}

func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() && !e.IsDir() {
			return err
		}
		return syncPath(path)
	})
}
