package main

import (
	"fmt"
	"strings"

	"graft/bench/versus"
)

// table writes a report as Markdown.
func table(rep report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Graft on %s\n\n", rep.Device)
	b.WriteString("Made by `bench/gpu.sh`; what is measured and how is in bench/gpu/doc.go.\n\n")
	if rep.Small {
		b.WriteString("**Small sizes: this shows that everything runs, and nothing about speed.**\n\n")
	}
	if rep.NoPeer == "" {
		fmt.Fprintf(&b, "Peer: PyTorch %s on %s. ", rep.Peer.Versions[theirs], rep.Peer.Device)
	} else {
		fmt.Fprintf(&b, "Peer: none (%s). ", versus.OneLine(rep.NoPeer))
	}
	fmt.Fprintf(&b, "Medians over %d turns of each side; Graft / PyTorch is the median of the turns' ratios of speed, against PyTorch's fastest variant. Numerics: `%s`.\n\n", rep.Rounds, rep.Numbers)
	if rep.NoPeer == "" {
		b.WriteString("PyTorch's steps keep weights and moments in bf16, Graft's a f32 master and f32 moments: PyTorch's optimizer has less to do.\n\n")
	}
	b.WriteString("| case | type | Graft | of peak | PyTorch | variant | Graft / PyTorch | bytes Graft, PyTorch |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	pk := peakOf(rep.Device)
	for i := range rep.Results {
		rep.Results[i].row(&b, pk)
	}
	var notes []string
	for _, r := range rep.Results {
		for _, n := range r.Notes {
			notes = append(notes, r.Case.Name+": "+versus.OneLine(n))
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, "\n- %s\n", strings.Join(notes, "\n- "))
	}
	return b.String()
}

func (r *result) row(b *strings.Builder, pk *peak) {
	fmt.Fprintf(b, "| %s | %s |", r.Case.Name, r.Case.DType)
	if r.Err != "" {
		fmt.Fprintf(b, " %s | |", versus.OneLine(r.Err))
	} else {
		t := r.Seconds(versus.Graft)
		fmt.Fprintf(b, " %s | %s |", r.rate(t), r.ofPeak(t, pk))
	}
	best := r.Best()
	if best == "" {
		b.WriteString(" | | |")
	} else {
		fmt.Fprintf(b, " %s | %s |", r.rate(r.Seconds(best)), r.Variants(best))
		if r.Err != "" {
			b.WriteString(" |")
		} else {
			fmt.Fprintf(b, " %.2f |", r.Ratio(best))
		}
	}
	fmt.Fprintf(b, " %s |\n", r.bytes())
}

// rate is the speed of a run that takes so many seconds, in the case's unit.
func (r *result) rate(seconds float64) string {
	switch {
	case r.Case.Kind == versus.KindStep:
		tokens := float64(r.Case.Batch*r.Case.T) / seconds
		if r.Case.FLOPs == 0 {
			return fmt.Sprintf("%.0f tokens/s", tokens)
		}
		return fmt.Sprintf("%.0f tokens/s, %s", tokens, teraflops(r.Case.FLOPs/seconds))
	case r.Case.Bytes > 0:
		return fmt.Sprintf("%.4g GB/s", r.Case.Bytes/seconds/1e9)
	}
	return teraflops(r.Case.FLOPs / seconds)
}

func teraflops(perSecond float64) string { return fmt.Sprintf("%.4g TFLOP/s", perSecond/1e12) }

// ofPeak is the share of the vendor's figure, empty when there is none.
func (r *result) ofPeak(seconds float64, pk *peak) string {
	if pk == nil {
		return ""
	}
	share := r.Case.FLOPs / seconds / 1e12 / pk.matrix
	switch {
	case r.Case.Bytes > 0:
		share = r.Case.Bytes / seconds / 1e9 / pk.memory
	case r.Case.DType == "f32":
		share = r.Case.FLOPs / seconds / 1e12 / pk.f32
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

func (r *result) bytes() string {
	var s [2]string
	for i, side := range []string{ours, theirs} {
		n := r.Memory[side]
		if s[i] = "-"; n > 0 {
			s[i] = fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
		}
	}
	return s[0] + ", " + s[1]
}

// line is a result for the log.
func (r *result) line() string {
	s := r.Err
	if s == "" {
		s = r.rate(r.Seconds(versus.Graft))
	}
	if best := r.Best(); best != "" {
		s += fmt.Sprintf("; PyTorch (%s) %s", best, r.rate(r.Seconds(best)))
	}
	return versus.OneLine(s)
}
