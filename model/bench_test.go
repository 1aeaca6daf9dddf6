package model

import (
	"context"
	"testing"
)

// BenchmarkDecode reads one token after 128 others: one step of generation.
func BenchmarkDecode(b *testing.B) {
	g, _ := openGenerator(b, "cpu", goldenModels["stories260K"], GeneratorOptions{})
	feed := func(ids ...int) {
		if _, err := g.Feed(context.Background(), ids); err != nil {
			b.Fatal(err)
		}
	}
	feed(make([]int, 128)...)
	one := []int{1}
	b.ReportAllocs()
	for b.Loop() {
		g.n = 128
		feed(one...)
	}
}
