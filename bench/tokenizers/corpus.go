package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// documents takes texts from every corpus of a folder in turn until there are size
// bytes: all languages and kinds of text that are there, the same ones every time.
func documents(dir string, size int) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.gz"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no corpora (*.gz)", dir)
	}
	sources := make([][]string, len(names))
	for i, name := range names {
		if sources[i], err = read(name, size); err != nil {
			return nil, err
		}
	}
	var docs []string
	for i, total, left := 0, 0, true; left; i++ {
		left = false
		for _, s := range sources {
			if i >= len(s) {
				continue
			}
			left = true
			docs, total = append(docs, s[i]), total+len(s[i])
			if total >= size {
				return docs, nil
			}
		}
	}
	return nil, fmt.Errorf("the corpora of %s have fewer than %d bytes", dir, size)
}

// read gives the strings of each object in a file of JSON, else pieces of the text: about
// size bytes in all.
func read(name string, size int) (docs []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := io.LimitReader(z, int64(4*size))
	if strings.HasSuffix(name, ".jsonl.gz") {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 4*size)
		for total := 0; total < size && lines.Scan(); {
			var object map[string]any
			if json.Unmarshal(lines.Bytes(), &object) != nil {
				break // cut off by the limit
			}
			for _, key := range slices.Sorted(maps.Keys(object)) {
				if s, ok := object[key].(string); ok && s != "" {
					docs, total = append(docs, pieces(s)...), total+len(s)
				}
			}
		}
		return docs, lines.Err()
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(size)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return pieces(strings.ToValidUTF8(string(text), "\uFFFD")), nil
}

// page is the most bytes of a document that is cut out of a longer text.
const page = 8 << 10

// pieces cuts a text where lines end, and between characters where none does.
func pieces(text string) (docs []string) {
	for len(text) > page {
		end := strings.LastIndexByte(text[:page], '\n') + 1
		if end == 0 {
			for end = page; !utf8.RuneStart(text[end]); end-- {
			}
		}
		docs, text = append(docs, text[:end]), text[end:]
	}
	return append(docs, text)
}
