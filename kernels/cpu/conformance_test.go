package cpu

import (
	"testing"

	"graft/kernels"
	"graft/kernels/cpu/simd"
	"graft/kernels/kerneltest"
)

// TestConformance holds each tier on one thread to the oracle, and more threads and
// concurrent barrier groups to the bits of one.
func TestConformance(t *testing.T) {
	for _, tier := range simd.Tiers() {
		with := func(threads string, concurrent bool) kerneltest.Open {
			return func() (kernels.Backend, error) {
				be, err := Open(threads)
				if err != nil {
					return nil, err
				}
				be.tier, be.concurrent, be.pay = tier, concurrent, 1
				return be, nil
			}
		}
		t.Run(tier.Name, func(t *testing.T) {
			kerneltest.Run(t, with("1", false), kerneltest.Options{Name: "cpu", Same: map[string]kerneltest.Open{
				"2 threads": with("2", false), "concurrent": with("2", true),
			}})
		})
	}
}
