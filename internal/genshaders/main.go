// Command genshaders builds shaders/spv from the GLSL in shaders. go generate ./shaders
// runs it, in that directory.
//
// The compiler is pinned, so that the same sources give the same bytes everywhere:
// another version is refused unless -any-compiler is given.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"graft/shaders"
)

const (
	compiler = "Glslang Version: 11:12.0.0" // Debian 12: apt install glslang-tools spirv-tools
	target   = "vulkan1.2"
)

func main() {
	anyCompiler := flag.Bool("any-compiler", false, "accept another version of glslangValidator")
	flag.Parse()
	if err := run(os.Stderr, *anyCompiler); err != nil {
		fmt.Fprintln(os.Stderr, "genshaders:", err)
		os.Exit(1)
	}
}

func run(log io.Writer, anyCompiler bool) error {
	version, err := exec.Command("glslangValidator", "--version").Output()
	if err != nil {
		return fmt.Errorf("glslangValidator: %w (apt install glslang-tools spirv-tools)", err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	if first = strings.TrimSpace(first); first != compiler && !anyCompiler {
		return fmt.Errorf("glslangValidator is %q, the kernels are built with %q", first, compiler)
	}
	sources, err := filepath.Glob("*.comp")
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return errors.New("no *.comp here: run go generate ./shaders")
	}
	// Built beside the old files and swapped at the end: a failure leaves those whole,
	// and this program itself embeds them.
	dir, err := os.MkdirTemp(".", "spv-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	manifest := bytes.NewBufferString("# " + first + ", " + target + ". Kernel, hash of its sources, hash of its SPIR-V.\n")
	for _, src := range sources {
		if err := build(log, dir, src, manifest); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.txt"), manifest.Bytes(), 0o666); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll("spv"); err != nil {
		return err
	}
	return os.Rename(dir, "spv")
}

// build compiles and validates one source and appends its line to the manifest.
func build(log io.Writer, dir, src string, manifest io.Writer) error {
	name := strings.TrimSuffix(src, ".comp")
	out := filepath.Join(dir, name+".spv")
	// No debug information: names would make the files depend on nothing useful.
	for _, cmd := range [][]string{
		{"glslangValidator", "-V", "--target-env", target, "-g0", "-I.", src, "-o", out},
		{"spirv-val", "--target-env", target, out},
	} {
		if text, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd, " "), err, text)
		}
	}
	code, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	hash, err := shaders.SourceHash(os.DirFS("."), src)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: %d bytes\n", name, len(code))
	_, err = fmt.Fprintf(manifest, "%s %s %x\n", name, hash, sha256.Sum256(code))
	return err
}
