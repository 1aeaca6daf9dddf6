// Package train runs optimizer steps of a decoder in which some tensors are
// trained and the others are frozen.
//
// A Trainer is built once for a choice of layers and trained tensors. Frozen
// tensors have no gradients, no moments and no master copy, and nothing below
// the first trained layer is differentiated. What a run will take is known
// before it takes it:
//
//	t, err := train.New(be, train.Setup{Config: cfg, Train: all, SeqLen: 512, MicroBatch: 4, Accumulate: 2})
//	fmt.Println(t.Memory())                     // nothing is allocated yet
//	err = t.Alloc()
//	err = t.Load(checkpoint, nil)               // weights
//	m, err := t.Step(ctx, stream, lr, 1.0)      // as often as wanted
//
// Gradients are those of the mean loss over all targets of the optimizer step,
// however it is cut into micro-batches. The package knows no stages, no
// schedules over a run and no files but the weights it loads: package elo does.
package train
