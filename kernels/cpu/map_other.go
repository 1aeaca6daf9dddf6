//go:build !unix

package cpu

import "errors"

const canMap = false

func mapZeroed(int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte) error { return nil }
