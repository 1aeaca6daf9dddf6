package elo_test

import (
	"errors"
	"io"

	"graft/model"
	"graft/model/safetensors"
)

// toBF16 writes a model in BF16.
func toBF16(src, dst string) error {
	ck, err := model.Open(src)
	if err != nil {
		return err
	}
	err = model.Write(dst, model.WriteOptions{Config: ck.Config, Source: src,
		DType: func(string) safetensors.DType { return safetensors.BF16 },
	}, func(spec safetensors.Spec, w io.Writer) error { return ck.Convert(w, spec.DType, spec.Name) })
	return errors.Join(err, ck.Close())
}
