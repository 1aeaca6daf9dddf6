// Command peers measures Graft's CPU engine beside what else there is on the same
// machine: PyTorch (eager and torch.compile), OpenBLAS and oneDNN. The way to start it
// is
//
//	make bench-peers                              # the table goes to docs/results
//	bench/peers.sh -small                         # a minute: proves the path, says nothing about speed
//	bench/peers.sh -only GEMM -threads 1 -o ''    # a part of it, to the standard output
//
// Each side is a process of its own with the same number of threads, and none is bound
// to a processor. Sides take turns, four in each of five rounds (one, where a run takes
// longer than a second), and every other time backwards. A round gives each the median
// of its runs, a table the median of the rounds' ratios and, in brackets, their least and
// largest. Time is the wall clock's. What is prepared, compiled or warmed up is outside
// of it.
//
// A training step is forward, backward, clipping by the norm and AdamW, all in f32, on
// the same number of weights drawn from the same distribution. Its memory is the most
// that was resident during the turns, less 16 bytes for each weight: weight, gradient
// and two moments.
//
// Neighbours on the machine hurt a peer whose threads spin while they wait (OpenMP's)
// more than they hurt Graft: figures for several threads count on an idle machine only.
//
// A peer that is not there is named above the table, and its column stays empty.
package main
