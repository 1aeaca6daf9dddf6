package ref

import (
	"fmt"

	"graft/kernels"
)

// Result is what one output of an instruction should hold, element by element
// in row-major order of its view.
type Result struct {
	Exact []float64 // before rounding to the output's type
	Scale []float64 // sum of the magnitudes of the terms; see the package comment
}

// Eval computes an instruction without writing anything: one Result for each
// output. read gives the stored elements of a view in row-major order; it is
// called for inputs and for outputs whose old content counts.
func Eval(p *kernels.Program, in kernels.Instr, read func(kernels.View) []float64) ([]Result, error) {
	if in.Op >= kernels.NumOps || ops[in.Op] == nil {
		return nil, fmt.Errorf("ref: %v: %w", in.Op, kernels.ErrUnsupported)
	}
	d, err := kernels.Check(p, in)
	if err != nil {
		return nil, fmt.Errorf("ref: %w", err)
	}
	c := &call{Instr: in, dims: d, read: read, results: map[string]Result{}, before: map[string][]float64{}}
	results := make([]Result, len(in.Out))
	for o, q := range kernels.OutPorts(in) {
		n := in.Out[o].Len()
		results[o] = Result{Exact: make([]float64, n), Scale: make([]float64, n)}
		c.results[q.Name] = results[o]
	}
	ops[in.Op](c)
	return results, nil
}

// ops has a function for every operation.
var ops = [kernels.NumOps]func(*call){
	kernels.Fill:            fill,
	kernels.Copy:            copyOp,
	kernels.Unary:           unary,
	kernels.Binary:          binaryOp,
	kernels.Reduce:          reduce,
	kernels.Gather:          gather,
	kernels.PutRows:         putRows,
	kernels.MatMul:          matMul,
	kernels.Embed:           embed,
	kernels.EmbedBwd:        embedBwd,
	kernels.RMSNorm:         rmsNorm,
	kernels.RMSNormBwd:      rmsNormBwd,
	kernels.RoPE:            rope,
	kernels.GLU:             glu,
	kernels.GLUBwd:          gluBwd,
	kernels.Attention:       attention,
	kernels.AttentionBwd:    attentionBwd,
	kernels.LinearCE:        linearCE,
	kernels.LinearCEGrad:    linearCEGrad,
	kernels.Softmax:         softmax,
	kernels.SoftmaxBwd:      softmaxBwd,
	kernels.CrossEntropy:    crossEntropy,
	kernels.CrossEntropyBwd: crossEntropyBwd,
	kernels.SumSq:           sumSq,
	kernels.Advance:         advance,
	kernels.AdamW:           adamW,
}

// call is one instruction on its way through an operation's function.
type call struct {
	kernels.Instr
	dims    kernels.Dims
	read    func(kernels.View) []float64
	results map[string]Result    // by port
	before  map[string][]float64 // what outputs held, once read
}

// dim is the size of a letter of the row.
func (c *call) dim(letter byte) int { return c.dims.Get(letter) }

// arg gives the elements of an input, nil when it is absent.
func (c *call) arg(port string) []float64 {
	v, ok := kernels.In(c.Instr, port)
	if !ok {
		return nil
	}
	return c.read(v)
}

// old gives the elements that an output had before.
func (c *call) old(port string) []float64 {
	if x, ok := c.before[port]; ok {
		return x
	}
	v, _ := kernels.Out(c.Instr, port)
	c.before[port] = c.read(v)
	return c.before[port]
}

// has reports whether an optional output is present.
func (c *call) has(port string) bool {
	_, ok := c.results[port]
	return ok
}

// set gives element i of an output; an absent output takes none.
func (c *call) set(port string, i int, a num) {
	if r, ok := c.results[port]; ok {
		r.Exact[i], r.Scale[i] = a.x, a.s
	}
}

// accumulate sets element i of an output to a + Beta * old.
func (c *call) accumulate(port string, i int, a total) {
	if b := float64(c.Attr.Beta); b != 0 {
		a.mulAdd(exact(b), exact(c.old(port)[i]))
	}
	c.set(port, i, a.num())
}
