package versus

import (
	"fmt"

	"graft/kernels"
)

// Shape is a decoder by the sizes that decide its speed.
type Shape struct {
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

// Params counts the weights.
func (s Shape) Params() int64 {
	layer := s.Width*(s.Heads+s.KV)*s.Head*2 + 3*s.Width*s.FFN + 2*s.Width
	heads := 2
	if s.Tied {
		heads = 1
	}
	return int64(s.Layers)*int64(layer) + int64(heads)*int64(s.Vocab)*int64(s.Width) + int64(s.Width)
}

// Cut is the small model of stage one: the first and the last layer.
func (s Shape) Cut() Shape {
	s.Layers = 2
	return s
}

// Case is a row of the table: what both sides run. The peer reads it as JSON.
type Case struct {
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

	Op string `json:"op,omitempty"` // elementwise: which, a key of elementwise

	Model *Shape `json:"model,omitempty"` // step
	Full  bool   `json:"full,omitempty"`  // everything is trained, else the layers only

	// FLOPs or Bytes is the work of one run; a step's is set when it is built.
	FLOPs float64 `json:"flops,omitempty"`
	Bytes float64 `json:"bytes,omitempty"`
}

// The kinds of cases.
const (
	KindMatMul       = "matmul"
	KindAttention    = "attention"
	KindAttentionBwd = "attention_bwd"
	KindLinearCE     = "linear_ce"
	KindAdamW        = "adamw"
	KindStep         = "step"
	KindWidened      = "widened"     // a product with weights in bf16, and the same in f32
	KindElementwise  = "elementwise" // an operation that moves more than it computes, and a copy of as many bytes
)

func (c Case) dtype() kernels.DType {
	if c.DType == "f32" {
		return kernels.F32
	}
	return kernels.BF16
}

// MatMul is c = op(a) op(b).
func MatMul(name, dtype string, m, k, n int, transA, transB bool) Case {
	layout := [2]string{"n", "n"}
	if transA {
		layout[0] = "t"
	}
	if transB {
		layout[1] = "t"
	}
	return Case{Name: fmt.Sprintf("MatMul %s %s%s %dx%dx%d", name, layout[0], layout[1], m, k, n), Kind: KindMatMul,
		DType: dtype, M: m, K: k, N: n, TransA: transA, TransB: transB, FLOPs: 2 * float64(m) * float64(k) * float64(n)}
}

// Attention are causal attention forward and backward, one document a row.
func Attention(b, t int, s Shape, dtype string) []Case {
	pairs := float64(b*s.Heads) * float64(t) * float64(t+1) / 2
	c := Case{Name: fmt.Sprintf("Attention %dx%d, %d/%d heads of %d", b, t, s.Heads, s.KV, s.Head), Kind: KindAttention,
		DType: dtype, Batch: b, T: t, H: s.Heads, KV: s.KV, D: s.Head, FLOPs: 4 * pairs * float64(s.Head)}
	bwd := c
	bwd.Name, bwd.Kind, bwd.FLOPs = "AttentionBwd"+c.Name[len("Attention"):], KindAttentionBwd, 10*pairs*float64(s.Head)
	return []Case{c, bwd}
}

// LinearCE is the loss of n tokens and its gradients.
func LinearCE(n int, s Shape, dtype string, head bool) Case {
	c := Case{Name: fmt.Sprintf("LinearCEGrad %dx%dx%d", n, s.Width, s.Vocab), Kind: KindLinearCE, DType: dtype,
		N: n, K: s.Width, Vocab: s.Vocab, Head: head, FLOPs: 4 * float64(n) * float64(s.Width) * float64(s.Vocab)}
	if head {
		c.Name += ", head trained"
		c.FLOPs *= 1.5
	}
	return c
}

// Widened is x wT of m rows by weights (n, k) in bf16, beside the same in f32, or with
// both in bf16 where pairs of them are multiplied.
func Widened(m, k, n int) Case {
	c := MatMul("", "f32", m, k, n, false, true)
	c.Kind, c.Name = KindWidened, fmt.Sprintf("%dx%dx%d", m, n, k)
	return c
}

// Elementwise is an operation of Elementwises on the activations of n tokens of a
// model.
func Elementwise(op string, s Shape, n int) (Case, error) {
	c := Case{Name: op, Kind: KindElementwise, DType: "f32", Op: op, N: n, Model: &s}
	p, err := program(c)
	if err != nil {
		return c, err
	}
	last := p.Code[len(p.Code)-1]
	d, err := kernels.Check(p, last)
	c.Bytes = float64(kernels.CostOf(p, last, d).Bytes)
	return c, err
}

// adamwBytes is what an update moves for a weight: gradient, master and two moments
// in, the last three and the bf16 copy out.
const adamwBytes = 4*4 + 3*4 + 2

// AdamW is an update of n weights.
func AdamW(n int) Case {
	return Case{Name: fmt.Sprintf("AdamW %d weights", n), Kind: KindAdamW, DType: "f32", N: n, Bytes: adamwBytes * float64(n)}
}

// Step is an optimizer step of all of a model, or of the layers of stage one, in
// batches of b sequences of t tokens.
func Step(s Shape, dtype string, full bool, b, t int) Case {
	c := Case{Kind: KindStep, DType: dtype, Batch: b, T: t, Full: full}
	what := "full"
	if !full {
		s, what = s.Cut(), "stage-one"
	}
	c.Model, c.Name = &s, fmt.Sprintf("%s step, %s, %dx%d", what, s.Name, b, t)
	return c
}
