package elo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxRecipe is far above every recipe: what is longer is another kind of file.
const maxRecipe = 1 << 20

// ReadRecipe reads a recipe from a YAML file. Keys that the file leaves out, or
// gives no value, keep their defaults; paths stay as they are written. It does
// not call Check, since values may still be set.
func ReadRecipe(path string) (Recipe, error) {
	doc, err := readRecipeFile(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) && pe.Path == path {
			err = pe.Err
		}
		return Recipe{}, fmt.Errorf("elo: %s: %w", path, err)
	}
	return ParseRecipe(path, doc)
}

func readRecipeFile(path string) ([]byte, error) {
	f, err := os.Open(path) // may be a pipe, as shells make of <(command)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("is a directory, want a YAML file")
	}
	doc, err := io.ReadAll(io.LimitReader(f, maxRecipe+1))
	if err == nil && len(doc) > maxRecipe {
		err = fmt.Errorf("is above the limit of %d bytes for a recipe", maxRecipe)
	}
	return doc, err
}

// ParseRecipe reads a recipe from memory; the name is for messages. An unknown
// key and a value of the wrong type are errors that name their line.
func ParseRecipe(name string, doc []byte) (Recipe, error) {
	r := Defaults()
	root, err := parseYAML(name, doc)
	if err != nil {
		return Recipe{}, fmt.Errorf("elo: %w", err)
	}
	if root == nil {
		return r, nil
	}
	y := yamlReader{name: name, anchors: map[string]ast.Node{}}
	if err := y.decode(root, reflect.ValueOf(&r).Elem(), ""); err != nil {
		return Recipe{}, fmt.Errorf("elo: %w", err)
	}
	return r, nil
}

// parseYAML returns the only document of a file, nil when it is empty.
func parseYAML(name string, doc []byte) (ast.Node, error) {
	if !utf8.Valid(doc) {
		line := 1
		for rest := doc; ; {
			c, n := utf8.DecodeRune(rest)
			if c == utf8.RuneError && n == 1 {
				return nil, fmt.Errorf("%s:%d: is not UTF-8: byte %d is 0x%02X", name, line, len(doc)-len(rest), rest[0])
			}
			if c == '\n' {
				line++
			}
			rest = rest[n:]
		}
	}
	if tooDeep(doc) {
		return nil, fmt.Errorf("%s: is nested more than %d deep, want a recipe", name, maxDepth)
	}
	file, err := parser.ParseBytes(doc, 0)
	if err != nil {
		var ye yaml.Error
		if errors.As(err, &ye) {
			return nil, fmt.Errorf("%s:%d: %s", name, ye.GetToken().Position.Line, ye.GetMessage())
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var root ast.Node
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			return nil, fmt.Errorf("%s:%d: a second document begins here, want one", name, lineOf(d.Body))
		}
		root = d.Body
	}
	return root, nil
}

// maxDepth is far above a recipe's three levels. The parser's time and memory
// grow with the square of the depth: a file of brackets would take all there is.
const maxDepth = 64

// tooDeep counts open brackets, and the dashes and question marks that open
// lists and keys on one line, as if there were no quotes.
func tooDeep(doc []byte) bool {
	brackets, marks := 0, 0
	for i, c := range doc {
		switch c {
		case '[', '{':
			brackets++
		case ']', '}':
			brackets = max(0, brackets-1)
		case '\n':
			marks = 0
		case '-', '?':
			if i+1 < len(doc) && (doc[i+1] == ' ' || doc[i+1] == '\t') {
				marks++
			}
		}
		if brackets > maxDepth || marks > maxDepth {
			return true
		}
	}
	return false
}

// yamlReader fills a value from a syntax tree. The decoder of the YAML package
// is not used: it cuts 1.5 to 1 for an integer and writes 007 as 7 into a text.
type yamlReader struct {
	name    string
	anchors map[string]ast.Node
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil {
		return t.Position.Line
	}
	return 0
}

func (y *yamlReader) errorf(n ast.Node, format string, args ...any) error {
	at := y.name
	if l := lineOf(n); l > 0 {
		at += ":" + strconv.Itoa(l)
	}
	return fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...))
}

func (y *yamlReader) decode(n ast.Node, v reflect.Value, path string) error {
	n, err := y.unwrap(n)
	if err != nil {
		return err
	}
	if n.Type() == ast.NullType {
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return y.decodeStruct(n, v, path)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			return y.errorf(n, "%s: found %s, want a list", path, kindOf(n))
		}
		list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			if err := y.decode(item, list.Index(i), fmt.Sprintf("%s.%d", path, i)); err != nil {
				return err
			}
		}
		v.Set(list)
		return nil
	}
	text, ok := scalarText(n)
	if !ok {
		return y.errorf(n, "%s: found %s, want %s", path, kindOf(n), wantOf(v))
	}
	if !setScalar(v, text) {
		return y.errorf(n, "%s: found %q, want %s", path, text, wantOf(v))
	}
	return nil
}

func (y *yamlReader) decodeStruct(n ast.Node, v reflect.Value, path string) error {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		if path == "" {
			return y.errorf(n, "found %s, want keys and values", kindOf(n))
		}
		return y.errorf(n, "%s: found %s, want keys and values", path, kindOf(n))
	}
	for _, pair := range pairs {
		key, _ := scalarText(pair.Key)
		field, ok := fieldByKey(v, key)
		if !ok {
			return y.errorf(pair.Key, "%s", unknownKey(v.Type(), path, key))
		}
		if err := y.decode(pair.Value, field, join(path, key)); err != nil {
			return err
		}
	}
	return nil
}

// unwrap follows anchors, aliases and tags to the node that has the value.
func (y *yamlReader) unwrap(n ast.Node) (ast.Node, error) {
	for range 16 { // no sensible file chains more, and an alias may name itself
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
			y.anchors[t.Name.GetToken().Value] = n
		case *ast.AliasNode:
			name := t.Value.GetToken().Value
			to, ok := y.anchors[name]
			if !ok {
				return nil, y.errorf(n, "alias *%s has no anchor before it", name)
			}
			n = to
		case *ast.TagNode:
			n = t.Value
		default:
			return n, nil
		}
	}
	return nil, y.errorf(n, "aliases refer to aliases without end")
}

// scalarText is a scalar as it is written, quotes removed.
func scalarText(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.MergeKeyNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	}
	if s, ok := scalarText(n); ok {
		return strconv.Quote(s)
	}
	return n.Type().String()
}
