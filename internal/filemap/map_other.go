//go:build !unix && !windows

package filemap

import (
	"errors"
	"os"
)

// Open fails: files are read on demand here.
func Open(*os.File, int64) (data []byte, unmap func() error, err error) {
	return nil, nil, errors.ErrUnsupported
}
