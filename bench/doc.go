// Package bench holds the benchmarks: operations at the shapes of real models,
// and optimizer steps of both stages. They run on the device that GRAFT_DEVICE
// names (default cpu):
//
//	go test -run '^$' -bench . ./bench
//	GRAFT_DEVICE=cpu:1 go test -run '^$' -bench 'MatMul/demo' -count 5 ./bench
//
// They report GFLOP/s of the operation's definition, or tokens per second.
// Figures are compared side by side, in one run, as medians of several counts;
// a single figure from another day proves nothing. There are no timed tests.
package bench
