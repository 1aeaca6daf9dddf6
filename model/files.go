package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxCopied is above every tokenizer, and below what is surely a weights file.
const maxCopied = 512 << 20

// companion tells the files of a model directory that belong to any model with
// the same tokenizer from weights, records of training and descriptions.
func companion(name string) bool {
	name = strings.ToLower(name)
	for _, end := range []string{".index.json", "trainer_state.json", "training_args.json"} {
		if strings.HasSuffix(name, end) {
			return false
		}
	}
	for _, start := range []string{"readme", "."} {
		if strings.HasPrefix(name, start) {
			return false
		}
	}
	for _, start := range []string{"license", "notice", "use_policy"} {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return slices.Contains([]string{".json", ".model", ".txt", ".jinja", ".tiktoken"}, filepath.Ext(name))
}

// known tells the companions of a model in a directory that is no model's, as
// that of a GGUF file may be: only names that are well known.
func known(name string) bool {
	return slices.Contains([]string{
		tokenizerName, tokenizerConfigName, "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
		"vocab.json", "merges.txt", templateName, "chat_template.json", generationName,
	}, name)
}

// templateDir holds further chat templates, as Transformers writes them.
const templateDir = "additional_chat_templates"

// copyFiles copies the companions that o asks for, except those that will be
// written anyway.
func copyFiles(dst string, o WriteOptions, except map[string][]byte) error {
	if o.Tokenizer != "" {
		if err := copyCompanions(dst, o.Tokenizer, except, known); err != nil {
			return err
		}
		if err := copyTemplates(dst, o.Tokenizer); err != nil {
			return err
		}
	}
	if o.Source == "" {
		return nil
	}
	belongs, err := companions(o.Source)
	if err != nil {
		return err
	}
	if o.Tokenizer != "" {
		return copyCompanions(dst, o.Source, except, func(name string) bool { return belongs(name) && !known(name) })
	}
	if err := copyCompanions(dst, o.Source, except, belongs); err != nil {
		return err
	}
	return copyTemplates(dst, o.Source)
}

// copyTemplates copies the further chat templates, if there are some.
func copyTemplates(dst, src string) error {
	info, err := os.Stat(filepath.Join(src, templateDir))
	if err != nil || !info.IsDir() {
		return nil
	}
	dst, src = filepath.Join(dst, templateDir), filepath.Join(src, templateDir)
	if err := os.Mkdir(dst, 0o777); err != nil {
		return err
	}
	return copyCompanions(dst, src, nil, companion)
}

// companions tells the companions among the files of a directory.
func companions(dir string) (func(name string) bool, error) {
	if _, err := os.Stat(filepath.Join(dir, configName)); !errors.Is(err, fs.ErrNotExist) {
		return companion, err
	}
	_, err := os.Stat(dir)
	return known, err
}

func copyCompanions(dst, src string, except map[string][]byte, belongs func(name string) bool) error {
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if _, skip := except[name]; skip || !belongs(name) {
			continue
		}
		from := filepath.Join(src, name)
		info, err := os.Stat(from) // caches of downloads are full of links
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Size() > maxCopied {
			continue
		}
		if err := copyFile(filepath.Join(dst, name), from); err != nil {
			return fmt.Errorf("copying %s: %w", from, err)
		}
	}
	return nil
}

func copyFile(dst, src string) error {
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
