package versus

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Median is NaN for none.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Seconds is the median of all runs of a variant.
func (r *Result) Seconds(variant string) float64 { return Median(slices.Concat(r.Times[variant]...)) }

// Ratios are a variant's time by Graft's, round by round: above 1 Graft is faster.
func (r *Result) Ratios(variant string) []float64 { return r.RatiosOf(Graft, variant) }

// RatiosOf are b's time by a's, round by round: above 1 a is faster.
func (r *Result) RatiosOf(a, b string) (q []float64) {
	for i := range min(len(r.Times[a]), len(r.Times[b])) {
		q = append(q, Median(r.Times[b][i])/Median(r.Times[a][i]))
	}
	return q
}

// Ratio is the median of Ratios.
func (r *Result) Ratio(variant string) float64 { return Median(r.Ratios(variant)) }

// Best is the fastest of the peers' variants, empty when there is none.
func (r *Result) Best() (name string) {
	least := math.Inf(1)
	for _, v := range slices.Sorted(maps.Keys(r.Times)) {
		if t := r.Seconds(v); v != Graft && t < least {
			name, least = v, t
		}
	}
	return name
}

// Variants names the best one of the peers' and how much longer the others take.
func (r *Result) Variants(best string) string {
	list := []string{best}
	least := r.Seconds(best)
	for _, v := range slices.Sorted(maps.Keys(r.Times)) {
		if v != best && v != Graft {
			list = append(list, fmt.Sprintf("%s x%.2f", v, r.Seconds(v)/least))
		}
	}
	return strings.Join(list, ", ")
}

// OneLine keeps a message inside of a cell.
func OneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "/")
}
