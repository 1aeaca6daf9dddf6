// Package kernels is the vocabulary that all backends of Graft share: data
// types, operations, programs and the Backend interface.
//
// Operations are data. A Program is a straight list of instructions over
// slots; it has no branches and no run-time shapes. The op table ([Table])
// gives for every operation its operands with symbolic shapes, the data types
// it takes, which outputs may share memory with which inputs, what it costs,
// how exact it must be and, for fused operations, its definition in plain
// ones. A backend plans a Program, compiles it once and replays it:
//
//	be, err := kernels.Open("cpu")            // after a blank import of graft/kernels/cpu
//	pl, err := be.Plan(prog)                  // offsets, dispatches, bytes; allocates nothing
//	tmp, err := be.Alloc(pl.TempBytes, kernels.Device)
//	ex, err := be.Compile(prog, pl, bind, kernels.Region{Buffer: tmp, Size: pl.TempBytes})
//	err = ex.Run(ctx, 1)                      // any number of times
//
// The package holds no kernels, imports nothing but the standard library and
// builds no graphs: package tensor does that, packages kernels/ref,
// kernels/cpu and kernels/vulkan run them, package kernels/kerneltest holds
// every backend to the table.
//
// # Letters
//
// The same letters mean the same sizes everywhere: B sequences, T positions,
// S key positions, N = B*T tokens, C width, H heads, K key/value heads, D head
// size, F feed-forward width, V vocabulary.
package kernels
