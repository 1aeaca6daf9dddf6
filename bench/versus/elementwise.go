package versus

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"graft/kernels"
)

// elementwise are operations that should cost about what moving their bytes does, on
// N tokens of a model.
var elementwise = map[string]func(*opProgram, Case){
	"add": func(o *opProgram, c Case) {
		n, w := c.N, c.Model.Width
		o.code(kernels.Binary, kernels.Attr{}, views{o.f32("a", n, w), o.f32("b", n, w)}, views{o.f32("y", n, w)})
	},
	"sigmoid": func(o *opProgram, c Case) {
		o.code(kernels.Unary, kernels.Attr{Unary: kernels.Sigmoid}, views{o.f32("x", c.N, c.Model.FFN)}, views{o.f32("y", c.N, c.Model.FFN)})
	},
	"f32 to bf16": func(o *opProgram, c Case) {
		o.code(kernels.Copy, kernels.Attr{}, views{o.f32("x", c.N, c.Model.FFN)}, views{o.slot("y", kernels.BF16, c.N, c.Model.FFN)})
	},
	"bf16 to f32": func(o *opProgram, c Case) {
		o.code(kernels.Copy, kernels.Attr{}, views{o.slot("x", kernels.BF16, c.N, c.Model.FFN)}, views{o.f32("y", c.N, c.Model.FFN)})
	},
	"rms norm": func(o *opProgram, c Case) {
		n, w := c.N, c.Model.Width
		o.code(kernels.RMSNorm, kernels.Attr{Eps: 1e-5}, views{o.f32("x", n, w), o.f32("w", w)}, views{o.f32("y", n, w), o.f32("rstd", n)})
	},
	"rms norm backward": func(o *opProgram, c Case) {
		n, w := c.N, c.Model.Width
		o.code(kernels.RMSNormBwd, kernels.Attr{Eps: 1e-5, Opt: kernels.WithDW},
			views{o.f32("x", n, w), o.f32("w", w), o.f32("rstd", n), o.f32("dy", n, w)}, views{o.f32("dx", n, w), o.f32("dw", w)})
	},
	"rope": func(o *opProgram, c Case) {
		m := c.Model
		o.code(kernels.RoPE, kernels.Attr{Sign: 1, Scale: 1},
			views{o.f32("x", c.N, m.Heads, m.Head), o.slot("positions", kernels.I32, c.N), o.f32("freqs", m.Head/2)}, views{o.f32("y", c.N, m.Heads, m.Head)})
	},
	"swiglu": func(o *opProgram, c Case) {
		n, f := c.N, c.Model.FFN
		o.code(kernels.GLU, kernels.Attr{}, views{o.f32("gate", n, f), o.f32("up", n, f)}, views{o.f32("y", n, f)})
	},
	"swiglu backward": func(o *opProgram, c Case) {
		n, f := c.N, c.Model.FFN
		o.code(kernels.GLUBwd, kernels.Attr{}, views{o.f32("gate", n, f), o.f32("up", n, f), o.f32("dy", n, f)},
			views{o.f32("dgate", n, f), o.f32("dup", n, f)})
	},
	"softmax": func(o *opProgram, c Case) {
		h, t := c.Model.Heads, min(c.N, 512)
		o.code(kernels.Softmax, kernels.Attr{Scale: 1}, views{o.f32("x", 1, h, t, t)}, views{o.f32("p", 1, h, t, t), o.f32("lse", 1, h, t)})
	},
	"cross entropy": func(o *opProgram, c Case) {
		n, v := max(1, c.N/16), c.Model.Vocab
		o.code(kernels.CrossEntropy, kernels.Attr{Scale: 1}, views{o.f32("logits", n, v), o.slot("targets", kernels.I32, n)},
			views{o.f32("loss", n), o.f32("lse", n)})
	},
	"sum of squares": func(o *opProgram, c Case) {
		o.code(kernels.SumSq, kernels.Attr{}, views{o.f32("x", c.N*c.Model.FFN)}, views{o.f32("s", 1)})
	},
	"adamw": func(o *opProgram, c Case) {
		n := c.N * c.Model.Width
		o.code(kernels.AdamW, kernels.Attr{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1},
			views{o.f32("grad", n), o.f32("hyper", kernels.HyperLen), o.f32("state", kernels.StateLen)}, views{o.f32("w", n), o.f32("m", n), o.f32("v", n)})
	},
}

// Elementwises are the names that Elementwise takes, in order.
func Elementwises() []string { return slices.Sorted(maps.Keys(elementwise)) }

func (o *opProgram) f32(name string, shape ...int) kernels.View {
	return o.slot(name, kernels.F32, shape...)
}

// copier moves as many bytes as a case, half of them read and half written, on as
// many goroutines as the device has threads.
type copier struct {
	from, to []byte
	threads  int
}

func newCopier(bytes float64, threads int) *copier {
	n := max(int(bytes/2), threads)
	c := &copier{from: make([]byte, n), to: make([]byte, n), threads: threads}
	for i := range c.from {
		c.from[i] = byte(i)
	}
	return c
}

func (c *copier) run(context.Context) (float64, error) {
	began := time.Now()
	var wg sync.WaitGroup
	part := (len(c.from) + c.threads - 1) / c.threads
	for i := part; i < len(c.from); i += part {
		wg.Go(func() { copy(c.to[i:min(i+part, len(c.to))], c.from[i:]) })
	}
	copy(c.to[:min(part, len(c.to))], c.from)
	wg.Wait()
	return time.Since(began).Seconds(), nil
}

func (c *copier) memory() int64 { return int64(len(c.from) + len(c.to)) }
func (c *copier) Close() error  { return nil }
