package kernels

// Class is the set of storage types an operand may have.
type Class uint8

// Classes of operands.
const (
	Act     Class = iota // F32, BF16 or F16, the same at all Act operands of an instruction
	Weight               // F32, BF16 or F16, the same at all Weight operands
	AnyReal              // F32, BF16 or F16, on its own
	Sums                 // F32: sums, losses, statistics, parameter gradients
	Index                // I32
	Data                 // any type, the same at all Data operands
	AnyData              // any type, on its own
)

// Layout says how an operand may be strided: k > 0 demands that the k
// innermost axes are dense and leaves the outer ones free.
type Layout int8

// Packed operands are dense; Strided ones are free.
const (
	Packed  Layout = 0
	Strided Layout = -1
)

// Keep says when an output's old content is read.
type Keep uint8

// Outputs are overwritten unless their port says otherwise.
const (
	Overwrite Keep = iota
	Update         // always: rows not written stay, or the result is added
	IfBeta         // added to when Attr.Beta is not 0
)

// Port is an operand in a row of the table.
type Port struct {
	Name string
	Type Class
	// Dims names the axes, one letter each, letters as in the package comment
	// and equal letters equal sizes. Digits are literal sizes. "*" is any
	// shape, the same at all "*" ports; "." is left to the row's Check.
	Dims   string
	Layout Layout
	Opt    Opt  // 0: required
	Keep   Keep // outputs
}

// Alias says that output Out may be the same view as input In.
type Alias struct{ Out, In string }

// Row is what there is to know about an operation.
type Row struct {
	Op    Op
	Name  string
	Doc   string // the formula
	In    []Port
	Out   []Port
	Alias []Alias
	// Light operations make one pass over their operands: so little work that a
	// gradient may do it again instead of keeping the result.
	Light bool
	// Check tests what the ports cannot say. May be nil.
	Check func(p *Program, in Instr, d Dims) error
	// FLOPs counts the definition's multiplications and additions.
	FLOPs func(in Instr, d Dims) int64
	// C and Terms bound the error of a float output against exact arithmetic
	// on the stored operands: C * u * sqrt(Terms) * scale + u' * |exact|, where
	// u is F32's roundoff, u' the output type's, and scale the sum of the
	// magnitudes of the terms that make up the element (package ref computes
	// it; an intermediate result enters through the slope of what follows).
	//
	// C is 0 where the result is exact but for its storage: it must then be
	// the nearest number, bit by bit. It is 2, a product and a sum for each
	// term, where the scale counts every rounding; 4 where a single function
	// evaluation or division is the whole operation, of which devices promise
	// two to three units in the last place. Above 4 is not accepted.
	C     float64
	Terms func(in Instr, d Dims) int
	// Plain rewrites the operation in simpler ones; nil for those that are
	// plain already.
	Plain func(b *Lowering, in Instr, d Dims)
}

// Table has a row for every operation, in the order of the Op constants.
// Nothing may change it after initialisation.
var Table [NumOps]Row

func init() {
	for _, r := range rows() {
		Table[r.Op] = r
	}
}

func rows() []Row {
	var all []Row
	for _, part := range [][]Row{plainRows(), modelRows(), attentionRows(), lossRows(), optimRows()} {
		all = append(all, part...)
	}
	return all
}

func one(Instr, Dims) int { return 1 }

// dim gives the size of a letter as the number of terms of a sum.
func dim(letter byte) func(Instr, Dims) int {
	return func(_ Instr, d Dims) int { return d.Get(letter) }
}

// perElement counts k operations for each element of the first output.
func perElement(k int64) func(Instr, Dims) int64 {
	return func(in Instr, _ Dims) int64 { return k * int64(in.Out[0].Len()) }
}

func plainRows() []Row {
	return []Row{{
		Op: Fill, Name: "fill", Light: true, Doc: "y = Alpha",
		Out:   []Port{{Name: "y", Type: AnyData, Dims: "*"}},
		FLOPs: perElement(0), Terms: one,
	}, {
		Op: Copy, Name: "copy", Light: true, Doc: "y = x, cast, between any strides",
		In:    []Port{{Name: "x", Type: AnyData, Dims: "*", Layout: Strided}},
		Out:   []Port{{Name: "y", Type: AnyData, Dims: "*", Layout: Strided}},
		FLOPs: perElement(0), Terms: one, Check: checkCopy,
	}, {
		Op: Unary, Name: "unary", Light: true, Doc: "y = f(x), element by element",
		In:    []Port{{Name: "x", Type: Act, Dims: "*"}},
		Out:   []Port{{Name: "y", Type: Act, Dims: "*"}},
		Alias: []Alias{{"y", "x"}},
		FLOPs: perElement(1), C: 4, Terms: one, Check: checkUnary,
	}, {
		Op: Binary, Name: "binary", Light: true, Doc: "y = a . b, element by element; stride 0 broadcasts",
		In: []Port{
			{Name: "a", Type: Act, Dims: "*", Layout: Strided},
			{Name: "b", Type: Act, Dims: "*", Layout: Strided},
		},
		Out:   []Port{{Name: "y", Type: Act, Dims: "*"}},
		Alias: []Alias{{"y", "a"}, {"y", "b"}},
		FLOPs: perElement(1), C: 2, Terms: one, Check: checkBinary,
	}, {
		Op: Reduce, Name: "reduce", Doc: "y = sum or max of x over the axes on which y has size 1",
		In:    []Port{{Name: "x", Type: Act, Dims: ".", Layout: Strided}},
		Out:   []Port{{Name: "y", Type: AnyReal, Dims: ".", Keep: IfBeta}},
		FLOPs: func(in Instr, _ Dims) int64 { return int64(in.In[0].Len()) },
		C:     2, Terms: func(in Instr, _ Dims) int { return in.In[0].Len() / max(1, in.Out[0].Len()) },
		Check: checkReduce,
	}, {
		Op: Gather, Name: "gather", Doc: "y[n] = x[ids[n]]; a row of zeros where ids[n] is outside [0, R)",
		In:    []Port{{Name: "x", Type: Data, Dims: "RC"}, {Name: "ids", Type: Index, Dims: "N"}},
		Out:   []Port{{Name: "y", Type: Data, Dims: "NC"}},
		FLOPs: perElement(0), Terms: one,
	}, {
		Op: PutRows, Name: "put_rows", Doc: "y[ids[n]] = x[n], other rows stay; ids outside [0, R) are ignored, equal ids are not allowed",
		In:    []Port{{Name: "x", Type: Data, Dims: "NC", Layout: 1}, {Name: "ids", Type: Index, Dims: "N"}},
		Out:   []Port{{Name: "y", Type: Data, Dims: "RC", Keep: Update}},
		FLOPs: perElement(0), Terms: one,
	}, {
		Op: MatMul, Name: "matmul",
		Doc: "c = Alpha op(a) op(b) [+ bias] [+ residual] + Beta c; a (..., M, K), b (..., K, N), transposed in storage by TransA, TransB",
		In: []Port{
			{Name: "a", Type: AnyReal, Dims: ".", Layout: 1},
			{Name: "b", Type: AnyReal, Dims: ".", Layout: 1},
			{Name: "bias", Type: AnyReal, Dims: ".", Opt: WithBias},
			{Name: "residual", Type: AnyReal, Dims: ".", Layout: 1, Opt: WithResidual},
		},
		Out:   []Port{{Name: "c", Type: AnyReal, Dims: ".", Layout: 1, Keep: IfBeta}},
		Alias: []Alias{{"c", "residual"}},
		FLOPs: func(in Instr, _ Dims) int64 { return 2 * int64(in.Out[0].Len()) * int64(matmulK(in)) },
		C:     2, Terms: func(in Instr, _ Dims) int { return matmulK(in) },
		Check: checkMatMul,
	}}
}

func modelRows() []Row {
	return []Row{{
		Op: Embed, Name: "embed", Doc: "y[n] = table[ids[n]]; zeros where ids[n] is outside [0, V)",
		In:    []Port{{Name: "ids", Type: Index, Dims: "N"}, {Name: "table", Type: Weight, Dims: "VC"}},
		Out:   []Port{{Name: "y", Type: Act, Dims: "NC"}},
		FLOPs: perElement(0), Terms: one,
	}, {
		Op: EmbedBwd, Name: "embed_bwd",
		Doc: "dtable[ids[order[i]]] += dy[order[i]]; order sorts the tokens by id, stably; run r is order[starts[r]:starts[r+1]], unused starts are N. Ids outside [0, V) are ignored",
		In: []Port{
			{Name: "dy", Type: Act, Dims: "NC"},
			{Name: "ids", Type: Index, Dims: "N"},
			{Name: "order", Type: Index, Dims: "N"},
			{Name: "starts", Type: Index, Dims: "P"},
		},
		Out:   []Port{{Name: "dtable", Type: Sums, Dims: "VC", Keep: Update}},
		FLOPs: func(in Instr, _ Dims) int64 { return int64(in.In[0].Len()) },
		C:     2, Terms: dim('N'), Check: checkEmbedBwd,
	}, {
		Op: RMSNorm, Name: "rms_norm", Light: true,
		Doc: "sum = x [+ residual]; rstd = 1 / sqrt(mean(sum^2) + Eps); y = sum * rstd * w, or * (1 + w)",
		In: []Port{
			{Name: "x", Type: Act, Dims: "NC"},
			{Name: "w", Type: Weight, Dims: "C"},
			{Name: "residual", Type: Act, Dims: "NC", Opt: WithResidual},
		},
		Out: []Port{
			{Name: "y", Type: Act, Dims: "NC"},
			{Name: "rstd", Type: Sums, Dims: "N"},
			{Name: "sum", Type: Act, Dims: "NC", Opt: WithResidual},
		},
		Alias: []Alias{{"y", "x"}, {"y", "residual"}, {"sum", "residual"}, {"sum", "x"}},
		FLOPs: perElement(4), C: 2, Terms: dim('C'), Plain: plainRMSNorm,
	}, {
		Op: RMSNormBwd, Name: "rms_norm_bwd",
		Doc: "g = dy * w (or 1 + w); dx = rstd * g - x * rstd^3 * mean(g * x) [+ dsum]; dw = sum over n of dy * x * rstd + Beta dw. x is the normalised input (RMSNorm's sum)",
		In: []Port{
			{Name: "x", Type: Act, Dims: "NC"},
			{Name: "w", Type: Weight, Dims: "C"},
			{Name: "rstd", Type: Sums, Dims: "N"},
			{Name: "dy", Type: Act, Dims: "NC"},
			{Name: "dsum", Type: Act, Dims: "NC", Opt: WithSum},
		},
		Out: []Port{
			{Name: "dx", Type: Act, Dims: "NC"},
			{Name: "dw", Type: Sums, Dims: "C", Opt: WithDW, Keep: IfBeta},
		},
		Alias: []Alias{{"dx", "dy"}, {"dx", "dsum"}},
		FLOPs: perElement(8), C: 2, Terms: func(_ Instr, d Dims) int { return max(d.Get('C'), d.Get('N')) },
		Plain: plainRMSNormBwd,
	}, {
		Op: RoPE, Name: "rope", Light: true,
		Doc: "for r < R: (y[r], y[r+R]) = Scale * rotation of (x[r], x[r+R]) by Sign * positions[n] * freqs[r]; axes from 2R on are copied",
		In: []Port{
			{Name: "x", Type: Act, Dims: "NHD", Layout: 2},
			{Name: "positions", Type: Index, Dims: "N"},
			{Name: "freqs", Type: Sums, Dims: "R"},
		},
		Out:   []Port{{Name: "y", Type: Act, Dims: "NHD", Layout: 2}},
		Alias: []Alias{{"y", "x"}},
		FLOPs: perElement(3), C: 2, Terms: one, Check: checkRoPE,
	}, {
		Op: GLU, Name: "glu", Light: true, Doc: "y = act(gate) * up",
		In: []Port{
			{Name: "gate", Type: Act, Dims: "NF", Layout: 1},
			{Name: "up", Type: Act, Dims: "NF", Layout: 1},
		},
		Out:   []Port{{Name: "y", Type: Act, Dims: "NF", Layout: 1}},
		Alias: []Alias{{"y", "gate"}, {"y", "up"}},
		FLOPs: perElement(5), C: 2, Terms: one, Check: checkGLU, Plain: plainGLU,
	}, {
		Op: GLUBwd, Name: "glu_bwd", Doc: "dgate = dy * up * act'(gate); dup = dy * act(gate)",
		In: []Port{
			{Name: "gate", Type: Act, Dims: "NF", Layout: 1},
			{Name: "up", Type: Act, Dims: "NF", Layout: 1},
			{Name: "dy", Type: Act, Dims: "NF", Layout: 1},
		},
		Out: []Port{
			{Name: "dgate", Type: Act, Dims: "NF", Layout: 1},
			{Name: "dup", Type: Act, Dims: "NF", Layout: 1},
		},
		Alias: []Alias{{"dgate", "gate"}, {"dup", "up"}, {"dgate", "dy"}, {"dup", "dy"}},
		FLOPs: perElement(10), C: 2, Terms: one, Check: checkGLU, Plain: plainGLUBwd,
	}}
}
