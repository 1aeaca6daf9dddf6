package elo

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func wantOf(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number, 0 or more"
	case reflect.Float64:
		return "a number"
	}
	return "a text"
}

// setScalar reads text as the type that v has, and reports whether it is one.
func setScalar(v reflect.Value, text string) bool {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return true
	case reflect.Bool:
		b, ok := map[string]bool{"true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false}[text]
		v.SetBool(b && ok)
		return ok
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(digits(text), 10, v.Type().Bits())
		if err == nil {
			v.SetInt(i)
		}
		return err == nil
	case reflect.Uint64:
		u, err := strconv.ParseUint(digits(text), 10, 64)
		if err == nil {
			v.SetUint(u)
		}
		return err == nil
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
			return false
		}
		v.SetFloat(x)
		return true
	}
	return false
}

// digits lets whole numbers be written as 1e9 and 1_000_000: budgets of tokens
// have many noughts. What is not whole is given back as it is.
func digits(s string) string {
	if x, err := strconv.ParseFloat(s, 64); err == nil && strings.ContainsAny(s, "eE") && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return strconv.FormatInt(int64(x), 10)
	}
	if len(s) > 0 && s[0] != '_' && s[len(s)-1] != '_' {
		return strings.ReplaceAll(s, "_", "")
	}
	return s
}

// Set gives one key a value, as --set key=value does on a command line. The key
// is a path with dots, "pretrain.learning_rate" or "datasets.0.path"; one behind
// the last element of a list appends. A text is taken as it stands, a list or a
// group is written in YAML.
func (r *Recipe) Set(key, value string) error {
	v, err := r.find(key)
	if err != nil {
		return fmt.Errorf("elo: %w", err)
	}
	if v.Kind() == reflect.Struct || v.Kind() == reflect.Slice {
		root, err := parseYAML(key, []byte(value))
		if err != nil {
			return fmt.Errorf("elo: %w", err)
		}
		if root == nil {
			return fmt.Errorf("elo: %s: found nothing, want %s", key, map[bool]string{true: "a list", false: "keys and values"}[v.Kind() == reflect.Slice])
		}
		y := yamlReader{name: "value of " + key, anchors: map[string]ast.Node{}}
		if err := y.decode(root, v, key); err != nil {
			return fmt.Errorf("elo: %w", err)
		}
		return nil
	}
	if !setScalar(v, value) {
		return fmt.Errorf("elo: %s: found %q, want %s", key, value, wantOf(v))
	}
	return nil
}

// Get returns the value of a key, see Set.
func (r *Recipe) Get(key string) (any, error) {
	c := *r // find may append to a list
	v, err := c.find(key)
	if err != nil {
		return nil, fmt.Errorf("elo: %w", err)
	}
	return v.Interface(), nil
}

// Differs returns the first key whose values differ, "" when none do.
func (r *Recipe) Differs(from *Recipe) string {
	return differs(reflect.ValueOf(r).Elem(), reflect.ValueOf(from).Elem(), "")
}

func differs(a, b reflect.Value, path string) string {
	if a.Kind() != reflect.Struct {
		if same := reflect.DeepEqual(a.Interface(), b.Interface()); same || a.Kind() == reflect.Slice && a.Len()+b.Len() == 0 {
			return ""
		}
		return path
	}
	fields := fieldsOf(a.Type())
	for i, key := range keysOf(a.Type()) {
		if k := differs(a.FieldByIndex(fields[i].Index), b.FieldByIndex(fields[i].Index), join(path, key)); k != "" {
			return k
		}
	}
	return ""
}

func (r *Recipe) find(key string) (reflect.Value, error) {
	v, path := reflect.ValueOf(r).Elem(), ""
	for part := range strings.SplitSeq(key, ".") {
		switch v.Kind() {
		case reflect.Struct:
			f, ok := fieldByKey(v, part)
			if !ok {
				return v, errors.New(unknownKey(v.Type(), path, part))
			}
			v = f
		case reflect.Slice:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i > v.Len() {
				return v, fmt.Errorf("%s: found element %q, want a number from 0 to %d", path, part, v.Len())
			}
			if i == v.Len() {
				v.Set(reflect.Append(full(v), reflect.Zero(v.Type().Elem())))
			}
			v = v.Index(i)
		default:
			return v, fmt.Errorf("%s is a value and has no key %q", path, part)
		}
		path = join(path, part)
	}
	return v, nil
}

// full is v with no room behind it, so that appending copies.
func full(v reflect.Value) reflect.Value { return v.Slice3(0, v.Len(), v.Len()) }

func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	if i := slices.Index(keysOf(v.Type()), key); i >= 0 {
		return v.FieldByIndex(fieldsOf(v.Type())[i].Index), true
	}
	return reflect.Value{}, false
}

// fieldsOf lists a struct's fields, with those of embedded structs in their
// places.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			fields = append(fields, f)
		}
	}
	return fields
}

// keysOf lists a struct's keys, one for each of fieldsOf.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		keys = append(keys, key)
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// unknownKey names the keys that may have been meant: those written alike, the
// same key in another group, or else all that the group has.
func unknownKey(t reflect.Type, path, key string) string {
	what := fmt.Sprintf("unknown key %q", key)
	if path != "" {
		what += " in " + path
	}
	var near []string
	for _, k := range keysOf(t) {
		if distance(key, k) <= max(2, len(k)/4) {
			near = append(near, join(path, k))
		}
	}
	if path == "" {
		for i, field := range fieldsOf(t) {
			f := field.Type
			if f.Kind() == reflect.Struct && slices.Contains(keysOf(f), key) {
				near = append(near, keysOf(t)[i]+"."+key)
			}
		}
	} else if slices.Contains(keysOf(reflect.TypeFor[Recipe]()), key) {
		near = append(near, key)
	}
	if len(near) > 0 {
		return what + ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return what + ": the keys there are " + strings.Join(keysOf(t), ", ")
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diag
			if a[i] != b[j] {
				d = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
