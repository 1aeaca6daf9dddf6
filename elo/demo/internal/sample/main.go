// Command sample makes the English that package demo embeds: stories that the
// base model itself tells, at temperature 1, each from its own seed. Run it by
// `go generate` in elo/demo. It is the base's own text: training on it can
// teach nothing, only keep what would be forgotten.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/klauspost/compress/zstd"

	"graft/elo/demo"
	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/model"
	"graft/model/tokenizer"
)

// stories is how many are told, tokens how long each may become.
const (
	stories = 400
	tokens  = 256
)

func main() {
	if err := run(context.Background(), "corpora/en.jsonl.zst"); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) (err error) {
	dir, err := os.MkdirTemp("", "graft-sample-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	base := dir + "/base"
	if err := os.CopyFS(base, demo.Base()); err != nil {
		return err
	}
	lines, err := tell(ctx, base)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(out, z.EncodeAll(lines, nil), 0o666), z.Close())
}

// tell returns the stories as JSON lines.
func tell(ctx context.Context, base string) (lines []byte, err error) {
	be, err := kernels.Open("cpu")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, be.Close()) }()
	ck, err := model.Open(base)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	tok, err := tokenizer.Open(base)
	if err != nil {
		return nil, err
	}
	g, err := model.NewGenerator(be, ck, model.GeneratorOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if err := g.Load(ck); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for seed := range uint64(stories) {
		var ids []int32
		_, err := g.Generate(ctx, model.Request{
			Prompt: ck.Config.BOS, MaxTokens: tokens, Stop: append(ck.Config.BOS, ck.EOS...),
			Sampling: model.Sampling{Temperature: 1, Seed: seed},
		}, func(id int) error { ids = append(ids, int32(id)); return nil })
		if err != nil {
			return nil, err
		}
		story := struct {
			Seed uint64 `json:"seed"`
			Text string `json:"text"`
		}{seed, tok.Decode(ids, true)}
		if err := enc.Encode(story); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), nil
}
