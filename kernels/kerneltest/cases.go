package kerneltest

import (
	"fmt"
	"math"
	"slices"

	"graft/kernels"
)

// Cases gives the cases of an operation, in-place variants included. With long
// it adds shapes of real models.
func Cases(op kernels.Op, long bool) []*Case {
	g := &gen{op: op, long: long}
	if generators[op] == nil {
		return nil
	}
	generators[op](g)
	return g.cases
}

// generators has a function for every operation.
var generators = [kernels.NumOps]func(*gen){
	kernels.Fill:            fillCases,
	kernels.Copy:            copyCases,
	kernels.Unary:           unaryCases,
	kernels.Binary:          binaryCases,
	kernels.Reduce:          reduceCases,
	kernels.Gather:          gatherCases,
	kernels.PutRows:         putRowsCases,
	kernels.MatMul:          matMulCases,
	kernels.Embed:           embedCases,
	kernels.EmbedBwd:        embedBwdCases,
	kernels.RMSNorm:         rmsNormCases,
	kernels.RMSNormBwd:      rmsNormBwdCases,
	kernels.RoPE:            ropeCases,
	kernels.GLU:             gluCases,
	kernels.GLUBwd:          gluBwdCases,
	kernels.Attention:       attentionCases,
	kernels.AttentionBwd:    attentionBwdCases,
	kernels.LinearCE:        linearCECases,
	kernels.LinearCEGrad:    linearCEGradCases,
	kernels.Softmax:         softmaxCases,
	kernels.SoftmaxBwd:      softmaxBwdCases,
	kernels.CrossEntropy:    crossEntropyCases,
	kernels.CrossEntropyBwd: crossEntropyBwdCases,
	kernels.SumSq:           sumSqCases,
	kernels.Advance:         advanceCases,
	kernels.AdamW:           adamWCases,
}

// gen collects the cases of one operation.
type gen struct {
	op    kernels.Op
	long  bool
	cases []*Case
}

// sizes gives letters their sizes: "N", 5, "C", 7.
func sizes(pairs ...any) map[byte]int {
	m := map[byte]int{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)[0]] = pairs[i+1].(int)
	}
	return m
}

// add makes a case, and its in-place variants. edit may be nil.
func (g *gen) add(name string, attr kernels.Attr, dims map[byte]int, edit func(*draft)) {
	d := newDraft(g.op, attr, dims)
	d.name = name
	if edit != nil {
		edit(d)
	}
	c := d.build()
	g.cases = append(g.cases, c)
	g.cases = append(g.cases, c.inPlace()...)
}

// reals are the floating-point storage types.
var reals = []kernels.DType{kernels.F32, kernels.BF16, kernels.F16}

// eachType adds a case for every signature of activations and weights.
func (g *gen) eachType(name string, attr kernels.Attr, dims map[byte]int, edit func(*draft)) {
	weights := reals
	if !slices.ContainsFunc(kernels.Table[g.op].In, func(q kernels.Port) bool { return q.Type == kernels.Weight }) {
		weights = reals[:1]
	}
	for _, act := range reals {
		for _, weight := range weights {
			g.add(fmt.Sprintf("%s %v %v", name, act, weight), attr, dims, func(d *draft) {
				d.act, d.weight = act, weight
				if edit != nil {
					edit(d)
				}
			})
		}
	}
}

// extremes adds a case of operands of 1e-8 and one of 1e5, in bf16.
func (g *gen) extremes(attr kernels.Attr, dims map[byte]int, edit func(*draft)) {
	for _, scale := range []float64{1e-8, 1e5} {
		g.add(fmt.Sprintf("bf16 operands of %g", scale), attr, dims, func(d *draft) {
			d.act, d.weight, d.scale = kernels.BF16, kernels.BF16, scale
			if edit != nil {
				edit(d)
			}
		})
	}
}

// lengths are vector lengths around the widths of registers and blocks.
var lengths = []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 257, 1023, 1025}

var (
	inf = math.Inf(1)
	nan = math.NaN()
)

// specials are numbers at which functions have edges.
var specials = []float64{0, 1, -1, 0.5, -0.5, 1e-8, -1e-8, 1e-20, 3, -3, 10, -10, 80, -80, 100, -100, 1e5, -1e5, inf, -inf, nan}

// with puts numbers into random contents.
func (d *draft) with(port string, numbers map[int]float64) {
	ports, _ := d.ports()
	for _, q := range ports {
		if q.Name != port {
			continue
		}
		x, ok := d.data[port]
		if !ok {
			x = d.random(port, kernels.Slot{Shape: d.shapeOf(q)}.Len())
		}
		for i, v := range numbers {
			x[i] = v
		}
		d.data[port] = x
	}
}

// repeat gives n numbers, those of x over and over.
func repeat(n int, x ...float64) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = x[i%len(x)]
	}
	return y
}

// count gives from, from+1, ...
func count(n int, from float64) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = from + float64(i)
	}
	return y
}

// scattered gives n whole numbers in [lo, hi), in no order.
func scattered(n, lo, hi int) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = float64(lo + (i*7919+3)%(hi-lo))
	}
	return y
}
