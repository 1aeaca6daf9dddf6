package shaders

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed spv
var built embed.FS

const manifestFile = "spv/manifest.txt"

// SPIRV returns the module of a kernel.
func SPIRV(name string) ([]byte, error) {
	code, err := built.ReadFile("spv/" + name + ".spv")
	if err != nil {
		return nil, fmt.Errorf("shaders: no kernel %q", name)
	}
	return code, nil
}

// Fingerprint identifies the set of kernels; it changes when any of them does.
func Fingerprint() string {
	text, err := built.ReadFile(manifestFile)
	if err != nil {
		return "none"
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// Entry is a line of the manifest.
type Entry struct {
	Name     string // of the kernel
	File     string // its source, name.comp but for kernels that share one
	Compiler string // "base", or "matrix" for the one that knows cooperative matrices
	Source   string // SourceHash of File
	SPIRV    string // SHA-256 of spv/name.spv
}

// Manifest lists the kernels, sorted by name.
func Manifest() ([]Entry, error) {
	text, err := built.ReadFile(manifestFile)
	if err != nil {
		return nil, fmt.Errorf("shaders: %w", err)
	}
	var all []Entry
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		f := strings.Fields(sc.Text())
		if len(f) != 5 {
			return nil, fmt.Errorf("shaders: %s: line %q: want kernel, file, compiler and two hashes", manifestFile, sc.Text())
		}
		all = append(all, Entry{f[0], f[1], f[2], f[3], f[4]})
	}
	return all, nil
}

// SourceHash is the SHA-256 of the source file and of everything it includes.
func SourceHash(src fs.FS, file string) (string, error) {
	files := []string{file}
	h := sha256.New()
	for i := 0; i < len(files); i++ {
		text, err := fs.ReadFile(src, files[i])
		if err != nil {
			return "", fmt.Errorf("shaders: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", files[i], len(text))
		h.Write(text)
		for line := range strings.Lines(string(text)) {
			name, ok := strings.CutPrefix(strings.TrimSpace(line), `#include "`)
			if !ok {
				continue
			}
			name = path.Join(path.Dir(files[i]), strings.TrimSuffix(name, `"`))
			if !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
