package main

import (
	"fmt"
	"math"
	"time"
)

// sizeText writes bytes in binary units.
func sizeText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// countText writes a count with three digits, in thousands (K), millions (M) and
// so on.
func countText(n float64) string {
	units := []string{"", " K", " M", " G", " T", " P"}
	i := 0
	for n >= 999.5 && i < len(units)-1 {
		n, i = n/1000, i+1
	}
	switch {
	case n == math.Trunc(n) && i == 0, n >= 99.95:
		return fmt.Sprintf("%.0f%s", n, units[i])
	case n >= 9.995:
		return fmt.Sprintf("%.1f%s", n, units[i])
	}
	return fmt.Sprintf("%.2f%s", n, units[i])
}

// timeText writes a duration as 1h02m or 3m05s or 12s.
func timeText(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}
