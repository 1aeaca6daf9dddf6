package kernels

// The hyper block is an F32 input of a program that holds what changes from
// step to step, so that a recorded program can be replayed. The host writes it.
const (
	HyperLR         = 0 // learning rate of this step
	HyperMaxNorm    = 1 // global gradient norm to clip at; 0 is no clipping
	HyperInvTargets = 2 // 1 / targets in the whole optimizer step
	HyperLen        = 8
)

// The state block is a persistent F32 slot that Advance writes and AdamW
// reads. Step counts are exact up to 2^24.
const (
	StateStep    = 0 // completed updates
	StateSkipped = 1 // updates skipped because loss or norm was not finite
	StateBC1     = 2 // 1 - Beta1^step
	StateBC2     = 3 // 1 - Beta2^step
	StateClip    = 4 // factor on the gradients of this update
	StateApply   = 5 // 1 when this update is written, 0 when it is skipped
	StateNorm    = 6 // gradient norm before clipping
	StateLoss    = 7 // loss of this update
	StateLen     = 8
)
