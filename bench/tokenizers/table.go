package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"graft/bench/versus"
	"graft/kernels"
	_ "graft/kernels/cpu"
)

type report struct {
	options
	versions  map[string]string
	device    string
	documents int
	size      int // bytes of the documents
	rows      []mixedRow
	hardRows  []hardRow
}

type mixedRow struct {
	name                 string
	tokens               int
	fresh                float64 // how many times as fast as the peer, both just opened
	ours, theirs, ratios []float64
}

// hardRow has the seconds for a quarter of a text and for all of it.
type hardRow struct {
	name, text   string
	tokens       int
	ours, theirs [2]float64
	refused      string
}

func processor() string {
	be, err := kernels.Open("cpu")
	if err != nil {
		return runtime.GOARCH
	}
	defer be.Close()
	return be.Caps().Device
}

func (rep *report) table() string {
	var b strings.Builder
	b.WriteString("# Graft's tokenizer beside the Rust library\n\nMade by `go run ./bench/tokenizers -o FILE`; what is measured and how is in bench/tokenizers/doc.go.\n\n")
	fmt.Fprintf(&b, "%s on %s/%s, %s, one thread each. Peer:", runtime.Version(), runtime.GOOS, runtime.GOARCH, rep.device)
	for _, name := range slices.Sorted(maps.Keys(rep.versions)) {
		fmt.Fprintf(&b, " %s %s", name, rep.versions[name])
	}
	b.WriteString(".\n")
	if len(rep.rows) > 0 {
		rep.mixedTable(&b)
	}
	if len(rep.hardRows) > 0 {
		rep.hardTable(&b)
	}
	return b.String()
}

func (rep *report) mixedTable(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Mixed text\n\n%d documents, %d bytes. All ids and all decoded texts are equal. Processor time, medians of %d rounds in turns; ratios of speed are the median of the rounds (least to largest). The last column is the first time after opening, once.\n\n",
		rep.documents, rep.size, rep.rounds)
	b.WriteString("| tokenizer | tokens | Graft MB/s | peer MB/s | Graft / peer | just opened |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rep.rows {
		rate := func(seconds []float64) float64 { return float64(rep.size) / 1e6 / versus.Median(seconds) }
		fmt.Fprintf(b, "| %s | %d | %.1f | %.1f | %.2f (%.2f to %.2f) | %.2f |\n", r.name, r.tokens, rate(r.ours), rate(r.theirs),
			versus.Median(r.ratios), slices.Min(r.ratios), slices.Max(r.ratios), r.fresh)
	}
}

func (rep *report) hardTable(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Hard texts\n\nEach is one document of %d bytes, encoded once. Growth is how many times the processor time of its quarter it takes: 4 is linear. All ids are equal where the peer gives any, and so is what a quarter's ids decode to backwards.\n\n", rep.hard)
	b.WriteString("| tokenizer | text | tokens | Graft s | peer s | Graft / peer | growth | peer's growth |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rep.hardRows {
		theirs := fmt.Sprintf("%.2f | %.2f | %.1f | %.1f", r.theirs[1], r.theirs[1]/r.ours[1], r.ours[1]/r.ours[0], r.theirs[1]/r.theirs[0])
		if r.refused != "" {
			theirs = fmt.Sprintf("%s | | %.1f | ", r.refused, r.ours[1]/r.ours[0])
		}
		fmt.Fprintf(b, "| %s | %s | %d | %.2f | %s |\n", r.name, r.text, r.tokens, r.ours[1], theirs)
	}
}
