package main

import (
	"fmt"

	"graft/bench/versus"
)

// section is a table: cases of one kind, and how their rows are written.
type section struct {
	title string
	about string
	head  []string
	cases []versus.Case
	row   func(r *row) []string
	after func(rows []row) string // what the rows say together; may be nil
}

var (
	// block is the Llama block of the design's measurements.
	block     = versus.Shape{Name: "two-layer block", Width: 512, FFN: 1376, Layers: 2, Heads: 8, KV: 4, Head: 64, Vocab: 8192}
	smollm    = versus.Shape{Name: "SmolLM2-135M", Width: 576, FFN: 1536, Layers: 30, Heads: 9, KV: 3, Head: 64, Vocab: 49152, Tied: true}
	wideHeads = versus.Shape{Heads: 32, KV: 8, Head: 128}
	tiny      = versus.Shape{Name: "tiny", Width: 64, FFN: 172, Layers: 2, Heads: 4, KV: 2, Head: 16, Vocab: 512, Tied: true}
)

// products are M, N and K of the products of matrices.
func products(small bool) [][3]int {
	if small {
		return [][3]int{{96, 96, 96}}
	}
	return [][3]int{{1024, 1024, 1024}, {512, 8192, 2048}, {256, 32000, 2048}}
}

// sections lists the tables, those that matter most first: a budget may end the run
// early.
func sections(small bool) ([]section, error) {
	gemm, widened, steps, attention, elementwise := gemmSection, widenedSection, stepSection, attentionSection, elementwiseSection
	for _, p := range products(small) {
		for _, t := range []struct {
			name           string
			transA, transB bool
		}{{"NN", false, false}, {"NT", false, true}, {"TN", true, false}} {
			c := versus.MatMul("", "f32", p[0], p[2], p[1], t.transA, t.transB)
			c.Name = fmt.Sprintf("%dx%dx%d %s", p[0], p[1], p[2], t.name)
			gemm.cases = append(gemm.cases, c)
		}
		widened.cases = append(widened.cases, versus.Widened(p[0], p[2], p[1]))
	}
	n, elements := 2048, smollm
	if small {
		n, elements = 64, tiny
		steps.cases = []versus.Case{versus.Step(tiny, "f32", true, 2, 64)}
		attention.cases = versus.Attention(2, 64, tiny, "f32")
	} else {
		steps.cases = []versus.Case{versus.Step(block, "f32", true, 4, 256), versus.Step(smollm, "f32", true, 4, 512)}
		attention.cases = append(versus.Attention(4, 512, smollm, "f32"), versus.Attention(1, 2048, wideHeads, "f32")...)
	}
	for _, op := range versus.Elementwises() {
		c, err := versus.Elementwise(op, elements, n)
		if err != nil {
			return nil, err
		}
		elementwise.cases = append(elementwise.cases, c)
	}
	return []section{gemm, steps, attention, widened, elementwise}, nil
}
