package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"graft/model"
	"graft/model/diff"
	"graft/model/safetensors"
)

type diffOptions struct {
	a, b string
	top  int
	json bool
}

func newDiff(a *app) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use: "diff A B", Short: "Tell in what two models differ, and by how much", Args: exactly("A", "B"),
		Long: `Compare two models: tensors that only one has, other types and shapes, values that
differ, and what their configs say differently. For each tensor it prints how many
elements differ, the largest difference, and the norm of A - B over that of A
(Frobenius); then the same by layer, over the tensors in it that differ.
Tokenizers and templates are not compared.

The exit code is 0 when nothing differs, 1 when something does, and 2 when they
could not be compared, as with diff(1).`,
		Example: `  graft diff models/base out/base-ko.grafted   # only the chosen layers may differ`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.a, o.b = args[0], args[1]
			if o.top < 0 {
				return usagef("diff: --top: found %d, want 0 or more", o.top)
			}
			if o.json && !cmd.Flags().Changed("top") {
				o.top = 0
			}
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runDiff(ctx, a, o) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.top, "top", 10, "list the `N` tensors that differ most; 0 is all, as it is with --json")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// errDiffer is what the exit code says; the results have said the rest.
var errDiffer = codeError{code: exitFailure}

func runDiff(ctx context.Context, a *app, o diffOptions) error {
	equal, err := compareModels(ctx, a, o)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return codeError{code: exitUsage, err: err}
	case !equal:
		return errDiffer
	}
	return nil
}

func compareModels(ctx context.Context, a *app, o diffOptions) (equal bool, err error) {
	if err := modelPaths(&o.a, &o.b); err != nil {
		return false, err
	}
	r, err := diff.Models(ctx, o.a, o.b)
	if err != nil {
		return false, err
	}
	if r.NoConfig != nil {
		a.console.line("warning: configs are not compared: " + oneLine(r.NoConfig.Error()))
	}
	if o.json {
		return r.Equal(), a.writeJSON(diffOf(r, o.top))
	}
	return r.Equal(), printDiff(a, r, o.top)
}

// diffJSON is a report for machines.
type diffJSON struct {
	A       string             `json:"a"`
	B       string             `json:"b"`
	Equal   bool               `json:"equal"`
	Config  []model.Difference `json:"config"`
	OnlyA   []string           `json:"only_a"`
	OnlyB   []string           `json:"only_b"`
	Common  int                `json:"common_tensors"`
	Tensors []tensorsJSON      `json:"differing_tensors"`
	Groups  []groupJSON        `json:"groups"`
}

type tensorsJSON struct {
	Name      string            `json:"name"`
	TypeA     safetensors.DType `json:"dtype_a"`
	TypeB     safetensors.DType `json:"dtype_b"`
	ShapeA    []int             `json:"shape_a"`
	ShapeB    []int             `json:"shape_b"`
	Elements  int64             `json:"elements"` // compared: 0 when the shapes differ
	Differing int64             `json:"differing"`
	MaxAbs    number            `json:"max_abs"`
	Relative  number            `json:"relative"`
}

type groupJSON struct {
	Name      string `json:"name"`
	Tensors   int    `json:"tensors"`
	Changed   int    `json:"changed"`
	Elements  int64  `json:"elements"`
	Differing int64  `json:"differing"`
	MaxAbs    number `json:"max_abs"`
	Relative  number `json:"relative"`
}

func diffOf(r *diff.Report, top int) diffJSON {
	d := diffJSON{A: r.A, B: r.B, Equal: r.Equal(), Common: len(r.Tensors), OnlyA: append([]string{}, r.OnlyA...), OnlyB: append([]string{}, r.OnlyB...),
		Config: append([]model.Difference{}, r.Config...), Tensors: []tensorsJSON{}, Groups: []groupJSON{}}
	for _, t := range first(top, r.Differing()) {
		d.Tensors = append(d.Tensors, tensorsJSON{Name: t.Name, TypeA: t.TypeA, TypeB: t.TypeB, ShapeA: t.ShapeA, ShapeB: t.ShapeB,
			Elements: t.Elements, Differing: t.Differing, MaxAbs: number(t.MaxAbs), Relative: number(t.Relative())})
	}
	for _, g := range r.Groups() {
		d.Groups = append(d.Groups, groupJSON{g.Name, g.Tensors, g.Changed, g.Elements, g.Differing, number(g.MaxAbs), number(g.Relative)})
	}
	return d
}

// first is the beginning of a list, or all of it for 0.
func first[T any](n int, list []T) []T {
	if n == 0 || n > len(list) {
		return list
	}
	return list[:n]
}

func printDiff(a *app, r *diff.Report, top int) error {
	for _, f := range r.Config {
		fmt.Fprintf(a.out, "config.json: %s: %s in A, %s in B\n", f.Key, orNothing(f.A), orNothing(f.B))
	}
	printOnly(a, "A", r.OnlyA, top)
	printOnly(a, "B", r.OnlyB, top)
	differing := r.Differing()
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if len(differing) > 0 {
		fmt.Fprintln(w, "tensor\tdiffering\tlargest\trelative")
	}
	for _, t := range first(top, differing) {
		fmt.Fprintf(w, "%s\t%s\n", t.Name, tensorText(t))
	}
	if n := len(differing); n > top && top > 0 {
		fmt.Fprintf(w, "and %d more\n", n-top)
	}
	if len(differing) > 0 {
		fmt.Fprintln(w)
	}
	printGroups(w, r.Groups())
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Equal() {
		fmt.Fprintf(a.out, "equal: %d tensors\n", len(r.Tensors))
		return nil
	}
	fmt.Fprintf(a.out, "%d of %d common tensors differ\n", len(differing), len(r.Tensors))
	return nil
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func printOnly(a *app, which string, names []string, top int) {
	for _, name := range first(top, names) {
		fmt.Fprintf(a.out, "only in %s: %s\n", which, name)
	}
	if n := len(names); n > top && top > 0 {
		fmt.Fprintf(a.out, "only in %s: and %d more\n", which, n-top)
	}
}

// tensorText are the columns of a tensor that is not the same.
func tensorText(t diff.Tensor) string {
	if t.Elements == 0 && fmt.Sprint(t.ShapeA) != fmt.Sprint(t.ShapeB) {
		return fmt.Sprintf("shape %v in A, %v in B", t.ShapeA, t.ShapeB)
	}
	text := fmt.Sprintf("%d of %d\t%s\t%s", t.Differing, t.Elements, shortText(t.MaxAbs), shortText(t.Relative()))
	if t.TypeA != t.TypeB {
		text += fmt.Sprintf("\t%s in A, %s in B", t.TypeA, t.TypeB)
	}
	return text
}

func shortText(x float64) string { return fmt.Sprintf("%.3g", x) }

// printGroups says layers side by side in which nothing differs once.
func printGroups(w *tabwriter.Writer, groups []diff.Group) {
	fmt.Fprintln(w, "part\tdiffering\tlargest\trelative\ttensors")
	for i := 0; i < len(groups); {
		g, n := groups[i], 1
		for g.Changed == 0 && g.Layer >= 0 && i+n < len(groups) && groups[i+n].Changed == 0 && groups[i+n].Layer == g.Layer+n {
			g.Tensors += groups[i+n].Tensors
			n++
		}
		name := strings.TrimSuffix(strings.TrimPrefix(g.Name, "model."), ".weight")
		if n > 1 {
			name = fmt.Sprintf("layers %d..%d", g.Layer, g.Layer+n-1)
		}
		if g.Changed == 0 {
			fmt.Fprintf(w, "%s\tequal\t\t\t%d\n", name, g.Tensors)
		} else {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d of %d\n", name, shareText(g.Differing, g.Elements), shortText(g.MaxAbs), shortText(g.Relative), g.Changed, g.Tensors)
		}
		i += n
	}
}

// shareText is a share of elements; one that is not all never reads as 100 %.
func shareText(n, of int64) string {
	if of == 0 {
		return "shape"
	}
	return fmt.Sprintf("%.4g %%", math.Floor(float64(n)/float64(of)*1e6)/1e4)
}
