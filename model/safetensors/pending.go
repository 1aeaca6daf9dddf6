package safetensors

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// pending is a file that is being written under another name in the same
// directory, to be renamed once it is complete and on the disk.
type pending struct {
	fsys       files
	path, temp string
	file       file
	open       bool // file is open
	exists     bool // temp is there
	published  bool // path is this file
}

// files is what is needed of a file system; tests make it fail.
type files interface {
	create(path string) (file, error) // fails if path exists
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

type file interface {
	io.WriterAt
	Sync() error
	Close() error
}

func newPending(fsys files, path string) (*pending, error) {
	dir, base := filepath.Split(path)
	if base == "" {
		return nil, errors.New("is not the name of a file")
	}
	for try := 0; ; try++ {
		temp := fmt.Sprintf("%s.%s.%08x.tmp", dir, base, rand.Uint32())
		f, err := fsys.create(temp)
		if errors.Is(err, os.ErrExist) && try < 100 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &pending{fsys: fsys, path: path, temp: temp, file: f, open: true, exists: true}, nil
	}
}

// WriteAt writes at any place.
func (p *pending) WriteAt(b []byte, off int64) (int, error) {
	n, err := p.file.WriteAt(b, off)
	if err != nil {
		err = fmt.Errorf("writing: %w", cause(err))
	}
	return n, err
}

// sync brings the content to the disk and closes the file. Only here do some
// file systems report that they were full.
func (p *pending) sync() error {
	err := p.file.Sync()
	p.open = false
	if closeErr := p.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// publish gives a synced file its name. The directory is synced as well, or a
// crash could undo the renaming.
func (p *pending) publish() error {
	if err := p.fsys.rename(p.temp, p.path); err != nil {
		return err
	}
	p.exists, p.published = false, true
	return p.fsys.syncDir(filepath.Dir(p.path))
}

// discard removes what is left of a file that was not published.
func (p *pending) discard() {
	if p.open {
		p.open = false
		p.file.Close()
	}
	if p.exists {
		p.exists = false
		p.fsys.remove(p.temp) // nothing better can be done if it fails
	}
}

type osFiles struct{}

func (osFiles) create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (osFiles) rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) remove(path string) error     { return os.Remove(path) }

func (osFiles) syncDir(dir string) error {
	if !dirsCanSync {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Network and FUSE file systems may not know how; then there is no more to do.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
