//go:build !unix && !windows

package safetensors

import (
	"errors"
	"os"
)

// mapFile fails: files are read on demand here.
func mapFile(*os.File, int64) (data []byte, unmap func() error, err error) {
	return nil, nil, errors.ErrUnsupported
}
