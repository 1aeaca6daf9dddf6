package main

import (
	"cmp"
	"fmt"
	"slices"
	"text/tabwriter"

	"graft/elo/train"
)

// profileRow sums up the instructions of an operation that ran the same kernels.
type profileRow struct {
	Op       string `json:"op"`
	Kernels  string `json:"kernels"`
	Calls    number `json:"calls"`    // instructions of a step
	Launches number `json:"launches"` // of their kernels
	Seconds  number `json:"seconds"`  // of a step
	Share    number `json:"share"`    // of all rows' seconds
	FLOPRate number `json:"flop_per_s"`
	ByteRate number `json:"bytes_per_s"`
}

// profileRows sums the timings of several steps up, longest first. Rates are
// those of the definition: the work of the operation, and each of its operands
// read or written once, over the time of all its launches.
func profileRows(all []train.Timing, steps int) []profileRow {
	type sums struct{ calls, launches, seconds, flops, bytes float64 }
	type key struct{ op, kernels string }
	by, total := map[key]*sums{}, 0.0
	var keys []key
	for _, x := range all {
		k := key{x.Op.String(), x.Kernels}
		if by[k] == nil {
			by[k] = &sums{}
			keys = append(keys, k)
		}
		s := by[k]
		s.calls++
		s.launches += float64(x.Launches)
		s.seconds += x.Seconds
		s.flops += x.FLOPs
		s.bytes += x.Bytes
		total += x.Seconds
	}
	slices.SortStableFunc(keys, func(a, b key) int { return cmp.Compare(by[b].seconds, by[a].seconds) })
	var rows []profileRow
	for _, k := range keys {
		s, n := by[k], float64(steps)
		rows = append(rows, profileRow{Op: k.op, Kernels: k.kernels, Calls: number(s.calls / n), Launches: number(s.launches / n),
			Seconds: number(s.seconds / n), Share: number(s.seconds / total), FLOPRate: number(s.flops / s.seconds), ByteRate: number(s.bytes / s.seconds)})
	}
	return rows
}

func printProfile(a *app, rows []profileRow) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nms/step\tshare\tcalls\tlaunches\tGFLOP/s\tGB/s\top\tkernels\t")
	total, launches := 0.0, 0.0
	for _, r := range rows {
		fmt.Fprintf(w, "%.3f\t%.1f %%\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%s\t\n", 1e3*float64(r.Seconds), 100*float64(r.Share), float64(r.Calls),
			float64(r.Launches), float64(r.FLOPRate)/1e9, float64(r.ByteRate)/1e9, r.Op, r.Kernels)
		total += float64(r.Seconds)
		launches += float64(r.Launches)
	}
	fmt.Fprintf(w, "%.3f\t\t\t%.0f\t\t\tall\t\t\n", 1e3*total, launches)
	return w.Flush()
}
