package vulkan

import (
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

// TestConformance holds the kernels to the op table. Operations without a kernel are
// skipped by name.
func TestConformance(t *testing.T) {
	kerneltest.Run(t, func() (kernels.Backend, error) { return kernels.Open("vulkan") },
		kerneltest.Options{Name: "vulkan"})
}
