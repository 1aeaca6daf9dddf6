package main

import (
	"fmt"

	"graft/kernels"
)

// shape is a decoder by the sizes that decide its speed.
type shape struct {
	Name   string `json:"name"`
	Width  int    `json:"width"`
	FFN    int    `json:"ffn"`
	Layers int    `json:"layers"`
	Heads  int    `json:"heads"`
	KV     int    `json:"kv"`
	Head   int    `json:"head"` // size of a head
	Vocab  int    `json:"vocab"`
	Tied   bool   `json:"tied"`
}

// cut is the small model of stage one: the first and the last layer.
func (s shape) cut() shape {
	s.Layers = 2
	return s
}

var (
	shape8B    = shape{"8B", 4096, 14336, 32, 32, 8, 128, 128256, false}
	shape1B    = shape{"1B", 2048, 8192, 16, 32, 8, 64, 128256, true}
	shapeSmall = shape{"tiny", 64, 172, 4, 4, 2, 16, 512, true}
)

// benchCase is a row of the table: what both sides run. The peer reads it as JSON.
type benchCase struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	DType string `json:"dtype"` // of operands: bf16 or f32

	M      int  `json:"m,omitempty"`
	K      int  `json:"k,omitempty"`
	N      int  `json:"n,omitempty"`
	TransA bool `json:"trans_a,omitempty"`
	TransB bool `json:"trans_b,omitempty"`

	Batch int `json:"batch,omitempty"`
	T     int `json:"t,omitempty"`
	H     int `json:"h,omitempty"`
	KV    int `json:"kv,omitempty"`
	D     int `json:"d,omitempty"`

	Vocab int  `json:"vocab,omitempty"`
	Head  bool `json:"head,omitempty"` // linear_ce: the head is trained

	Model *shape `json:"model,omitempty"` // step
	Full  bool   `json:"full,omitempty"`  // everything is trained, else the layers only

	// FLOPs or Bytes is the work of one run; a step's is set when it is built.
	FLOPs float64 `json:"-"`
	Bytes float64 `json:"-"`
}

// The kinds of cases.
const (
	kindMatMul       = "matmul"
	kindAttention    = "attention"
	kindAttentionBwd = "attention_bwd"
	kindLinearCE     = "linear_ce"
	kindAdamW        = "adamw"
	kindStep         = "step"
)

func (c benchCase) dtype() kernels.DType {
	if c.DType == "f32" {
		return kernels.F32
	}
	return kernels.BF16
}

func matmulCase(name, dtype string, m, k, n int, transA, transB bool) benchCase {
	layout := [2]string{"n", "n"}
	if transA {
		layout[0] = "t"
	}
	if transB {
		layout[1] = "t"
	}
	return benchCase{Name: fmt.Sprintf("MatMul %s %s%s %dx%dx%d", name, layout[0], layout[1], m, k, n), Kind: kindMatMul,
		DType: dtype, M: m, K: k, N: n, TransA: transA, TransB: transB, FLOPs: 2 * float64(m) * float64(k) * float64(n)}
}

// attentionCases are causal attention forward and backward, one document a row.
func attentionCases(b, t int, s shape, dtype string) []benchCase {
	pairs := float64(b*s.Heads) * float64(t) * float64(t+1) / 2
	c := benchCase{Name: fmt.Sprintf("Attention %dx%d, %d/%d heads of %d", b, t, s.Heads, s.KV, s.Head), Kind: kindAttention,
		DType: dtype, Batch: b, T: t, H: s.Heads, KV: s.KV, D: s.Head, FLOPs: 4 * pairs * float64(s.Head)}
	bwd := c
	bwd.Name, bwd.Kind, bwd.FLOPs = "AttentionBwd"+c.Name[len("Attention"):], kindAttentionBwd, 10*pairs*float64(s.Head)
	return []benchCase{c, bwd}
}

func linearCECase(n int, s shape, dtype string, head bool) benchCase {
	c := benchCase{Name: fmt.Sprintf("LinearCEGrad %dx%dx%d", n, s.Width, s.Vocab), Kind: kindLinearCE, DType: dtype,
		N: n, K: s.Width, Vocab: s.Vocab, Head: head, FLOPs: 4 * float64(n) * float64(s.Width) * float64(s.Vocab)}
	if head {
		c.Name += ", head trained"
		c.FLOPs *= 1.5
	}
	return c
}

// adamwBytes is what an update moves for a weight: gradient, master and two moments
// in, the last three and the bf16 copy out.
const adamwBytes = 4*4 + 3*4 + 2

func adamwCase(n int) benchCase {
	return benchCase{Name: fmt.Sprintf("AdamW %d weights", n), Kind: kindAdamW, DType: "f32", N: n, Bytes: adamwBytes * float64(n)}
}

func stepCase(s shape, full bool, b, t int) benchCase {
	c := benchCase{Kind: kindStep, DType: "bf16", Batch: b, T: t, Full: full}
	what := "full"
	if !full {
		s, what = s.cut(), "stage-one"
	}
	c.Model, c.Name = &s, fmt.Sprintf("%s step, %s, %dx%d", what, s.Name, b, t)
	return c
}

// allCases lists the cases, those that matter most first: a budget may end the run
// early. small ones take seconds on a software driver.
func allCases(small bool) []benchCase {
	if small {
		s := shapeSmall
		cs := []benchCase{
			matmulCase("square", "bf16", 96, 96, 96, false, true),
			matmulCase("square", "f32", 96, 96, 96, false, true),
			matmulCase("dW", "bf16", s.Width, 128, s.FFN, true, false),
			linearCECase(64, s, "bf16", false),
			linearCECase(64, s, "bf16", true),
			adamwCase(10000),
			stepCase(s, false, 2, 64),
			stepCase(s, true, 2, 64),
		}
		return append(cs, attentionCases(2, 64, s, "bf16")...)
	}
	s := shape8B
	const rows = 4096
	cs := []benchCase{
		matmulCase("square", "bf16", 4096, 4096, 4096, false, true),
		matmulCase("square", "bf16", 8192, 8192, 8192, false, true),
		stepCase(shape8B, false, 1, 4096),
		stepCase(shape1B, false, 4, 2048),
		stepCase(shape1B, true, 4, 2048),
		matmulCase("square", "f32", 4096, 4096, 4096, false, true),
		matmulCase("square", "f32", 8192, 8192, 8192, false, true),
		linearCECase(rows, s, "bf16", false),
		linearCECase(rows, s, "bf16", true),
		adamwCase(436 << 20),
	}
	cs = append(cs, attentionCases(2, rows, s, "bf16")...)
	return append(cs,
		matmulCase("qkv", "bf16", rows, s.Width, (s.Heads+2*s.KV)*s.Head, false, true),
		matmulCase("up", "bf16", rows, s.Width, s.FFN, false, true),
		matmulCase("down", "bf16", rows, s.FFN, s.Width, false, true),
		matmulCase("up dX", "bf16", rows, s.FFN, s.Width, false, false),
		matmulCase("up dW", "bf16", s.FFN, rows, s.Width, true, false),
		matmulCase("decode", "bf16", 1, s.Width, s.FFN, false, true),
	)
}
