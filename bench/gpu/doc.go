// Command gpu measures a device against its own limits and against PyTorch on the
// same card in the same run. bench/gpu.sh is the way to start it:
//
//	bench/gpu.sh                     # Vulkan and CUDA: the table goes to docs/results
//	bench/gpu.sh -small -peer-device cpu   # the same path on a machine without a GPU
//
// A case is one operation at the shape of a real model, or one optimizer step. Both
// sides hold their operands on the device as random numbers, never zeros. Operations
// are timed by the device's own clock (Vulkan's timestamps, CUDA's events), steps by
// the wall clock. Graft and PyTorch take turns, round by round; the table shows the
// median time of all rounds and the median of the rounds' ratios.
//
// The work of a case is that of its definition: attention counts the pairs that a
// causal mask leaves, a step counts matrix products, losses and attention. Percent of
// peak is against the vendor's dense figure and is left out for cards not listed.
//
// PyTorch runs in a process of its own (bench/versus/pytorch.py). Without it, or where
// it cannot run a case, the columns stay empty and the table says why.
package main
