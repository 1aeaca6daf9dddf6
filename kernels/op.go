package kernels

import "fmt"

// Op names an operation. Its row in Table says what it takes and gives.
type Op uint8

// The operations of version 1.
const (
	Fill Op = iota
	Copy
	Unary
	Binary
	Reduce
	Gather
	PutRows
	MatMul
	Embed
	EmbedBwd
	RMSNorm
	RMSNormBwd
	RoPE
	GLU
	GLUBwd
	Attention
	AttentionBwd
	LinearCE
	LinearCEGrad
	Softmax
	SoftmaxBwd
	CrossEntropy
	CrossEntropyBwd
	SumSq
	Advance
	AdamW
	NumOps
)

func (o Op) String() string {
	if o >= NumOps {
		return fmt.Sprintf("op(%d)", uint8(o))
	}
	return Table[o].Name
}

// UnaryKind selects the function of Unary.
type UnaryKind uint8

// Affine is Alpha*x + Beta; Step is 1 where x > 0 and else 0.
const (
	Affine UnaryKind = iota
	Exp
	Log
	Sqrt
	Recip
	Tanh
	Sigmoid
	ReLU
	Step
	NumUnary
)

// BinaryKind selects the function of Binary.
type BinaryKind uint8

// Equal is 1 where a == b and else 0. Inputs broadcast through views with
// stride 0.
const (
	Add BinaryKind = iota
	Sub
	Mul
	Div
	Equal
	NumBinary
)

// ReduceKind selects the function of Reduce.
type ReduceKind uint8

// Reductions over the axes on which the output has size 1. NaN in gives NaN.
const (
	Sum ReduceKind = iota
	Max
	NumReduce
)

// Activation is the function of a gated linear unit.
type Activation uint8

// SiLU(x) = x * sigmoid(x); GELUTanh(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
const (
	SiLU Activation = iota
	GELUTanh
	NumActivations
)

var (
	unaryNames  = [NumUnary]string{"affine", "exp", "log", "sqrt", "recip", "tanh", "sigmoid", "relu", "step"}
	binaryNames = [NumBinary]string{"add", "sub", "mul", "div", "equal"}
	reduceNames = [NumReduce]string{"sum", "max"}
	actNames    = [NumActivations]string{"silu", "gelu_tanh"}
)

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("kind(%d)", i)
}

func (k UnaryKind) String() string  { return name(unaryNames[:], int(k)) }
func (k BinaryKind) String() string { return name(binaryNames[:], int(k)) }
func (k ReduceKind) String() string { return name(reduceNames[:], int(k)) }
func (k Activation) String() string { return name(actNames[:], int(k)) }

// Opt is a set of optional operands that an instruction carries. Present
// operands follow the required ones in the order of the op's row.
type Opt uint8

// Optional operands; the row of an op lists those it knows.
const (
	WithBias      Opt = 1 << iota // MatMul: bias (columns of c)
	WithResidual                  // MatMul, RMSNorm: residual; RMSNorm then also gives the sum
	WithDW                        // RMSNormBwd, LinearCEGrad: gradient of the weight
	WithDocuments                 // Softmax: documents
	WithRows                      // Attention, Softmax: absolute row of each query
	WithStore                     // AdamW: a copy of the weights in storage type
	WithSum                       // RMSNormBwd: gradient arriving at the sum
)

// Attr holds the constants of an instruction. Fields that an op does not use
// must be zero, so that equal instructions compare equal.
type Attr struct {
	Unary  UnaryKind
	Binary BinaryKind
	Reduce ReduceKind
	Act    Activation
	Opt    Opt

	TransA, TransB bool // MatMul: a is (K, M), b is (N, K)

	// Alpha and Beta are the factors of MatMul (c = Alpha ab + ... + Beta c),
	// of Unary Affine, and Beta (0 or 1) of RMSNormBwd's and LinearCEGrad's
	// weight gradients. Fill writes Alpha.
	Alpha, Beta float32

	Eps     float64 // RMSNorm, AdamW
	PlusOne bool    // RMSNorm: multiply by 1 + w instead of w
	Sign    float32 // RoPE: +1 rotates forwards, -1 backwards
	Scale   float32 // RoPE, Attention, Softmax, LinearCE, CrossEntropy: factor of the result, scores or logits
	Window  int     // Attention, Softmax: keys visible to a query, itself included; 0 is all
	SoftCap float32 // c tanh(x / c) on scores or logits after Scale; 0 is none

	Beta1, Beta2 float64 // AdamW, Advance: decay of the moments
	Decay        float64 // AdamW: decoupled weight decay
}
