package cpu

import "graft/kernels"

// lowerings gives the function that turns an instruction into steps.
func lowerings(op kernels.Op) func(b *builder, in kernels.Instr, d kernels.Dims) {
	return [kernels.NumOps]func(*builder, kernels.Instr, kernels.Dims){
		kernels.Fill:            lowerFill,
		kernels.Copy:            lowerCopy,
		kernels.Unary:           lowerUnary,
		kernels.Binary:          lowerBinary,
		kernels.Reduce:          lowerReduce,
		kernels.Gather:          lowerGather,
		kernels.PutRows:         lowerPutRows,
		kernels.MatMul:          lowerMatMul,
		kernels.Embed:           lowerEmbed,
		kernels.EmbedBwd:        lowerEmbedBwd,
		kernels.RMSNorm:         lowerRMSNorm,
		kernels.RMSNormBwd:      lowerRMSNormBwd,
		kernels.RoPE:            lowerRoPE,
		kernels.GLU:             lowerGLU,
		kernels.GLUBwd:          lowerGLUBwd,
		kernels.Attention:       lowerAttention,
		kernels.AttentionBwd:    lowerAttentionBwd,
		kernels.LinearCE:        lowerLinearCE,
		kernels.LinearCEGrad:    lowerLinearCEGrad,
		kernels.Softmax:         lowerSoftmax,
		kernels.SoftmaxBwd:      lowerSoftmaxBwd,
		kernels.CrossEntropy:    lowerCrossEntropy,
		kernels.CrossEntropyBwd: lowerCrossEntropyBwd,
		kernels.SumSq:           lowerSumSq,
		kernels.Advance:         lowerAdvance,
		kernels.AdamW:           lowerAdamW,
	}[op]
}
