package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the module path; imports that begin with it are our own.
const module = "graft/"

// maxLines is the length of a file at which it should have become two.
const maxLines = 600

// maxBytes is the size of a file at which it no longer belongs in a repository.
const maxBytes = 1 << 20

// repository is the module's root with its files, by slash-separated path.
type repository struct {
	root  string
	files []string
}

// open lists the files below the module's root, without those that git
// ignores by name: outputs and Python environments.
func open(t *testing.T) repository {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("no go.mod above the test: it runs away from its repository")
		}
		dir = up
	}
	r := repository{root: dir}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "graft-demo", "venv", "__pycache__"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			r.files = append(r.files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r repository) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golang lists the Go files, those of testdata left out.
func (r repository) golang() []string {
	var out []string
	for _, f := range r.files {
		if strings.HasSuffix(f, ".go") && !strings.Contains(f, "testdata/") {
			out = append(out, f)
		}
	}
	return out
}

// layer is what the packages below a path may import of our own: packages at or
// below one of these paths. The first layer that a package lies in counts.
type layer struct {
	path string
	may  []string
}

// layers are the arrows of docs/design.md.
var layers = []layer{
	{"kernels/vulkan/vk", nil},
	{"kernels/vulkan", []string{"kernels/vulkan", "kernels/plan", "shaders", "internal", "kernels."}},
	{"kernels/cpu", []string{"kernels/cpu", "kernels/plan", "internal", "kernels."}},
	{"kernels/ref", []string{"internal", "kernels."}},
	{"kernels/plan", []string{"kernels."}},
	{"kernels/kerneltest", []string{"kernels/ref", "kernels/plan", "kernels."}},
	{"kernels", nil},
	{"shaders", nil},
	{"internal", nil},
	{"tensor", []string{"tensor", "internal", "kernels."}},
	{"model", []string{"model", "tensor", "internal", "kernels."}},
	{"elo", []string{"elo", "model", "tensor", "internal", "kernels."}},
	{"bench", []string{""}},
	{"cmd", []string{""}},
}

// within reports whether a package lies at or below a path; a path that ends
// with a dot means that package alone, and the empty path everything.
func within(pkg, p string) bool {
	if exact, ok := strings.CutSuffix(p, "."); ok {
		return pkg == exact
	}
	return p == "" || pkg == p || strings.HasPrefix(pkg, p+"/")
}

// allowed says why a package must not import another, or "".
func allowed(pkg, imported string) string {
	i := slices.IndexFunc(layers, func(l layer) bool { return within(pkg, l.path) })
	if i < 0 {
		return "its folder has no layer in this test"
	}
	own, ours := strings.CutPrefix(imported, module)
	switch first, _, _ := strings.Cut(imported, "/"); {
	case !ours && pkg == "kernels" && strings.Contains(first, "."):
		return "kernels imports only the standard library"
	case imported == "C":
		return "cgo is not used"
	case imported == "github.com/ebitengine/purego" && pkg != "kernels/vulkan/vk":
		return "only kernels/vulkan/vk calls C functions"
	case !ours:
		return ""
	}
	if !slices.ContainsFunc(layers[i].may, func(p string) bool { return within(own, p) }) {
		return fmt.Sprintf("packages below %s import only %v", layers[i].path, layers[i].may)
	}
	return ""
}

// TestImports holds what is not a test to the arrows. A program (package main)
// outside cmd is a generator and may import anything.
func TestImports(t *testing.T) {
	r := open(t)
	for _, name := range r.golang() {
		f, err := parser.ParseFile(token.NewFileSet(), name, r.read(t, name), parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") || f.Name.Name == "main" && !strings.HasPrefix(name, "cmd/") {
			continue
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if why := allowed(path.Dir(name), imported); why != "" {
				t.Errorf("%s imports %s: %s", name, imported, why)
			}
		}
	}
}

// TestArrows checks the rule itself.
func TestArrows(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"kernels", "fmt", true},
		{"kernels", "golang.org/x/sys/cpu", false},
		{"kernels", "graft/internal/f16", false},
		{"kernels/cpu", "graft/kernels", true},
		{"kernels/cpu", "graft/kernels/plan", true},
		{"kernels/cpu", "graft/kernels/ref", false},
		{"kernels/vulkan", "graft/shaders", true},
		{"tensor", "graft/kernels", true},
		{"tensor", "graft/kernels/cpu", false},
		{"tensor/optim", "graft/tensor", true},
		{"model", "graft/elo", false},
		{"model", "github.com/ebitengine/purego", false},
		{"elo/train", "graft/kernels/vulkan", false},
		{"shaders", "graft/kernels", false},
		{"internal/f16", "graft/kernels", false},
		{"cmd/graft", "graft/kernels/vulkan", true},
		{"elsewhere", "fmt", false},
	} {
		if why := allowed(c.pkg, c.imported); (why == "") != c.ok {
			t.Errorf("%s imports %s: got %q, want allowed %v", c.pkg, c.imported, why, c.ok)
		}
	}
}

// TestFiles checks lengths, sizes and that files made by programs are called
// z_* and no others are.
func TestFiles(t *testing.T) {
	r := open(t)
	generated := regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	for _, name := range r.files {
		b := r.read(t, name)
		if len(b) > maxBytes {
			t.Errorf("%s: %d bytes, want at most %d", name, len(b), maxBytes)
		}
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		z := strings.HasPrefix(path.Base(name), "z_")
		if head := b[:min(len(b), 500)]; generated.Match(head) != z {
			t.Errorf("%s: generated files are called z_* and say `Code generated ... DO NOT EDIT.`", name)
		}
		if n := bytes.Count(b, []byte("\n")); n >= maxLines && !z {
			t.Errorf("%s: %d lines, want fewer than %d", name, n, maxLines)
		}
	}
}

// TestPackageDocs wants one doc comment for each package, beginning as godoc
// expects.
func TestPackageDocs(t *testing.T) {
	r := open(t)
	docs := map[string][]string{}
	for _, name := range r.golang() {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, r.read(t, name), parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := path.Dir(name)
		if _, ok := docs[dir]; !ok {
			docs[dir] = nil
		}
		if f.Doc == nil {
			continue
		}
		docs[dir] = append(docs[dir], name)
		want := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		if !strings.HasPrefix(f.Doc.Text(), want) {
			t.Errorf("%s: the doc comment should begin with %q", name, want)
		}
	}
	for dir, in := range docs {
		if len(in) != 1 {
			t.Errorf("%s: doc comments in %v, want them in one file", dir, in)
		}
	}
}

// TestWords finds what somebody meant to come back to, and paths that exist on
// one machine only.
func TestWords(t *testing.T) {
	r := open(t)
	text := []string{".go", ".md", ".yml", ".yaml", ".sh", ".py", ".comp", ".glsl", ".c", ".txt", ".txtar", ".json", "Makefile", "run"}
	later := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	machine := regexp.MustCompile(`(^|[\s"'=(\x60])/(home|root|Users|work|mnt|srv)/\w`)
	for _, name := range r.files {
		if !slices.ContainsFunc(text, func(s string) bool { return strings.HasSuffix(name, s) }) {
			continue
		}
		for i, line := range strings.Split(string(r.read(t, name)), "\n") {
			if m := later.FindString(line); m != "" {
				t.Errorf("%s:%d: %s: open an issue instead", name, i+1, m)
			}
			if m := machine.FindString(line); m != "" {
				t.Errorf("%s:%d: %q is a path of one machine", name, i+1, m)
			}
		}
	}
}

// TestCode forbids what makes programs and tests unpredictable.
func TestCode(t *testing.T) {
	r := open(t)
	for _, name := range r.golang() {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, r.read(t, name), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch call := pkg.Name + "." + sel.Sel.Name; {
			case call == "runtime.SetFinalizer" || call == "runtime.AddCleanup":
				t.Errorf("%v: %s: memory is freed by Close", set.Position(sel.Pos()), call)
			case call == "time.Sleep" && strings.HasSuffix(name, "_test.go"):
				t.Errorf("%v: %s: a test waits for what it waits for, not for a while", set.Position(sel.Pos()), call)
			}
			return true
		})
	}
}

// TestDocuments checks that Markdown files name tests that exist and link to
// files that exist.
func TestDocuments(t *testing.T) {
	r := open(t)
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	for _, name := range r.golang() {
		for _, m := range declared.FindAllSubmatch(r.read(t, name), -1) {
			tests[string(m[1])] = true
		}
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	for _, name := range r.files {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		b := r.read(t, name)
		for _, m := range named.FindAll(b, -1) {
			if !tests[string(m)] {
				t.Errorf("%s names %s, which is no test", name, m)
			}
		}
		for _, m := range link.FindAllSubmatch(b, -1) {
			to := string(m[1])
			if strings.Contains(to, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(r.root, filepath.FromSlash(path.Join(path.Dir(name), to)))); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, to)
			}
		}
	}
}
