package simd

import (
	"math"

	"graft/internal/f16"
)

// portable is the twins in Go.
var portable = Tier{
	Name: "portable",

	Gemm: gemmGo, GemmRows: gemmRowsGo, MR: 4, Rows: 4, NR: 2, Lanes: 2, KC: 384, NC: 256, MC: 256, Work: 1 << 18,
	PackRowsMR: packRowsMRGo, PackRowsNR: packRowsNRGo,
	PackColumnsMR: packColumnsMRGo, PackColumnsNR: packColumnsNRGo,
	PackRowsNRBF16: packRowsNRBF16Go, PackColumnsNRBF16: packColumnsNRBF16Go,

	Fetch: func(int, int) {},
	Dot:   dotGo, Axpy: axpyGo, Scale: scaleGo,
	Dots: oneDots(dotGo), DotsBF16: oneDots(dotBF16Go),
	TileDots: tileDots(dotGo), TileDotsBF16: tileDots(dotBF16Go), DotRows: dotRowsGo,
	Axpys: axpysGo, AxpysBF16: axpysBF16Go,

	WidenBF16:  func(y []float32, x []uint16) { f16.BF16ToF32(y, x[:len(y)]) },
	NarrowBF16: func(y []uint16, x []float32) { f16.F32ToBF16(y, x[:len(y)]) },
	WidenF16:   func(y []float32, x []uint16) { f16.F16ToF32(y, x[:len(y)]) },
	NarrowF16:  func(y []uint16, x []float32) { f16.F32ToF16(y, x[:len(y)]) },
	Sum:        func(x []float32) float32 { return float32(sum64(x)) },
	SumSq:      sumSqGo,
	MaxOf:      maxOfGo,
	Add:        addGo, Sub: subGo, Mul: mulGo, Div: divGo, Max: maxGo, Equal: equalGo,
	Affine: affineGo, ReLU: reluGo, Step: stepGo,
	Sqrt:    eachGo(math.Sqrt),
	Recip:   eachGo(func(x float64) float64 { return 1 / x }),
	Exp:     func(y, x []float32) { expSumGo(y, x, 1, 0) },
	Log:     eachGo(math.Log),
	Tanh:    eachGo(tanh),
	Sigmoid: eachGo(sigmoid),
	Scores:  scoresGo, CapScores: capScoresGo, CapSlope: capSlopeGo,
	ExpSum: expSumGo, SumExp: sumExpGo, SoftmaxGrad: softmaxGradGo,
	SiLU:    func(y, gate, up []float32) { gateGo(y, gate, up, silu) },
	GELU:    func(y, gate, up []float32) { gateGo(y, gate, up, gelu) },
	SiLUBwd: func(dgate, dup, gate, up, dy []float32) { gateBwdGo(dgate, dup, gate, up, dy, silu) },
	GELUBwd: func(dgate, dup, gate, up, dy []float32) { gateBwdGo(dgate, dup, gate, up, dy, gelu) },
	NormRow: normRowGo, Dot3: dot3Go, NormBwd: normBwdGo, MulAxpyDot: mulAxpyDotGo,
	Rotate: rotateGo, Turn: turnGo, AdamW: adamWGo,

	PanelSoftmax: panelSoftmaxGo, PanelScale: panelScaleGo, PanelGrad: panelGradGo,
}
