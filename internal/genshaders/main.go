// Command genshaders builds shaders/spv from the GLSL in shaders. go generate ./shaders
// runs it, in that directory.
//
// NAME.comp gives NAME.spv by the base compiler. A source with lines of the form
//
//	//graft:build KERNEL [MACRO=VALUE]...
//
// gives one KERNEL.spv for each of them, by the newer compiler that knows cooperative
// matrices. That one is looked for in PATH as glslangValidator-16 and spirv-val-16
// (.ci/matrix makes them). Without it, kernels that need it are kept as they are, and
// refused if their sources have changed.
//
// Both compilers are pinned, so that the same sources give the same bytes everywhere:
// other versions are refused unless -any-compiler is given.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"graft/shaders"
)

// toolchain is a pinned compiler with its validator.
type toolchain struct {
	name      string // in the manifest
	glslang   string // commands in PATH
	validator string
	version   string // first line of glslang's --version
	target    string
	from      string // where it comes from
}

var (
	base = toolchain{"base", "glslangValidator", "spirv-val", "Glslang Version: 11:12.0.0", "vulkan1.2",
		"Debian 12: apt install glslang-tools spirv-tools"}
	matrix = toolchain{"matrix", "glslangValidator-16", "spirv-val-16", "Glslang Version: 11:16.6.0", "vulkan1.3",
		"Debian 14, see .ci/matrix"}
)

func main() {
	anyCompiler := flag.Bool("any-compiler", false, "accept other versions of glslangValidator")
	flag.Parse()
	if err := run(os.Stderr, *anyCompiler); err != nil {
		fmt.Fprintln(os.Stderr, "genshaders:", err)
		os.Exit(1)
	}
}

func run(log io.Writer, anyCompiler bool) error {
	version, err := base.check(anyCompiler)
	if err != nil {
		return err
	}
	all, err := kernels()
	if err != nil {
		return err
	}
	// Kept rather than built where nothing can build them.
	matrixVersion, noMatrix := matrix.check(anyCompiler)
	if noMatrix != nil {
		fmt.Fprintf(log, "matrix kernels are kept: %v\n", noMatrix)
	}
	// Built beside the old files and swapped at the end: a failure leaves those whole,
	// and this program itself embeds them.
	dir, err := os.MkdirTemp(".", "spv-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	manifest := bytes.NewBufferString("# Kernel, source, compiler, hash of the sources, hash of the SPIR-V.\n")
	fmt.Fprintf(manifest, "# %s: %s, %s\n", base.name, version, base.target)
	fmt.Fprintf(manifest, "# %s: %s, %s\n", matrix.name, matrixVersion, matrix.target)
	for _, k := range all {
		if k.tools == matrix && noMatrix != nil {
			err = keep(dir, k, manifest, noMatrix)
		} else {
			err = build(log, dir, k, manifest)
		}
		if err != nil {
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

// check returns the version that is installed, or the pinned one and why the toolchain
// cannot be used.
func (t toolchain) check(anyCompiler bool) (version string, err error) {
	out, err := exec.Command(t.glslang, "--version").Output()
	if err != nil {
		return t.version, fmt.Errorf("%s: %w (%s)", t.glslang, err, t.from)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if first = strings.TrimSpace(first); first != t.version && !anyCompiler {
		return t.version, fmt.Errorf("%s is %q, the kernels are built with %q (%s)", t.glslang, first, t.version, t.from)
	}
	return first, nil
}

// kernel is one module to build.
type kernel struct {
	name, source string
	macros       []string
	tools        toolchain
}

// kernels lists what the sources here give, by name.
func kernels() ([]kernel, error) {
	sources, err := filepath.Glob("*.comp")
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, errors.New("no *.comp here: run go generate ./shaders")
	}
	var all []kernel
	for _, src := range sources {
		text, err := os.ReadFile(src)
		if err != nil {
			return nil, err
		}
		ks, err := variants(src, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, ks...)
	}
	slices.SortFunc(all, func(a, b kernel) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(all); i++ {
		if all[i].name == all[i-1].name {
			return nil, fmt.Errorf("%s and %s both give %s", all[i-1].source, all[i].source, all[i].name)
		}
	}
	return all, nil
}

// variants lists what one source gives.
func variants(src, text string) ([]kernel, error) {
	var ks []kernel
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "//graft:build")
		if !ok {
			continue
		}
		f := strings.Fields(rest)
		if len(f) == 0 || slices.ContainsFunc(f[1:], func(m string) bool { return !strings.Contains(m, "=") }) {
			return nil, fmt.Errorf("%s: %q: want //graft:build KERNEL [MACRO=VALUE]...", src, strings.TrimSpace(line))
		}
		ks = append(ks, kernel{name: f[0], source: src, macros: f[1:], tools: matrix})
	}
	if ks == nil {
		ks = []kernel{{name: strings.TrimSuffix(src, ".comp"), source: src, tools: base}}
	}
	return ks, nil
}

// build compiles and validates a kernel and appends its line to the manifest.
func build(log io.Writer, dir string, k kernel, manifest io.Writer) error {
	out := filepath.Join(dir, k.name+".spv")
	// No debug information: names would make the files depend on nothing useful.
	compile := []string{k.tools.glslang, "-V", "--target-env", k.tools.target, "-g0", "-I.", k.source, "-o", out}
	for _, m := range k.macros {
		compile = append(compile, "-D"+m)
	}
	for _, cmd := range [][]string{compile, {k.tools.validator, "--target-env", k.tools.target, out}} {
		if text, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd, " "), err, text)
		}
	}
	code, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	hash, err := shaders.SourceHash(os.DirFS("."), k.source)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: %d bytes\n", k.name, len(code))
	return enter(manifest, k, hash, code)
}

// keep copies what is there, if it is what the sources gave; why says what is missing
// for building it.
func keep(dir string, k kernel, manifest io.Writer, why error) error {
	hash, err := shaders.SourceHash(os.DirFS("."), k.source)
	if err != nil {
		return err
	}
	old, err := shaders.Manifest()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(old, func(e shaders.Entry) bool { return e.Name == k.name })
	if i < 0 || old[i].Source != hash {
		return fmt.Errorf("%s.spv has to be built again: %w", k.name, why)
	}
	code, err := os.ReadFile(filepath.Join("spv", k.name+".spv"))
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(code); hex.EncodeToString(sum[:]) != old[i].SPIRV {
		return fmt.Errorf("spv/%s.spv is not what the manifest says and has to be built again: %w", k.name, why)
	}
	if err := os.WriteFile(filepath.Join(dir, k.name+".spv"), code, 0o666); err != nil {
		return err
	}
	return enter(manifest, k, hash, code)
}

// enter appends a kernel's line to the manifest.
func enter(manifest io.Writer, k kernel, hash string, code []byte) error {
	_, err := fmt.Fprintf(manifest, "%s %s %s %s %x\n", k.name, k.source, k.tools.name, hash, sha256.Sum256(code))
	return err
}
