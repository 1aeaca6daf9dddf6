package cpu

import (
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

// TestConformance holds one thread to the oracle, and more threads and
// concurrent barrier groups to the bits of one.
func TestConformance(t *testing.T) {
	with := func(threads string, concurrent bool) kerneltest.Open {
		return func() (kernels.Backend, error) {
			be, err := Open(threads)
			if err != nil {
				return nil, err
			}
			be.concurrent, be.pay = concurrent, 1
			return be, nil
		}
	}
	kerneltest.Run(t, with("1", false), kerneltest.Options{Name: "cpu", Same: map[string]kerneltest.Open{
		"2 threads": with("2", false), "concurrent": with("2", true),
	}})
}
