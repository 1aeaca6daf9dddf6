package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
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
		fmt.Fprintf(&b, "Peer: PyTorch %s on %s. ", rep.Peer.Torch, rep.Peer.Device)
	} else {
		fmt.Fprintf(&b, "Peer: none (%s). ", oneLine(rep.NoPeer))
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
			notes = append(notes, r.Case.Name+": "+oneLine(n))
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
		fmt.Fprintf(b, " %s | |", oneLine(r.Err))
	} else {
		t := median(flat(r.Graft))
		fmt.Fprintf(b, " %s | %s |", r.rate(t), r.ofPeak(t, pk))
	}
	best := r.best()
	if best == "" {
		b.WriteString(" | | |")
	} else {
		fmt.Fprintf(b, " %s | %s |", r.rate(median(flat(r.Peer[best]))), r.variants(best))
		if r.Err != "" {
			b.WriteString(" |")
		} else {
			fmt.Fprintf(b, " %.2f |", r.ratio(best))
		}
	}
	fmt.Fprintf(b, " %s |\n", r.bytes())
}

// rate is the speed of a run that takes so many seconds, in the case's unit.
func (r *result) rate(seconds float64) string {
	switch {
	case r.Case.Kind == kindStep:
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

// best is the peer's fastest variant, empty when it has none.
func (r *result) best() (name string) {
	least := math.Inf(1)
	for _, v := range slices.Sorted(maps.Keys(r.Peer)) {
		if t := median(flat(r.Peer[v])); t < least {
			name, least = v, t
		}
	}
	return name
}

// variants names the best one and how much longer the others take.
func (r *result) variants(best string) string {
	list := []string{best}
	least := median(flat(r.Peer[best]))
	for _, v := range slices.Sorted(maps.Keys(r.Peer)) {
		if v != best {
			list = append(list, fmt.Sprintf("%s x%.2f", v, median(flat(r.Peer[v]))/least))
		}
	}
	return strings.Join(list, ", ")
}

// ratio is the median over the turns of the peer's time by Graft's.
func (r *result) ratio(variant string) float64 {
	var q []float64
	for i := range min(len(r.Graft), len(r.Peer[variant])) {
		q = append(q, median(r.Peer[variant][i])/median(r.Graft[i]))
	}
	return median(q)
}

func (r *result) bytes() string {
	var s [2]string
	for i, n := range r.Memory {
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
		s = r.rate(median(flat(r.Graft)))
	}
	if best := r.best(); best != "" {
		s += fmt.Sprintf("; PyTorch (%s) %s", best, r.rate(median(flat(r.Peer[best]))))
	}
	return oneLine(s)
}

func flat(rounds [][]float64) []float64 { return slices.Concat(rounds...) }

// median is NaN for none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// oneLine keeps a message inside of a cell.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "/")
}
