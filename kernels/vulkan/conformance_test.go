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
		// A software driver compiles every kernel of a random program; -long tries more.
		kerneltest.Options{Name: "vulkan", Programs: 12})
}
