package main

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"graft/bench/versus"
)

// table writes a report as Markdown.
func table(rep report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Graft's CPU engine beside its peers on %s\n\n", rep.Device)
	b.WriteString("Made by `make bench-peers`; what is measured and how is in bench/peers/doc.go.\n\n")
	if rep.Small {
		b.WriteString("**Small sizes: this shows that everything runs, and nothing about speed.**\n\n")
	}
	fmt.Fprintf(&b, "%s on %s/%s, %d processors; %d rounds in %v. Ratios are of speed, Graft / peer: the median of the rounds (least to largest).\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, rep.Threads, rep.Rounds, rep.Took.Round(time.Second))
	for _, name := range slices.Sorted(maps.Keys(rep.Versions)) {
		fmt.Fprintf(&b, "- %s: %s\n", name, versus.OneLine(rep.Versions[name]))
	}
	for _, m := range rep.Missing {
		fmt.Fprintf(&b, "- missing: %s\n", versus.OneLine(m))
	}
	for i, s := range rep.Sections {
		if len(rep.Rows[i]) > 0 {
			s.write(&b, rep.Rows[i])
		}
	}
	if r := rep.Resident; r[eager] > 0 {
		fmt.Fprintf(&b, "\nA process without a case holds %s in Graft and %s in PyTorch; both are in the figures of memory.\n", mib(r[ours]), mib(r[eager]))
	}
	return b.String()
}

func (s *section) write(b *strings.Builder, rows []row) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| %s |\n|%s\n", s.title, s.about, strings.Join(s.head, " | "), strings.Repeat(" --- |", len(s.head)))
	var notes []string
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(b, "| %s |\n", strings.Join(s.row(r), " | "))
		for _, n := range r.Notes {
			notes = append(notes, fmt.Sprintf("- %s, %s: %s", r.Case.Name, plural(r.Threads), versus.OneLine(n)))
		}
		if r.Err != "" {
			notes = append(notes, fmt.Sprintf("- %s, %s: Graft: %s", r.Case.Name, plural(r.Threads), versus.OneLine(r.Err)))
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(b, "\n%s\n", strings.Join(notes, "\n"))
	}
	if s.after != nil {
		fmt.Fprintf(b, "\n%s\n", s.after(rows))
	}
}

// gigaflops is a variant's speed, empty when it has none.
func (r *row) gigaflops(variant string) string {
	return number(r.Case.FLOPs / r.Seconds(variant) / 1e9)
}

func number(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return fmt.Sprintf("%.4g", x)
}

// ratio is the median of the rounds' ratios, with the least and the largest.
func (r *row) ratio(variant string) string { return spread(r.Ratios(variant)) }

func spread(q []float64) string {
	if len(q) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", versus.Median(q), slices.Min(q), slices.Max(q))
}

// best is the ratio to the fastest peer, and its name.
func (r *row) best() string {
	v := r.Best()
	if v == "" || r.Err != "" {
		return ""
	}
	return r.ratio(v) + " " + v
}

var gemmSection = section{
	title: "GEMM, f32", about: "GFLOP/s, M x N x K; NN has B as (K, N), NT as (N, K) as a linear layer has, TN has A as (K, M).",
	head: []string{"product", "threads", "Graft", "PyTorch", "OpenBLAS", "oneDNN", "oneDNN in PyTorch", "Graft / best"},
	row: func(r *row) []string {
		return []string{r.Case.Name, fmt.Sprint(r.Threads), r.gigaflops(versus.Graft), r.gigaflops("PyTorch"), r.gigaflops("OpenBLAS"),
			r.gigaflops("oneDNN"), r.gigaflops("oneDNN in PyTorch"), r.best()}
	},
	after: func(rows []row) string {
		var logs float64
		var below []string
		n := 0
		for i := range rows {
			r := &rows[i]
			q := r.Ratio(r.Best())
			if math.IsNaN(q) {
				continue
			}
			logs += math.Log(q)
			if n++; q < 1 {
				below = append(below, fmt.Sprintf("%s with %s (%.2f)", r.Case.Name, plural(r.Threads), q))
			}
		}
		if n == 0 {
			return "No peer to compare with."
		}
		s := fmt.Sprintf("Geometric mean of the %d ratios to the best peer: %.3f.", n, math.Exp(logs/float64(n)))
		if len(below) > 0 {
			s += fmt.Sprintf(" Below 1: %s.", strings.Join(below, ", "))
		}
		return s
	},
}

var widenedSection = section{
	title: "GEMM, weights in bf16", about: "GFLOP/s of Graft, M x N x K, B as (N, K), beside the same product with weights in f32; and with both in bf16 by VDPBF16PS, in the mode " + versus.Pairs + ".",
	head: []string{"product", "threads", "weights in f32", "weights in bf16", "bf16 / f32", "both, VDPBF16PS", "VDPBF16PS / f32"},
	row: func(r *row) []string {
		return []string{r.Case.Name, fmt.Sprint(r.Threads), r.gigaflops("f32"), r.gigaflops(versus.Graft), r.ratio("f32"),
			r.gigaflops(versus.Pairs), spread(r.RatiosOf(versus.Pairs, "f32"))}
	},
}

var stepSection = section{
	title: "Training step, f32", about: "Forward, backward, clipping and AdamW in tokens/s; memory beyond weights, gradients and moments.",
	head: []string{"model and batch", "threads", "Graft", "PyTorch eager", "torch.compile", "Graft / eager", "Graft / compile",
		"memory Graft, eager, compile", "Graft / less of the two"},
	row: func(r *row) []string {
		speed := func(v string) string { return number(float64(r.Case.Batch*r.Case.T) / r.Seconds(v)) }
		beyond := func(side string) int64 { return r.Peak[side] - 16*r.Case.Model.Params() }
		memory := func(side string) string {
			if r.Peak[side] == 0 {
				return "-"
			}
			return mib(beyond(side))
		}
		share, least := "", int64(math.MaxInt64)
		for _, side := range []string{eager, compile} {
			if r.Peak[side] > 0 {
				least = min(least, beyond(side))
			}
		}
		if r.Peak[ours] > 0 && least != math.MaxInt64 {
			share = number(float64(beyond(ours)) / float64(least))
		}
		return []string{r.Case.Name, fmt.Sprint(r.Threads), speed(versus.Graft), speed("eager"), speed("compile"),
			r.ratio("eager"), r.ratio("compile"), strings.Join([]string{memory(ours), memory(eager), memory(compile)}, ", "), share}
	},
}

var attentionSection = section{
	title: "Attention, f32", about: "Causal, GFLOP/s of the visible pairs. PyTorch's scaled_dot_product_attention has keys and values shared (enable_gqa) or repeated for each head.",
	head: []string{"operation", "threads", "Graft", "SDPA", "SDPA, repeated heads", "Graft / best"},
	row: func(r *row) []string {
		return []string{r.Case.Name, fmt.Sprint(r.Threads), r.gigaflops(versus.Graft), r.gigaflops("SDPA"), r.gigaflops("SDPA, repeated heads"), r.best()}
	},
}

var elementwiseSection = section{
	title: "Element-wise", about: "GB/s of the bytes that the operation reads and writes, beside a copy of as many bytes by as many threads.",
	head: []string{"operation", "threads", "Graft", "copy", "Graft / copy"},
	row: func(r *row) []string {
		rate := func(v string) string { return number(r.Case.Bytes / r.Seconds(v) / 1e9) }
		return []string{r.Case.Name, fmt.Sprint(r.Threads), rate(versus.Graft), rate("copy"), r.ratio("copy")}
	},
}

func mib(n int64) string { return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20)) }
