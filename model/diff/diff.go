// Package diff tells in what two models differ: which tensors, by how much, and
// what their configs say differently.
//
//	r, err := diff.Models(ctx, "base", "grafted")
//	if !r.Equal() {
//		for _, t := range r.Differing() { // most first
//			fmt.Println(t.Name, t.Differing, t.MaxAbs, t.Relative())
//		}
//	}
//
// Tensors go through memory a piece at a time. They are compared under the names
// that the text model alone would have, whatever a file calls them, and by value:
// BF16 and F32 of one number differ in type only. What a model does not use is
// left out: a head that is stored though it is tied and equal to the embedding,
// and buffers of rotary frequencies.
//
// Tokenizers, templates and other files are not compared. Models need not be
// whole: of a family that package model does not know, or with tensors missing,
// everything but the config is compared all the same.
package diff

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"

	"graft/model"
	"graft/model/safetensors"
)

// Report is what was found.
type Report struct {
	A, B   string             // as they were given
	Config []model.Difference // nil too when NoConfig says why there is nothing to compare
	// NoConfig is why the configs were not compared, nil if they were.
	NoConfig error
	OnlyA    []string // names of tensors that B lacks
	OnlyB    []string
	Tensors  []Tensor // that both have, in A's order
}

// Tensor compares two tensors of one name. Elements are compared if the shapes
// are equal.
type Tensor struct {
	Name           string
	Layer          int // -1 outside of all
	TypeA, TypeB   safetensors.DType
	ShapeA, ShapeB []int
	Elements       int64 // 0 when the shapes differ
	Differing      int64 // elements whose bits differ; -0 and 0 do
	// MaxAbs is the largest |a - b|, NaN if one is not a number. It is 0 for
	// types that are no floating-point numbers.
	MaxAbs       float64
	sumA2, sumD2 float64 // of squares of a, of a - b
}

// Relative is the Frobenius norm of A - B over that of A: +Inf where A is zero.
func (t Tensor) Relative() float64 { return relative(t.sumD2, t.sumA2) }

func relative(d2, a2 float64) float64 {
	if d2 == 0 {
		return 0
	}
	return math.Sqrt(d2 / a2)
}

// Same reports whether nothing differs: type, shape and every element.
func (t Tensor) Same() bool {
	return t.Differing == 0 && t.TypeA == t.TypeB && slices.Equal(t.ShapeA, t.ShapeB)
}

// Equal reports whether nothing differs at all.
func (r *Report) Equal() bool {
	return len(r.Config) == 0 && len(r.OnlyA) == 0 && len(r.OnlyB) == 0 && !slices.ContainsFunc(r.Tensors, func(t Tensor) bool { return !t.Same() })
}

// Differing lists the tensors that are not the same: other shapes first, then
// by the relative norm, then by name.
func (r *Report) Differing() []Tensor {
	var out []Tensor
	for _, t := range r.Tensors {
		if !t.Same() {
			out = append(out, t)
		}
	}
	rank := func(t Tensor) float64 {
		if x := t.Relative(); t.Elements > 0 && !math.IsNaN(x) {
			return x
		}
		return math.Inf(1)
	}
	slices.SortStableFunc(out, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(b.Differing, a.Differing), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Group sums up the tensors of one layer, or one that is outside of all.
type Group struct {
	Name      string // "layer 3", or the tensor's name
	Layer     int
	Tensors   int // that both models have
	Changed   int // tensors of them that are not the same
	Elements  int64
	Differing int64
	MaxAbs    float64
	Relative  float64 // over the tensors that are not the same
}

// Groups sums up by layers, in A's order.
func (r *Report) Groups() []Group {
	type sums struct{ a2, d2 float64 }
	var groups []Group
	var squares []sums
	where := map[string]int{}
	for _, t := range r.Tensors {
		name := t.Name
		if t.Layer >= 0 {
			name = fmt.Sprintf("layer %d", t.Layer)
		}
		i, ok := where[name]
		if !ok {
			i = len(groups)
			where[name] = i
			groups, squares = append(groups, Group{Name: name, Layer: t.Layer}), append(squares, sums{})
		}
		g := &groups[i]
		g.Tensors++
		if !t.Same() {
			g.Changed++
		}
		g.Elements += t.Elements
		g.Differing += t.Differing
		g.MaxAbs = larger(g.MaxAbs, t.MaxAbs)
		squares[i].a2 += t.sumA2
		squares[i].d2 += t.sumD2
		g.Relative = relative(squares[i].d2, squares[i].a2)
	}
	return groups
}

// larger keeps what is not a number.
func larger(x, y float64) float64 {
	if y > x || math.IsNaN(y) {
		return y
	}
	return x
}

// Models compares two models, which paths name as for model.Open.
func Models(ctx context.Context, pathA, pathB string) (r *Report, err error) {
	a, err := model.Inspect(pathA)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b, err := model.Inspect(pathB)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	r = &Report{A: pathA, B: pathB}
	switch {
	case a.NoConfig != nil:
		r.NoConfig = a.NoConfig
	case b.NoConfig != nil:
		r.NoConfig = b.NoConfig
	default:
		r.Config = a.Config.Differences(b.Config)
	}
	return r, r.compare(ctx, a, b)
}

func (r *Report) compare(ctx context.Context, a, b *model.Checkpoint) error {
	inB := map[string]bool{}
	for _, name := range b.Names() {
		inB[name] = true
	}
	p := &pieces{ctx: ctx, a: make([]float64, pieceLen), b: make([]float64, pieceLen)}
	for _, name := range a.Names() {
		if !inB[name] {
			r.OnlyA = append(r.OnlyA, name)
			continue
		}
		delete(inB, name)
		t, err := p.tensor(a, b, name)
		if err != nil {
			return err
		}
		r.Tensors = append(r.Tensors, t)
	}
	for _, name := range b.Names() {
		if inB[name] {
			r.OnlyB = append(r.OnlyB, name)
		}
	}
	return nil
}

// pieceLen is how many elements are compared at a time.
const pieceLen = 1 << 16

type pieces struct {
	ctx  context.Context
	a, b []float64
}

func (p *pieces) tensor(a, b *model.Checkpoint, name string) (Tensor, error) {
	x, _ := a.Info(name)
	y, _ := b.Info(name)
	t := Tensor{Name: name, Layer: layerOf(name), TypeA: x.DType, TypeB: y.DType, ShapeA: x.Shape, ShapeB: y.Shape}
	if !slices.Equal(x.Shape, y.Shape) {
		return t, nil
	}
	t.Elements = x.Elements()
	if x.DType == y.DType { // most tensors of most pairs are equal, and bytes tell that fastest
		if same, err := model.SameBytes(a, name, b, name); same || err != nil {
			return t, err
		}
	}
	if !x.DType.Float() || !y.DType.Float() {
		return t, p.others(&t, a, b)
	}
	for first := int64(0); first < t.Elements; first += pieceLen {
		if err := p.ctx.Err(); err != nil {
			return t, err
		}
		n := min(pieceLen, t.Elements-first)
		if err := a.ReadF64(p.a[:n], name, first); err != nil {
			return t, err
		}
		if err := b.ReadF64(p.b[:n], name, first); err != nil {
			return t, err
		}
		t.add(p.a[:n], p.b[:n])
	}
	return t, nil
}

// add compares elements; exact values of types that differ are still exact here.
func (t *Tensor) add(a, b []float64) {
	for i, x := range a {
		t.sumA2 += x * x
		if y := b[i]; math.Float64bits(x) != math.Float64bits(y) {
			t.Differing++
			d := math.Abs(x - y)
			t.MaxAbs = larger(t.MaxAbs, d)
			t.sumD2 += d * d
		}
	}
}

// others compares tensors that are no floating-point numbers: of one type by
// their bytes, of two types not at all, which counts as different everywhere.
func (p *pieces) others(t *Tensor, a, b *model.Checkpoint) error {
	if t.TypeA != t.TypeB {
		t.Differing = t.Elements
		return nil
	}
	x, err := a.Reader(t.Name)
	if err != nil {
		return err
	}
	y, err := b.Reader(t.Name)
	if err != nil {
		return err
	}
	size := t.TypeA.Size()
	buf, with := make([]byte, size), make([]byte, size)
	for range t.Elements {
		if _, err := io.ReadFull(x, buf); err != nil {
			return fmt.Errorf("diff: %s: %w", t.Name, err)
		}
		if _, err := io.ReadFull(y, with); err != nil {
			return fmt.Errorf("diff: %s: %w", t.Name, err)
		}
		if !bytes.Equal(buf, with) {
			t.Differing++
		}
	}
	return p.ctx.Err()
}

var layerNumber = regexp.MustCompile(`(?:^|\.)(\d{1,6})\.`)

// layerOf is the first number in a tensor's name, in any family.
func layerOf(name string) int {
	m := layerNumber.FindStringSubmatch(name)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}
