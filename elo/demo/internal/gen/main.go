// Command gen makes the files that package demo embeds from the freely
// licensed originals below $GRAFT_DATA. Run it by `go generate` in elo/demo;
// the same originals give the same bytes.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/klauspost/compress/zstd"

	"graft/elo/data"
	"graft/elo/demo"
)

// maxBytes is the most an embedded file may have.
const maxBytes = 1 << 20

func main() {
	if err := run(os.Getenv("GRAFT_DATA"), "."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes the files into the directory of package demo.
func run(from, to string) error {
	if from == "" {
		return fmt.Errorf("gen: expected the folder of the originals in GRAFT_DATA, found it unset")
	}
	files, err := generate(from)
	if err != nil {
		return err
	}
	for name, b := range files {
		if len(b) > maxBytes {
			return fmt.Errorf("gen: %s: expected at most %d bytes, found %d", name, maxBytes, len(b))
		}
		if err := os.WriteFile(filepath.Join(to, filepath.FromSlash(name)), b, 0o666); err != nil {
			return fmt.Errorf("gen: %w", err)
		}
	}
	return nil
}

// generate returns the files by their path within package demo.
func generate(from string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range []string{"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join(from, "models", "stories260K", name))
		if err != nil {
			return nil, fmt.Errorf("gen: %w", err)
		}
		files["base/"+name] = b
	}
	es, err := spanish(filepath.Join(from, "corpora", "bible_es.jsonl.gz"))
	if err != nil {
		return nil, err
	}
	files["corpora/es.jsonl.zst"] = es
	return files, nil
}

// chapter is a line of the embedded file.
type chapter struct {
	Ref  string `json:"ref"`
	Text string `json:"text"`
}

// spanish joins the verses of each chapter and folds them.
func spanish(path string) ([]byte, error) {
	refs, err := column(path, "ref")
	if err != nil {
		return nil, err
	}
	verses, err := column(path, "text")
	if err != nil {
		return nil, err
	}
	if len(refs) != len(verses) {
		return nil, fmt.Errorf("gen: %s: expected as many texts as references, found %d and %d", path, len(verses), len(refs))
	}
	var chapters []chapter
	for i, ref := range refs {
		name, _, ok := strings.Cut(ref, ":")
		if !ok {
			return nil, fmt.Errorf("gen: %s: verse %d: expected a reference like Genesis 1:1, found %q", path, i+1, ref)
		}
		if n := len(chapters); n > 0 && chapters[n-1].Ref == name {
			chapters[n-1].Text += " " + verses[i]
		} else {
			chapters = append(chapters, chapter{name, verses[i]})
		}
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false)
	for _, c := range chapters {
		c.Text = tidy(demo.Fold(c.Text))
		if err := enc.Encode(c); err != nil {
			return nil, fmt.Errorf("gen: %w", err)
		}
	}
	// One goroutine and a window over the whole: the smallest file, always the same.
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, fmt.Errorf("gen: %w", err)
	}
	defer z.Close()
	return z.EncodeAll(lines.Bytes(), nil), nil
}

func column(path, field string) (all []string, err error) {
	for d, err := range data.Read(path, data.ReadOptions{Field: field}) {
		if err != nil {
			return nil, err
		}
		all = append(all, d.Text)
	}
	return all, nil
}

var (
	spaces     = regexp.MustCompile(`\s+`)
	spaceAhead = regexp.MustCompile(` +([,.;:?!)])`)
)

// tidy closes the gaps that markup stripped from the original left behind,
// such as the one in "vida , toda".
func tidy(s string) string {
	return strings.TrimSpace(spaceAhead.ReplaceAllString(spaces.ReplaceAllString(s, " "), "$1"))
}
