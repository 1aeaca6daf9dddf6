package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// incomplete ends the name of a blob that is being written.
const incomplete = ".incomplete"

// lockPoll is how often a lock that another program holds is tried.
const lockPoll = 500 * time.Millisecond

// download brings a blob into the cache.
func (f *fetch) download(ctx context.Context, file File) error {
	blob := f.cfg.blob(f.repo, file.ETag)
	locks := filepath.Join(f.cfg.Cache, ".locks", folderName(f.repo))
	for _, dir := range []string{filepath.Dir(blob), locks} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	unlock, err := f.lock(ctx, filepath.Join(locks, file.ETag+".lock"), file.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if f.have(file) { // another program has downloaded it meanwhile
		f.opt.progress(file, file.Size)
		return nil
	}
	p, err := openPart(blob+incomplete, file)
	if err != nil {
		return err
	}
	if p.have < file.Size {
		f.opt.progress(file, p.have)
	}
	if err := errors.Join(f.fill(ctx, p), p.close()); err != nil {
		return err
	}
	if err := os.Rename(p.path, blob); err != nil {
		return err
	}
	f.opt.progress(file, file.Size)
	return nil
}

// lock waits until no other program writes the same blob.
func (f *fetch) lock(ctx context.Context, path, name string) (unlock func(), err error) {
	for said := false; ; said = true {
		unlock, ok, err := tryLock(path)
		if err != nil || ok {
			return unlock, err
		}
		if !said {
			f.opt.note("another program is downloading " + name + ": waiting for it")
		}
		if err := f.opt.wait(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// fill downloads what is missing of a file, and verifies all of it.
func (f *fetch) fill(ctx context.Context, p *part) error {
	for {
		resumed := p.have > 0
		err := f.again(ctx, func() (bool, error) {
			before := p.have
			err := f.receive(ctx, p)
			return p.have > before, err
		})
		if err != nil {
			return err
		}
		err = p.verify()
		if err == nil {
			return local(p.f.Sync())
		}
		if e := p.reset(); e != nil {
			return errors.Join(err, e)
		}
		if !resumed {
			p.unwanted = true
			return err
		}
		f.opt.note(fmt.Sprintf("%s: what an earlier download left is damaged: beginning anew", p.file.Name))
	}
}

// receive asks for the rest of a file and writes what comes.
func (f *fetch) receive(ctx context.Context, p *part) error {
	if p.have == p.file.Size {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(f.opt.stall, func() { cancel(fmt.Errorf("no byte for %v", f.opt.stall)) })
	defer timer.Stop()
	resp, err := f.get(ctx, http.MethodGet, f.address(f.repo, f.commit, p.file.Name), p.header())
	if err == nil {
		defer resp.Body.Close()
		err = p.accept(resp)
	}
	if err != nil {
		return p.refused(stalled(ctx, err))
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := resp.Body.Read(buf)
		timer.Reset(f.opt.stall)
		if e := p.write(buf[:n]); e != nil {
			return local(e)
		}
		f.fetched += int64(n)
		if p.have < p.file.Size && n > 0 { // the last byte is reported when the file is verified
			f.opt.progress(p.file, p.have)
		}
		switch {
		case err == io.EOF && p.have < p.file.Size:
			return fmt.Errorf("the connection ended at byte %d of %d", p.have, p.file.Size)
		case err == io.EOF:
			return nil
		case err != nil:
			return stalled(ctx, plain(err))
		}
	}
}

// stalled puts the reason for which a context was cancelled in place of an
// error.
func stalled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// part is a file of which a beginning is there.
type part struct {
	file     File
	path     string
	f        *os.File
	have     int64
	sum      hash.Hash // of what is there
	unwanted bool      // it is of no use to the next download
}

// openPart goes on with what an earlier download left.
func openPart(path string, file File) (*part, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	p := &part{file: file, path: path, f: f, sum: newSum(file)}
	if p.have, err = io.Copy(p.sum, f); err == nil && p.have > file.Size {
		err = p.reset()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

// newSum is the checksum that an ETag is: SHA-256 of a large file, else git's
// SHA-1 of a blob, which begins with its length.
func newSum(file File) hash.Hash {
	if len(file.ETag) == 2*sha256.Size {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", file.Size)
	return h
}

// header asks for what is missing.
func (p *part) header() http.Header {
	if p.have == 0 {
		return nil
	}
	return http.Header{"Range": {fmt.Sprintf("bytes=%d-", p.have)}}
}

// accept checks that an answer is what was asked for; a server that sends the
// whole file is written from its beginning.
func (p *part) accept(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		if p.have > 0 {
			return p.reset()
		}
		return nil
	case http.StatusPartialContent:
		want := fmt.Sprintf("bytes %d-", p.have)
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, want) {
			return errors.Join(p.reset(), fmt.Errorf("found Content-Range %q, want %s", clip(got), want))
		}
		return nil
	}
	return fmt.Errorf("found status %d, want the file", resp.StatusCode)
}

// refused begins anew where a server does not know the range that was asked for.
func (p *part) refused(err error) error {
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable && p.have > 0 {
		if e := p.reset(); e != nil {
			return local(e)
		}
		return fmt.Errorf("%s cannot go on in the middle", status.host)
	}
	return err
}

func (p *part) write(b []byte) error {
	if int64(len(b)) > p.file.Size-p.have {
		p.unwanted = true
		return fmt.Errorf("%w: there is more than the %d bytes that were promised", ErrChecksum, p.file.Size)
	}
	if _, err := p.f.WriteAt(b, p.have); err != nil {
		return err
	}
	p.sum.Write(b)
	p.have += int64(len(b))
	return nil
}

func (p *part) reset() error {
	p.have, p.sum = 0, newSum(p.file)
	return p.f.Truncate(0)
}

func (p *part) verify() error {
	if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.file.ETag {
		return fmt.Errorf("%w: found %s, want %s", ErrChecksum, got, p.file.ETag)
	}
	return nil
}

// close leaves a beginning for the next download, if there is one.
func (p *part) close() error {
	err := p.f.Close()
	if p.unwanted || p.have == 0 && p.file.Size > 0 {
		return errors.Join(err, os.Remove(p.path))
	}
	return err
}
