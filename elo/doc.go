// Package elo is the method: continual pretraining of a multilingual decoder by
// training a small model cut from it and grafting the trained layers back
// (ELO, arXiv 2601.03648).
//
//	Split       {embedding, layers S, final norm, head} become a small model
//	Pretrain    its layers train on the target language; the rest is frozen
//	Reassemble  the trained layers overwrite theirs; every other tensor stays
//	Align       the whole model trains on the rest of the same data
//	TuneSFT     the whole model trains on conversations
//
// Run does all of it from one Recipe, and equals them done one after another to
// the bit:
//
//	err := elo.Run(ctx, env, recipe)
//
// Two more methods exist to measure ELO against: MethodFull trains everything
// on the whole of the same data, MethodInPlace trains the same layers inside the
// whole model. Directories that come in and go out are ordinary Hugging Face
// checkpoints, the small model too, so any stage may be done by another program.
//
// What is not the paper's is said where it is: warm-up, clipping, packing and
// the hand-over of F32 masters. The package does not draw progress, parse
// command lines or choose devices.
package elo
