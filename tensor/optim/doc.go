// Package optim writes optimizers as graph code: AdamW with F32 master weights,
// decoupled weight decay and global-norm clipping, and learning-rate schedules
// that reach the device through the hyper block.
//
// Trainable weights lie side by side in flat memory, so that one instruction
// norms, one updates and one clears them all:
//
//	flat, err := optim.NewFlat(params, kernels.BF16, be.Caps().MaxBuffer)
//	w := flat.Weight(g, "model.norm.weight")            // use in the forward pass
//	g.GradInto(loss, []*tensor.Tensor{w}, []*tensor.Tensor{flat.Grad(g, "model.norm.weight")})
//	flat.Update(u, hyper, lossSum, optim.Defaults())     // in the update program
//
// The flat gradient, slot optim.GradSlot, between the two programs is the place
// for an all-reduce. The package does not decide what is trained or when.
package optim
