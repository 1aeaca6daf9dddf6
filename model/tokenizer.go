package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"graft/model/tokenizer"
)

// tokenizerName is the tokenizer of a model directory.
const tokenizerName = "tokenizer.json"

// Tokenizer opens the checkpoint's tokenizer: tokenizer.json, for a GGUF file
// the one beside it.
func (ck *Checkpoint) Tokenizer() (*tokenizer.Tokenizer, error) { return OpenTokenizer(ck.Path) }

// OpenTokenizer opens the tokenizer of a model, which path names as for Open, or
// a tokenizer.json itself. When there is none the error is fs.ErrNotExist.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && !isGGUF(path) {
		return tokenizer.Open(path)
	}
	file, err := findGGUF(path)
	if err != nil {
		return nil, at(path, err)
	}
	if file == "" {
		return tokenizer.Open(path)
	}
	beside := filepath.Join(filepath.Dir(file), tokenizerName)
	if _, err := os.Stat(beside); errors.Is(err, fs.ErrNotExist) {
		return nil, at(file, fmt.Errorf("the vocabulary of a GGUF file is not read: expected the %s of the original model beside it, found none: %w", tokenizerName, fs.ErrNotExist))
	}
	return tokenizer.Open(beside)
}
